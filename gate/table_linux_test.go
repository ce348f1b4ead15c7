package gate

import (
	"net/netip"
	"slices"
	"time"
)

// The world that all tables of verdicts are about.
var (
	worldPorts = []Port{
		{At: netip.MustParseAddrPort("0.0.0.0:80")}, {At: netip.MustParseAddrPort("0.0.0.0:443")},
		{At: netip.MustParseAddrPort("0.0.0.0:443"), UDP: true},
	}
	worldAllowed  = prefixes("192.0.2.0/28", "198.51.100.8/32", "203.0.113.9/32", "2001:db8:a::/48", "2001:db8:9::9/128")
	worldReflects = []int{53, 123, 11211}
	worldVerdicts = []verdict{
		{netip.MustParsePrefix("198.51.100.7/32"), time.Hour},
		{netip.MustParsePrefix("198.51.100.8/32"), time.Hour}, // allowed
		{netip.MustParsePrefix("198.51.100.9/32"), -time.Second},
		{netip.MustParsePrefix("203.0.113.0/24"), time.Hour},
		{netip.MustParsePrefix("203.0.114.0/24"), -time.Second},
		{netip.MustParsePrefix("2001:db8:1:2::/64"), time.Hour},
		{netip.MustParsePrefix("2001:db8:a:1::/64"), time.Hour}, // allowed
		{netip.MustParsePrefix("2001:db8:1:9::/64"), -time.Second},
		{netip.MustParsePrefix("2001:db8:9::/48"), time.Hour},
	}
)

func prefixes(all ...string) (list []netip.Prefix) {
	for _, p := range all {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

// verdictCase is one packet and what becomes of it. Locked and reflecting are
// what differs with those options.
type verdictCase struct {
	name       string
	packet     packet
	plain      Reason
	reflecting Reason // 0: as plain
	locked     Reason // 0: as plain
	// XDP alone: nft does not see such packets, or sees more of them.
	only bool
}

const to4, to6 = "10.99.0.1", "fd99::1"

func v4(from string, protocol byte, source, port uint16) packet {
	return packet{from: from, to: to4, protocol: protocol, source: source, port: port, flags: syn}
}

func v6(from string, protocol byte, source, port uint16) packet {
	return packet{from: from, to: to6, protocol: protocol, source: source, port: port, flags: syn}
}

func (p packet) with(change func(*packet)) packet { change(&p); return p }

var verdictCases = []verdictCase{
	{name: "a stranger", packet: v4("198.51.100.1", tcp, 40000, 443), plain: Pass, locked: DropLocked},
	{name: "a stranger, QUIC", packet: v4("198.51.100.1", udp, 40000, 443), plain: Pass, locked: DropLocked},
	{name: "a stranger, IPv6", packet: v6("2001:db8:1:3::1", tcp, 40000, 80), plain: Pass, locked: DropLocked},
	{name: "a stranger, IPv6, QUIC", packet: v6("2001:db8:1:3::1", udp, 40000, 443), plain: Pass, locked: DropLocked},
	{name: "a stranger, another port", packet: v4("198.51.100.1", tcp, 40000, 22), plain: PassOther},
	{name: "a stranger, UDP to a port of TCP's", packet: v4("198.51.100.1", udp, 40000, 80), plain: PassOther},
	{name: "a judged source", packet: v4("198.51.100.7", tcp, 40000, 443), plain: DropSource},
	{name: "a judged source, not a SYN", packet: v4("198.51.100.7", tcp, 40000, 443).with(func(p *packet) { p.flags = ack }), plain: DropSource},
	{name: "a judged source, QUIC", packet: v4("198.51.100.7", udp, 40000, 443), plain: DropSource},
	{name: "a judged source, another port", packet: v4("198.51.100.7", tcp, 40000, 22), plain: PassOther},
	{name: "a judged source, another port of UDP", packet: v4("198.51.100.7", udp, 40000, 53), plain: PassOther},
	{name: "a judged source, the port it sends from", packet: v4("198.51.100.7", tcp, 443, 40000), plain: PassOther},
	{name: "a judged source, ICMP", packet: v4("198.51.100.7", icmp, 0x0800, 443), plain: PassOther},
	{name: "a judged source, IPv6", packet: v6("2001:db8:1:2:ffff::1", tcp, 40000, 443), plain: DropSource},
	{name: "a judged source, IPv6, the first of its network", packet: v6("2001:db8:1:2::", udp, 40000, 443), plain: DropSource},
	{name: "a judged source, IPv6, another port", packet: v6("2001:db8:1:2::1", tcp, 40000, 22), plain: PassOther},
	{name: "its neighbour", packet: v4("198.51.100.6", tcp, 40000, 443), plain: Pass, locked: DropLocked},
	{name: "its neighbour, IPv6", packet: v6("2001:db8:1:1:ffff:ffff:ffff:ffff", tcp, 40000, 443), plain: Pass, locked: DropLocked},
	{name: "a verdict that has ended", packet: v4("198.51.100.9", tcp, 40000, 443), plain: Pass, locked: DropLocked},
	{name: "a verdict that has ended, IPv6", packet: v6("2001:db8:1:9::1", tcp, 40000, 443), plain: Pass, locked: DropLocked},
	{name: "a judged prefix", packet: v4("203.0.113.200", tcp, 40000, 80), plain: DropPrefix},
	{name: "a judged prefix, IPv6", packet: v6("2001:db8:9:ffff::1", tcp, 40000, 80), plain: DropPrefix},
	{name: "a judged prefix, another port", packet: v4("203.0.113.200", tcp, 40000, 2020), plain: PassOther},
	{name: "a prefix that has ended", packet: v4("203.0.114.200", tcp, 40000, 80), plain: Pass, locked: DropLocked},
	{name: "beside the prefix", packet: v4("203.0.112.255", tcp, 40000, 80), plain: Pass, locked: DropLocked},

	{name: "allowed", packet: v4("192.0.2.15", tcp, 40000, 443), plain: PassAllowed},
	{name: "beside the allowed", packet: v4("192.0.2.16", tcp, 40000, 443), plain: Pass, locked: DropLocked},
	{name: "allowed and judged", packet: v4("198.51.100.8", tcp, 40000, 443), plain: PassAllowed},
	{name: "allowed in a judged prefix", packet: v4("203.0.113.9", tcp, 40000, 443), plain: PassAllowed},
	{name: "allowed and judged, IPv6", packet: v6("2001:db8:a:1::1", tcp, 40000, 443), plain: PassAllowed},
	{name: "allowed in a judged prefix, IPv6", packet: v6("2001:db8:9::9", tcp, 40000, 443), plain: PassAllowed},
	{name: "allowed, from port 53", packet: v4("192.0.2.1", udp, 53, 5000), plain: PassOther, reflecting: PassAllowed},
	{name: "allowed, a fragment", packet: v4("192.0.2.1", udp, 1, 2).with(func(p *packet) { p.fragment = 100 }), plain: PassOther, reflecting: PassAllowed},

	{name: "an answer nobody asked for", packet: v4("198.51.100.1", udp, 123, 5000), plain: PassOther, reflecting: DropReflection},
	{name: "an answer nobody asked for, to our port", packet: v4("198.51.100.1", udp, 11211, 443), plain: Pass, reflecting: DropReflection, locked: DropLocked},
	{name: "an answer nobody asked for, IPv6", packet: v6("2001:db8:1:3::1", udp, 53, 5000), plain: PassOther, reflecting: DropReflection},
	{name: "UDP from a port that is not listed", packet: v4("198.51.100.1", udp, 54, 5000), plain: PassOther},
	{name: "TCP from a listed port", packet: v4("198.51.100.1", tcp, 53, 5000), plain: PassOther},
	{name: "TCP from a listed port, to ours", packet: v4("198.51.100.1", tcp, 53, 443), plain: Pass, locked: DropLocked},
	{name: "a fragment of UDP", packet: v4("198.51.100.1", udp, 1, 2).with(func(p *packet) { p.fragment = 100 }), plain: PassOther, reflecting: DropFragment},
	{name: "a fragment that looks like our port", packet: v4("198.51.100.7", udp, 40000, 443).with(func(p *packet) { p.fragment = 100 }), plain: PassOther, reflecting: DropFragment},
	{name: "a fragment of TCP", packet: v4("198.51.100.7", tcp, 40000, 443).with(func(p *packet) { p.fragment = 100 }), plain: PassOther},
	{name: "the first fragment of UDP", packet: v4("198.51.100.1", udp, 40000, 443).with(func(p *packet) { p.fragment = 0x2000 }), plain: Pass, locked: DropLocked},
	{name: "the first fragment of a judged source", packet: v4("198.51.100.7", udp, 40000, 443).with(func(p *packet) { p.fragment = 0x2000 }), plain: DropSource},
	{name: "a fragment, IPv6", packet: v6("2001:db8:1:3::1", udp, 1, 2).with(func(p *packet) { p.pieces, p.fragment = true, 80 }), plain: PassOther, reflecting: DropFragment},
	{name: "a fragment that looks like our port, IPv6", packet: v6("2001:db8:1:2::1", tcp, 40000, 443).with(func(p *packet) { p.pieces, p.fragment = true, 80 }), plain: PassOther},
	{name: "the first fragment, IPv6", packet: v6("2001:db8:1:2::1", udp, 40000, 443).with(func(p *packet) { p.pieces, p.fragment = true, 1 }), plain: DropSource},

	{name: "IPv4 with options", packet: v4("198.51.100.7", tcp, 40000, 443).with(func(p *packet) { p.options = 8 }), plain: DropSource},
	{name: "IPv4 with the longest options", packet: v4("198.51.100.7", udp, 40000, 443).with(func(p *packet) { p.options = 40 }), plain: DropSource},
	{name: "IPv6 with options", packet: v6("2001:db8:1:2::1", tcp, 40000, 443).with(func(p *packet) { p.options = 8 }), plain: PassOther, only: true},
	{name: "a tag", packet: v4("198.51.100.7", tcp, 40000, 443).with(func(p *packet) { p.tags = []uint16{tagged} }), plain: DropSource, only: true},
	{name: "two tags", packet: v6("2001:db8:1:2::1", tcp, 40000, 443).with(func(p *packet) { p.tags = []uint16{stacked, tagged} }), plain: DropSource, only: true},
	{name: "three tags", packet: v4("198.51.100.7", tcp, 40000, 443).with(func(p *packet) { p.tags = []uint16{stacked, tagged, tagged} }), plain: PassOther, only: true},
}

// mode is a way of running the gate that has a column in the table.
type mode struct {
	name   string
	config Config
	want   func(verdictCase) Reason
}

var modes = []mode{
	{"plain", Config{}, func(c verdictCase) Reason { return c.plain }},
	{"reflection", Config{Reflection: worldReflects}, func(c verdictCase) Reason {
		if c.reflecting != 0 {
			return c.reflecting
		}
		return c.plain
	}},
	{"lock", Config{Lock: true}, func(c verdictCase) Reason {
		if c.locked != 0 {
			return c.locked
		}
		return c.plain
	}},
}

// model says what becomes of a packet, written down a second time and without
// looking at the program: what fuzzing holds it against.
func model(b []byte, c Config) Reason {
	if len(b) < 14 {
		return PassOdd
	}
	kind, rest := be.Uint16(b[12:]), b[14:]
	for range 2 {
		if kind != tagged && kind != stacked {
			break
		}
		if len(rest) < 4 {
			return PassOdd
		}
		kind, rest = be.Uint16(rest[2:]), rest[4:]
	}
	var from netip.Addr
	var protocol byte
	fragment := false
	switch kind {
	case 0x0800:
		if len(rest) < 20 || rest[0]>>4 != 4 || rest[0]&15 < 5 {
			return PassOdd
		}
		from, protocol, fragment = netip.AddrFrom4([4]byte(rest[12:])), rest[9], be.Uint16(rest[6:])&0x1fff != 0
		rest = rest[min(len(rest), int(rest[0]&15)*4):]
	case 0x86dd:
		if len(rest) < 40 || rest[0]>>4 != 6 {
			return PassOdd
		}
		from, protocol = netip.AddrFrom16([16]byte(rest[8:])), rest[6]
		rest = rest[40:]
		if protocol == fragmentHeader {
			if len(rest) < 8 {
				return PassOdd
			}
			protocol, fragment = rest[0], be.Uint16(rest[2:])&0xfff8 != 0
			rest = rest[8:]
		}
	default:
		return PassOther
	}
	if protocol != tcp && protocol != udp {
		return PassOther
	}
	if !fragment && len(rest) < 4 {
		return PassOdd
	}
	var source, port uint16
	if !fragment {
		source, port = be.Uint16(rest), be.Uint16(rest[2:])
	}
	ours := !fragment && slices.ContainsFunc(worldPorts, func(p Port) bool { return p.At.Port() == port && p.UDP == (protocol == udp) })
	reaches := protocol == udp && len(c.Reflection) > 0
	if !ours && !reaches {
		return PassOther
	}
	if slices.ContainsFunc(worldAllowed, func(p netip.Prefix) bool { return holds(p, from) }) {
		return PassAllowed
	}
	why := PassOther
	if ours {
		why = Pass
		for _, v := range worldVerdicts {
			if v.lasts > 0 && holds(v.prefix, from) {
				why = DropPrefix
				if v.prefix.Bits() == 32 || v.prefix.Bits() == 64 {
					return DropSource
				}
			}
		}
		if why == DropPrefix {
			return why
		}
	}
	switch {
	case reaches && fragment:
		return DropFragment
	case reaches && slices.Contains(worldReflects, int(source)):
		return DropReflection
	case ours && c.Lock:
		return DropLocked
	}
	return why
}

// holds is Contains that does not tell IPv4 in IPv6 apart from IPv6.
func holds(p netip.Prefix, a netip.Addr) bool {
	if p.Addr().Is4() != a.Is4() {
		return false
	}
	masked, err := a.WithZone("").Prefix(p.Bits())
	return err == nil && masked == p.Masked()
}

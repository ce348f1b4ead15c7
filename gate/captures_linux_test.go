package gate

import (
	"compress/gzip"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/deichproject/deich"
)

// Where real captures lie, beside the checkout.
const capturesDir = "../../shared/data/pcaps"

// capture gives the frames of a file.
func capture(t *testing.T, name string) (frames [][]byte) {
	t.Helper()
	f, err := os.Open(filepath.Join(capturesDir, name+".pcap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch magic := order.Uint32(b); magic {
	case 0xa1b2c3d4, 0xa1b23c4d:
	default:
		if order = binary.BigEndian; order.Uint32(b) != 0xa1b2c3d4 {
			t.Fatalf("%s is no pcap: %x", name, magic)
		}
	}
	kind := order.Uint32(b[20:])
	if kind > 1 {
		t.Fatalf("%s has neither Ethernet headers nor loopback's: %d", name, kind)
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(order.Uint32(b[8:]))
		frame := b[16 : 16+n]
		if kind == 0 { // four bytes in place of an Ethernet header, before IPv4 or IPv6
			head := packet{from: "127.0.0.1", to: "127.0.0.1"}.frame()[:14]
			if frame[4]>>4 == 6 {
				be.PutUint16(head[12:], 0x86dd)
			}
			frame = append(head, frame[4:]...)
		}
		frames = append(frames, frame)
		b = b[16+n:]
	}
	return frames
}

// headOf reads what a frame is about; ok where it is TCP or UDP over IPv4 or IPv6.
func headOf(b []byte) (from netip.Addr, protocol byte, source, port uint16, ok bool) {
	if len(b) < 38 {
		return
	}
	rest := b[34:]
	switch be.Uint16(b[12:]) {
	case 0x0800:
		from, protocol = netip.AddrFrom4([4]byte(b[26:])), b[23]
		rest = b[14+int(b[14]&15)*4:]
	case 0x86dd:
		from, protocol = netip.AddrFrom16([16]byte(b[22:])), b[20]
		rest = b[min(len(b), 54):]
	}
	if ok = len(rest) >= 4 && (protocol == tcp || protocol == udp); ok {
		source, port = be.Uint16(rest), be.Uint16(rest[2:])
	}
	return
}

// through runs frames through the program and counts the kernel's verdicts.
func through(t *testing.T, x *xdp, frames [][]byte) (dropped, answered int) {
	t.Helper()
	for _, f := range frames {
		if len(f) < 14 || len(f) > 3500 {
			continue // longer than the kernel's run takes, and than a packet on a cable
		}
		verdict, err := x.objects.DeichGate.Run(&ebpf.RunOptions{Data: f})
		if err != nil {
			t.Fatal(err)
		}
		switch verdict {
		case xdpDrop:
			dropped++
		case xdpTX:
			answered++
		}
	}
	return dropped, answered
}

func needCaptures(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(capturesDir); err != nil {
		t.Skipf("left out: the captures are not here: %v", err)
	}
}

// recommended is the list that docs/reference/configuration.md shows, with the
// ports of the captures.
var recommended = []int{19, 53, 111, 123, 161, 389, 500, 1900, 3702, 4500, 11211}

// Real attacks and real peace, packet by packet.
func TestCaptures(t *testing.T) {
	needCaptures(t)
	needCookies(t)
	if !alone(t) {
		return
	}
	sysctl(t, "ipv4/tcp_syncookies", "2")
	echo(t, "[::]:25565")
	open := func(c Config, allowed []netip.Prefix, judged []verdict, ports ...uint16) *xdp {
		t.Helper()
		var own []Port
		for _, p := range ports {
			at := netip.AddrPortFrom(netip.IPv4Unspecified(), p)
			own = append(own, Port{At: at}, Port{At: at, UDP: true})
		}
		x, err := load(Options{Config: c, Ports: own}, allowed, 1500, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.close() })
		for i := 0; i < len(judged); i += batchMax {
			if err := x.put(judged[i:min(len(judged), i+batchMax)]); err != nil {
				t.Fatal(err)
			}
		}
		return x
	}

	// The SYN flood: its sources are spoofed, and none may be judged. Cookies
	// answer it, the stack sees none of it.
	flood := capture(t, "stopddos-pkt.TCP.synflood.spoofed")
	x := open(Config{}, nil, nil, 25565)
	dropped, answered := through(t, x, flood)
	t.Logf("SYN flood: %d packets, %.2f %% answered with cookies, %.2f %% dropped", len(flood), share(answered, flood), share(dropped, flood))
	if share(answered, flood) < 99 || dropped != 0 {
		t.Errorf("%d answered and %d dropped of %d", answered, dropped, len(flood))
	}
	// The same sources, had they been judged.
	sources := map[netip.Addr]bool{}
	var judged []verdict
	for _, f := range flood {
		if a, _, _, _, ok := headOf(f); ok && !sources[a] {
			sources[a] = true
			judged = append(judged, verdict{netip.PrefixFrom(a, a.BitLen()), time.Hour})
		}
	}
	dropped, _ = through(t, open(Config{}, nil, judged, 25565), flood)
	t.Logf("SYN flood from %d judged sources: %.2f %% dropped", len(judged), share(dropped, flood))
	if share(dropped, flood) < 99.9 {
		t.Errorf("%d of %d dropped", dropped, len(flood))
	}

	for _, c := range []struct {
		name  string
		least float64 // of its UDP that is to be dropped
	}{
		{"stopddos-amp.UDP.isakmp", 99}, {"stopddos-amp.UDP.snmp.src161", 99},
		{"stopddos-amp.TCP.reflection.SYNACK", 0}, // TCP to other ports is never touched
		{"sv-tcp-syn-flood-200", 0}, {"sv-dhcp-request-flood", 0}, {"sv-http2-continuation", 0},
	} {
		frames := capture(t, c.name)
		dropped, _ := through(t, open(Config{Reflection: recommended}, nil, nil, 443), frames)
		var ofUDP [][]byte
		for _, f := range frames {
			if _, protocol, _, _, ok := headOf(f); ok && protocol == udp {
				ofUDP = append(ofUDP, f)
			}
		}
		t.Logf("%s: %d packets, %d of them UDP; %.2f %% dropped, %.2f %% of UDP", c.name, len(frames), len(ofUDP), share(dropped, frames), share(dropped, ofUDP))
		if share(dropped, ofUDP) < c.least {
			t.Errorf("%s: %d of %d dropped, want %.0f %%", c.name, dropped, len(ofUDP), c.least)
		}
	}

	// Peace, as the server's machine and as the client's, with every attacker
	// above judged and reflection on. The host's own resolvers are allowed, as
	// resolv.conf would have it.
	for _, name := range []string{"sv-benign-tls-browsing", "sv-benign-syn-retransmit"} {
		frames := capture(t, name)
		ports := map[uint16]bool{}
		resolvers := map[netip.Prefix]bool{}
		for _, f := range frames {
			a, protocol, source, port, ok := headOf(f)
			if ok && protocol == tcp && min(source, port) < 1024 {
				ports[min(source, port)] = true
			}
			if ok && protocol == udp && source == 53 {
				resolvers[netip.PrefixFrom(a, a.BitLen())] = true
			}
		}
		var allowed []netip.Prefix
		for p := range resolvers {
			allowed = append(allowed, p)
		}
		var own []uint16
		for p := range ports {
			own = append(own, p)
		}
		for _, c := range []Config{{}, {Reflection: recommended}} {
			dropped, _ := through(t, open(c, allowed, judged, own...), frames)
			t.Logf("%s, reflection %t, ports %v: %d packets, %d dropped", name, len(c.Reflection) > 0, own, len(frames), dropped)
			if dropped != 0 {
				t.Errorf("%s: %d of %d dropped", name, dropped, len(frames))
			}
		}
	}
}

func share(n int, of [][]byte) float64 { return float64(n) / float64(max(len(of), 1)) * 100 }

// The same captures as they come over a cable, past a gate that stands: by XDP in the driver and by
// nftables, which cannot be asked packet by packet.
func TestCapturesReplayed(t *testing.T) {
	needCaptures(t)
	if !alone(t) {
		return
	}
	p := cable(t)
	for _, way := range []string{Native, Table} {
		t.Run(way, func(t *testing.T) {
			mode := NFT
			if way == Native {
				needPrograms(t)
				mode = XDP
			} else {
				needNFT(t)
			}
			anywhere := netip.IPv4Unspecified()
			s := stand(t, Config{Mode: mode, Interfaces: []string{here}, Reflection: recommended}, []Port{
				{At: netip.AddrPortFrom(anywhere, 443)}, {At: netip.AddrPortFrom(anywhere, 443), UDP: true}, {At: netip.AddrPortFrom(anywhere, 25565)},
			}, nil)
			if st := s.Status(); st.Backend != way {
				t.Fatalf("it is %s: %s", st.Backend, st.Why)
			}
			flood := onCable(t, "stopddos-pkt.TCP.synflood.spoofed")
			sources := make(map[netip.Addr]bool)
			var orders []deich.Order
			for _, f := range flood {
				if a, _, _, _, ok := headOf(f); ok && !sources[a] {
					sources[a] = true
					orders = append(orders, deich.Order{Prefix: netip.PrefixFrom(a, a.BitLen()), Until: s.until(time.Hour)})
				}
			}
			s.Carry(orders)
			within(t, 30*time.Second, "all sources are judged", true, func() bool { return s.Status().Sources == len(orders) })
			for _, c := range []struct {
				name  string
				least float64 // of its TCP and UDP that is to be dropped
			}{
				{"stopddos-pkt.TCP.synflood.spoofed", 99}, {"stopddos-amp.UDP.isakmp", 98}, {"stopddos-amp.UDP.snmp.src161", 98},
				{"sv-benign-tls-browsing", 0}, {"sv-benign-syn-retransmit", 0},
			} {
				all := onCable(t, c.name)
				before := s.Status().Counts.Drops().Packets
				dropped := func() int { return int(s.Status().Counts.Drops().Packets - before) }
				for i := 0; i < len(all); i += 64 {
					p.wire(t, all[i:min(len(all), i+64)]...)
				}
				// What nftables dropped is counted every two seconds.
				want := int(c.least / 100 * float64(len(all)))
				for end := time.Now().Add(2*collectEvery + time.Second); time.Now().Before(end) && (want == 0 || dropped() < want); {
					time.Sleep(50 * time.Millisecond)
				}
				n := dropped()
				t.Logf("%s: %d packets, %.2f %% dropped", c.name, len(all), float64(n)/float64(len(all))*100)
				if n < want || want == 0 && n > 0 {
					t.Errorf("%s: %d of %d dropped, want %.0f %%", c.name, n, len(all), c.least)
				}
			}
			if st := s.Status(); st.Missed != 0 || st.Trouble != "" {
				t.Errorf("%d missed, trouble %q", st.Missed, st.Trouble)
			}
		})
	}
}

// onCable gives the frames of a capture that fit the cable and are TCP or UDP, of attacks by
// UDP that alone, sent to its near end; of the peaceful ones none that come from a resolver or a time server, as these would be on
// the allow list.
func onCable(t *testing.T, name string) (all [][]byte) {
	t.Helper()
	at, err := net.InterfaceByName(here)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range capture(t, name) {
		_, protocol, source, _, ok := headOf(f)
		switch {
		case !ok || len(f) > 1514:
		case strings.Contains(name, "UDP") && protocol != udp:
		case strings.HasPrefix(name, "sv-benign") && protocol == udp && slices.Contains(recommended, int(source)):
		default:
			copy(f, at.HardwareAddr)
			all = append(all, f)
		}
	}
	return all
}

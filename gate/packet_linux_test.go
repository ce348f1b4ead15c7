package gate

import (
	"encoding/binary"
	"net/netip"
)

// packet is one to be built for a test.
type packet struct {
	tags         []uint16 // VLAN tag protocols
	from, to     string
	protocol     byte
	source, port uint16
	flags        byte   // TCP
	options      int    // bytes of IPv4 options
	fragment     uint16 // IPv4: the field; IPv6: offset and the flag that more follow
	pieces       bool   // IPv6: with a fragment header
	payload      []byte
}

const (
	tcp, udp, icmp, hopopts, fragmentHeader = 6, 17, 1, 0, 44

	fin, syn, rst, ack = 1, 2, 4, 16

	tagged, stacked = 0x8100, 0x88a8
)

var (
	macTo   = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} // whoever is there
	macFrom = [6]byte{2, 0, 0, 0, 0, 1}
	be      = binary.BigEndian
)

// frame builds it, with right checksums.
func (p packet) frame() []byte {
	b := append(append([]byte{}, macTo[:]...), macFrom[:]...)
	for _, t := range p.tags {
		b = be.AppendUint16(b, t)
		b = be.AppendUint16(b, 7)
	}
	from, to := netip.MustParseAddr(p.from), netip.MustParseAddr(p.to)
	if from.Is4() {
		return p.ip4(be.AppendUint16(b, 0x0800), from, to)
	}
	return p.ip6(be.AppendUint16(b, 0x86dd), from, to)
}

func (p packet) ip4(b []byte, from, to netip.Addr) []byte {
	head := make([]byte, 20+p.options)
	for i := range p.options {
		head[20+i] = 1 // no operation
	}
	l4 := p.transport(from, to)
	head[0] = 0x40 | byte(len(head)/4)
	be.PutUint16(head[2:], uint16(len(head)+len(l4)))
	be.PutUint16(head[4:], 77)
	be.PutUint16(head[6:], p.fragment)
	head[8], head[9] = 61, p.protocol
	copy(head[12:], from.AsSlice())
	copy(head[16:], to.AsSlice())
	be.PutUint16(head[10:], ^sum(0, head))
	return append(append(b, head...), l4...)
}

func (p packet) ip6(b []byte, from, to netip.Addr) []byte {
	l4 := p.transport(from, to)
	next := p.protocol
	switch {
	case p.pieces:
		l4 = append([]byte{next, 0, byte(p.fragment >> 8), byte(p.fragment), 0, 0, 0, 9}, l4...)
		next = fragmentHeader
	case p.options > 0:
		l4 = append([]byte{next, 0, 1, 4, 0, 0, 0, 0}, l4...)
		next = hopopts
	}
	head := make([]byte, 40)
	head[0] = 0x60
	be.PutUint16(head[4:], uint16(len(l4)))
	head[6], head[7] = next, 61
	copy(head[8:], from.AsSlice())
	copy(head[24:], to.AsSlice())
	return append(append(b, head...), l4...)
}

func (p packet) transport(from, to netip.Addr) []byte {
	var b []byte
	b = be.AppendUint16(b, p.source)
	b = be.AppendUint16(b, p.port)
	at := 6
	switch p.protocol {
	case tcp:
		b = be.AppendUint32(b, 1000)
		b = be.AppendUint32(b, 0)
		b = append(b, 6<<4, p.flags, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4) // with an MSS of 1460
		at = 16
	case udp:
		b = be.AppendUint16(b, uint16(8+len(p.payload)))
		b = append(b, 0, 0)
	}
	b = append(b, p.payload...)
	if p.protocol == tcp || p.protocol == udp {
		be.PutUint16(b[at:], ^transportSum(from, to, p.protocol, b))
	}
	return b
}

func transportSum(from, to netip.Addr, protocol byte, b []byte) uint16 {
	s := sum(0, from.AsSlice())
	s = sum(s, to.AsSlice())
	return sum(s, append([]byte{0, protocol, byte(len(b) >> 8), byte(len(b))}, b...))
}

// sum is the Internet's checksum, before its complement.
func sum(start uint16, b []byte) uint16 {
	s := uint32(start)
	for i := 0; i < len(b); i += 2 {
		s += uint32(b[i]) << 8
		if i+1 < len(b) {
			s += uint32(b[i+1])
		}
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

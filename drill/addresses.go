package drill

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/deichproject/deich/drill/scenarios"
)

// addresses says which source address each client has. In a namespace they lie
// in 10.0.0.0/8 and fd00::/16, all of which are local there, else in 127.0.0.0/8.
type addresses struct {
	net byte // 10 or 127
}

// own gives a user's address: each in a /24 of its own.
func (a addresses) own(group, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{a.net, byte(32 + 8*group + n>>8), byte(n), 10})
}

// shared gives one of the addresses that a group shares, as behind a carrier.
func (a addresses) shared(group, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{a.net, byte(32 + 8*group), byte(n), 77})
}

// user gives the address of a group's n-th user.
func (a addresses) user(group, n int, spec *scenarios.Group) netip.Addr {
	if spec.Addresses > 0 {
		return a.shared(group, n%spec.Addresses)
	}
	return a.own(group, n)
}

// bot gives the address of an attack's n-th source: scattered, as a botnet's
// are, so that no two of an attack share a /24.
func (a addresses) bot(attack, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{a.net, byte(160 + n>>8), byte(n), byte(100 + attack)})
}

// rotating gives another /64 at every call, out of the given number of /48.
func rotating(rng *rand.Rand, networks int) netip.Addr {
	b := [16]byte{0xfd, 0x00, 0x00, 0x0a}
	binary.BigEndian.PutUint16(b[4:], uint16(rng.IntN(networks)))
	binary.BigEndian.PutUint16(b[6:], uint16(rng.Uint32()))
	binary.BigEndian.PutUint64(b[8:], rng.Uint64())
	return netip.AddrFrom16(b)
}

package sketch

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Key is a secret that hashes are made with. Without it nobody can choose two
// inputs that meet in a table. The hash is SipHash-1-3, a pseudorandom function
// made for this by Aumasson and Bernstein (SipHash: a fast short-input PRF,
// INDOCRYPT 2012), with one round a word and three at the end, as the hash
// tables of Rust, Python and Ruby use it. Its outputs must not be shown to
// strangers as if they were a signature: for that there is HMAC.
//
// The three methods hash without telling each other's inputs apart; a table
// should be fed by one of them, or under a key of its own.
type Key [2]uint64

// Bytes returns the hash of b.
func (k Key) Bytes(b []byte) uint64 {
	s := k.start()
	n := len(b)
	for ; len(b) >= 8; b = b[8:] {
		s.word(binary.LittleEndian.Uint64(b))
	}
	last := uint64(n) << 56
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	return s.end(last)
}

// Uint64 returns the hash of x, that of its 8 bytes in little-endian order.
func (k Key) Uint64(x uint64) uint64 {
	s := k.start()
	s.word(x)
	return s.end(8 << 56)
}

// Addr returns the hash of the prefix of a of that many bits, of 32 for an IPv4
// address (also when mapped into IPv6) and of 128 for an IPv6 address; more
// bits are taken as all of them, fewer than none as none. Prefixes of different
// lengths hash differently. A zone is left out.
func (k Key) Addr(a netip.Addr, prefixBits int) uint64 {
	s := k.start()
	prefixBits = max(prefixBits, 0)
	b := a.As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if a.Is4() || a.Is4In6() {
		// Address, length and family are 6 bytes, all in the last word.
		prefixBits = min(prefixBits, 32)
		v4 := uint64(uint32(lo)) &^ (1<<(32-prefixBits) - 1)
		return s.end(6<<56 | 4<<40 | uint64(prefixBits)<<32 | v4)
	}
	prefixBits = min(prefixBits, 128)
	// Shifts by 64 and more give 0 in Go, as wanted here.
	s.word(hi &^ (^uint64(0) >> prefixBits))
	s.word(lo &^ (^uint64(0) >> max(prefixBits-64, 0)))
	return s.end(18<<56 | 6<<8 | uint64(prefixBits))
}

// state is the four words of SipHash.
type state struct{ v0, v1, v2, v3 uint64 }

func (k Key) start() state {
	return state{
		k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d,
		k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573,
	}
}

func (s *state) word(m uint64) {
	s.v3 ^= m
	s.round()
	s.v0 ^= m
}

func (s *state) end(last uint64) uint64 {
	s.word(last)
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s *state) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}

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
	rest := b
	for ; len(rest) >= 8; rest = rest[8:] {
		s = s.word(binary.LittleEndian.Uint64(rest))
	}
	last := uint64(len(b)) << 56
	switch n := len(rest); {
	case n == 0:
	case len(b) >= 8: // the last 8 bytes at once, without those that were hashed
		last |= binary.LittleEndian.Uint64(b[len(b)-8:]) >> (8 * (8 - n))
	default:
		for i, c := range rest {
			last |= uint64(c) << (8 * i)
		}
	}
	return s.end(last)
}

// Uint64 returns the hash of x, that of its 8 bytes in little-endian order.
func (k Key) Uint64(x uint64) uint64 {
	s := k.start()
	s = s.word(x)
	return s.end(8 << 56)
}

// Addr returns the hash of the first prefixBits bits of a: of up to 32 for an
// IPv4 address, also when it comes mapped into IPv6, and of up to 128 for an
// IPv6 address; more are taken as all. Prefixes of different lengths or
// families hash differently. A zone is left out.
func (k Key) Addr(a netip.Addr, prefixBits int) uint64 {
	s := k.start()
	prefixBits = max(prefixBits, 0)
	if a.Is4() || a.Is4In6() {
		// Address, length and family are 6 bytes, all in the last word.
		b := a.As4()
		prefixBits = min(prefixBits, 32)
		v4 := uint64(binary.BigEndian.Uint32(b[:])) &^ (1<<(32-prefixBits) - 1)
		return s.end(6<<56 | 4<<40 | uint64(prefixBits)<<32 | v4)
	}
	b := a.As16()
	prefixBits = min(prefixBits, 128)
	// A shift by 64 or more gives 0 in Go, as wanted here.
	s = s.word(binary.BigEndian.Uint64(b[:8]) &^ (^uint64(0) >> prefixBits))
	if prefixBits <= 64 {
		return s.end(10<<56 | 6<<8 | uint64(prefixBits))
	}
	s = s.word(binary.BigEndian.Uint64(b[8:]) &^ (^uint64(0) >> (prefixBits - 64)))
	return s.end(18<<56 | 6<<8 | uint64(prefixBits))
}

// state is the four words of SipHash. Its methods take and give it by value,
// which keeps it in registers: through a pointer they take twice as long.
type state struct{ v0, v1, v2, v3 uint64 }

func (k Key) start() state {
	return state{
		k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d,
		k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573,
	}
}

func (s state) word(m uint64) state {
	s.v3 ^= m
	s = s.round()
	s.v0 ^= m
	return s
}

func (s state) end(last uint64) uint64 {
	s.v3 ^= last
	s = s.round()
	s.v0 ^= last
	s.v2 ^= 0xff
	s = s.round().round().round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

// round is written to be just small enough for the compiler to inline it.
func (s state) round() state {
	a, c := s.v0+s.v1, s.v2+s.v3
	b := bits.RotateLeft64(s.v1, 13) ^ a
	d := bits.RotateLeft64(s.v3, 16) ^ c
	a = bits.RotateLeft64(a, 32) + d
	c += b
	return state{
		a, bits.RotateLeft64(b, 17) ^ c,
		bits.RotateLeft64(c, 32), bits.RotateLeft64(d, 21) ^ a,
	}
}

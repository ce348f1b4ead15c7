package sketch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// vectorKey is the key of all published SipHash vectors: bytes 00 to 0f.
var vectorKey = Key{0x0706050403020100, 0x0f0e0d0c0b0a0908}

func upTo(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// TestVectors compares with the 64 published outputs of SipHash-1-3, for the
// messages 00, 01, … of 0 to 63 bytes under the vector key: those of the Rust
// standard library's tests (library/coretests/tests/hash/sip.rs,
// test_siphash_1_3). Four of them stand here, and the digest of all.
func TestVectors(t *testing.T) {
	for n, want := range map[int]string{
		0:  "dcc40f055801acab",
		7:  "4011b19b987d92d3",
		8:  "8e9a298d11959036",
		63: "a8b3bbb76290199d",
	} {
		got := hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, vectorKey.Bytes(upTo(n))))
		if got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
	var all []byte
	for n := range 64 {
		all = binary.LittleEndian.AppendUint64(all, vectorKey.Bytes(upTo(n)))
	}
	const want = "6046331106143204acf164927e50cddf85f92b0df8fc440ff2e2bffe69db4dfb"
	if sum := sha256.Sum256(all); hex.EncodeToString(sum[:]) != want {
		t.Errorf("digest of all 64 outputs: %x, want %s", sum, want)
	}
}

// sip is SipHash-c-d written as the paper describes it, on bytes and plainly.
func sip(c, d int, key Key, msg []byte) uint64 {
	v := [4]uint64{
		key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573,
	}
	rounds := func(n int) {
		for range n {
			v[0] += v[1]
			v[2] += v[3]
			v[1] = bits.RotateLeft64(v[1], 13)
			v[3] = bits.RotateLeft64(v[3], 16)
			v[1] ^= v[0]
			v[3] ^= v[2]
			v[0] = bits.RotateLeft64(v[0], 32)
			v[2] += v[1]
			v[0] += v[3]
			v[1] = bits.RotateLeft64(v[1], 17)
			v[3] = bits.RotateLeft64(v[3], 21)
			v[1] ^= v[2]
			v[3] ^= v[0]
			v[2] = bits.RotateLeft64(v[2], 32)
		}
	}
	padded := append([]byte{}, msg...)
	for len(padded)%8 != 7 {
		padded = append(padded, 0)
	}
	padded = append(padded, byte(len(msg)))
	for i := 0; i < len(padded); i += 8 {
		m := binary.LittleEndian.Uint64(padded[i:])
		v[3] ^= m
		rounds(c)
		v[0] ^= m
	}
	v[2] ^= 0xff
	rounds(d)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

// TestPaper checks the model that the other tests compare with against the
// worked example of SipHash-2-4 in appendix A of the paper.
func TestPaper(t *testing.T) {
	if got := sip(2, 4, vectorKey, upTo(15)); got != 0xa129ca6149be45e5 {
		t.Errorf("SipHash-2-4 of 00…0e: %x, want a129ca6149be45e5", got)
	}
}

func anyKey(t *rapid.T) Key { return Key{rapid.Uint64().Draw(t, "k0"), rapid.Uint64().Draw(t, "k1")} }

func TestHashesAsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := anyKey(t)
		msg := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "msg")
		if got, want := key.Bytes(msg), sip(1, 3, key, msg); got != want {
			t.Fatalf("Bytes(%x): %x, want %x", msg, got, want)
		}
		x := rapid.Uint64().Draw(t, "x")
		if got, want := key.Uint64(x), sip(1, 3, key, binary.LittleEndian.AppendUint64(nil, x)); got != want {
			t.Fatalf("Uint64(%x): %x, want %x", x, got, want)
		}
	})
}

// addrMessage is the message that [Key.Addr] is said to hash.
func addrMessage(a netip.Addr, n int) []byte {
	p := netip.PrefixFrom(a.Unmap().WithZone(""), min(max(n, 0), a.Unmap().BitLen())).Masked()
	if p.Addr().Is4() {
		b := p.Addr().As4()
		return []byte{b[3], b[2], b[1], b[0], byte(p.Bits()), 4}
	}
	b := p.Addr().As16()
	m := binary.LittleEndian.AppendUint64(nil, binary.BigEndian.Uint64(b[:8]))
	if p.Bits() > 64 {
		m = binary.LittleEndian.AppendUint64(m, binary.BigEndian.Uint64(b[8:]))
	}
	return append(m, byte(p.Bits()), 6)
}

func TestAddrHashesItsPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := anyKey(t)
		n := rapid.OneOf(
			rapid.IntRange(-1, 130),
			rapid.SampledFrom([]int{0, 24, 31, 32, 33, 48, 63, 64, 65, 127, 128}),
		).Draw(t, "bits")
		a4 := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "a4")))
		a6 := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "a6")))
		for _, a := range []netip.Addr{a4, a6, netip.AddrFrom16(a4.As16()), a6.WithZone("eth0")} {
			if got, want := key.Addr(a, n), sip(1, 3, key, addrMessage(a, n)); got != want {
				t.Fatalf("Addr(%v, %d): %x, want %x", a, n, got, want)
			}
		}
	})
}

func TestAddrTellsApart(t *testing.T) {
	hash := func(a string, n int) uint64 { return vectorKey.Addr(netip.MustParseAddr(a), n) }
	same := func(what string, a, b uint64) {
		if a != b {
			t.Errorf("%s: differ, want the same", what)
		}
	}
	differ := func(what string, a, b uint64) {
		if a == b {
			t.Errorf("%s: the same, want to differ", what)
		}
	}
	same("one /24", hash("192.0.2.1", 24), hash("192.0.2.255", 24))
	same("mapped", hash("192.0.2.1", 32), hash("::ffff:192.0.2.1", 32))
	same("one /64", hash("2001:db8::1", 64), hash("2001:db8::ffff:0:0:2", 64))
	same("more bits than there are", hash("192.0.2.1", 32), hash("192.0.2.1", 128))
	differ("two /24", hash("192.0.2.1", 24), hash("192.0.3.1", 24))
	differ("/24 and /32 of its first address", hash("192.0.2.0", 24), hash("192.0.2.0", 32))
	differ("two /48", hash("2001:db8::1", 48), hash("2001:db8:1::1", 48))
	differ("/48 and /64", hash("2001:db8::", 48), hash("2001:db8::", 64))
	differ("families", hash("0.0.0.0", 0), hash("::", 0))
	if got := (Key{}).Addr(netip.Addr{}, 32); got != (Key{}).Addr(netip.IPv6Unspecified(), 32) {
		t.Errorf("the zero Addr: %x, want to be taken as ::", got)
	}
}

// TestAddrSpreads puts a run of neighbouring addresses into sets, as a table
// does, and wants the counts to look thrown by chance: chi-squared over 1023
// degrees of freedom is within 1023 ± 6·45 but once in a billion.
func TestAddrSpreads(t *testing.T) {
	const sets, each = 1024, 64
	for _, shift := range []int{0, 32, 54} {
		var n [sets]int
		for i := range uint32(sets * each) {
			a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			n[vectorKey.Addr(a, 32)>>shift%sets]++
		}
		var chi float64
		for _, n := range n {
			d := float64(n - each)
			chi += d * d / each
		}
		if chi < 750 || chi > 1300 {
			t.Errorf("bits from %d: chi-squared %.0f, want about 1023", shift, chi)
		}
	}
}

func TestHashAllocatesNothing(t *testing.T) {
	a, b := netip.MustParseAddr("2001:db8::1"), upTo(40)
	var sink uint64
	if n := testing.AllocsPerRun(100, func() {
		sink += vectorKey.Addr(a, 64) + vectorKey.Bytes(b) + vectorKey.Uint64(sink)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzBytes(f *testing.F) {
	f.Add(uint64(0), uint64(0), []byte{})
	f.Add(vectorKey[0], vectorKey[1], upTo(15))
	f.Add(^uint64(0), uint64(1), upTo(64))
	f.Fuzz(func(t *testing.T, k0, k1 uint64, msg []byte) {
		key := Key{k0, k1}
		if got, want := key.Bytes(msg), sip(1, 3, key, msg); got != want {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}

func BenchmarkKey(b *testing.B) {
	key := Key{rand.Uint64(), rand.Uint64()}
	var sink uint64
	for _, text := range []string{"192.0.2.1", "2001:db8::1"} {
		a := netip.MustParseAddr(text)
		b.Run("Addr/"+text, func(b *testing.B) {
			for b.Loop() {
				sink += key.Addr(a, min(a.BitLen(), 64))
			}
		})
	}
	b.Run("Uint64", func(b *testing.B) {
		for b.Loop() {
			sink += key.Uint64(sink)
		}
	})
	b.Run("Bytes/32", func(b *testing.B) {
		msg := upTo(32)
		b.SetBytes(32)
		for b.Loop() {
			sink += key.Bytes(msg)
		}
	})
}

package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"strings"
)

const (
	macBytes    = 16
	macInputMax = 128
)

// macKey computes HMAC-SHA256 (RFC 2104), cut to 16 bytes, over short
// messages without an allocation: both padded halves of the key are ready.
type macKey struct {
	inner, outer [sha256.BlockSize]byte
}

func newMACKey(secret [32]byte) macKey {
	var k macKey
	copy(k.inner[:], secret[:])
	copy(k.outer[:], secret[:])
	for i := range k.inner {
		k.inner[i] ^= 0x36
		k.outer[i] ^= 0x5c
	}
	return k
}

// macInput is a message to be signed; it lives on its caller's stack. Every
// caller's message has a fixed bound below macInputMax.
type macInput struct {
	b [macInputMax]byte
	n int
}

func (m *macInput) add(b []byte) { m.n += copy(m.b[m.n:], b) }

// addHost adds a host, without port and in lower case.
func (m *macInput) addHost(host string) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if len(host) > hostBytesMax {
		sum := sha256.Sum256([]byte(host))
		m.add(sum[:])
		return
	}
	for i := range len(host) {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		m.b[m.n] = c
		m.n++
	}
}

// addPrefix adds a client's /24 or /64: what a client was given cannot be used
// from elsewhere.
func (m *macInput) addPrefix(client netip.Addr) {
	a := client.As16()
	if client.Is4() || client.Is4In6() {
		m.add([]byte{4, a[12], a[13], a[14]})
		return
	}
	m.add([]byte{6})
	m.add(a[:8])
}

// sum signs a message.
func (k *macKey) sum(m *macInput) [macBytes]byte {
	var first [sha256.BlockSize + macInputMax]byte
	copy(first[:], k.inner[:])
	copy(first[sha256.BlockSize:], m.b[:m.n])
	digest := sha256.Sum256(first[:sha256.BlockSize+m.n])

	var second [sha256.BlockSize + sha256.Size]byte
	copy(second[:], k.outer[:])
	copy(second[sha256.BlockSize:], digest[:])
	digest = sha256.Sum256(second[:])
	return [macBytes]byte(digest[:macBytes])
}

// holds compares in constant time.
func (k *macKey) holds(m *macInput, mac []byte) bool {
	want := k.sum(m)
	return subtle.ConstantTimeCompare(want[:], mac) == 1
}

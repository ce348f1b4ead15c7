package guard

import (
	"crypto/sha256"
	"crypto/subtle"
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

// sum signs msg, which is at most macInputMax bytes: every caller's message
// has a fixed bound below it.
func (k *macKey) sum(msg []byte) [macBytes]byte {
	var first [sha256.BlockSize + macInputMax]byte
	copy(first[:], k.inner[:])
	n := copy(first[sha256.BlockSize:], msg)
	digest := sha256.Sum256(first[:sha256.BlockSize+n])

	var second [sha256.BlockSize + sha256.Size]byte
	copy(second[:], k.outer[:])
	copy(second[sha256.BlockSize:], digest[:])
	digest = sha256.Sum256(second[:])
	return [macBytes]byte(digest[:macBytes])
}

// holds compares in constant time.
func (k *macKey) holds(msg, mac []byte) bool {
	want := k.sum(msg)
	return subtle.ConstantTimeCompare(want[:], mac) == 1
}

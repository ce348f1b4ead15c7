package guard

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/deichproject/deich"
)

// A challenge's token on the wire is base64url over 33 bytes: version, key id,
// time of issue (4, seconds since 2024), bits, random (10), HMAC-SHA256/16 over
// these and the prefix it was issued to. Nothing is stored for it.
const (
	tokenVersion   = 1
	tokenBodyBytes = 17
	tokenBytes     = tokenBodyBytes + macBytes
	tokenChars     = 44
)

// writeToken makes a challenge.
func (r *ring) writeToken(bits int, client netip.Addr, now deich.Time) string {
	k := r.current
	var b [tokenBytes]byte
	b[0], b[1] = tokenVersion, k.id
	binary.BigEndian.PutUint32(b[2:], uint32((now-epoch)/deich.Time(time.Second)))
	b[6] = byte(bits)
	binary.BigEndian.PutUint64(b[7:], rand.Uint64())
	binary.BigEndian.PutUint16(b[15:], uint16(rand.Uint32()))
	var signed macInput
	signed.add(b[:tokenBodyBytes])
	signed.addPrefix(client)
	mac := k.token.sum(&signed)
	copy(b[tokenBodyBytes:], mac[:])
	return passCodec.EncodeToString(b[:])
}

// readToken verifies a challenge's token and gives its difficulty and a hash
// to remember it by once it is spent.
func (r *ring) readToken(token string, client netip.Addr, now deich.Time) (bits int, hash uint64, ok bool) {
	var text [tokenChars]byte
	var b [tokenBytes]byte
	if len(token) != tokenChars {
		return 0, 0, false
	}
	copy(text[:], token)
	if n, err := passCodec.Decode(b[:], text[:]); err != nil || n != tokenBytes || b[0] != tokenVersion {
		return 0, 0, false
	}
	var signed macInput
	signed.add(b[:tokenBodyBytes])
	signed.addPrefix(client)
	k := r.byID[b[1]]
	if k == nil || !k.token.holds(&signed, b[tokenBodyBytes:]) {
		return 0, 0, false
	}
	issued := epoch + deich.Time(binary.BigEndian.Uint32(b[2:]))*deich.Time(time.Second)
	if age := now.Sub(issued); age > tokenLife {
		return 0, 0, false
	}
	// The MAC itself is a keyed hash of the token.
	return int(b[6]), binary.BigEndian.Uint64(b[tokenBodyBytes:]), true
}

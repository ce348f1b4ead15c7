package guard

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/deichproject/deich"
)

// A waiting-room ticket on the wire is base64url over 30 bytes: version, key
// id, time of issue (4, seconds since 2024), number (8), HMAC-SHA256/16 over
// these and the prefix it was issued to.
const (
	ticketVersion   = 1
	ticketBodyBytes = 14
	ticketBytes     = ticketBodyBytes + macBytes
	ticketChars     = 40
)

// writeTicket signs a number for a client's prefix.
func (r *ring) writeTicket(place uint64, client netip.Addr, now deich.Time) string {
	k := r.current
	var b [ticketBytes]byte
	b[0], b[1] = ticketVersion, k.id
	binary.BigEndian.PutUint32(b[2:], uint32((now-epoch)/deich.Time(time.Second)))
	binary.BigEndian.PutUint64(b[6:], place)
	var signed macInput
	signed.add(b[:ticketBodyBytes])
	signed.addPrefix(client)
	mac := k.ticket.sum(&signed)
	copy(b[ticketBodyBytes:], mac[:])
	return passCodec.EncodeToString(b[:])
}

// readTicket gives the number and the ticket's age; a number of 0 says that
// it does not hold, or no longer.
func (r *ring) readTicket(cookie string, client netip.Addr, now deich.Time) (place uint64, age time.Duration) {
	var text [ticketChars]byte
	var b [ticketBytes]byte
	if len(cookie) != ticketChars {
		return 0, 0
	}
	copy(text[:], cookie)
	if n, err := passCodec.Decode(b[:], text[:]); err != nil || n != ticketBytes || b[0] != ticketVersion {
		return 0, 0
	}
	var signed macInput
	signed.add(b[:ticketBodyBytes])
	signed.addPrefix(client)
	k := r.byID[b[1]]
	if k == nil || !k.ticket.holds(&signed, b[ticketBodyBytes:]) {
		return 0, 0
	}
	issued := epoch + deich.Time(binary.BigEndian.Uint32(b[2:]))*deich.Time(time.Second)
	if age = now.Sub(issued); age > ticketLife {
		return 0, 0
	}
	return binary.BigEndian.Uint64(b[6:]), age
}

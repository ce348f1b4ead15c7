package guard

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// Explanation is what a sealed reference holds: why a request was refused.
type Explanation struct {
	At     time.Time    `json:"at"`
	Act    string       `json:"act"`
	Reason string       `json:"reason"`
	Tier   string       `json:"tier"`
	Rank   uint8        `json:"rank"` // how it was ranked, of 0 to 127
	Cut    uint8        `json:"cut"`  // where the cut line stood
	Kind   string       `json:"kind"`
	Origin uint16       `json:"origin"`
	Prefix netip.Prefix `json:"prefix"` // the client's /24 or /48
}

// A reference on the wire is base32, in lower case and without padding, over
// 47 bytes: key id, nonce (12), AES-256-GCM over 18 bytes: time (4, seconds
// since 2024), act, reason, tier, rank, cut, kind, origin (1), family, prefix (6).
const (
	referencePlain = 18
	referenceNonce = 12
	referenceBytes = 1 + referenceNonce + referencePlain + 16
	referenceChars = 76
)

var referenceCodec = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrReference says that a reference is not one of ours, or that its key is gone.
var ErrReference = errors.New("guard: explain: not a reference of this Deich, or older than its keys")

// sealing is the room a reference is made in; what goes into an AEAD escapes,
// so a visit brings it along.
type sealing struct {
	sealed [referenceBytes]byte
	plain  [referencePlain]byte
	text   [referenceChars]byte
}

// seal gives the reference of a verdict; it is good until room is used again.
func (r *ring) seal(room *sealing, req *deich.Request, v *deich.Verdict) []byte {
	b, plain := &room.sealed, &room.plain
	*plain = [referencePlain]byte{}
	b[0] = r.current.id
	// A nonce must not repeat, it need not be secret: 96 random bits from the
	// runtime's ChaCha8, under a key of a week.
	binary.LittleEndian.PutUint64(b[1:], rand.Uint64())
	binary.LittleEndian.PutUint32(b[9:], rand.Uint32())

	binary.BigEndian.PutUint32(plain[0:], uint32((req.At-epoch)/deich.Time(time.Second)))
	plain[4], plain[5], plain[6] = byte(v.Act), byte(v.Reason), byte(v.Tier)
	plain[7], plain[8], plain[9], plain[10] = v.Rank, v.Cut, byte(req.Kind), byte(req.Origin)
	a := req.Client.As16()
	if req.Client.Is4() || req.Client.Is4In6() {
		plain[11] = 4
		copy(plain[12:], a[12:15])
	} else {
		plain[11] = 6
		copy(plain[12:], a[:6])
	}
	r.current.seal.Seal(b[1+referenceNonce:1+referenceNonce], b[1:1+referenceNonce], plain[:], b[:1])
	referenceCodec.Encode(room.text[:], b[:])
	return room.text[:]
}

// explain opens a reference.
func (r *ring) explain(reference string) (Explanation, error) {
	reference = strings.ToLower(strings.TrimSpace(reference))
	if len(reference) != referenceChars {
		return Explanation{}, ErrReference
	}
	b, err := referenceCodec.DecodeString(reference)
	if err != nil || len(b) != referenceBytes || r.byID[b[0]] == nil {
		return Explanation{}, ErrReference
	}
	plain, err := r.byID[b[0]].seal.Open(nil, b[1:1+referenceNonce], b[1+referenceNonce:], b[:1])
	if err != nil {
		return Explanation{}, ErrReference
	}
	at := epoch + deich.Time(binary.BigEndian.Uint32(plain))*deich.Time(time.Second)
	e := Explanation{
		At:     time.Unix(0, int64(at)).UTC(),
		Act:    deich.Act(plain[4]).String(),
		Reason: deich.Reason(plain[5]).String(),
		Tier:   deich.Tier(plain[6]).String(),
		Rank:   plain[7],
		Cut:    plain[8],
		Kind:   deich.Kind(plain[9]).String(),
		Origin: uint16(plain[10]),
	}
	if plain[11] == 4 {
		e.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{plain[12], plain[13], plain[14]}), 24)
	} else {
		var a [16]byte
		copy(a[:6], plain[12:])
		e.Prefix = netip.PrefixFrom(netip.AddrFrom16(a), 48)
	}
	return e, nil
}

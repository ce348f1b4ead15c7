package guard

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/deichproject/deich"
)

// A pass on the wire is base64url over 51 bytes, big-endian:
//
//	0      version, 1
//	1      key id
//	2..6   first minted, in 10 ms since 2024, rounded up: never older than it is
//	7..11  vouched for since, likewise; 0 without an account
//	12..15 minted, in seconds since 2024
//	16     days seen
//	17     how it was earned
//	18..25 random id
//	26..33 hash of the account
//	34     0
//	35..50 HMAC-SHA256/16 over the bytes before it and the host it was issued for
//
// It is bound to the host, as a browser binds the cookie, so that a member of
// one site is nobody at the next; it is not bound to an address.
const (
	passVersion   = 1
	passBodyBytes = 35
	passBytes     = passBodyBytes + macBytes
	passChars     = 68

	// epoch is where the wire's times begin: 2024-01-01 UTC.
	epoch = deich.Time(1704067200 * time.Second)

	centi = deich.Time(10 * time.Millisecond)
)

// shown is what a request's pass turned out to be.
type shown struct {
	pass   deich.Pass
	minted deich.Time
	bad    bool // there was one, and it does not hold
}

// passCodec rejects what encodes the same bytes otherwise.
var passCodec = base64.RawURLEncoding.Strict()

// showPass verifies a pass. An expired one is none, but not a bad one.
func (r *ring) showPass(cookie, host string, now deich.Time, life time.Duration) shown {
	var text [passChars]byte
	var b [passBytes]byte
	if len(cookie) != passChars {
		return shown{bad: true}
	}
	copy(text[:], cookie)
	if n, err := passCodec.Decode(b[:], text[:]); err != nil || n != passBytes || b[0] != passVersion {
		return shown{bad: true}
	}
	var signed macInput
	signed.add(b[:passBodyBytes])
	signed.addHost(host)
	k := r.byID[b[1]]
	if k == nil || !k.pass.holds(&signed, b[passBodyBytes:]) {
		return shown{bad: true}
	}
	s := shown{
		pass: deich.Pass{
			ID:      binary.BigEndian.Uint64(b[18:]),
			First:   wireTime(b[2:7]),
			Days:    b[16],
			Earned:  deich.Earned(b[17]),
			Account: binary.BigEndian.Uint64(b[26:]),
			Since:   wireTime(b[7:12]),
		},
		minted: epoch + deich.Time(binary.BigEndian.Uint32(b[12:]))*deich.Time(time.Second),
	}
	if now.Sub(s.minted) > life {
		return shown{}
	}
	return s
}

// writePass signs a pass.
func (r *ring) writePass(p deich.Pass, host string, now deich.Time) string {
	k := r.current
	var b [passBytes]byte
	b[0], b[1] = passVersion, k.id
	putWireTime(b[2:7], p.First)
	putWireTime(b[7:12], p.Since)
	binary.BigEndian.PutUint32(b[12:], uint32((now-epoch)/deich.Time(time.Second)))
	b[16], b[17] = p.Days, byte(p.Earned)
	binary.BigEndian.PutUint64(b[18:], p.ID)
	binary.BigEndian.PutUint64(b[26:], p.Account)
	var signed macInput
	signed.add(b[:passBodyBytes])
	signed.addHost(host)
	mac := k.pass.sum(&signed)
	copy(b[passBodyBytes:], mac[:])
	return passCodec.EncodeToString(b[:])
}

func wireTime(b []byte) deich.Time {
	var w [8]byte
	copy(w[3:], b)
	if n := binary.BigEndian.Uint64(w[:]); n != 0 {
		return epoch + deich.Time(n)*centi
	}
	return 0
}

func putWireTime(b []byte, t deich.Time) {
	if t <= epoch {
		return
	}
	var w [8]byte
	binary.BigEndian.PutUint64(w[:], uint64((t-epoch+centi-1)/centi))
	copy(b, w[3:])
}

// freshPass begins a new chain of passes.
func freshPass(now deich.Time, how deich.Earned) deich.Pass {
	id := rand.Uint64()
	for id == 0 {
		id = rand.Uint64()
	}
	return deich.Pass{ID: id, First: now, Days: 1, Earned: how}
}

// sameDay says whether both times fall on one day in UTC.
func sameDay(a, b deich.Time) bool {
	const day = deich.Time(24 * time.Hour)
	return a/day == b/day
}

// accountOf names the platform's account id by a keyed hash; 0 only for none.
func (r *ring) accountOf(host, id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	var named macInput
	named.add(sum[:])
	named.addHost(host)
	mac := r.account.sum(&named)
	return binary.BigEndian.Uint64(mac[:]) | 1
}

const (
	passCookie         = "deich"
	placeCookie        = "deich-place"
	hostPrefix         = "__Host-"
	memberHeader       = "Deich-Member"
	memberNone         = "0"
	memberBytesMax     = 256
	ownHeaderPrefix    = "Deich-"
	cookieFlagsPlain   = "; Path=/; HttpOnly; SameSite=Lax; Max-Age="
	cookieFlagsSecured = "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="
)

// setCookie adds one of Deich's own cookies.
func setCookie(h http.Header, secured bool, name, value string, life time.Duration) {
	flags := cookieFlagsPlain
	if secured {
		name, flags = hostPrefix+name, cookieFlagsSecured
	}
	h.Add("Set-Cookie", name+"="+value+flags+strconv.Itoa(int(life/time.Second)))
}

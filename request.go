package deich

import (
	"net/netip"
	"time"
)

// Time is nanoseconds since the Unix epoch, read once at start and advanced
// monotonically by the caller: a step of the wall clock does not reach the
// engine. Zero means "never" or "not set".
type Time int64

// Add gives the time d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub gives how long after u the time t is.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Kind says what a request is for, as far as its headers tell.
type Kind uint8

const (
	// Page is a navigation: a person's browser would show the answer.
	Page Kind = iota
	// Asset is what a page loads: styles, scripts, pictures.
	Asset
	// API is a program's request: fetch, XHR, feeds, federation, tools.
	API
	// Upload is a request whose body is too large to hold before the origin sees it.
	Upload
	// Stream is long-lived: WebSocket, server-sent events, long polls.
	Stream
	kinds
)

// Tier is what a client has earned.
type Tier uint8

const (
	// Stranger has earned nothing.
	Stranger Tier = iota
	// Visitor passed a proof, the waiting room, or was served in peace.
	Visitor
	// Regular holds a pass of earlier days.
	Regular
	// Member was vouched for by the platform: a login.
	Member
	// Partner is named by configuration: an API key, a monitor, a crawler.
	Partner
	tiers
)

// Earned says how a pass came about.
type Earned uint8

const (
	// Served: the origin answered a request in peace.
	Served Earned = iota
	// Proved: a proof of work was solved.
	Proved
	// Waited: the waiting room called its number.
	Waited
)

// Pass is a verified pass: the caller has checked its signature. The zero
// value is none.
type Pass struct {
	ID      uint64 // 64 random bits, never zero in a real pass
	First   Time   // when the first pass of this chain was minted
	Days    uint8  // on how many different days it has been seen, saturating
	Earned  Earned
	Account uint64 // keyed hash of the platform's account id, 0 where it vouched for none
	Since   Time   // when the platform first vouched for Account; zero without one
}

// Request holds the facts an edge hands in. It is a value: the engine keeps
// nothing of it after the call, not even Path.
type Request struct {
	At       Time // when its headers were complete
	Deadline Time // after this nobody waits for the answer any more; zero: nobody said

	Peer      netip.Addr // the other end of the connection
	Client    netip.Addr // the client, behind configured proxies; else equal to Peer
	Validated bool       // a handshake was completed from Peer

	Fresh   bool // a fresh answer is at hand without the origin: needs no place
	Safe    bool // GET or HEAD: may be shown a page instead, loses no text
	Partner bool // configuration names this client

	Origin uint16 // index of the origin, below Policy.Origins
	Route  uint16 // interned by the caller, below RoutesMax; 0 is "any other"
	Kind   Kind

	Pass       Pass
	Credential uint64 // keyed hash of what it holds (Authorization, an API key), or 0
	Place      uint64 // its number from a verified waiting-room ticket, or 0

	Traits Traits // what rules may name

	Path string // for what was listed by hand
}

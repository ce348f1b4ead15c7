package guard

import (
	"net/http"
	"strings"

	"github.com/deichproject/deich"
)

// visit is one request on its way through the guard. It is used again, except where
// its request reached a handler that may hold on to its ResponseWriter, or panicked.
type visit struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	set  *settings
	ring *ring
	kept bool

	req       deich.Request
	verdict   deich.Verdict
	operator  uint32 // of the client's network, and its country, as Options.Whence has them
	country   uint16
	minted    deich.Time  // when its pass was
	memory    *connMemory // its connection's; nil: none
	seen      *remembered // its Cookie header, as it was before on its connection; nil: it was not, or is stripped
	ticketAge deich.Time  // age of a ticket that holds
	secured   bool        // TLS
	learnt    bool        // nothing more is to be learned of its path
	silent    bool        // none of its headers speaks for Deich

	ticket   deich.Ticket
	wake     chan deich.Wake // made when it parks
	state    visitState      // guarded by its place's lock
	failopen bool            // its place is the semaphore's
	long     bool            // it turned out long-lived, with room in the pool of streams or without; guarded like state
	entered  deich.Time      // when it got its place

	body     *heldBody
	keepMax  int64         // the longest body that is kept on its route; 0: not asked, or none
	mail     *Letter       // where it can be kept
	answered func(*Answer) // to be told how the platform answered

	status    int    // of the answer
	bytes     int64  // of the answer's body
	reference string // on a refusal
	back      string // where a proof returns to; empty: the request's own address
	unsent    bool   // a person sent it, and the platform has not seen it
	room      *room  // while a refusal is written
	writer    writer // of who answers, once it was let in
}

// room is what a refusal is made in. It is apart from the visit, since most
// requests are served and would only pay for it.
type room struct {
	sealing sealing
	scratch [512]byte
}

// visitState is what the lock of a place guards.
type visitState uint8

const (
	away visitState = iota
	parked
	placed
	detached
)

func (v *visit) begin(h *Handler, w http.ResponseWriter, r *http.Request) {
	v.h, v.w, v.r = h, w, r
	v.set, v.ring = h.set.Load(), h.keys.ring.Load()
	v.secured = h.secured(r)
}

// end forgets all that belongs to the request.
func (v *visit) end() { *v = visit{} }

// letGo gives back what is held of its body.
func (v *visit) letGo() {
	if v.body != nil {
		v.body.free()
	}
}

// own says whether the request is for one of Deich's own paths.
func (v *visit) own() bool { return strings.HasPrefix(v.r.URL.Path, wellKnown) }

// lasting says whether the answer turned out to be long-lived.
func (v *visit) lasting() bool { return v.long || v.req.Kind == deich.Stream }

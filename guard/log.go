package guard

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/deichproject/deich"
)

// Entry is one line of the access log. Request is to be read before Log
// returns, and not kept.
type Entry struct {
	At      deich.Time    // when the headers were complete
	Took    time.Duration // until the end of the answer
	Request *http.Request
	Client  netip.Addr
	Status  int   // 0: none was sent
	Bytes   int64 // of the answer's body

	Origin      uint16
	Kind        deich.Kind
	Verdict     deich.Verdict
	Fingerprint string // of the client's TLS; empty: unknown
	Reference   string // on a refusal
	Skipped     int64  // refusals, and answers of Deich's own, since the last logged one that were not logged
}

func (h *Handler) logServed(v *visit, took time.Duration) {
	h.counts.answered(v.status)
	if h.log != nil {
		h.log(v.entry(took))
	}
}

// logRefusal logs a refusal, or an answer of Deich's own, as long as there are few; a
// flood of them is counted and only sampled.
func (h *Handler) logRefusal(v *visit) {
	h.counts.answered(v.status)
	if !h.mayLog() {
		return
	}
	e := v.entry(h.now().Sub(v.req.At))
	e.Skipped = h.silent.Swap(0)
	h.log(e)
}

// mayLog says whether there is a line for one more refusal.
func (h *Handler) mayLog() bool {
	if h.log == nil {
		return false
	}
	if h.lines.Load() <= 0 || h.lines.Add(-1) < 0 {
		h.silent.Add(1)
		return false
	}
	return true
}

// Aside counts and logs a request that was answered by whoever stands before the
// Handler, with a reason for a refusal and NoReason else. Nobody is judged for it. Like
// refusals such requests are logged by sample.
func (h *Handler) Aside(r *http.Request, status int, why deich.Reason) {
	h.counts.answered(status)
	if !h.mayLog() {
		return
	}
	e := Entry{At: h.now(), Request: r, Status: status, Skipped: h.silent.Swap(0)}
	_, e.Client, _ = h.addr(r)
	if h.mark != nil {
		e.Fingerprint = h.mark(r)
	}
	if why != deich.NoReason {
		e.Verdict.Act, e.Verdict.Reason = deich.Deny, why
	}
	h.log(e)
}

func (v *visit) entry(took time.Duration) Entry {
	var fingerprint string
	if v.h.mark != nil {
		fingerprint = v.h.mark(v.r)
	}
	return Entry{
		At: v.req.At, Took: took, Request: v.r, Client: v.req.Client, Status: v.status, Bytes: v.bytes,
		Origin: v.req.Origin, Kind: v.req.Kind, Verdict: v.verdict,
		Fingerprint: fingerprint, Reference: v.reference,
	}
}

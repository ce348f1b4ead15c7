package guard

import (
	"strings"

	"github.com/deichproject/deich"
)

// admit takes an allowed request to the origin: body, place, answer.
func (h *Handler) admit(v *visit) {
	if err := h.hold(v); err != nil {
		v.refuseFor(bodyReason(err))
		if v.r.ProtoMajor == 1 {
			v.w.Header()["Connection"] = h.plain.closing
		}
		h.refuse(v)
		return
	}
	defer v.letGo()
	if h.keeper != nil && h.begun(v) {
		return
	}
	why, ok := h.enter(v)
	if !ok {
		defer v.tell(&Answer{})
		if v.r.Context().Err() != nil {
			h.counts.gone.Add(1)
			return
		}
		h.askTurn(v, why)
		if keepable(v.verdict) && h.keep(v, v.w) {
			h.noteKept(v)
			return
		}
		h.refuse(v)
		return
	}
	h.forward(v)
}

// refuseFor turns an allowed visit into one that guard itself refuses.
func (v *visit) refuseFor(why deich.Reason) {
	v.verdict.Act, v.verdict.Reason = deich.Deny, why
	v.verdict.RetryAfter = 0
	if why == deich.BuffersFull {
		v.verdict.RetryAfter = retryAfterFull
	}
}

// forward hands the request on and ends its ticket, whatever happens behind.
func (h *Handler) forward(v *visit) {
	v.kept = !h.letsGo
	v.strip()
	w := &v.writer
	w.visit, w.ResponseWriter = v, v.w
	returned := false
	defer func() {
		outcome, now := w.outcome(returned), h.now()
		h.leave(v, now, outcome)
		h.finish(v, now, outcome)
		if v.answered != nil {
			v.tell(w.answerOf(outcome))
		}
	}()
	if v.body != nil && v.body.rest != nil {
		h.detach(v)
	}
	h.next.ServeHTTP(w, v.r)
	w.end()
	returned = true
}

// finish counts and logs a request that reached the origin, and learns from it.
func (h *Handler) finish(v *visit, now deich.Time, o deich.Outcome) {
	w, took := &v.writer, now.Sub(v.req.At)
	ok := !o.Failed && !o.Aborted && o.Status < 500
	h.counts.verdict(v)
	h.counts.served(v, ok || v.verdict.Reason == deich.Cached && w.status < 500, took) // a copy that stood in is an answer
	h.missed.ended(v, o, ok, took)
	if !v.learnt && ok && o.Status >= 200 && o.Status < 400 {
		h.routes[v.req.Origin].Load().learn(v.req.Path, v.req.Safe)
	}
	v.status, v.bytes = w.status, w.bytes
	h.logServed(v, took)
}

// strip takes out of the request whatever speaks for Deich: the origin never sees
// passes, and no client speaks in our name.
func (v *visit) strip() {
	h := v.r.Header
	switch m := v.seen; {
	case m == nil:
		stripCookies(h)
	case m.rest == "":
		delete(h, "Cookie")
	default:
		h["Cookie"][0] = m.rest
	}
	v.seen = nil
	if v.silent {
		return
	}
	for name := range h {
		if strings.HasPrefix(name, ownHeaderPrefix) {
			delete(h, name)
		}
	}
}

package guard

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/deichproject/deich"
)

// Keeper keeps messages while the platform cannot take them. Guard knows when;
// where and how is the keeper's. All functions must be set and be safe for
// concurrent use.
type Keeper struct {
	// Route gives the longest body that is kept of requests like this one; 0: none
	// is kept. It is asked of every request that is not safe.
	Route func(*http.Request) (bodyMax int64)
	// Begin is asked before a message goes to the platform. done says that it was
	// answered: its sender sent it before, or has others here that must arrive
	// first. Else end, where it is not nil, is to be told how the platform answered.
	Begin func(http.ResponseWriter, *Letter) (end func(*Answer), done bool)
	// Keep puts a message on disk and then answers. false: it is not kept, and
	// nothing was answered.
	Keep func(http.ResponseWriter, *Letter) bool
	// Receipt answers what is asked of a path below the one of receipts.
	Receipt func(w http.ResponseWriter, r *http.Request, name string, who Sender)
}

// Sender is who sent a request, by keyed hashes; 0 where there is none.
type Sender struct {
	Account    uint64 // the platform vouched for a login
	Credential uint64 // what it holds: a token, a key; of a partner without, its name
	Pass       uint64
}

// Letter is a request with its whole body, as it can be kept.
type Letter struct {
	Request  *http.Request // without what is Deich's own
	Body     []byte
	Sender   Sender
	Newcomer bool // nothing but a pass of not long before speaks for the sender
	Sent     bool // it was handed over, at least in part, and no answer came
	Secured  bool
	Client   netip.Addr

	// Begun says that Begin was asked before, and nothing was known of it.
	Begun bool
	// Full is set by Begin where older messages of the sender wait and there is no
	// room behind them: this one is refused, lest it overtakes them.
	Full bool
}

// Answer is what the platform said to a message. Body is the beginning of what
// it said, and Whole says that it is all.
type Answer struct {
	Status int // 0: none came
	Header http.Header
	Body   []byte
	Whole  bool
}

const receiptsPath = "receipts/"

// letter gives a visit's request as one that can be kept, or nil: its route is
// not named, it does not come from a pass, or its body is not in hand.
func (h *Handler) letter(v *visit) *Letter {
	if v.mail != nil {
		return v.mail
	}
	if !h.keeps(v) {
		return nil
	}
	l := &Letter{
		Request: v.r, Sender: v.sender(), Newcomer: v.newcomer(), Secured: v.secured, Client: v.req.Client,
	}
	if v.body != nil {
		if v.body.rest != nil || int64(len(v.body.data)) > v.keepMax {
			return nil
		}
		l.Body = v.body.data
	}
	v.mail = l
	return l
}

// keeps says whether a message like this is kept. It needs no body yet.
func (h *Handler) keeps(v *visit) bool {
	if h.keeper == nil || v.req.Safe || v.req.Kind == deich.Stream || v.req.Pass.ID == 0 && !v.req.Partner {
		return false
	}
	if v.keepMax == 0 {
		v.keepMax = h.keeper.Route(v.r)
	}
	return v.keepMax > 0 && v.r.ContentLength <= v.keepMax
}

// sender names who sent a request. A partner that shows nothing, since it is known by where it
// comes from, goes by what the configuration calls it: its receipts are its own.
func (v *visit) sender() Sender {
	s := Sender{Account: v.req.Pass.Account, Credential: v.req.Credential, Pass: v.req.Pass.ID}
	if s == (Sender{}) && v.req.Partner {
		if p := v.set.partnerOf(v.req.Client, first(v.r.Header, "User-Agent"), ""); p != nil {
			s.Credential = v.ring.partnerID(p.name)
		}
	}
	return s
}

func (v *visit) newcomer() bool {
	p := v.req.Pass
	known := v.req.Partner || p.Account != 0 && v.req.At.Sub(p.Since) > knownAfter || p.Days >= 2 && v.req.At.Sub(p.First) > knownPassAfter
	return !known
}

// keepable says whether a refusal is one that time heals: whoever is denied, or
// asks for more than its share, is told so.
func keepable(v deich.Verdict) bool {
	if v.Act != deich.Wait && v.Act != deich.Challenge {
		return false
	}
	switch v.Reason {
	case deich.BelowCut, deich.Unproven, deich.QueueFull, deich.QueueLate, deich.OriginDown, deich.OriginSlow, deich.Failopen:
		return true
	}
	return false
}

// keepInstead keeps the message of a visit that would be refused, and says whether it
// did. Its body is taken in hand where it is not yet.
func (h *Handler) keepInstead(v *visit) bool {
	if !keepable(v.verdict) || !h.keeps(v) {
		return false
	}
	if v.body == nil && h.hold(v) != nil {
		v.body = nil // what came of it is of no use
		if v.r.ProtoMajor == 1 {
			v.w.Header()["Connection"] = h.plain.closing
		}
		return false
	}
	return h.keep(v, v.w)
}

// keep hands a message to the keeper, which answers.
func (h *Handler) keep(v *visit, w http.ResponseWriter) bool {
	l := h.letter(v)
	if l == nil {
		return false
	}
	v.strip()
	answered := keptWriter{ResponseWriter: w}
	if !h.keeper.Keep(&answered, l) {
		return false
	}
	v.verdict.Act = deich.Keep
	v.status, v.bytes = answered.status, answered.bytes
	return true
}

// keepFailed keeps a message that the origin did not answer. It ends in forward,
// which counts and logs it.
func (h *Handler) keepFailed(v *visit, w *writer, why deich.Reason) bool {
	if why != deich.OriginDown && why != deich.OriginSlow {
		return false
	}
	l := h.letter(v)
	if l == nil {
		return false
	}
	l.Sent = !w.unsent
	return h.keep(v, w)
}

// noteKept counts and logs a message that was kept instead of refused.
func (h *Handler) noteKept(v *visit) {
	h.counts.verdict(v)
	h.logServed(v, h.now().Sub(v.req.At))
}

// begun asks the keeper before a message goes to the platform; true says that
// it does not.
func (h *Handler) begun(v *visit) bool {
	l := h.letter(v)
	if l == nil {
		return false
	}
	v.strip() // what is kept goes to the platform later, headers and all
	answered := keptWriter{ResponseWriter: v.w}
	end, done := h.keeper.Begin(&answered, l)
	v.answered, l.Begun = end, true
	switch {
	case l.Full:
		h.askTurn(v, deich.QueueFull)
		h.refuse(v)
		return true
	case !done:
		return false
	}
	v.status, v.bytes = answered.status, answered.bytes
	if v.verdict.Reason = deich.Cached; v.status == http.StatusAccepted {
		v.verdict.Act = deich.Keep
	}
	h.noteKept(v)
	return true
}

// tell lets the keeper know how the platform answered, once.
func (v *visit) tell(a *Answer) {
	if end := v.answered; end != nil {
		v.answered = nil
		end(a)
	}
}

// answerOf is what the keeper is told of an answer.
func (w *writer) answerOf(o deich.Outcome) *Answer {
	if o.Failed || o.Aborted || w.hijacked {
		return &Answer{}
	}
	h := w.Header()
	a := &Answer{Status: w.status, Header: http.Header{}, Body: w.said, Whole: int64(len(w.said)) == w.bytes}
	for _, name := range [...]string{"Content-Type", "Location", "Content-Encoding"} {
		if values := h[name]; len(values) > 0 {
			a.Header[name] = values
		}
	}
	return a
}

// Unsent says that nothing of a request was sent to the origin; it goes before
// Fail, and w is as for that.
func Unsent(w http.ResponseWriter) {
	if own := ownWriter(w); own != nil {
		own.unsent = true
	}
}

// Delivery is how a kept message fared on its way.
type Delivery struct {
	Placed bool         // it had a place, and ready went well
	Failed deich.Reason // no answer came, or not to its end, and why; NoReason: w has it
	Unsent bool         // nothing was sent
}

// Deliver takes a kept message to the origin, with the lowest of all ranks: it
// gets the places that nobody else wants. Like Fetch it is nobody's request.
// ready is called once there is a place; where it fails, nothing is sent. What speaks for
// Deich is taken out of its headers: it may have been kept by an earlier version, which let it in.
func (h *Handler) Deliver(w http.ResponseWriter, r *http.Request, ready func() error) (d Delivery) {
	v := new(visit)
	v.begin(h, w, r)
	origin := h.origin(r) % deich.OriginsMax
	nobody := netip.IPv6Unspecified()
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	v.req = deich.Request{
		At: h.now(), Peer: nobody, Client: nobody, Safe: safe, Partner: true, Kind: deich.API,
		Origin: origin, Route: h.routes[origin].Load().of(r.URL.Path, safe), Path: r.URL.Path,
	}
	v.verdict = deich.Verdict{Tier: deich.Partner}
	if _, ok := h.enter(v); !ok {
		return d
	}
	own := &v.writer
	own.visit, own.ResponseWriter, own.fetch = v, w, true
	returned := false
	defer func() {
		outcome := own.outcome(returned)
		if !d.Placed {
			outcome = deich.Outcome{Aborted: true}
		}
		h.leave(v, h.now(), outcome)
		if returned {
			return
		}
		d.Failed = deich.OriginDown // the answer broke off
		if p := recover(); p != http.ErrAbortHandler && h.alarm != nil {
			h.alarm(fmt.Errorf("guard: deliver: panic: %v", p))
		}
	}()
	if ready() != nil {
		returned = true
		return d
	}
	d.Placed = true
	v.strip()
	h.next.ServeHTTP(own, r)
	if own.failed == deich.NoReason { // else nothing was answered
		own.end()
	}
	returned = true
	d.Failed, d.Unsent = own.failed, own.unsent
	return d
}

// Words gives what a person wrote in a body, without what should not stand on a
// screen: the fields of a form, or a text as it is.
func Words(contentType string, body []byte) string {
	return wordsOf(contentType, body, true)
}

// Language gives the one of the pages' languages, "en" or "de", that an
// Accept-Language header prefers.
func Language(acceptLanguage string) string { return language(acceptLanguage) }

// isText says whether a content type is one that people can read.
func isText(kind string) bool {
	return strings.HasPrefix(kind, "text/") || kind == "application/json" || strings.HasSuffix(kind, "+json")
}

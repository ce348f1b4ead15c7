package guard

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// ServeKept answers a request with what is kept of an earlier answer, which
// give writes. The engine is told, so that what was listed by hand holds; no
// place is taken, no budget spent, and no pass handed out: the answer is not
// the origin's word on this client.
func (h *Handler) ServeKept(w http.ResponseWriter, r *http.Request, give func(http.ResponseWriter)) {
	v := h.visits.Get().(*visit)
	v.begin(h, w, r)
	h.read(v)
	v.req.Fresh = true
	h.decide(v)
	if v.verdict.Refused() {
		h.refuse(v)
	} else {
		h.giveKept(v, give)
	}
	h.over(v)
}

// ServeOrKept takes a request whose answer is kept to the origin, so that it is
// seen what holds now, or answers it with what give writes where there is no
// place. As by ServeKept no budget is spent and nothing is owed: the client could
// have been given what is kept. Its place is one of the first, for its answer
// serves others; the caller sees to it that such requests are few.
func (h *Handler) ServeOrKept(w http.ResponseWriter, r *http.Request, give func(http.ResponseWriter)) {
	v := h.visits.Get().(*visit)
	v.begin(h, w, r)
	h.read(v)
	v.req.Fresh = true
	h.decide(v)
	v.req.Fresh = false
	rank := v.verdict.Rank
	v.verdict.Rank = max(rank, deich.RanksMax-1)
	if v.verdict.Refused() {
		h.refuse(v)
	} else if _, ok := h.enter(v); ok {
		h.forward(v)
	} else if v.r.Context().Err() != nil {
		h.counts.gone.Add(1)
	} else {
		v.verdict.Rank = rank
		h.giveKept(v, give)
	}
	h.over(v)
}

func (h *Handler) giveKept(v *visit, give func(http.ResponseWriter)) {
	if v.verdict.Reason == deich.NoReason {
		v.verdict.Reason = deich.Cached
	}
	w := keptWriter{ResponseWriter: v.w}
	give(&w)
	took := h.now().Sub(v.req.At)
	h.counts.verdict(v)
	h.counts.served(v, w.status < 500, took)
	v.status, v.bytes = w.status, w.bytes
	h.logServed(v, took)
}

// keptWriter notes what was answered.
type keptWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (w *keptWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *keptWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *keptWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// stoodIn gives a reader, instead of a page that says to wait, what is kept.
// Whoever is denied is not among them: that answer is to stay small.
func (h *Handler) stoodIn(v *visit, w http.ResponseWriter) bool {
	if h.standby == nil || !v.req.Safe || v.verdict.Act != deich.Wait && v.verdict.Act != deich.Challenge {
		return false
	}
	kept := keptWriter{ResponseWriter: w}
	if !h.standby(&kept, v.r) {
		return false
	}
	h.engine.Spared(&v.req, &v.verdict)
	v.verdict = deich.Verdict{Reason: deich.Cached, Tier: v.verdict.Tier, Rank: v.verdict.Rank, Cut: v.verdict.Cut}
	v.status, v.bytes = kept.status, kept.bytes
	return true
}

// Fetch takes a request of the cache's own to the origin. It is not judged,
// counted or logged as anybody's, but takes a place like any other and tells
// the engine how it went; false says that there was no place.
func (h *Handler) Fetch(w http.ResponseWriter, r *http.Request, origin uint16) bool {
	v := new(visit)
	v.begin(h, w, r)
	origin %= deich.OriginsMax
	nobody := netip.IPv6Unspecified()
	v.req = deich.Request{
		At: h.now(), Peer: nobody, Client: nobody, Safe: true, Partner: true, Kind: deich.API,
		Origin: origin, Route: h.routes[origin].Load().of(r.URL.Path, true), Path: r.URL.Path,
	}
	v.verdict = deich.Verdict{Tier: deich.Partner, Rank: deich.RanksMax - 1}
	if _, ok := h.enter(v); !ok {
		return false
	}
	own := &v.writer
	own.visit, own.ResponseWriter, own.fetch = v, w, true
	returned := false
	defer func() { h.leave(v, h.now(), own.outcome(returned)) }()
	h.next.ServeHTTP(own, r)
	own.end()
	returned = true
	return true
}

// OwnPath says whether a path is one of Deich's own.
func OwnPath(path string) bool { return strings.HasPrefix(path, wellKnown) }

// OwnCookies says whether a request brings no cookies but Deich's own.
func OwnCookies(h http.Header) bool {
	for _, line := range h["Cookie"] {
		for more := true; more; {
			var pair string
			pair, line, more = strings.Cut(line, ";")
			if !ownPair(pair) {
				return false
			}
		}
	}
	return true
}

// StaleNotice tells a reader, in the language an Accept-Language header likes
// best, that what they read was made at the given time. It is for a header: the
// bytes of the page are the platform's.
func StaleNotice(acceptLanguage string, at time.Time) string {
	clock := at.UTC().Format("15:04")
	if language(acceptLanguage) == "de" {
		return "Sie lesen eine Kopie von " + clock + " Uhr (UTC). Der Dienst wird wiederhergestellt."
	}
	return "You are reading a copy from " + clock + " UTC. The service is being restored."
}

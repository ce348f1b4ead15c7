package guard

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func keptHandler(t *testing.T, o Options) (*Handler, *deich.Engine) {
	t.Helper()
	engine, err := deich.New(deich.Policy{Sources: deich.SourcesMin}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	o.Engine, o.Keys = engine, NewKeys([32]byte{2})
	if o.Next == nil {
		o.Next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { Fail(w, r, deich.OriginDown) })
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h, engine
}

func pageRequest() *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header.Set("Accept", "text/html")
	return r
}

func verdictsOf(h *Handler, reason deich.Reason) (n uint64) {
	for _, v := range h.Counters().Verdicts {
		if v.Reason == reason.String() {
			n += v.N
		}
	}
	return n
}

func TestServeKept(t *testing.T) {
	var logged []Entry
	h, engine := keptHandler(t, Options{Log: func(e Entry) { logged = append(logged, e) }})
	give := func(w http.ResponseWriter) { io.WriteString(w, "kept") }
	w := httptest.NewRecorder()
	h.ServeKept(w, pageRequest(), give)
	if w.Code != 200 || w.Body.String() != "kept" || len(w.Result().Cookies()) > 0 {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if verdictsOf(h, deich.Cached) != 1 || len(logged) != 1 || logged[0].Status != 200 || logged[0].Bytes != 4 {
		t.Errorf("%+v %+v", h.Counters().Verdicts, logged)
	}
	if p := engine.Pulse(0); p.Inflight != 0 {
		t.Errorf("it took a place: %+v", p)
	}
	// Who is denied by hand is denied what is kept, too.
	if _, err := engine.List(1, deich.Hand{Act: deich.Deny, Prefix: netip.MustParsePrefix("192.0.2.0/24")}); err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	h.ServeKept(w, pageRequest(), give)
	if w.Code != http.StatusForbidden {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// Who asks the origin although an answer is kept gets its answer; what is kept
// where it has no place for them; and nothing where they are denied.
func TestServeOrKept(t *testing.T) {
	placed := 0
	var engine *deich.Engine
	h, engine := keptHandler(t, Options{Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		placed = engine.Pulse(0).Inflight
		io.WriteString(w, "new")
	})})
	give := func(w http.ResponseWriter) { io.WriteString(w, "kept") }
	w := httptest.NewRecorder()
	h.ServeOrKept(w, pageRequest(), give)
	if w.Body.String() != "new" || placed != 1 || engine.Pulse(0).Inflight != 0 || verdictsOf(h, deich.Cached) != 0 {
		t.Errorf("%q with %d placed: %+v", w.Body, placed, h.Counters().Verdicts)
	}
	var held []deich.Ticket
	var out deich.Out
	for range 1 << 20 { // until no place is left, nor one in the queue
		r := deich.Request{At: h.now(), Safe: true, Client: netip.MustParseAddr("192.0.2.8"), Partner: true}
		ticket, state, _ := engine.Enter(r.At, &r, deich.Verdict{Tier: deich.Partner, Rank: deich.RanksMax - 1}, &out)
		if state == deich.TurnedAway {
			break
		}
		held = append(held, ticket)
	}
	w = httptest.NewRecorder()
	h.ServeOrKept(w, pageRequest(), give)
	if w.Body.String() != "kept" || verdictsOf(h, deich.Cached) != 1 {
		t.Errorf("with %d before: %q, %+v", len(held), w.Body, h.Counters().Verdicts)
	}
	if _, err := engine.List(1, deich.Hand{Act: deich.Deny, Prefix: netip.MustParsePrefix("192.0.2.0/24")}); err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	if h.ServeOrKept(w, pageRequest(), give); w.Code != http.StatusForbidden {
		t.Errorf("denied: %d %q", w.Code, w.Body)
	}
}

// What is kept stands in where a reader would be told to wait, and only there.
func TestStandby(t *testing.T) {
	asked, kept := 0, true
	h, engine := keptHandler(t, Options{Standby: func(w http.ResponseWriter, r *http.Request) bool {
		asked++
		if kept {
			io.WriteString(w, "kept")
		}
		return kept
	}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, pageRequest())
	if w.Code != 200 || w.Body.String() != "kept" || len(w.Result().Cookies()) > 0 {
		t.Errorf("the origin is down: %d %q %v", w.Code, w.Body, w.Header())
	}
	if verdictsOf(h, deich.Cached) != 1 || verdictsOf(h, deich.OriginDown) != 0 {
		t.Errorf("%+v", h.Counters().Verdicts)
	}
	if of := h.Counters().Tiers[deich.Stranger]; of.Served != 1 || of.Failed != 0 {
		t.Errorf("whoever got a copy was not served: %+v", of)
	}
	kept = false
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, pageRequest()); w.Code != http.StatusBadGateway {
		t.Errorf("nothing is kept: %d", w.Code)
	}
	kept, asked = true, 0
	post := pageRequest()
	post.Method = "POST"
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, post); w.Code != http.StatusBadGateway || asked != 0 {
		t.Errorf("a message: %d, asked %d times", w.Code, asked)
	}
	if _, err := engine.List(1, deich.Hand{Act: deich.Deny, Path: "/"}); err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, pageRequest()); w.Code != http.StatusForbidden || asked != 0 {
		t.Errorf("denied: %d, asked %d times", w.Code, asked)
	}
}

// The cache's own requests take a place, tell the engine how it went, and are
// nobody's: no pass, no verdict, no line in the log.
func TestFetch(t *testing.T) {
	var placed int
	var engine *deich.Engine
	down := false
	h, engine := keptHandler(t, Options{
		Log: func(e Entry) { t.Errorf("logged: %+v", e) },
		Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			placed = engine.Pulse(0).Inflight
			if down {
				Fail(w, r, deich.OriginDown)
				return
			}
			io.WriteString(w, "hello")
		}),
	})
	w := httptest.NewRecorder()
	if ok := h.Fetch(w, pageRequest(), 0); !ok || w.Body.String() != "hello" || placed != 1 || len(w.Result().Cookies()) > 0 {
		t.Errorf("%v %q, %d placed, %v", ok, w.Body, placed, w.Header())
	}
	down = true
	for range 100 {
		h.Fetch(httptest.NewRecorder(), pageRequest(), 0)
		engine.Tick(h.now(), deich.NewOut())
	}
	if p := engine.Pulse(0); p.Inflight != 0 || !p.Down {
		t.Errorf("after failures: %+v", p)
	}
	if _, isDown := engine.Pressed(0); !isDown {
		t.Error("Pressed does not say so")
	}
	if err := engine.Swap(deich.Policy{Sources: deich.SourcesMin, Observe: true}); err != nil {
		t.Fatal(err)
	}
	if _, isDown := engine.Pressed(0); isDown {
		t.Error("who only observes gives no copies, but Pressed says that it is down")
	}
	if c := h.Counters(); len(c.Verdicts) != 0 || c.Minted != 0 {
		t.Errorf("%+v", c)
	}
}

func TestOnlyOwnCookies(t *testing.T) {
	for line, want := range map[string]bool{
		"deich=a": true, "deich-place=a": true, "__Host-deich=a; __Host-deich-place=b": true, " deich=a ;deich-place=": true, "deich-desk=a; deich=b": true,
		"": false, "deich=a; x=1": false, "x=deich": false, "deichx=1": false, "Deich=1": false, "deich=a;": false, "deich": true,
	} {
		if got := OwnCookies(http.Header{"Cookie": {line}}); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
	if !OwnCookies(http.Header{}) || OwnCookies(http.Header{"Cookie": {"deich=a", "x=1"}}) {
		t.Error("no cookie is nobody's, and every line counts")
	}
}

func TestStaleNotice(t *testing.T) {
	at := time.Date(2026, 5, 2, 17, 4, 0, 0, time.FixedZone("CEST", 7200))
	for accept, want := range map[string]string{
		"":           "You are reading a copy from 15:04 UTC. The service is being restored.",
		"de-AT,en":   "Sie lesen eine Kopie von 15:04 Uhr (UTC). Der Dienst wird wiederhergestellt.",
		"fr, de;q=0": "You are reading a copy from 15:04 UTC. The service is being restored.",
	} {
		if got := StaleNotice(accept, at); got != want {
			t.Errorf("%q: %q", accept, got)
		}
	}
}

package guard

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/deichproject/deich"
)

// TestLateWriterReachesNobodyElse: a platform's handler keeps its ResponseWriter, and
// uses it while somebody else is answered.
func TestLateWriterReachesNobodyElse(t *testing.T) {
	s := newScript()
	var late http.ResponseWriter
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
		if late == nil {
			late = w
			return
		}
		late.Header().Set("Deich-Member", "ada")
		late.Header().Set("Content-Type", "text/event-stream")
		late.WriteHeader(http.StatusTeapot)
		io.WriteString(late, "late")
		Streaming(late)
		Fail(late, r, deich.OriginDown)
		io.WriteString(w, "own")
	})
	ask(h, get("/first", "Accept", html))
	for range 3 {
		a := ask(h, get("/api", "Accept", "*/*"))
		if body, _ := io.ReadAll(a.Body); string(body) != "own" || a.StatusCode != 200 || len(a.Header["Set-Cookie"]) > 0 {
			t.Errorf("answered %d %q with %v", a.StatusCode, body, a.Header)
		}
		if o := s.outcome(t); o.Failed || o.Aborted || o.Status != 200 {
			t.Errorf("the engine was told %+v", o)
		}
	}
	if n := s.detaches(); n != 0 {
		t.Errorf("%d places were detached", n)
	}
	s.check(t)
}

// TestNothingOfAVisitIsLeftInTheNext, where it is used again.
func TestNothingOfAVisitIsLeftInTheNext(t *testing.T) {
	s := newScript()
	seen := make(map[http.ResponseWriter]int)
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
		seen[w]++
		switch r.URL.Path {
		case "/down":
			Unsent(w)
			Fail(w, r, deich.OriginDown)
		case "/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: x\n\n")
		case "/member":
			w.Header().Set("Deich-Member", "ada")
			io.WriteString(w, strings.Repeat("x", 1000))
		case "/gone":
			panic(http.ErrAbortHandler)
		default:
			io.WriteString(w, "own")
		}
	}, func(o *Options) { o.NextLetsGo = true })
	for i, other := range []*http.Request{
		get("/down", "Accept", html), get("/stream"), get("/member", "Accept", html, "Cookie", "a=b"),
		httptest.NewRequest("POST", "/form", strings.NewReader("a=b")), get("/gone"),
	} {
		func() {
			defer func() { recover() }()
			ask(h, other)
		}()
		a := ask(h, get("/api", "Accept", "*/*"))
		if body, _ := io.ReadAll(a.Body); string(body) != "own" || a.StatusCode != 200 || len(a.Header) != 1 {
			t.Errorf("after %s: answered %d %q with %v", other.URL, a.StatusCode, body, a.Header)
		}
		if o := s.outcome(t); o.Failed || o.Aborted || o.Status != 200 || o.Credential {
			t.Errorf("after %s: the engine was told %+v", other.URL, o)
		}
		if r := s.last(t); r.Pass.ID != 0 || r.Place != 0 {
			t.Errorf("after %s: the engine was asked about %+v", other.URL, r)
		}
		if n, want := s.detaches(), min(i, 1); n != want {
			t.Errorf("after %s: %d places were detached, want %d", other.URL, n, want)
		}
	}
	if len(seen) == 10 {
		t.Error("no visit was used again")
	}
	s.check(t)
}

// TestSweepDetachesWhomItSaw: who comes into a place that has just become free is not
// detached for having been there long.
func TestSweepDetachesWhomItSaw(t *testing.T) {
	s := newScript()
	h := scripted(t, s, hello)
	v := new(visit)
	v.begin(h, httptest.NewRecorder(), get("/"))
	before, _, _ := s.Enter(0, nil, deich.Verdict{}, nil)
	now := before + 1<<32 // the next ticket of the same place
	s.Done(0, before, deich.Outcome{}, new(deich.Out))
	s.placed[now] = true
	h.settleIn(v, h.now(), now)
	if h.detachFrom(&h.places[now.Slot()], before); v.long || s.detaches() != 0 {
		t.Error("the guest was detached by the ticket of the one before")
	}
	if h.detachFrom(&h.places[now.Slot()], now); !v.long {
		t.Error("the guest was not detached")
	}
}

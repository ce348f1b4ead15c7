package drill

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/drill/scenarios"
)

// seen is what a listener under attack saw.
type seen struct {
	mu       sync.Mutex
	requests int
	sources  map[string]int
	conns    map[string]bool
	cookies  int
	proofs   int
}

func (s *seen) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	s.requests++
	s.sources[host]++
	s.conns[r.RemoteAddr] = true
	if r.Header.Get("Cookie") != "" {
		s.cookies++
	}
}

// floodOnce floods a small server for a second and gives both sides' counts.
func floodOnce(t *testing.T, attack string, h func(s *seen, w http.ResponseWriter, r *http.Request)) (*seen, strike) {
	t.Helper()
	needLoopback(t)
	s := &seen{sources: map[string]int{}, conns: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.note(r)
		h(s, w, r)
	}))
	defer server.Close()
	sums := floodAt(t, server.Listener.Addr(), attack, "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, sums
}

// floodAt floods a listener of the test's for a second; more is of the scenario.
func floodAt(t *testing.T, at net.Addr, attack, more string) strike {
	t.Helper()
	spec, err := scenarios.Parse([]byte(fmt.Sprintf(`{"name":"x","title":"t","phases":{"peace":"1s","flood":"1s"},
		"groups":[{"name":"known","kind":"browser","count":1}],"attacks":[%s]%s}`, attack, more)))
	if err != nil {
		t.Fatal(err)
	}
	sums := newStrikes()
	box := &sandbox{kind: Loopback, net: addresses{net: 127}}
	f, err := newFlood(newClock(0), &spec, box, netip.MustParseAddrPort(at.String()), desktopAgents(), "/search?q=", sums)
	if err != nil {
		t.Fatal(err)
	}
	f.run(t.Context())
	return sums.whole
}

func plainAnswer(_ *seen, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a page") }

func TestFloodAConnectionEach(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, a := floodOnce(t, `{"name":"a","request":"search","sources":50,"rate":400}`, plainAnswer)
	if a.Planned < 350 || a.Sent < 350 || a.Planned > 401 || a.Reached != a.Endings["200"] {
		t.Errorf("planned %d, sent %d, reached %d: %v", a.Planned, a.Sent, a.Reached, a.Endings)
	}
	if a.Come != a.Opened {
		t.Errorf("%d of %d connections came about", a.Come, a.Opened)
	}
	if int64(s.requests) < a.Reached || len(s.sources) != 50 || len(s.conns) != s.requests {
		t.Errorf("%d requests from %d sources over %d connections", s.requests, len(s.sources), len(s.conns))
	}
}

func TestFloodThatLeaves(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, a := floodOnce(t, `{"name":"a","manner":"leave","sources":50,"rate":400}`, plainAnswer)
	if a.Planned < 350 || a.Planned > 401 || a.Endings["left"] < 350 || a.Sent != a.Endings["left"] || a.Opened < a.Sent || a.Reached != 0 || s.requests != 0 {
		t.Errorf("planned %d, opened %d, left %d, %d requests: %v", a.Planned, a.Opened, a.Sent, s.requests, a.Endings)
	}
}

func TestFloodOverKeptConnections(t *testing.T) {
	defer goleak.VerifyNone(t)
	for name, h := range map[string]func(*seen, http.ResponseWriter, *http.Request){
		"of a length": plainAnswer,
		"chunked": func(_ *seen, w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
			io.WriteString(w, strings.Repeat("then ", 10000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, a := floodOnce(t, `{"name":"a","manner":"keep","sources":5,"connections":20,"rate":400}`, h)
			if a.Endings["200"] < 100 || len(s.conns) > 21 || len(s.sources) != 5 {
				t.Errorf("%d connections from %d sources: %v", len(s.conns), len(s.sources), a.Endings)
			}
		})
	}
}

func TestFloodReadsRefusals(t *testing.T) {
	_, a := floodOnce(t, `{"name":"a","sources":5,"rate":200}`, func(_ *seen, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Deich-Reason", deich.BelowCut.String())
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if a.Reached != 0 || a.Endings["503 below_cut"] < 150 {
		t.Errorf("reached %d: %v", a.Reached, a.Endings)
	}
}

func TestFloodOfASilentListenerIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	spec, err := scenarios.Parse([]byte(`{"name":"x","title":"t","phases":{"peace":"1s","flood":"1s"},
		"groups":[{"name":"known","kind":"browser","count":1}],"attacks":[{"name":"a","sources":5,"rate":300}]}`))
	if err != nil {
		t.Fatal(err)
	}
	sums := newStrikes()
	f, err := newFlood(newClock(0), &spec, &sandbox{kind: Loopback, net: addresses{net: 127}}, l.Addr().(*net.TCPAddr).AddrPort(), desktopAgents(), "/search?q=", sums)
	if err != nil {
		t.Fatal(err)
	}
	f.most = 40
	f.run(t.Context())
	if w := sums.whole; w.OpenMost > 40 || w.Unsent < 200 {
		t.Errorf("at most %d open, %d unsent: %v", w.OpenMost, w.Unsent, w.Endings)
	}
}

func TestBotsKeepCookiesAndSolve(t *testing.T) {
	s, a := floodOnce(t, `{"name":"a","sources":5,"rate":100,"cookies":true,"solve":true}`, func(s *seen, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/deich/challenge" {
			answers, err := deich.ParseProof(r.FormValue("proof"))
			if err == nil && deich.CheckProof(deich.ProofSeed(r.FormValue("token")), 4, answers) {
				s.mu.Lock()
				s.proofs++
				s.mu.Unlock()
				http.SetCookie(w, &http.Cookie{Name: "deich", Value: "pass"})
				w.WriteHeader(http.StatusSeeOther)
				return
			}
		}
		if c, err := r.Cookie("deich"); err == nil && c.Value == "pass" {
			io.WriteString(w, "a page")
			return
		}
		w.Header().Set("Deich-Reason", deich.Unproven.String())
		w.Header().Set("Deich-Challenge", "bits=4;token=abc")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if s.proofs < 5 || s.proofs > 15 || s.cookies < 50 || a.Proofs < 5 || a.Endings["200"] < 50 {
		t.Errorf("%d proofs held, %d requests with a cookie, %d solved: %v", s.proofs, s.cookies, a.Proofs, a.Endings)
	}
}

func TestSlowAttackersStayOpen(t *testing.T) {
	for _, manner := range []string{"slow-headers", "slow-body"} {
		t.Run(manner, func(t *testing.T) {
			_, a := floodOnce(t, `{"name":"a","request":"login","manner":"`+manner+`","sources":5,"connections":30}`, func(_ *seen, w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
			})
			if a.Opened != 30 || a.Reached != 0 {
				t.Errorf("%d opened, %d answered: %v", a.Opened, a.Reached, a.Endings)
			}
		})
	}
}

// userAt makes a user that visits the test's server.
func userAt(t *testing.T, server *httptest.Server, kind scenarios.Kind) (*user, *tally) {
	needLoopback(t)
	tl := &tally{}
	at := netip.MustParseAddrPort(server.Listener.Addr().String())
	from := addresses{net: 127}.own(0, 3)
	spec := &scenarios.Group{Kind: kind}
	u := &user{spec: spec, rng: rand.New(rand.NewPCG(1, 1)), clock: newClock(0), tally: tl, client: newFetcher(from, at, "x", kind != scenarios.Program), solvers: make(chan struct{}, 1), slow: new(atomic.Int64), shielded: true}
	t.Cleanup(u.client.close)
	return u, tl
}

func TestBrowserSolvesAtAPhonesSpeed(t *testing.T) {
	var hashes int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/deich/challenge" && r.FormValue("return") == "/page" {
			answers, err := deich.ParseProof(r.FormValue("proof"))
			if err == nil && deich.CheckProof(deich.ProofSeed(r.FormValue("token")), 10, answers) {
				http.SetCookie(w, &http.Cookie{Name: "deich", Value: "pass"})
			}
			w.Header().Set("Location", "/page")
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		if _, err := r.Cookie("deich"); err != nil {
			w.Header().Set("Deich-Reason", deich.Unproven.String())
			w.Header().Set("Deich-Challenge", "bits=10;token=abc")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if !strings.HasPrefix(r.RemoteAddr, "127.32.3.10:") {
			t.Errorf("the user comes from %s", r.RemoteAddr)
		}
		io.WriteString(w, "a page")
	}))
	defer server.Close()
	u, tl := userAt(t, server, scenarios.Browser)
	_, hashes = deich.SolveProof(deich.ProofSeed("abc"), 10)
	if !u.want(t.Context(), page, "/page") {
		t.Fatalf("did not get in: %+v", tl.samples)
	}
	s := tl.samples[0]
	least := time.Duration(float64(hashes) / phoneHashes * float64(time.Second))
	if len(tl.samples) != 1 || s.end != served || !s.proved || s.took < least || s.denied {
		t.Errorf("%+v; a phone takes %s", tl.samples, least)
	}
}

func TestPlainBrowserWaitsItsTurn(t *testing.T) {
	visits := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits++
		if c, err := r.Cookie("deich-place"); err == nil && c.Value == "7" {
			io.WriteString(w, "a page")
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "deich-place", Value: "7"})
		w.Header().Set("Deich-Challenge", "bits=10;token=abc") // not for it: it runs no script
		w.Header().Set("Deich-Reason", deich.Unproven.String())
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `<html><head><noscript><meta http-equiv="refresh" content="1"></noscript>`)
	}))
	defer server.Close()
	u, tl := userAt(t, server, scenarios.Plain)
	if !u.want(t.Context(), page, "/page") || len(tl.samples) != 1 {
		t.Fatalf("%+v", tl.samples)
	}
	if s := tl.samples[0]; s.end != served || !s.waited || s.proved || visits != 2 {
		t.Errorf("%+v after %d visits", s, visits)
	}
}

func TestProgramHonoursRetryAfter(t *testing.T) {
	visits := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if visits++; visits == 1 {
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Deich-Reason", deich.BelowCut.String())
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.Header.Get("Cookie") != "" {
			t.Error("a program kept a cookie")
		}
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	u, tl := userAt(t, server, scenarios.Program)
	if !u.want(t.Context(), call, "/api/timeline") || len(tl.samples) != 2 {
		t.Fatalf("%+v", tl.samples)
	}
	if a, b := tl.samples[0], tl.samples[1]; a.end != refused || a.denied || b.end != served || b.began-a.began < time.Second {
		t.Errorf("%+v", tl.samples)
	}
}

func TestWhatTheEndCutsOffIsNotCounted(t *testing.T) {
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(held)
		<-r.Context().Done()
	}))
	defer server.Close()
	u, tl := userAt(t, server, scenarios.Browser)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-held; cancel() }()
	if u.want(ctx, page, "/") || len(tl.samples) != 0 {
		t.Errorf("%+v", tl.samples)
	}
}

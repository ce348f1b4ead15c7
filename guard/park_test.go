package guard

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deichproject/deich"
	"pgregory.net/rapid"
)

// held is an origin that answers when it is let.
func held() (next http.HandlerFunc, reached chan struct{}, let chan struct{}) {
	reached, let = make(chan struct{}, 100), make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		reached <- struct{}{}
		<-let
	}, reached, let
}

func TestQueuedRequestGoesOnWhenAPlaceIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.limit = 1
		next, reached, let := held()
		h := scripted(t, s, next)
		var first, second *http.Response
		var both sync.WaitGroup
		both.Go(func() { first = ask(h, get("/1")) })
		<-reached
		both.Go(func() { second = ask(h, get("/2")) })
		synctest.Wait()
		if n := h.Counters().Parked; n != 1 {
			t.Errorf("%d parked, want 1", n)
		}
		let <- struct{}{}
		<-reached
		let <- struct{}{}
		both.Wait()
		if first.StatusCode != 200 || second.StatusCode != 200 {
			t.Errorf("answers %d and %d", first.StatusCode, second.StatusCode)
		}
		s.check(t)
	})
}

func TestQueuedRequestThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.limit = 1
		next, reached, let := held()
		h := scripted(t, s, next)
		var both sync.WaitGroup
		both.Go(func() { ask(h, get("/1")) })
		<-reached
		begun := time.Now()
		a := ask(h, get("/2"))
		if a.StatusCode != 503 || a.Header.Get("Deich-Reason") != "queue_late" {
			t.Errorf("status %d, reason %s", a.StatusCode, a.Header.Get("Deich-Reason"))
		}
		if took := time.Since(begun); took != deich.QueueWaitMax {
			t.Errorf("after %v", took)
		}
		let <- struct{}{}
		both.Wait()
		s.check(t)
	})
}

func TestQueuedClientThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.limit = 1
		next, reached, let := held()
		h := scripted(t, s, next)
		var both sync.WaitGroup
		both.Go(func() { ask(h, get("/1")) })
		<-reached
		ctx, leave := context.WithCancel(t.Context())
		both.Go(func() { ask(h, get("/2").WithContext(ctx)) })
		synctest.Wait()
		leave()
		synctest.Wait()
		if n := h.Counters().Gone; n != 1 {
			t.Errorf("%d gone, want 1", n)
		}
		let <- struct{}{}
		both.Wait()
		s.check(t)
	})
}

func TestRefusedAtThePlace(t *testing.T) {
	s := newScript()
	s.turnAway = deich.StreamsFull
	h := scripted(t, s, hello)
	a := ask(h, get("/"))
	if a.StatusCode != 503 || a.Header.Get("Deich-Reason") != "streams_full" || a.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, reason %s", a.StatusCode, a.Header.Get("Deich-Reason"))
	}
	s.check(t)
}

func TestWakeBeforeItsGuestHasParked(t *testing.T) {
	s := newScript()
	h := scripted(t, s, hello)
	ticket := deich.Ticket(1<<32 | 8)
	s.placed[ticket] = true
	h.bring([]deich.Wake{{Ticket: ticket, State: deich.Admitted}})
	v := &visit{h: h, r: get("/")}
	if why, ok, lost := h.park(v, ticket); !ok || lost {
		t.Fatalf("parked on: %v, lost %t", why, lost)
	}
	h.leave(v, h.now(), deich.Outcome{})
	s.check(t)
}

func TestWakeNobodyWaitsFor(t *testing.T) {
	s := newScript()
	h := scripted(t, s, hello)
	ticket := deich.Ticket(1<<32 | 8)
	s.placed[ticket] = true
	h.bring([]deich.Wake{{Ticket: ticket, State: deich.Admitted}})
	h.sweep()
	if len(s.placed) != 1 {
		t.Error("ended before anyone could have come for it")
	}
	h.sweep()
	s.check(t)
}

func TestWakeThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		h := scripted(t, s, hello)
		s.limit = 1
		s.placed[99] = true // somebody's
		s.hook = func(call string) {
			if call == "cancel" { // the engine says it was woken, but no wake comes
				s.mu.Lock()
				s.queue = nil
				s.mu.Unlock()
			}
		}
		begun := time.Now()
		a := ask(h, get("/"))
		if a.StatusCode != 200 || h.Counters().LostWakes != 1 {
			t.Errorf("status %d, %d lost", a.StatusCode, h.Counters().LostWakes)
		}
		if took := time.Since(begun); took > deich.QueueWaitMax+wakeLate {
			t.Errorf("after %v", took)
		}
	})
}

func TestLongAnswersAreDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		next, reached, let := held()
		h := scripted(t, s, next)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { h.Run(ctx) })
		running.Go(func() { ask(h, get("/slow")) })
		<-reached
		time.Sleep(detachAfter - time.Second) // virtual time
		if s.detaches() != 0 {
			t.Error("detached early")
		}
		time.Sleep(2*time.Second + deich.TickEvery)
		synctest.Wait()
		if s.detaches() != 1 {
			t.Error("not detached")
		}
		let <- struct{}{}
		stop()
		running.Wait()
		s.check(t)
	})
}

// Where there is no room among the streams, it is asked for again: else an answer
// that is long-lived would hold a place among the quick ones to its end.
func TestLongAnswersAreDetachedOnceThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.full = true
		reached, let := make(chan struct{}), make(chan struct{})
		h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
			Streaming(w)
			close(reached)
			<-let
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { h.Run(ctx) })
		running.Go(func() { ask(h, get("/events")) })
		<-reached
		time.Sleep(detachAfter + 2*time.Second) // virtual time
		synctest.Wait()
		s.mu.Lock()
		if s.refused < 2 {
			t.Errorf("asked for %d times while there was no room", s.refused)
		}
		s.full = false
		s.mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.detaches() != 1 {
			t.Error("not detached once there was room")
		}
		close(let)
		stop()
		running.Wait()
		s.check(t)
	})
}

// TestEveryTicketEndsOnce drives random requests through places, queue,
// departures, panics, hijacks and streams, and holds the book against them.
func TestEveryTicketEndsOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript()
		s.limit = rapid.IntRange(1, 4).Draw(rt, "limit")
		var served atomic.Int32
		h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			switch r.URL.Path {
			case "/panic":
				panic(http.ErrAbortHandler)
			case "/stream":
				Streaming(w)
				Streaming(w)
			case "/events":
				w.Header().Set("Content-Type", "text/event-stream")
				http.NewResponseController(w).Flush()
			case "/fail":
				Fail(w, r, deich.OriginDown)
			case "/hijack":
				if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
					conn.Close()
				}
			case "/body":
				io.Copy(w, r.Body)
			}
		})
		var handlers sync.WaitGroup // the server does not wait for those who hijacked
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.Add(1)
			defer handlers.Done()
			h.ServeHTTP(w, r)
		}))
		defer server.Close()
		ctx, stop := context.WithCancel(context.Background())
		var running, clients sync.WaitGroup
		running.Go(func() { h.Run(ctx) })
		paths := rapid.SliceOfN(rapid.SampledFrom([]string{"/", "/panic", "/stream", "/events", "/fail", "/hijack", "/body", "/leave"}), 1, 24).Draw(rt, "requests")
		for _, path := range paths {
			clients.Go(func() {
				own, leave := context.WithCancel(ctx)
				defer leave()
				if path == "/leave" {
					leave()
				}
				var body io.Reader
				method := "GET"
				if path == "/body" {
					method, body = "POST", io.LimitReader(zeros{}, 10_000)
				}
				r, _ := http.NewRequestWithContext(own, method, server.URL+path, body)
				if a, err := server.Client().Do(r); err == nil {
					io.Copy(io.Discard, a.Body)
					a.Body.Close()
				}
			})
		}
		clients.Wait()
		server.Close()
		handlers.Wait()
		stop()
		running.Wait()
		s.check(t)
		if len(s.outcomes) != int(served.Load()) {
			rt.Fatalf("%d served, %d done", served.Load(), len(s.outcomes))
		}
		for i := range h.places {
			if h.places[i].guest != nil {
				rt.Fatal("a place still has its guest")
			}
		}
		server.Client().CloseIdleConnections()
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

package guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// different gives how many were marked.
func different(marks []sketch.Mark) int {
	var c sketch.Count
	c.Add(marks)
	return c.N()
}

func remoteOf(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}) }

// from asks from an address of its own.
func from(n int, method string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	r.Header.Set("Accept", html)
	r.RemoteAddr = fmt.Sprintf("%s:1000", remoteOf(n))
	return r
}

// Whoever is refused or fails counts once however often, readers and senders
// apart, strangers apart; who did it themselves, was given what is kept, or is a
// stranger who has to wait does not.
func TestWhoMissedItCountsOnce(t *testing.T) {
	fails := func(w http.ResponseWriter, r *http.Request) { Fail(w, r, deich.OriginDown) }
	errs := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	for name, c := range map[string]struct {
		verdict deich.Verdict
		next    http.HandlerFunc
		want    [4]int // known read, known send, strangers read, strangers send
	}{
		"served":          {deich.Verdict{Tier: deich.Visitor}, hello, [4]int{}},
		"held":            {deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut, Tier: deich.Visitor}, hello, [4]int{20, 5}},
		"strangers wait":  {deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut}, hello, [4]int{}},
		"over budget":     {deich.Verdict{Act: deich.Deny, Reason: deich.OverBudget, Tier: deich.Member}, hello, [4]int{}},
		"the origin down": {deich.Verdict{Tier: deich.Regular}, fails, [4]int{20, 5}},
		"its errors":      {deich.Verdict{Tier: deich.Regular}, errs, [4]int{20, 5}},
		"of strangers":    {deich.Verdict{}, errs, [4]int{0, 0, 20, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript()
			s.verdict = func(*deich.Request) deich.Verdict { return c.verdict }
			h := scripted(t, s, c.next)
			h.missed.key = sketch.Key{1, 2} // by chance two of twenty would leave one mark, once in eighty times
			for range 3 {
				for n := range 20 {
					ask(h, from(n, "GET"))
					if n < 5 {
						ask(h, from(n, "POST"))
					}
				}
			}
			m := h.Missed()
			got := [4]int{different(m.KnownRead), different(m.KnownSend), different(m.StrangerRead), different(m.StrangerSend)}
			if got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if again := h.Missed(); again.KnownRead != nil || again.StrangerSend != nil {
				t.Error("told twice")
			}
		})
	}
}

// An account is one, wherever it comes from; a pass is, too.
func TestAccountsAndPassesAreSomebody(t *testing.T) {
	var m missed
	m.init()
	for n := range 10 {
		r := deich.Request{Safe: true, Client: remoteOf(n)}
		m.note(&r, deich.Stranger)
		r.Pass.ID = uint64(1 + n%4)
		m.note(&r, deich.Visitor)
		r.Pass.Account = uint64(100 + n%2)
		r.Safe = false
		m.note(&r, deich.Member)
	}
	if got := [3]int{different(m.read[0].Take()), different(m.read[1].Take()), different(m.send[1].Take())}; got != [3]int{10, 4, 2} {
		t.Errorf("10 addresses, 4 passes and 2 accounts count as %v", got)
	}
}

// Who waits in vain has missed it; who leaves at once has not.
func TestWhoLeavesAtOnceHasNotMissedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := scripted(t, newScript(), func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			Fail(w, r, deich.OriginDown) // as the way to the origin says it
		})
		leave := func(n int, after time.Duration) {
			ctx, cancel := context.WithTimeoutCause(context.Background(), after, errors.New("the client leaves"))
			defer cancel()
			ask(h, from(n, "GET").WithContext(ctx))
		}
		leave(1, leftAfter/2)
		leave(2, leftAfter+time.Millisecond)
		leave(3, lateAfter)
		if got := different(h.Missed().KnownRead); got != 2 {
			t.Errorf("%d", got)
		}
	})
}

func TestNotingWhoMissedItAllocatesNothing(t *testing.T) {
	var m missed
	m.init()
	r, v := deich.Request{Client: remoteOf(1)}, deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut, Tier: deich.Visitor}
	if n := testing.AllocsPerRun(1000, func() { r.Pass.ID++; m.refused(&r, v) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

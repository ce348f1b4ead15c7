package guard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deichproject/deich"
)

// breaking makes a handler whose engine panics in one call, and a function
// that mends it.
func breaking(t *testing.T, call string, alarms *[]string) (*Handler, *script, func()) {
	s := newScript()
	broken := true
	var mu sync.Mutex
	s.hook = func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if broken && name == call {
			panic("forced by a test")
		}
	}
	h := scripted(t, s, hello, func(o *Options) {
		o.Alarm = func(err error) {
			mu.Lock()
			defer mu.Unlock()
			*alarms = append(*alarms, err.Error())
		}
	})
	return h, s, func() { mu.Lock(); broken = false; mu.Unlock() }
}

// Whatever call of the engine panics, the request is answered, the operator is
// told once, and when the engine is well again it decides again.
func TestEngineThatPanics(t *testing.T) {
	for _, call := range []string{"decide", "enter", "done", "mint", "tick", "pulse"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var alarms []string
				h, s, mend := breaking(t, call, &alarms)
				out := deich.NewOut()
				for n := 1; n <= 2*sweepEvery; n++ {
					if a := ask(h, get("/", "Accept", html)); a.StatusCode != 200 {
						t.Fatalf("request %d: status %d", n, a.StatusCode)
					}
					h.tick(n, out)
				}
				if len(alarms) != 1 || !strings.Contains(alarms[0], call+": panic: forced") {
					t.Errorf("alarms: %q", alarms)
				}
				if h.Counters().Panics == 0 {
					t.Error("no panic was counted")
				}
				mend()
				time.Sleep(failopenPause + time.Second)
				before := h.Counters().Panics
				s.mu.Lock()
				s.placed = make(map[deich.Ticket]bool) // what a broken Done never ended
				s.verdict = refusing(deich.Verdict{Act: deich.Deny, Reason: deich.ByHand})
				s.mu.Unlock()
				if a := ask(h, get("/")); a.StatusCode != 403 || h.Counters().Panics != before {
					t.Errorf("mended: status %d, %d panics more", a.StatusCode, h.Counters().Panics-before)
				}
			})
		})
	}
}

// While the engine is left alone the last known limit holds, and whoever finds
// no place is told so in time.
func TestPlainLimitHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var alarms []string
		h, _, _ := breaking(t, "enter", &alarms)
		h.noteLimits() // the script's pulse says 7
		var mu sync.Mutex
		var at, most int
		let := make(chan struct{})
		h.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			at++
			most = max(most, at)
			mu.Unlock()
			<-let
			mu.Lock()
			at--
			mu.Unlock()
		})
		statuses := make(chan int, 40)
		for range cap(statuses) {
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, get("/"))
				statuses <- w.Code
			}()
		}
		time.Sleep(2 * failopenWait)
		close(let)
		got := map[int]int{}
		for range cap(statuses) {
			got[<-statuses]++
		}
		if most != 8 || got[200] != 8 || got[503] != cap(statuses)-8 {
			t.Errorf("%d at once, answers %v; want the limit of 7 and one", most, got)
		}
	})
}

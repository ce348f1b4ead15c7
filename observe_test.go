package deich

import (
	"testing"
	"time"
)

// TestHistoryIsReadyAhead fills a history while its memory is made ready: nothing of what it
// holds is lost, and a window gives it historyTurn at most.
func TestHistoryIsReadyAhead(t *testing.T) {
	var h history
	h.init()
	for i := range historyMax {
		if i%(historyReady*3) == 0 {
			h.prepare()
		}
		h.add(Time(1+i), &sighting{who: uint32(i + 1)}, 0)
	}
	for h.ready < historyMax {
		h.prepare()
	}
	h.prepare()
	for i, s := range h.all {
		if s.who != uint32(i+1) {
			t.Fatalf("at %d stands %d", i, s.who)
		}
	}

	w := new(watch)
	w.init()
	for i := range windowSample {
		w.look(&Request{At: 1}, uint64(i)<<32, uint64(i))
	}
	for at := Time(1); w.peace.len() == 0 && at < Time(10*time.Second); at = at.Add(TickEvery) {
		w.tick(at, 1, true, 0)
	}
	if n := w.peace.len(); n == 0 || n > historyTurn {
		t.Errorf("%d kept of a window", n)
	}
}

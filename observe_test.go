package deich

import (
	"testing"
	"time"
)

// TestWindowGivesHistoryTurn: of a window of peace historyTurn is kept at most.
func TestWindowGivesHistoryTurn(t *testing.T) {
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

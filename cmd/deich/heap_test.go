package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestHeapPercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 1600}, // before the first collection
		{1 << 20, 1600},
		{16 << 20, 400},
		{32 << 20, 200},
		{64 << 20, 100},
		{1 << 30, 100}, // a large heap is collected as ever
	} {
		if got := heapPercent(c.live); got != c.want {
			t.Errorf("%d bytes live: %d percent, want %d", c.live, got, c.want)
		}
	}
}

// A heap that grew is tuned by the collection that finds it grown.
func TestHeapFollowsWhatIsLive(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	end := roomyHeap()
	defer end()
	small := percentNow()
	if small < 150 {
		t.Fatalf("%d percent while little is live", small)
	}
	ballast := make([]byte, 2*heapRoom)
	tuned := make(chan struct{})
	go func() {
		defer close(tuned)
		for range 500 {
			runtime.GC()
			if percentNow() == 100 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	<-tuned
	runtime.KeepAlive(ballast)
	if got := percentNow(); got != 100 {
		t.Errorf("%d percent while %d bytes are live", got, len(ballast))
	}
}

func TestHeapLeavesTheOperatorsWord(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "77")
	defer roomyHeap()()
	if got := percentNow(); got != 77 {
		t.Errorf("%d percent, and GOGC says 77", got)
	}
}

func percentNow() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// heap keeps collections rare while little is live. What is live of Deich is
// some twenty MiB, and with the runtime's rule of twice that it would collect
// a dozen times a second under load: each time, those served in that
// millisecond wait.
type heap struct {
	percent int // in force
	ended   atomic.Bool
}

// roomyHeap begins to keep heapRoom free; the function it gives ends that.
func roomyHeap() (end func()) {
	if os.Getenv("GOGC") != "" {
		return func() {} // the operator has decided
	}
	h := &heap{percent: 100}
	runtime.GC() // what is live now; and the first lap is not spared by a collection that has begun
	h.tune(liveBytes())
	h.watch()
	return func() {
		h.ended.Store(true)
		debug.SetGCPercent(100)
	}
}

// lap is garbage as soon as it is made: its cleanup runs after each collection.
type lap struct{ _ *lap }

// watch tunes after the next collection, and so on: what is live can grow
// manyfold within a second of flood.
func (h *heap) watch() {
	runtime.AddCleanup(new(lap), func(h *heap) {
		if !h.ended.Load() {
			h.tune(liveBytes())
			h.watch()
		}
	}, h)
}

// tune stops the world for some microseconds, and so only for a change that is
// worth it.
func (h *heap) tune(live uint64) {
	want := heapPercent(live)
	if d := want - h.percent; d > h.percent/10 || -d > h.percent/10 {
		h.percent = want
		debug.SetGCPercent(want)
	}
}

// heapPercent is what the runtime calls GOGC: how much may be allocated until
// the next collection, in percent of what is live.
func heapPercent(live uint64) int {
	return int(max(100, heapRoom*100/max(live, heapRoom/16)))
}

// liveBytes is what the last collection found in use.
func liveBytes() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

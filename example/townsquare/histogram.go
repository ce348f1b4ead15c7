package townsquare

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram has 16 buckets to each doubling, so that a value is told to
// about 6 %, from 1 µs to more than an hour; longer counts as that.
const (
	histogramSteps   = 16
	histogramDoubles = 28
	histogramBuckets = histogramSteps * (histogramDoubles + 1)
)

// histogram counts durations. It is safe for concurrent use.
type histogram struct {
	counts [histogramBuckets]atomic.Uint64
	max    atomic.Int64 // microseconds
}

func (h *histogram) add(d time.Duration) {
	us := max(d.Microseconds(), 0)
	h.counts[bucket(uint64(us))].Add(1)
	for {
		seen := h.max.Load()
		if us <= seen || h.max.CompareAndSwap(seen, us) {
			return
		}
	}
}

// bucket gives the bucket of a value: the first histogramSteps are exact, from
// then on each doubling has as many.
func bucket(us uint64) int {
	if us < histogramSteps {
		return int(us)
	}
	double := bits.Len64(us) - 5 // 16..31 is the first doubling, 0
	step := us>>double - histogramSteps
	return min(histogramSteps*(double+1)+int(step), histogramBuckets-1)
}

// upper gives the largest value of a bucket, in microseconds.
func upper(bucket int) float64 {
	if bucket < histogramSteps {
		return float64(bucket)
	}
	double := bucket/histogramSteps - 1
	step := bucket%histogramSteps + histogramSteps
	return float64(uint64(step+1)<<double - 1)
}

// latency is what a histogram says, in milliseconds.
type latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// summarize gives the quantiles of several histograms taken together, and how
// many durations they count.
func summarize(parts ...*histogram) (uint64, latency) {
	var counts [histogramBuckets]uint64
	var total uint64
	var longest int64
	for _, h := range parts {
		for i := range counts {
			n := h.counts[i].Load()
			counts[i] += n
			total += n
		}
		longest = max(longest, h.max.Load())
	}
	most := float64(longest)
	quantile := func(q float64) float64 {
		rank := uint64(q*float64(total) + 0.5)
		for i, n := range counts {
			if n >= rank && n > 0 {
				return min(upper(i), most) / 1000
			}
			rank -= min(n, rank)
		}
		return most / 1000
	}
	if total == 0 {
		return 0, latency{}
	}
	return total, latency{P50: quantile(0.50), P90: quantile(0.90), P99: quantile(0.99), Max: most / 1000}
}

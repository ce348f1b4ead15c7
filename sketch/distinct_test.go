package sketch

import (
	"math"
	"sync"
	"testing"
)

// The estimate is as near as it says, from one to a million, over many keys.
func TestDistinctIsAsNearAsItSays(t *testing.T) {
	for _, n := range []int{1, 7, 60, 1_200, 20_000, 60_000, 200_000, 1_000_000} {
		keys := max(4, min(40, 2_000_000/n))
		square, sum := 0., 0.
		for k := range keys {
			key := Key{uint64(k), 0x9e3779b97f4a7c15}
			var d Distinct
			for i := range n {
				d.Add(key.Uint64(uint64(i)))
				if i%3 == 0 {
					d.Add(key.Uint64(uint64(i))) // again
				}
			}
			var c Count
			c.Add(d.Take())
			off := float64(c.N()-n) / float64(n)
			square += off * off
			sum += off
		}
		spread, bias := math.Sqrt(square/float64(keys)), sum/float64(keys)
		// Four standard errors of a mean of so many, and a spread half as wide again; one more for rounding.
		if limit := .0081*4/math.Sqrt(float64(keys)) + .5/float64(n); math.Abs(bias) > limit {
			t.Errorf("%d: the mean is %+.2f %% off", n, 100*bias)
		}
		if spread > .0081*1.6+.5/float64(n) {
			t.Errorf("%d: %.2f %% off in the root mean square of %d", n, 100*spread, keys)
		}
	}
}

// Marks of several times and groups add up to those of all, whoever came twice.
func TestCountsOfMarksAddUp(t *testing.T) {
	key := Key{1, 2}
	var d, all Distinct
	var c, whole Count
	for part := range 5 {
		for i := range 1000 {
			hash := key.Uint64(uint64(500*part + i)) // half of them came before
			d.Add(hash)
			all.Add(hash)
		}
		c.Add(d.Take())
	}
	whole.Add(all.Take())
	if c.N() != whole.N() || d.Take() != nil {
		t.Errorf("%d of parts, %d of all; left over: %d", c.N(), whole.N(), len(d.Take()))
	}
	c.Add([]Mark{1 << 31, 255}) // out of range: nothing
	if c.N() != whole.N() {
		t.Errorf("marks that are none changed it to %d", c.N())
	}
	if new(Count).N() != 0 {
		t.Error("nothing counts as something")
	}
}

// What is added while others take is in one of the takes.
func TestDistinctLosesNothingBetweenTakes(t *testing.T) {
	key := Key{3, 4}
	var d, all Distinct
	var c, whole Count
	var adding sync.WaitGroup
	done := make(chan struct{})
	for part := range 4 {
		adding.Go(func() {
			for i := range 20_000 {
				d.Add(key.Uint64(uint64(5000*part + i)))
			}
		})
	}
	go func() { adding.Wait(); close(done) }()
	for taking := true; taking; {
		select {
		case <-done:
			taking = false
		default:
		}
		c.Add(d.Take())
	}
	for i := range 35_000 {
		all.Add(key.Uint64(uint64(i)))
	}
	whole.Add(all.Take())
	if c != whole {
		t.Errorf("%d of %d", c.N(), whole.N())
	}
}

func TestDistinctAllocatesNothing(t *testing.T) {
	key, d, i := Key{5, 6}, new(Distinct), uint64(0)
	if n := testing.AllocsPerRun(1000, func() { i++; d.Add(key.Uint64(i)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDistinctAdd(b *testing.B) {
	key, d, i := Key{5, 6}, new(Distinct), uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		i++
		d.Add(key.Uint64(i))
	}
}

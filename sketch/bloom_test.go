package sketch

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBloomRemembersForItsSpan(t *testing.T) {
	const span = 2 * time.Minute
	rapid.Check(t, func(t *rapid.T) {
		b := NewBloom(1<<14, span)
		start := rapid.Int64Range(0, wall).Draw(t, "start")
		added := map[uint64]int64{} // hash to when it was last added
		now := start
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += rapid.Int64Range(0, int64(span)).Draw(t, "pause")
			hash := 0x9e3779b97f4a7c15 * (1 + rapid.Uint64Range(0, 20).Draw(t, "hash"))
			fresh := b.Add(now, hash)
			last, known := added[hash]
			switch age := now - last; {
			case known && age <= int64(span) && fresh:
				t.Fatalf("fresh again after %v", time.Duration(age))
			case (!known || age >= 2*int64(span)) && !fresh:
				t.Fatalf("not fresh, though known %v for %v", known, time.Duration(age))
			}
			added[hash] = now
		}
	})
}

func TestBloomClockBackwards(t *testing.T) {
	b := NewBloom(1<<12, time.Minute)
	if !b.Add(wall, 1) || b.Add(wall-int64(time.Hour), 1) {
		t.Error("an earlier now made it forget")
	}
	if b.Add(-wall, 1) {
		t.Error("a negative now made it forget")
	}
	if !b.Add(wall-int64(time.Hour), 2) || b.Add(wall, 2) {
		t.Error("what was added at an earlier now was not remembered")
	}
}

// TestBloomFalsePositives fills both halves alike and holds how many fresh
// hashes are taken for spent against the figures in the doc comment.
func TestBloomFalsePositives(t *testing.T) {
	const bits, tries = 1 << 16, 200_000
	for ratio, doc := range map[int]float64{32: 1.1e-5, 16: 1.1e-3, 8: 5.0e-2} {
		n := bits / ratio
		half := math.Pow(1-math.Exp(-probes/float64(ratio)), probes)
		want := 1 - (1-half)*(1-half)
		if math.Abs(want-doc) > 0.06*doc {
			t.Errorf("ratio %d: formula gives %.2g, documented are %.2g", ratio, want, doc)
		}
		r := rand.New(rand.NewPCG(uint64(ratio), 1))
		b := NewBloom(bits, time.Minute)
		for half := range int64(2) {
			for range n {
				b.Add(half*int64(time.Minute), r.Uint64())
			}
		}
		wrong := 0
		young, old := append([]uint64{}, b.young...), append([]uint64{}, b.old...)
		for i := range tries {
			if !b.Add(int64(time.Minute), r.Uint64()) {
				wrong++
			}
			if i%64 == 63 { // Trying also adds: keep it as full as it was.
				copy(b.young, young)
				copy(b.old, old)
			}
		}
		// Five standard deviations and a fifth for the formula's own error.
		mean := want * tries
		if slack := 5*math.Sqrt(mean) + mean/5 + 1; math.Abs(float64(wrong)-mean) > slack {
			t.Errorf("ratio %d: %d of %d wrong, want %.0f ± %.0f", ratio, wrong, tries, mean, slack)
		}
	}
}

func TestBloomOverfullRefuses(t *testing.T) {
	b := NewBloom(BloomMin, time.Minute)
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		b.Add(wall, r.Uint64())
	}
	for range 1000 {
		if b.Add(wall, r.Uint64()) {
			t.Fatal("an overfull filter took a hash for fresh")
		}
	}
	if !b.Add(wall+2*int64(time.Minute), r.Uint64()) {
		t.Error("two spans later it is still full")
	}
}

// TestBloomConcurrently has many goroutines spend the same proofs: each of them
// must be fresh once.
func TestBloomConcurrently(t *testing.T) {
	const proofs = 2000
	b := NewBloom(1<<18, time.Minute)
	var fresh atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range uint64(proofs) {
				// The half turns over on the way.
				if b.Add(int64(i)*int64(time.Minute)/proofs+wall, vectorKey.Uint64(i)) {
					fresh.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := fresh.Load(); n != proofs {
		t.Errorf("%d fresh, want %d", n, proofs)
	}
}

func TestBloomBounds(t *testing.T) {
	for asked, want := range map[int]int{-5: BloomMin, 0: BloomMin, 513: 1024, 1 << 20: 1 << 20} {
		if got := NewBloom(asked, time.Minute).Bytes(); got != want/4 {
			t.Errorf("bits %d: %d bytes, want %d", asked, got, want/4)
		}
	}
	if b := NewBloom(0, -1); !b.Add(wall, 1) || b.Add(wall+int64(time.Second), 1) {
		t.Error("a span below a second is not taken as a second")
	}
	b := NewBloom(1<<12, time.Minute)
	h := uint64(0)
	if n := testing.AllocsPerRun(1000, func() { h++; b.Add(wall+int64(h)*int64(time.Second), h) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkBloomAdd(b *testing.B) {
	f := NewBloom(1<<24, time.Minute)
	r := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		f.Add(wall, r.Uint64())
	}
}

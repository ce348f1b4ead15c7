package sketch

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

// tick is one tick of Buckets, rounded up.
const tick = time.Second/ticksPerSecond + 1

// wall is a time as a wall clock tells it, and wrapAt one at which the 32 bits
// of time kept come round.
const (
	wall   = int64(1_790_000_000) * int64(time.Second)
	wrapAt = int64(1) << 32 / ticksPerSecond * int64(time.Second)
)

// hashOf gives a hash with this set and tag.
func hashOf(set, tag uint32) uint64 { return uint64(tag)<<32 | uint64(set) }

// TestTakeAsModel drives sources of one set by chance and holds every answer
// against exact GCRA, which keeps its time in 2⁻¹⁶ ns. The model charges what
// the table charged, so that a doubtful case on the limit does not grow.
func TestTakeAsModel(t *testing.T) {
	// Now and TAT are rounded by up to a tick each, the burst by up to one, and
	// one is the grace.
	const slack = 4 * tick
	rapid.Check(t, func(t *rapid.T) {
		const exact = 1 << 16
		type source struct {
			every, burst time.Duration
			tat          int64 // in 1/exact ns from the start
		}
		sources := make([]source, rapid.IntRange(1, ways).Draw(t, "sources"))
		for i := range sources {
			every := time.Duration(rapid.Int64Range(int64(tick), int64(time.Minute)).Draw(t, "every"))
			sources[i] = source{every: every, burst: every * time.Duration(rapid.IntRange(1, 50).Draw(t, "units"))}
		}
		start := rapid.SampledFrom([]int64{0, wall, wrapAt - int64(time.Second), wrapAt/2 - int64(time.Minute)}).Draw(t, "start")
		b := NewBuckets(1)
		now := time.Duration(0)
		for range rapid.IntRange(1, 300).Draw(t, "calls") {
			i := rapid.IntRange(0, len(sources)-1).Draw(t, "source")
			s := &sources[i]
			now += time.Duration(rapid.Int64Range(0, int64(s.every)*3/2).Draw(t, "pause"))
			over := b.Take(hashOf(0, uint32(i+1)), start+int64(now), s.every, s.burst)

			tat := max(s.tat, int64(now)*exact) + int64(s.every)*exact
			want := time.Duration(tat/exact) - now - s.burst
			switch {
			case over == 0 && want > slack:
				t.Fatalf("at %v took, though over by %v", now, want)
			case over > 0 && want <= -slack:
				t.Fatalf("at %v did not take, though %v below the limit", now, -want)
			case over < 0 || over > 0 && (over-want).Abs() > slack:
				t.Fatalf("at %v over by %v, want %v", now, over, want)
			}
			if over == 0 {
				s.tat = tat
			}
		}
	})
}

// TestTakeGivesTheRate holds the number of units taken in ten minutes against
// the rate asked for, also where one unit is not a whole number of ticks.
func TestTakeGivesTheRate(t *testing.T) {
	for _, perSecond := range []int{1, 3, 7, 10, 64, 333, 1000, 1500, 3000, 4096} {
		every := time.Second / time.Duration(perSecond)
		b := NewBuckets(1)
		now, taken := wall, 0
		const seconds = 600
		for now < wall+seconds*int64(time.Second) {
			over := b.Take(1<<32, now, every, every)
			if over == 0 {
				taken++
			}
			now += int64(max(over, time.Microsecond))
		}
		if got := float64(taken) / seconds / float64(perSecond); got < 0.999 || got > 1.001+1/float64(seconds) {
			t.Errorf("%d/s: %.4f of the rate", perSecond, got)
		}
	}
}

func TestTakeGivesTheBurst(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		burst int
	}{{time.Second, 1}, {time.Second, 40}, {time.Second / 3, 120}, {time.Second / 7, 33}, {100 * time.Millisecond, 300}, {2 * time.Millisecond, 1000}} {
		// Wherever in its phase the first call comes.
		for phase := range int64(50) {
			b := NewBuckets(1)
			taken, now := 0, wall+phase*7_919_333
			for b.Take(1<<32, now, c.every, c.every*time.Duration(c.burst)) == 0 {
				taken++
			}
			if taken != c.burst {
				t.Fatalf("%v × %d at phase %d: took %d", c.every, c.burst, phase, taken)
			}
		}
	}
}

func TestTakeWaitingOverSuffices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "every"))
		burst := every * time.Duration(rapid.IntRange(1, 5).Draw(t, "units"))
		now := wall + rapid.Int64Range(0, int64(time.Hour)).Draw(t, "now")
		b := NewBuckets(1)
		for range 20 {
			over := b.Take(1<<32, now, every, burst)
			if over == 0 {
				continue
			}
			now += int64(over)
			if again := b.Take(1<<32, now, every, burst); again != 0 {
				t.Fatalf("waited %v, still over by %v", over, again)
			}
		}
	})
}

func TestTakeEdges(t *testing.T) {
	for name, c := range map[string]struct {
		every, burst time.Duration
		taken        int
	}{
		"no burst":         {time.Second, 0, 0},
		"negative burst":   {time.Second, -time.Hour, 0},
		"burst below unit": {time.Second, time.Second / 2, 0},
		"no cost":          {0, 0, 1}, // A tick is the least, and a tick is forgiven.
		"negative cost":    {-time.Second, 0, 1},
		"endless burst":    {time.Hour, 1<<63 - 1, 24},
		"endless cost":     {1<<63 - 1, 1<<63 - 1, 1},
	} {
		b := NewBuckets(1)
		taken := 0
		for taken < 100 && b.Take(1<<32, wall, c.every, c.burst) == 0 {
			taken++
		}
		if taken != c.taken {
			t.Errorf("%s: took %d, want %d", name, taken, c.taken)
		}
	}
	b := NewBuckets(1)
	if over := b.Take(1<<32, -wall, time.Second, time.Second); over != 0 {
		t.Errorf("at a negative time: over by %v, want it taken", over)
	}
}

func TestChargeAndLevel(t *testing.T) {
	b := NewBuckets(64)
	h := hashOf(3, 99)
	level := func(at time.Duration, want time.Duration) {
		t.Helper()
		if got := b.Level(h, wall+int64(at)); got != want {
			t.Errorf("level after %v: %v, want %v", at, got, want)
		}
	}
	charge := func(cost, limit, want time.Duration) {
		t.Helper()
		if got := b.Charge(h, wall, cost, limit); got != want {
			t.Errorf("charge of %v up to %v: %v, want %v", cost, limit, got, want)
		}
	}
	level(0, 0)
	charge(2*time.Second, time.Minute, 2*time.Second)
	level(time.Second, time.Second)
	level(3*time.Second, 0)
	charge(0, time.Minute, 2*time.Second)
	charge(-time.Second, time.Minute, 2*time.Second)
	charge(5*time.Second, 4*time.Second, 4*time.Second)
	charge(time.Second, time.Second, 4*time.Second) // Already higher: stays.
	charge(90*time.Minute, time.Hour, time.Hour)
	charge(1<<63-1, 1<<63-1, LevelMax)
	level(0, LevelMax)
	// Callers read their clock out of order: nothing is forgiven for it.
	level(-time.Minute, LevelMax+time.Minute)
	if over := b.Take(h, wall, time.Second, time.Hour); over < 23*time.Hour {
		t.Errorf("take after the charge: over by %v, want a day less an hour", over)
	}
}

// FuzzBuckets calls with anything at all and wants answers that make sense: a
// level never falls by a charge, never exceeds LevelMax, and what was refused
// left it as it was.
func FuzzBuckets(f *testing.F) {
	f.Add(uint64(0), int64(0), int64(0), int64(0))
	f.Add(^uint64(0), wall, int64(time.Second), int64(40*time.Second))
	f.Add(uint64(1), wrapAt-1, int64(time.Second/3), int64(time.Hour))
	f.Add(uint64(1)<<32, int64(1<<63-1), int64(1<<63-1), int64(1<<63-1))
	f.Add(uint64(7), int64(-1<<63), int64(-1<<63), int64(-1<<63))
	f.Fuzz(func(t *testing.T, hash uint64, now, cost, limit int64) {
		b := NewBuckets(64)
		for range 3 {
			before := b.Level(hash, now)
			over := b.Take(hash, now, time.Duration(cost), time.Duration(limit))
			after := b.Level(hash, now)
			if over < 0 || (over == 0) != (after > before) || after > LevelMax+tick {
				t.Fatalf("take: over by %v, level from %v to %v", over, before, after)
			}
			charged := b.Charge(hash, now, time.Duration(cost), time.Duration(limit))
			if charged < after || charged != b.Level(hash, now) || charged > LevelMax+tick {
				t.Fatalf("charge: level from %v to %v, said %v", after, b.Level(hash, now), charged)
			}
		}
		if n := b.Sweep(now); n != 0 {
			t.Fatalf("swept %d that were just charged", n)
		}
	})
}

func TestFullSetEvictsSmallestTAT(t *testing.T) {
	b := NewBuckets(1)
	for i := range uint32(ways) {
		// Levels 1 s, 2 s, …, but way 5 the lowest.
		level := time.Duration(i+1) * time.Second
		if i == 5 {
			level = time.Second / 2
		}
		b.Charge(hashOf(0, i+1), wall, level, time.Hour)
	}
	b.Take(hashOf(0, 100), wall, 10*time.Second, time.Minute)
	for i := range uint32(ways) {
		if gone := b.Level(hashOf(0, i+1), wall) == 0; gone != (i == 5) {
			t.Errorf("source %d evicted: %v, want only source 5", i, gone)
		}
	}
	if got := b.Level(hashOf(0, 100), wall); got != 10*time.Second {
		t.Errorf("newcomer at %v, want 10s", got)
	}
	// After a second way 0 is empty: taken before anyone is evicted.
	later := wall + int64(time.Second)
	b.Take(hashOf(0, 101), later, time.Minute, time.Hour)
	for i := uint32(1); i < ways; i++ {
		if i != 5 && b.Level(hashOf(0, i+1), later) == 0 {
			t.Errorf("source %d evicted, though a way was empty", i)
		}
	}
}

func TestRefusedIsNotStored(t *testing.T) {
	b := NewBuckets(1)
	if over := b.Take(1<<32, wall, time.Minute, time.Second); over != 59*time.Second-tick+1 {
		t.Errorf("over by %v, want 59s less a tick", over)
	}
	if got := b.Level(1<<32, wall); got != 0 {
		t.Errorf("level %v after a refusal, want 0", got)
	}
}

// TestWrap follows one source over the whole range of its 32 bits: without a
// sweep it is read right for more than SweepWithin, with one for ever.
func TestWrap(t *testing.T) {
	day := 24 * time.Hour
	for _, swept := range []bool{false, true} {
		b := NewBuckets(1)
		b.Charge(1<<32, wall, LevelMax, LevelMax)
		for after := day; after < 30*day; after += day / 48 {
			now := wall + int64(after)
			if swept && after%(9*day) == 0 {
				b.Sweep(now)
			}
			level := b.Level(1<<32, now)
			if level != 0 && (swept || after <= LevelMax+SweepWithin) {
				t.Fatalf("swept %v, %v after: level %v, want 0", swept, after, level)
			}
		}
	}
	// The hazard that sweeping is for: it is real, or this test tests nothing.
	b := NewBuckets(1)
	b.Charge(1<<32, wall, time.Second, LevelMax)
	if got := b.Level(1<<32, wall+wrapAt-int64(time.Hour)); got < 59*time.Minute {
		t.Errorf("an hour before the wrap: level %v, want the old TAT read as an hour", got)
	}
}

func TestSweepClearsOnlyTheStale(t *testing.T) {
	b := NewBuckets(1 << 10)
	at := func(d time.Duration) int64 { return wall + int64(d) }
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b.Take(r.Uint64(), at(0), time.Second, time.Minute)
	}
	fresh := r.Uint64()
	b.Charge(fresh, at(30*time.Hour), time.Minute, time.Hour)
	if n := b.Sweep(at(StaleAfter)); n != 0 {
		t.Errorf("swept %d before they were stale, want 0", n)
	}
	cleared, used := 0, 0
	for part := range 7 {
		cleared += b.SweepPart(at(30*time.Hour), part, 7)
	}
	for s := range b.sets {
		for i := range b.sets[s] {
			if b.sets[s][i].Load() != 0 {
				used++
			}
		}
	}
	if used != 1 || cleared < 295 || cleared > 300 {
		t.Errorf("in seven parts swept %d and left %d, want about 300 and 1", cleared, used)
	}
	if got := b.Level(fresh, at(30*time.Hour)); got != time.Minute {
		t.Errorf("the fresh one at %v, want 1m", got)
	}
}

// TestTakeConcurrently has many goroutines take of one bucket at one instant
// while others churn its set: exactly the burst must be taken.
func TestTakeConcurrently(t *testing.T) {
	const burst, callers = 1000, 8
	b := NewBuckets(1)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for g := range callers {
		wg.Go(func() {
			for i := range burst {
				if b.Take(hashOf(0, 7), wall, time.Second, burst*time.Second) == 0 {
					taken.Add(1)
				}
				// Others come and go with less on them, so they are evicted first.
				if i > 0 {
					b.Take(hashOf(0, uint32(100+g*burst+i)), wall, time.Millisecond, time.Second)
				}
				b.Level(hashOf(0, 7), wall)
			}
			b.Sweep(wall)
		})
	}
	wg.Wait()
	if n := taken.Load(); n != burst {
		t.Errorf("%d taken, want %d", n, burst)
	}
}

// TestBucketsHoldTheHeavy floods a table with far more light sources than it
// has entries and wants the few heavy ones held to their rate, and no source
// below its rate refused.
func TestBucketsHoldTheHeavy(t *testing.T) {
	const (
		every, burst = time.Second / 2, 10 * time.Second
		light        = 100_000
		heavy        = 50
		seconds      = 60
	)
	b := NewBuckets(8192)
	key := Key{1, 2}
	r := rand.New(rand.NewPCG(3, 4))
	var heavyTaken, lightRefused, lightSent int
	for second := range seconds {
		for step := range 1000 {
			now := wall + int64(second)*int64(time.Second) + int64(step)*int64(time.Millisecond)
			// Each heavy source 20/s; the light together 5 000/s, one each 20 s.
			if b.Take(key.Uint64(uint64(step%heavy)), now, every, burst) == 0 {
				heavyTaken++
			}
			for range 5 {
				lightSent++
				if b.Take(key.Uint64(heavy+r.Uint64N(light)), now, every, burst) != 0 {
					lightRefused++
				}
			}
		}
	}
	want := heavy * (20 + 2*seconds)
	if heavyTaken < want-heavy || heavyTaken > want*101/100 {
		t.Errorf("heavy sources took %d, exactly limited it were %d", heavyTaken, want)
	}
	if lightRefused > 0 {
		t.Errorf("%d of %d light requests refused, want none", lightRefused, lightSent)
	}
}

func TestSizes(t *testing.T) {
	for asked, want := range map[int]int{-1: 8, 0: 8, 8: 8, 9: 16, 1000: 1024, 1 << 16: 1 << 16} {
		if got := NewBuckets(asked).Bytes(); got != want*8 {
			t.Errorf("buckets of %d: %d bytes, want %d", asked, got, want*8)
		}
		if got := NewCells(asked).Bytes(); got != want*16 {
			t.Errorf("cells of %d: %d bytes, want %d", asked, got, want*16)
		}
	}
	for n := 8; n <= 1<<16; n *= 2 {
		if at := uintptr(unsafe.Pointer(&NewBuckets(n).sets[0])); at%64 != 0 {
			t.Errorf("a table of %d starts %d bytes into a cache line", n, at%64)
		}
	}
}

func TestBucketsAllocateNothing(t *testing.T) {
	b := NewBuckets(1 << 10)
	h := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		h += 0x9e3779b97f4a7c15
		b.Take(h, wall, time.Second, time.Minute)
		b.Charge(h, wall, time.Second, time.Minute)
		b.Level(h, wall)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

var sizes = []struct {
	name    string
	entries int
}{{"64k", 1 << 16}, {"1M", 1 << 20}, {"4M", 1 << 22}}

// filled returns a table in which every way has been used.
func filled(entries int) *Buckets {
	b := NewBuckets(entries)
	r := rand.New(rand.NewPCG(5, 6))
	for range 2 * entries {
		b.Take(r.Uint64(), wall, time.Second, time.Minute)
	}
	return b
}

// BenchmarkBucketsTake is a call by a source drawn from twice as many as there
// are entries, so that the set is not cached and often full.
func BenchmarkBucketsTake(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			table, now := filled(size.entries), wall
			r := rand.New(rand.NewPCG(7, 8))
			key := r.Uint64() | 1
			for b.Loop() {
				now += int64(time.Microsecond)
				h := (r.Uint64() & uint64(2*size.entries-1)) * key
				table.Take(h^h<<32, now, time.Second/3, 40*time.Second)
			}
		})
	}
}

func BenchmarkBucketsTakeHot(b *testing.B) {
	table := NewBuckets(1 << 16)
	b.RunParallel(func(p *testing.PB) {
		for at := wall; p.Next(); at += int64(time.Second) {
			table.Take(1<<32, at, time.Second, 40*time.Second)
		}
	})
}

func BenchmarkBucketsSweep(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			table := filled(size.entries)
			for b.Loop() {
				table.Sweep(wall)
			}
		})
	}
}

func TestForgive(t *testing.T) {
	b := NewBuckets(BucketsMin)
	const now = int64(time.Hour)
	b.Forgive(7, now, time.Second) // unknown: nothing to forgive
	if got := b.Level(7, now); got != 0 {
		t.Errorf("an unknown source: %v", got)
	}
	b.Charge(7, now, 10*time.Second, time.Minute)
	b.Forgive(7, now, 4*time.Second)
	if got := b.Level(7, now); got != 6*time.Second {
		t.Errorf("10 s less 4 s: %v", got)
	}
	b.Forgive(7, now, time.Minute)
	if got := b.Level(7, now); got != 0 {
		t.Errorf("less than nothing: %v", got)
	}
}

package sketch

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets keeps one rate limit for each of many sources in 8 bytes a source:
// the generic cell rate algorithm (GCRA; ITU-T I.371, the virtual scheduling
// form), which remembers only when a source's bucket will be empty again, its
// theoretical arrival time (TAT).
//
// An entry is tag32 ‖ TAT32, and eight entries are a set on one cache line of
// 64 bytes, so that a call costs one cache miss and one compare-and-swap. A TAT
// that has passed means an empty bucket, which is what an unknown source has
// too: nothing needs to expire. When all eight of a set are filled, a newcomer
// takes the place of the smallest TAT, the source that had the least left to be
// held to.
//
// Time is kept in ticks of 1/4096 s, and no limit finer than one charge a tick
// can be kept: a smaller cost is rounded up to a tick. Longer costs keep their
// fraction on average; an answer is within 4 ticks, 1 ms, of exact GCRA's. 32 bits of ticks wrap after 12.1 days, so [Buckets.Sweep]
// must pass over each entry within [SweepWithin].
//
// Two sources are taken for one when they share set and tag, about 8·2⁻³² per
// look-up of a full set. All methods are safe for concurrent use.
type Buckets struct {
	sets []bucketSet
	mask uint64
}

type bucketSet [ways]atomic.Uint64

// NewBuckets returns an empty table of that many entries, rounded up to a
// power of two between [BucketsMin] and [BucketsMax].
func NewBuckets(entries int) *Buckets {
	n := powerOfTwo(entries, BucketsMin, BucketsMax) / ways
	// A power of two of 64-byte elements without pointers is allocated at a
	// multiple of 64, so a set never straddles two cache lines.
	return &Buckets{sets: make([]bucketSet, n), mask: uint64(n - 1)}
}

// Take charges the source one unit that costs every, if its bucket then holds
// no more than burst, and returns 0. Otherwise it charges nothing and returns
// how far over that would be, which is how long to wait until it conforms. A
// burst below every therefore never conforms. now is in nanoseconds.
func (b *Buckets) Take(hash uint64, now int64, every, burst time.Duration) (over time.Duration) {
	set, tag := b.find(hash)
	at := ticksAt(now)
	// One tick of grace, for the fractions of a tick that charges carry.
	limit := at + min(ticksUp(burst), levelTicksMax) + 1
	for {
		way, old, tat := set.look(tag, at)
		tat = charge(tat, every)
		if tat > limit {
			return duration(tat - limit)
		}
		if set[way].CompareAndSwap(old, entry(tag, tat)) {
			return 0
		}
	}
}

// Charge adds cost to the source's bucket, also when that leaves it over, but
// raises it to at most limit (and never above [LevelMax]). A bucket already
// higher stays as it is. It returns the level after the charge.
func (b *Buckets) Charge(hash uint64, now int64, cost, limit time.Duration) time.Duration {
	set, tag := b.find(hash)
	at := ticksAt(now)
	top := at + min(ticksUp(limit), levelTicksMax)
	for {
		way, old, tat := set.look(tag, at)
		if cost <= 0 || tat >= top {
			return duration(tat - at)
		}
		tat = min(charge(tat, cost), top)
		if set[way].CompareAndSwap(old, entry(tag, tat)) {
			return duration(tat - at)
		}
	}
}

// Forgive takes cost from the source's bucket again, which is then no emptier
// than empty.
func (b *Buckets) Forgive(hash uint64, now int64, cost time.Duration) {
	set, tag := b.find(hash)
	at, less := ticksAt(now), ticksUp(cost)
	for {
		way, old, tat := set.look(tag, at)
		if uint32(old>>32) != tag || tat <= at || less == 0 || set[way].CompareAndSwap(old, entry(tag, max(tat-less, at))) {
			return
		}
	}
}

// Level returns how full the source's bucket is, as the time until it is
// empty; 0 when it is empty or unknown.
func (b *Buckets) Level(hash uint64, now int64) time.Duration {
	set, tag := b.find(hash)
	at := ticksAt(now)
	_, _, tat := set.look(tag, at)
	return duration(tat - at)
}

// Sweep clears every entry that has been empty for [StaleAfter] and returns how
// many. It reads the whole table (32 MiB for 4 Mi entries) without a lock.
func (b *Buckets) Sweep(now int64) (cleared int) { return b.SweepPart(now, 0, 1) }

// SweepPart does part (0 ≤ part < parts) of what [Buckets.Sweep] does, so that
// a caller with a clock to keep can spread a sweep over many ticks.
func (b *Buckets) SweepPart(now int64, part, parts int) (cleared int) {
	at := ticksAt(now)
	n := len(b.sets)
	for s := n * part / parts; s < n*(part+1)/parts; s++ {
		set := &b.sets[s]
		for i := range set {
			w := set[i].Load()
			if w != 0 && stale(w, at) && set[i].CompareAndSwap(w, 0) {
				cleared++
			}
		}
	}
	return cleared
}

// Bytes returns how much memory the table takes.
func (b *Buckets) Bytes() int { return len(b.sets) * ways * 8 }

func (b *Buckets) find(hash uint64) (*bucketSet, uint32) {
	return &b.sets[hash&b.mask], tagOf(hash)
}

// look returns the way that holds tag, or else the way to take for it, with the
// word there and the source's TAT, at the earliest now. The choice depends only
// on what is read, so two newcomers mostly meet at the same way, where one of
// them fails to swap and looks again. When they do not meet, one source has two
// entries: the first of them counts and the other runs empty by itself.
func (s *bucketSet) look(tag uint32, at int64) (way int, old uint64, tat int64) {
	least := int64(1) << 62
	for i := range s {
		w := s[i].Load()
		if uint32(w>>32) == tag {
			return i, w, at + ahead(w, at)
		}
		if left := ahead(w, at); left < least {
			way, old, least = i, w, left
		}
	}
	return way, old, at
}

const (
	ticksPerSecond = 4096
	levelTicksMax  = int64(LevelMax/time.Second) * ticksPerSecond
	staleTicks     = int64(StaleAfter/time.Second) * ticksPerSecond
	// aheadMax is the furthest a TAT is believed to be ahead: a level on top of
	// LevelMax is left for a clock that callers read out of order.
	aheadMax = 2 * levelTicksMax
	// fraction is how finely a cost is told: 2⁻¹⁶ of a tick, 4 ns.
	fraction = 16
)

// entry packs a tag and a TAT, of which the low 32 bits of its ticks are kept.
func entry(tag uint32, tat int64) uint64 { return uint64(tag)<<32 | uint64(uint32(tat)) }

// ahead returns by how many ticks the TAT kept in w is ahead of now, 0 when it
// has passed or w is unused. What would be further ahead than any level can be
// is a TAT that passed so long ago that its 32 bits came round.
func ahead(w uint64, at int64) int64 {
	d := int64(int32(uint32(w) - uint32(at)))
	if w == 0 || d <= 0 || d > aheadMax {
		return 0
	}
	return d
}

// stale says whether the TAT in w passed at least staleTicks ago.
func stale(w uint64, at int64) bool {
	d := int64(int32(uint32(w) - uint32(at)))
	return d < -staleTicks || d > aheadMax
}

// charge returns tat moved on by cost, in whole ticks and at least one. Where
// cost is not whole, the steps are those between the rounded multiples of it
// (a Beatty sequence, its place read from tat itself): on average they are
// exact, and the same call gives the same answer.
func charge(tat int64, cost time.Duration) int64 {
	c := min(max(fine(cost), 1<<fraction), uint64(levelTicksMax)<<fraction)
	if c&(1<<fraction-1) == 0 {
		return tat + int64(c>>fraction)
	}
	k := uint64(tat) << fraction / c
	return tat + int64(up((k+1)*c)-up(k*c))
}

func up(f uint64) uint64 { return (f + 1<<fraction - 1) >> fraction }

// fine returns d in fractions of a tick, to the nearest; 0 when negative.
func fine(d time.Duration) uint64 {
	const perSecond = ticksPerSecond << fraction
	s, ns := uint64(max(d, 0)/time.Second), uint64(max(d, 0)%time.Second)
	return s*perSecond + (ns*perSecond+uint64(time.Second)/2)/uint64(time.Second)
}

// ticksUp returns d in ticks, rounded up; 0 when negative.
func ticksUp(d time.Duration) int64 { return int64(up(fine(d))) }

// ticksAt returns a time in ticks, rounded down.
func ticksAt(now int64) int64 {
	t := uint64(max(now, 0))
	const s = uint64(time.Second)
	return int64(t/s*ticksPerSecond + t%s*ticksPerSecond/s)
}

// duration returns ticks as time, rounded up so that waiting that long suffices.
func duration(ticks int64) time.Duration {
	// 1/4096 s is 1953125/8 ns.
	return time.Duration((ticks*1953125 + 7) / 8)
}

// tagOf returns the tag of a hash: its high half, which the index does not use.
// Tag 0 stands for an unused entry, so it is told as 1.
func tagOf(hash uint64) uint32 { return max(uint32(hash>>32), 1) }

// powerOfTwo returns the smallest power of two that is at least n, between lo
// and hi, which are such powers.
func powerOfTwo(n, lo, hi int) int {
	n = min(max(n, lo), hi)
	return 1 << bits.Len(uint(n-1))
}

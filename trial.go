package deich

import "time"

// A trial tells an origin that is slow by itself from a crowded one: for a
// moment a quarter as many are let in, or twice as many where few are already, and
// what those find is held against what was found before. In a crowded origin it
// changes in proportion; in one that waits for something else it does not, and
// letting in fewer only wastes what it can do. A regression of slowdown on the limit
// would cost nothing, but takes a crowd that comes while the limit shrinks for
// proof of the contrary.
type trial struct {
	on     bool
	up     bool    // twice as many are let in
	limit  float64 // before it
	before float64 // median slowdown before it
	until  Time    // it is given up
	next   Time    // not before
	late   int     // steps in a row that were much too slow
	found  slowdowns
}

const (
	trialPart    = .25 // of the limit
	trialLeast   = 4   // the smallest limit of a trial: where a quarter would be less, it is doubled
	trialTwice   = 2
	trialSlow    = 2  // times the target: worth a trial
	trialLate    = 2  // steps in a row
	trialLateUp  = 10 // the same before twice as many are let in: what was found when more were is over by then
	trialSamples = 10
	trialUpMore  = 2 // times as many where the difference to be seen is a half and not three quarters
	trialLongest = 3 * time.Second
	trialEvery   = 10 * time.Second
	trialAgain   = 3 * time.Second // where the limit was halved, and that should have helped
	trialMore    = 2               // times the limit at most, where the origin is slow by itself
	trialAlone   = .6              // so much of the slowdown is left: the origin is slow by itself
	trialAloneUp = 1.4             // the same where twice as many were let in
	easeRoom     = 1.3             // more than it was seen to need, so that the limit can grow
	easeKeeps    = .998            // of what an origin slow by itself is granted, from step to step
	easeOver     = .5              // of what it is granted: an origin that is so much quicker is not slow any more
	easeQuick    = 4               // steps in a row
	easeFalls    = .2              // of what is too much, from step to step
)

// consider begins a trial where the last steps were much too slow. The limit
// never exceeds most.
func (t *trial) consider(o *origin, at Time, most float64) {
	if o.slow <= trialSlow*slowTarget*o.ease {
		t.late = 0
		return
	}
	up := o.limit*trialPart < trialLeast
	if t.late++; t.late < trialLate || up && (t.late < trialLateUp || !o.ownFault.Load()) || at < t.next {
		return
	}
	*t = trial{on: true, up: up, limit: o.limit, before: o.slow, until: at.Add(trialLongest)}
	if up {
		o.limit = min(o.limit*trialTwice, most)
	} else {
		o.limit *= trialPart
	}
}

// conclude ends a trial that has seen enough, or waited long enough.
func (t *trial) conclude(o *origin, at Time, most float64) {
	enough := trialSamples
	if t.up {
		enough *= trialUpMore
	}
	if t.found.n < enough && at < t.until {
		return
	}
	learned, alone, m := t.found.n >= votersMin, false, 0.
	if learned {
		m = t.found.median()
		alone = !t.up && m > trialAlone*t.before || t.up && m < trialAloneUp*t.before
	}
	next := at.Add(trialEvery)
	switch {
	case alone:
		// As many as come in the time an answer takes, if that is what it needs.
		need := o.demand / costOne * ticksSecond * o.meanWait
		o.limit = max(t.limit, min(need, trialMore*t.limit, most))
		if o.ownFault.Load() {
			// Not due to the limit either. Of a crowd that grows it would be.
			m = max(m, t.before)
		}
		o.ease = max(o.ease, easeRoom*m/slowTarget)
	case learned && !t.up:
		o.limit = max(t.limit/2, limitMin)
		next = at.Add(trialAgain)
	default:
		o.limit = t.limit
	}
	*t = trial{next: next}
}

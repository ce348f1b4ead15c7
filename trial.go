package deich

import (
	"math"
	"time"
)

// A trial tells an origin that is slow by itself from a crowded one: for a
// moment a quarter as many are let in, and what those find is held against what
// was found before. A crowded origin is quicker for them in proportion; one
// that waits for something else is not, and letting in fewer only wastes what
// it can do. A regression of slowdown on the limit would cost nothing, but takes
// a crowd that comes while the limit shrinks for proof of the contrary.
type trial struct {
	on     bool
	limit  float64 // before it
	before float64 // median slowdown before it
	until  Time    // it is given up
	next   Time    // not before
	eased  float64 // the limit that the last one left; 0: it told nothing
	alone  float64 // so slow with fewer still, and the origin is slow by itself
	late   int     // steps in a row that were much too slow
	found  slowdowns
}

const (
	trialPart    = .25 // of the limit
	trialLeast   = 4   // the smallest limit of a trial: below it nothing is told
	trialSlow    = 2   // times the target: worth a trial
	trialLate    = 2   // steps in a row
	trialSamples = 8
	trialLongest = 3 * time.Second
	trialEvery   = 10 * time.Second
	trialMore    = 2    // times the limit at most, where the origin is slow by itself
	trialSame    = .8   // of the slowdown before it: no better
	trialHelps   = .7   // of the limit that a trial left: so much less should help
	trialAlone   = .6   // so much of the slowdown is left: the origin is slow by itself
	easeRoom     = 1.3  // more than it was seen to need, so that the limit can grow
	easeKeeps    = .998 // of what an origin slow by itself is granted, from step to step
)

// consider begins a trial where the last steps were much too slow.
func (t *trial) consider(o *origin, at Time) {
	if o.slow <= trialSlow*slowTarget*o.ease {
		t.late = 0
		return
	}
	if t.late++; t.late < trialLate || at < t.next || o.limit < trialLeast/trialPart {
		return
	}
	*t = trial{on: true, eased: t.eased, alone: t.alone, limit: o.limit, before: o.slow, until: at.Add(trialLongest)}
	o.limit *= trialPart
}

// conclude ends a trial that has seen enough, or waited long enough.
func (t *trial) conclude(o *origin, at Time) {
	if t.found.n < trialSamples && at < t.until {
		return
	}
	o.limit = max(t.limit/2, limitMin)
	after := trial{next: at.Add(trialEvery), eased: o.limit, alone: trialSame * t.before}
	if t.found.n < votersMin {
		o.limit = t.limit // nothing was learned
		after.eased = 0
	} else if m := t.found.median(); m > trialAlone*t.before {
		// As many as come in the time an answer takes, if that is what it needs.
		need := o.demand / costOne * ticksSecond * o.meanWait
		o.limit = max(t.limit, min(need, trialMore*t.limit))
		o.ease = math.Max(o.ease, easeRoom*m/slowTarget)
		after.eased, after.alone = o.limit, m
	}
	*t = after
}

// goesOn is a trial by itself, as the limit shrinks after one: if so many fewer
// find nothing better, that is how slow the origin is, and the limit goes back. What it found holds until anybody finds better; and
// only while no more is asked than usual, since a crowd that grew during the trial
// may have misled it.
func (t *trial) goesOn(o *origin) {
	switch {
	case t.eased == 0:
	case o.slow < trialAlone*t.alone:
		t.eased = 0
	case o.full && o.ownFault.Load() && o.limit < trialHelps*t.eased && o.slow >= t.alone:
		o.limit = t.eased
		o.ease = math.Max(o.ease, easeRoom*o.slow/slowTarget)
	}
}

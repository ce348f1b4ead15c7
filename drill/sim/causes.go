package sim

import (
	"slices"

	"github.com/deichproject/deich"
)

// causes holds what the engine said against the scenario's truth, in the flood
// phase.
type causes struct {
	first       int64 // when it was right first; 0: never
	right, then int   // ticks at which it was, of those since
	wrong       deich.Judgement
	ticks       map[deich.Cause]int // at which it was wrong, by what it said
}

// cause is what the engine says is the reason for what is going on. Everything
// that asks goes through here.
func (r *run) cause() deich.Judgement { return r.engine.Cause(0) }

// askCause compares, at every tick of the flood phase.
func (r *run) askCause() {
	x := &r.causes
	if len(r.scenario.Truth) == 0 || r.now < r.flood+int64(r.firstBad()) || r.now >= r.floodEnd {
		return
	}
	said := r.cause()
	right := slices.Contains(r.scenario.Truth, said.Cause)
	switch {
	case right && x.first == 0:
		x.first = r.now
	case !right:
		if x.ticks == nil {
			x.ticks = make(map[deich.Cause]int)
		}
		x.ticks[said.Cause]++
		if said.Cause != deich.NoCause {
			x.wrong = said
		}
	}
	if x.first != 0 {
		x.then++
		if right {
			x.right++
		}
	}
}

// mostly is what it said most often where it was wrong.
func (x *causes) mostly() (c deich.Cause) {
	for other := range x.ticks {
		if x.ticks[other] > x.ticks[c] || x.ticks[other] == x.ticks[c] && other < c {
			c = other
		}
	}
	return c
}

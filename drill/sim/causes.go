package sim

import (
	"slices"

	"github.com/deichproject/deich"
)

// causes holds what the engine said against the scenario's truth, in the flood
// phase.
type causes struct {
	suffers     int64   // when there was first something to explain; 0: not yet
	work        float64 // what the origin was given to do, over a second, in seconds of one of its Cores a second
	given       float64 // since the last tick
	first       int64   // when it was right first; 0: never
	right, then int     // ticks at which it was, of those since
	said        []deich.Cause
	sure        float64 // the sum of confidence where it was right
	wrong       deich.Judgement
	ticks       map[deich.Cause]int // at which it was wrong, by what it said
}

// cause is what the engine says is the reason for what is going on. Everything
// that asks goes through here.
func (r *run) cause() deich.Judgement { return r.engine.Cause(0) }

const busy = .9 // of what the origin can do: then more is too much

// due says whether there is something to explain yet: an attack that does not
// creep in, an origin that is not well, or as much to do as it can. Who comes
// step by step does no harm before, and nothing is the right word for that.
func (r *run) due() bool {
	x := &r.causes
	x.work += deich.TickEvery.Seconds() * (x.given/deich.TickEvery.Seconds() - x.work)
	x.given = 0
	if r.now < r.flood+int64(r.firstBad()) {
		return false
	}
	o := &r.scenario.Origin
	well := o.Slow == 0 && o.Errors == 0 && !o.Down
	creeps := true
	for i := range r.scenario.Attacks {
		creeps = creeps && r.scenario.Attacks[i].Ramp > 0
	}
	if x.suffers == 0 && (!well || len(r.scenario.Attacks) > 0 && !creeps || slices.Contains(r.scenario.Truth, deich.NoCause) ||
		x.work >= busy*float64(o.Cores) || r.cause().Cause != deich.NoCause) {
		x.suffers = r.now
	}
	return x.suffers != 0
}

// askCause compares, at every tick of the flood phase.
func (r *run) askCause() {
	x := &r.causes
	if due := r.due(); !due || len(r.scenario.Truth) == 0 || r.now >= r.floodEnd {
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
	if said.Cause != deich.NoCause && !slices.Contains(x.said, said.Cause) {
		x.said = append(x.said, said.Cause)
	}
	if x.first != 0 {
		x.then++
		if right {
			x.right++
			x.sure += said.Confidence
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

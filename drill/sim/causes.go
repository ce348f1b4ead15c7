package sim

import (
	"slices"

	"github.com/deichproject/deich"
)

// causes holds what the engine said against the scenario's truth.
type causes struct {
	said  deich.Cause
	right bool
	since int64 // since when it has been right
}

// cause is what the engine says is the reason for what is going on. Everything
// that asks goes through here.
func (r *run) cause() deich.Cause { return r.engine.Cause(0).Cause }

// askCause compares, at every tick of the flood phase.
func (r *run) askCause() {
	x := &r.causes
	if len(r.scenario.Truth) == 0 || r.now < r.flood || r.now >= r.floodEnd {
		return
	}
	x.said = r.cause()
	right := slices.Contains(r.scenario.Truth, x.said)
	if right && !x.right {
		x.since = r.now
	}
	x.right = right
}

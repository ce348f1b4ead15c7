package sim

// Causes that a judge who saw everything would tell; the engine's own words.
const (
	causeFlood  = "flood"
	causeCrowd  = "crowd"
	causeFault  = "origin_fault"
	causeRetry  = "retry_storm"
	causeMixed  = "mixed"
	causeNobody = "none"
)

// causes holds what the engine said against the scenario's truth.
type causes struct {
	said  string
	right bool
	since int64 // since when it has been right
}

// cause is what the engine says is the reason for what is going on; empty
// where it says nothing. Everything that asks goes through here.
func (r *run) cause() string { return "" }

// askCause compares, at every tick of the flood phase.
func (r *run) askCause() {
	x := &r.causes
	if r.scenario.Truth == "" || r.now < r.flood || r.now >= r.floodEnd {
		return
	}
	x.said = r.cause()
	right := x.said == r.scenario.Truth
	if right && !x.right {
		x.since = r.now
	}
	x.right = right
}

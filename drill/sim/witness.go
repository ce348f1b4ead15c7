package sim

import (
	"time"

	"github.com/deichproject/deich"
)

// Witness sees what whoever carries the engine would see, and besides what
// nobody but the simulation knows: who is a user, and what users missed. What it
// does changes nothing. What is pointed at holds during the call alone.
type Witness interface {
	// Refused is a request that was turned away by a verdict; foe says that an
	// attack sent it.
	Refused(at deich.Time, r *deich.Request, v deich.Verdict, foe bool)
	// Ended is a request that was let in. ok says that the origin answered it,
	// below 500, before its client left.
	Ended(at deich.Time, r *deich.Request, v deich.Verdict, foe, ok bool, took time.Duration)
	// Gated is one that was refused at accept, under an order.
	Gated(at deich.Time, foe bool)
	// Missed is a user's request that brought nothing within five seconds of
	// being sent, for whatever reason.
	Missed(at deich.Time, user uint32, r *deich.Request)
	// Events are the engine's.
	Events([]deich.Event)
	// Second comes once a second.
	Second(at deich.Time, e *deich.Engine)
}

// RunSeen is Run with a witness, for scenarios in which the engine is in control.
func RunSeen(s Scenario, seed uint64, w Witness) (Report, error) { return rehearsed(s, seed, w) }

func (f *flight) foe() bool { return f.kind < 0 }

func (r *run) sawRefused(f *flight) {
	if r.witness != nil {
		r.witness.Refused(deich.Time(r.now), &f.req, f.v, f.foe())
	}
}

func (r *run) sawEnded(f *flight, ok bool) {
	if r.witness != nil {
		r.witness.Ended(deich.Time(r.now), &f.req, f.v, f.foe(), ok, time.Duration(deich.Time(r.now)-f.req.At))
	}
}

func (r *run) sawGated(f *flight) {
	if r.witness != nil {
		r.witness.Gated(deich.Time(r.now), f.foe())
	}
}

func (r *run) sawMissed(f *flight) {
	if r.witness != nil && !f.foe() {
		r.witness.Missed(deich.Time(r.now), f.who, &f.req)
	}
}

// sawTick tells the witness of each second.
func (r *run) sawTick() {
	if r.witness != nil && (r.now-r.begins)%int64(time.Second) < int64(deich.TickEvery) {
		r.witness.Second(deich.Time(r.now), r.engine)
	}
}

package sim

import (
	"fmt"

	"github.com/deichproject/deich"
)

type stage uint8

const (
	stageFree    stage = iota
	stageUnder         // under way to the shield
	stageParked        // waits in a queue before the origin
	stagePlaced        // at the origin
	stageReturns       // answered, under way to the client
)

// flight is one request under way.
type flight struct {
	gen    uint32
	stage  stage
	gone   bool // its client has left; the origin works on
	asset  bool
	lapse  bool  // the group's request failed with it; nothing is retried
	kind   int16 // index of the group, or -1-index of the attack
	status int16 // what the origin will say
	who    uint32
	next   uint32 // in the free list
	demand float32
	began  int64
	parked int64
	placed int64
	fresh  deich.Pass // minted with the answer
	ticket deich.Ticket
	req    deich.Request
	v      deich.Verdict
}

const noFlight = ^uint32(0)

func (f *flight) attack() (int, bool) { return int(-1 - f.kind), f.kind < 0 }

// launch gives a flight; its index holds until land.
func (r *run) launch() uint32 {
	fi := r.free
	if fi == noFlight {
		if len(r.flights) >= FlightsMax {
			r.fail(fmt.Errorf("sim: %d requests under way at once: the scenario is too large", FlightsMax))
			fi = 0
		} else {
			r.flights = append(r.flights, flight{gen: 1})
			fi = uint32(len(r.flights) - 1)
		}
	} else {
		r.free = r.flights[fi].next
	}
	f := &r.flights[fi]
	*f = flight{gen: f.gen, stage: stageUnder}
	return fi
}

func (r *run) land(fi uint32) {
	f := &r.flights[fi]
	f.gen++
	f.stage = stageFree
	f.next, r.free = r.free, fi
}

package sim

import (
	"fmt"
	"time"

	"github.com/deichproject/deich"
)

// judge is what guard does with a request whose headers are there.
func (r *run) judge(fi uint32) {
	f := &r.flights[fi]
	switch r.scenario.Control {
	case None:
		r.place(fi)
		return
	case Semaphore:
		r.enterLine(fi)
		return
	}
	f.req.At, f.req.Deadline = deich.Time(r.now), deich.Time(f.began).Add(inTime)
	f.v = r.engine.Decide(&f.req)
	r.note(f, f.v.Act, f.v.Reason, 0)
	if f.v.Refused() {
		r.sawRefused(f)
		r.turnedAway(fi)
		return
	}
	r.enter(fi)
}

// enter asks for a place at the origin.
func (r *run) enter(fi uint32) {
	f := &r.flights[fi]
	t, state, why := r.engine.Enter(deich.Time(r.now), &f.req, f.v, r.out)
	if state == deich.TurnedAway {
		r.handle()
		f.v = r.engine.Turn(&f.req, f.v, why)
		r.note(f, f.v.Act, why, 1)
		r.sawRefused(f)
		r.turnedAway(fi)
		return
	}
	r.fail(r.places.take(t, fi, state == deich.Admitted))
	f.ticket = t
	r.patience(fi)
	if state == deich.Admitted {
		r.place(fi)
	} else {
		f.stage, f.parked = stageParked, r.now
		r.stats.queued(r.places.parked)
	}
	r.handle()
}

// patience has the client give up when it has waited too long.
func (r *run) patience(fi uint32) {
	f := &r.flights[fi]
	r.events.push(f.began+int64(inTime), evGiveUp, fi, f.gen)
}

// handle carries out what a call of the engine brought.
func (r *run) handle() {
	for i := range r.out.Wakes {
		r.wake(r.out.Wakes[i])
	}
	for _, o := range r.out.Orders {
		r.fail(r.refused.take(o))
		r.ordered(o)
	}
	if r.witness != nil {
		r.witness.Events(r.out.Events)
	}
	for _, ev := range r.out.Events {
		r.stats.event(ev)
		r.ruleEvent(ev)
	}
	r.out.Reset()
	r.fail(r.places.agree(r.engine.Pulse(0), !r.scenario.Policy.Observe))
}

func (r *run) wake(w deich.Wake) {
	fi, err := r.places.woken(w)
	if err != nil {
		r.fail(err)
		return
	}
	f := &r.flights[fi]
	if waited := time.Duration(r.now - f.parked); waited > deich.QueueWaitMax+deich.TickEvery {
		r.fail(fmt.Errorf("sim: a request was queued for %v", waited))
	}
	if w.State == deich.Admitted {
		r.place(fi)
		return
	}
	f.ticket = 0
	f.req.At = deich.Time(r.now)
	f.v = r.engine.Turn(&f.req, f.v, w.Reason)
	r.note(f, f.v.Act, w.Reason, 2)
	r.sawRefused(f)
	r.turnedAway(fi)
}

// place sends a request to the origin.
func (r *run) place(fi uint32) {
	f := &r.flights[fi]
	f.stage, f.placed = stagePlaced, r.now
	f.demand = float32(r.origin.demand(f.req.Route))
	if r.scenario.Control == None {
		r.patience(fi)
	}
	if !r.begin(fi) {
		f.lapse = true
		r.events.push(r.now+int64(acceptFor), evJob, fi, f.gen)
	}
}

// answered is the origin's end of a request: an answer, or none.
func (r *run) answered(fi uint32, failed bool) {
	f := &r.flights[fi]
	status := int(f.status)
	switch {
	case failed:
		status = 502
	case r.origin.errors > 0 && r.origin.rand.Float64() < r.origin.errors:
		status = 500
	}
	took := time.Duration(r.now - f.placed)
	r.stats.answered(r.phase(), f, took, failed)
	if f.gone {
		r.land(fi) // the place was given back when the client left
		return
	}
	r.note(f, f.v.Act, f.v.Reason, uint64(status))
	r.sawEnded(f, status < 500)
	r.leave(fi, deich.Outcome{Status: status, Wait: took, Failed: failed, Credential: f.req.Credential != 0})
	f.stage = stageReturns
	if status >= 500 {
		f.lapse = true
	} else {
		r.mint(f)
	}
	r.reply(fi)
}

// mint gives a client without a pass one with the page it is served.
func (r *run) mint(f *flight) {
	if r.engine == nil || f.req.Kind != deich.Page || !f.req.Safe || f.status >= 400 || f.req.Pass.ID != 0 {
		return
	}
	how := deich.Served
	if f.v.Reason == deich.Called {
		how = deich.Waited
	}
	f.fresh = r.pass(f.req.Client, how)
}

// leave gives the place back.
func (r *run) leave(fi uint32, out deich.Outcome) {
	f := &r.flights[fi]
	switch r.scenario.Control {
	case None:
	case Semaphore:
		r.leaveLine()
	default:
		t := f.ticket
		f.ticket = 0
		r.fail(r.places.end(t, true))
		r.engine.Done(deich.Time(r.now), t, out, r.out)
		r.handle()
	}
}

// giveUp is a client that waits no longer: the connection is closed, the place
// given back, and the origin, being naive, works on.
func (r *run) giveUp(fi uint32) {
	f := &r.flights[fi]
	switch f.stage {
	case stageParked:
		if r.scenario.Control == Deich {
			if !r.engine.Cancel(deich.Time(r.now), f.ticket, r.out) {
				r.fail(fmt.Errorf("sim: ticket %#x: still parked, yet cannot be cancelled", uint64(f.ticket)))
			}
			r.fail(r.places.end(f.ticket, false))
			r.handle()
		}
		r.note(f, f.v.Act, f.v.Reason, 4)
		r.abandoned(fi)
		if r.scenario.Control == Semaphore {
			f.gone = true // still in line; it lands when its turn comes
			return
		}
		r.land(fi)
	case stagePlaced:
		r.note(f, f.v.Act, f.v.Reason, 5)
		r.sawEnded(f, false)
		r.abandoned(fi)
		f.gone = true
		r.leave(fi, deich.Outcome{Wait: time.Duration(r.now - f.placed), Aborted: true})
	case stageReturns:
		r.abandoned(fi)
		r.land(fi)
	}
}

// tick is what guard does every deich.TickEvery.
func (r *run) tick() {
	if c := r.refused.counts(); len(c) > 0 {
		r.engine.Seen(deich.Time(r.now), c)
	}
	r.engine.Tick(deich.Time(r.now), r.out)
	r.synthesise(r.out.Job)
	r.handle()
	r.askCause()
	r.calmTick()
	r.stats.pulse(r.now, r.engine.Pulse(0))
	r.sawTick()
	if r.now < r.end || r.places.placed+r.places.parked > 0 || r.open > 0 {
		r.events.push(r.now+int64(deich.TickEvery), evTick, 0, 0)
	}
}

// The semaphore: so many at the origin, as many in line, nobody ranked.
func (r *run) enterLine(fi uint32) {
	room := 8 * r.scenario.Origin.Cores
	r.patience(fi)
	if r.inside < room {
		r.inside++
		r.place(fi)
		return
	}
	if r.line.n < room {
		r.flights[fi].stage, r.flights[fi].parked = stageParked, r.now
		r.line.push(fi)
		return
	}
	f := &r.flights[fi]
	f.v = deich.Verdict{Act: deich.Deny, Reason: deich.QueueFull, RetryAfter: 2 * time.Second}
	r.note(f, f.v.Act, f.v.Reason, 0)
	r.turnedAway(fi)
}

func (r *run) leaveLine() {
	r.inside--
	for {
		fi, ok := r.line.pop()
		if !ok {
			return
		}
		if r.flights[fi].gone {
			r.land(fi)
			continue
		}
		r.inside++
		r.place(fi)
		return
	}
}

package deich

import (
	"sync/atomic"
	"time"
)

// weigh looks at what came since the last tick and draws the consequences:
// whether there is pressure, where the cut line stands, how many newcomers are
// let through by lot, and whom the waiting room calls. dt is in ticks.
func (e *Engine) weigh(i int, at Time, dt float64, out *Out) {
	o := &e.origins[i]
	asked := float64(o.asked.Swap(0)) / dt
	o.demand += min(1, .5*dt) * (asked - o.demand)
	o.pressed(at)
	o.becomePatient()
	pressure := o.pressure.Load()
	if !pressure && o.since.Load() == 0 {
		o.usual += min(1, dt/(300*ticksSecond)) * (asked - o.usual)
		if at.Sub(o.began) < 5*time.Minute {
			// Young: the mean so far is a better guess than a slow average.
			o.usual += dt / max(float64(at.Sub(o.began)/TickEvery), 1) * (asked - o.usual)
		}
	}
	o.prolong(at, dt)
	o.drawCut(dt)
	o.drawLots(dt)
	o.call(at, dt)
	if was := o.told; was != pressure {
		o.told = pressure
		ev := Event{At: at, Kind: PressureEnded, Origin: uint16(i)}
		if pressure {
			ev.Kind, ev.Value = PressureBegan, o.demand/max(o.capacity, 1)
		}
		out.event(ev)
	}
	o.health(at, uint16(i), out)
	o.lowWater, o.turned = o.slab.queued+o.above(), 0
}

// pressed decides whether demand exceeds capacity now.
func (o *origin) pressed(at Time) {
	if o.lowWater > 0 {
		o.busy++
	} else {
		o.busy = 0
	}
	if !o.pressure.Load() {
		if o.turned > 0 || o.busy >= 2 {
			o.press(at)
		} else if s := o.since.Load(); s != 0 && at.Sub(o.quiet) > episodeQuiet {
			o.since.Store(0)
		}
		return
	}
	o.blame()
	if o.saturated && o.lowWater == 0 && o.load < roomBelow {
		// Not saturated now: the origin may be able to do more than it was last
		// seen to do. Raise the guess until pressure ends or the next saturation
		// measures it again; what that probing lets in, the queue ranks.
		if o.ownFault.Load() {
			o.capacity *= 1 + guessOwn
		} else {
			o.capacity *= 1 + guessMore/float64(int(1)<<o.doubts)
		}
	}
	if o.lowWater == 0 && o.turned == 0 && o.demand < .9*o.capacity {
		o.calm++
	} else {
		o.calm = 0
	}
	if o.calm >= 5 {
		o.pressure.Store(false)
		o.ownFault.Store(false)
		o.quiet, o.calm = at, 0
	}
}

// blame says whether there is pressure without more demand than usual.
func (o *origin) blame() {
	if o.usual > 0 {
		o.ownFault.Store(o.demand < 1.5*o.usual)
	}
}

// prolong keeps an episode from ending: while rules hold a flood back from this
// origin it is not peace, although it feels nothing.
func (o *origin) prolong(at Time, dt float64) {
	met := uint64(0)
	for k := range o.segments {
		met += o.segments[k].signs.met.Load()
	}
	o.metRate += min(1, .2*dt) * (float64(met-o.metBefore)/dt*ticksSecond - o.metRate)
	o.metBefore = met
	if o.metRate >= max(ruleIdle*o.goodput, .5) {
		o.quiet = at
	}
}

// becomePatient decides how the queue is served. People of a crowd wait two
// seconds rather than be turned away, first come first served within their
// rank: who is turned away comes again. So do those who come as ever, where the
// platform is slow by itself for a moment: where it goes on to do less than is
// asked, waiting longer would serve nobody more. In a flood the queue holds what
// will never be served, so who is newest is served, and who is late is told.
func (o *origin) becomePatient() {
	was, cause, own := o.patient, Cause(o.cause.Load()), o.ownFault.Load()
	people := cause == CauseCrowd && !own || own && cause != CauseFlood && cause != CauseMixed && o.pace >= standsPart*o.demand
	o.patient = people && o.pressure.Load() && !o.down.Load()
	if was && !o.patient {
		o.slab.hurry(queueWait)
	}
}

// mayWait is how many may stand in the queue while the waiting room goes on
// calling: in a crowd as many as are answered in a quarter of its patience.
func (o *origin) mayWait() int {
	if !o.patient {
		return 0
	}
	return int(o.goodput * QueueWaitMax.Seconds() / 4)
}

func (o *origin) patience() time.Duration {
	if o.patient {
		return QueueWaitMax
	}
	return queueWait
}

// press begins pressure; the episode's beginning stays what it was. Pressure
// that ended only because the guess of what the origin can do had grown, and
// returns at once, proves the guess wrong: the next is made more slowly.
func (o *origin) press(at Time) {
	if !o.pressure.Load() {
		if o.quiet != 0 && at.Sub(o.quiet) < guessHeld {
			o.doubts = min(o.doubts+1, doubtsMax)
		} else {
			o.doubts = 0
		}
		if o.measured > 0 {
			o.capacity = o.measured
		}
	}
	o.pressure.Store(true)
	o.blame()
	o.calm = 0
	o.since.CompareAndSwap(0, int64(at))
}

// drawCut finds the highest rank at which twice as much arrives as can be
// served: what stands below would only be displaced from the queue.
func (o *origin) drawCut(dt float64) {
	total := 0.
	for r := range o.arrived {
		o.ranks[r] += min(1, .5*dt) * (float64(o.arrived[r].Swap(0))/dt - o.ranks[r])
		total += o.ranks[r]
	}
	cut := 0
	if o.pressure.Load() && total > 1.2*o.capacity {
		enough := 2 * max(o.capacity, o.limit*costOne)
		sum := 0.
		for r := RanksMax - 1; r > 0; r-- {
			if sum += o.ranks[r]; sum >= enough {
				cut = r
				break
			}
		}
	}
	o.cut.Store(uint32(cut))
	o.proven = total
}

// drawLots fills the lottery for strangers: a small part of capacity for those
// who could prove themselves instead, half of what is left for those who could
// not. Unused lots lapse; what the last one cost above what was left is owed.
func (o *origin) drawLots(dt float64) {
	capacity := max(o.capacity, costOne)
	fill := func(lots *atomic.Int64, cost float64) {
		lots.Store(min(lots.Load(), 0) + int64(cost*lotUnits))
	}
	fill(&o.newcomers, newcomerPart*capacity*dt)
	fill(&o.programs, programPart*max(capacity-o.proven, newcomerPart*capacity)*dt)
}

// draw takes a lot if one is left.
func draw(lots *atomic.Int64, cost uint16) bool {
	n := int64(cost) * lotUnits
	return lots.Load() > 0 && lots.Add(-n) > -n
}

// callAfter is how long whoever comes to the waiting room waits at least.
func (o *origin) callAfter() time.Duration {
	if o.mayBeCrowd() {
		return callSoon
	}
	return callAfter
}

// call moves the waiting room on: everyone who came before called may come in.
// It speeds up while the origin has room and slows down while it has none, so
// numbers of those who never come back hold nobody up.
func (o *origin) call(at Time, dt float64) {
	soon := o.callAfter()
	latest := at.Add(-soon)
	if o.since.Load() == 0 {
		o.called.Store(int64(latest))
		o.wait.Store(int64(soon))
		o.callSpeed = 1
		return
	}
	shows := float64(o.shows.Swap(0)) / dt
	switch {
	case o.lowWater > o.mayWait() || shows > o.capacity:
		o.callSpeed = max(o.callSpeed*.7, .02)
	case o.load < roomBelow || o.lowWater < o.mayWait()/2:
		o.callSpeed = min(o.callSpeed*1.3, 50)
	}
	called := Time(o.called.Load())
	if called == 0 || called < Time(o.since.Load()).Add(-time.Minute) {
		called = Time(o.since.Load())
	}
	called = min(called.Add(time.Duration(o.callSpeed*dt*float64(TickEvery))), latest)
	o.called.Store(int64(called))
	behind := at.Sub(called)
	o.wait.Store(int64(min(max(time.Duration(float64(behind)/max(o.callSpeed, .1)), soon), time.Minute)))
}

// health tells of an origin whose answers fail: most of all, and of those to who has been
// known for long, where such are answered once a second. What strangers ask for may fail by
// itself.
func (o *origin) health(at Time, i uint16, out *Out) {
	o.failing = max(o.failing, 0)
	t := &o.trusted
	if t.answers > 0 {
		t.fail = 2*t.failures > t.answers
	}
	t.all, t.failed = trustedKeep*t.all+float64(t.answers), trustedKeep*t.failed+float64(t.failures)
	t.answers, t.failures = 0, 0
	works := t.all >= trustedLeast && 2*t.failed < t.all && !t.fail
	switch {
	case o.lastAnswers == 0:
	case 2*o.lastFailures > o.lastAnswers && !works:
		o.failing = min(o.failing+1, 10)
	default:
		o.failing = max(o.failing-2, 0)
	}
	o.lastAnswers, o.lastFailures = 0, 0
	if down := o.failing >= 5 || o.down.Load() && o.failing > 0; down != o.down.Load() {
		o.down.Store(down)
		kind := OriginBack
		if down {
			kind = OriginFailing
		}
		out.event(Event{At: at, Kind: kind, Origin: i})
	}
}

const (
	trustedKeep  = .95 // a tick, of what was answered before
	trustedLeast = 2   // answers: what one a second comes to
)

func (o *Out) event(ev Event) {
	if len(o.Events) < cap(o.Events) {
		o.Events = append(o.Events, ev)
	}
}

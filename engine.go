package deich

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/deichproject/deich/sketch"
)

// Engine decides. It is safe for concurrent use, and deterministic when its
// calls are made in one order.
//
// Lock order: an origin's lock is taken alone; the lock of orders may be held
// when an origin's is not. Decide takes none.
type Engine struct {
	policy  atomic.Pointer[Policy]
	key     sketch.Key
	origins []origin
	perSlab int

	budgets *sketch.Buckets // what passes, accounts, addresses and prefixes have used, and what they owe
	past    past

	hands  atomic.Pointer[hands]
	bypass atomic.Int64
	people atomic.Int64 // until when people have announced that many of them come
	judged judged
	crowd  crowd
	watch  watch
	ruling ruling
	failed failed
	told   told
	came   returned
	began  atomic.Int64  // the first tick
	proofs atomic.Uint64 // passes minted for a proof

	ticking  sync.Mutex // Tick, Seen, and what operators change
	lastTick Time
	swept    int // the part of budgets to be swept next
	orders   orders
	empties  empties
}

// New makes an engine with all its tables; afterwards only the orders in force
// grow, to ordersLive. The seed keys every hash and draws every lottery.
func New(p Policy, seed [32]byte) (*Engine, error) {
	p = p.Defaults()
	if err := p.Validate(); err != nil {
		return nil, err
	}
	e := &Engine{
		key:     sketch.Key{binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:16])},
		origins: make([]origin, p.Origins),
		perSlab: slotsOf(p),
		budgets: sketch.NewBuckets(p.Sources),
		past:    past{sketch.NewCells(max(p.Sources/2, SourcesMin))},
		orders:  newOrders(),
	}
	for i := range e.origins {
		e.origins[i].init(p)
	}
	e.policy.Store(&p)
	e.hands.Store(newHands(nil, 0))
	e.watch.init()
	e.ruling.init()
	return e, nil
}

// Spared says that r's client was given what is kept of an earlier answer, in place
// of what v says: it was neither told to come back nor asked to calculate, and that
// it does not says nothing of it. What it owes for having been told so is forgiven.
func (e *Engine) Spared(r *Request, v *Verdict) {
	o := &e.origins[int(r.Origin)%len(e.origins)]
	o.segment(r.Route).signs.spared(r, v)
	if o.excuses() {
		return // nothing was charged
	}
	debt := time.Duration(0)
	switch {
	case v.Reason == OverBudget: // is owed for what was asked, not for what was answered
	case v.Act == Challenge:
		debt = debtChallenge
	case v.Act == Wait && v.Tier == Stranger && (r.Kind != Page || !r.Safe):
		debt = debtRefused
	}
	e.budgets.Forgive(e.sourceHash(r.Client)^saltDebt, int64(r.At), debt)
}

// comes counts who comes back when told to, once in time and once before, and what
// newcomers load.
func (e *Engine) comes(r *Request, s *signs, since Time, addr uint64) {
	if count, early := s.returned(r); count != nil && e.came.first((addr^r.Place*0x9e3779b97f4a7c15)+early, r.At) {
		count.Add(1)
	}
	s.loads(r, since)
}

// comesBack counts a stranger's request that no page can be shown to: it may have been
// told to come back.
func (e *Engine) comesBack(r *Request, s standing, signs *signs, addr, asking uint64) {
	if s.tier == Stranger && (r.Kind != Page || !r.Safe) {
		e.told.came(signs, addr, asking^r.Credential, r.At, r.Fresh)
	}
}

// Slots is the size of the slab of places: every Ticket.Slot is below it.
func (e *Engine) Slots() int { return len(e.origins) * e.perSlab }

// MemoryBytes is what the tables hold, fixed at New.
func (e *Engine) MemoryBytes() int {
	return e.budgets.Bytes() + e.past.cells.Bytes() +
		len(e.origins)*int(unsafe.Sizeof(origin{})) + e.Slots()*int(unsafe.Sizeof(slot{})) + e.watch.bytes() + e.ruling.bytes() +
		int(unsafe.Sizeof(*e))
}

// Decide judges a request from its headers: may it come in, and with what
// rank? It takes no lock and allocates nothing.
func (e *Engine) Decide(r *Request) Verdict {
	o := &e.origins[int(r.Origin)%len(e.origins)]
	since := Time(o.since.Load())
	pressure := o.pressure.Load()
	addr := e.sourceHash(r.Client)
	var parent uint64
	if r.Pass.ID == 0 {
		e.budgets.Touch(addr)
		e.past.cells.Touch(addr)
		if pressure && r.Client.IsValid() {
			parent = e.parentHash(r.Client)
			e.budgets.Touch(parent)
		}
	}
	s := e.standingOf(r, since, addr)
	v := Verdict{Tier: s.tier, Rank: s.rank, Cut: uint8(o.cut.Load())}
	cost := o.cost(r.Route)
	signs := &o.segment(r.Route).signs
	if !r.Fresh {
		e.crowd.vote(r.Client, addr)
		signs.came.Add(1)
	} else {
		signs.kept.Add(1)
	}
	e.comes(r, signs, since, addr)
	if h := e.hands.Load().find(r); h != nil {
		if !r.Fresh {
			o.asked.Add(uint64(cost))
		}
		v.Reason = ByHand
		if h.Act == Deny {
			v.Act = Deny
			return e.observe(v)
		}
		v.Rank = rankListed
		v.aged = h.Prefix.IsValid() // else anybody may ask for that path
		v.trusted = v.aged
		return v
	}
	asking := askingHash(addr, r)
	if r.Fresh {
		e.comesBack(r, s, signs, addr, asking)
		return v
	}
	over, shared, b := e.spend(r, s, addr, parent, pressure)
	if shared && s.here {
		// An address speaks for what one client sends. Behind one that sends for
		// many there may be anyone: they are strangers until something else speaks
		// for them.
		s = strangers(r)
		v.Rank = s.rank
	}
	if over > 0 {
		signs.over.Add(1)
	}
	v.aged, v.trusted = s.age, s.tier == Partner || e.trusted(r, s)
	signs.knew(r, since, over > 0)
	if e.failed.lately(asking, r.At) {
		signs.again.Add(1)
	}
	e.comesBack(r, s, signs, addr, asking)
	l, doubted := e.met(r, o, s, addr)
	switch {
	case doubted:
		v.Rank = min(v.Rank, rankDoubted)
	case l == nil:
		e.watch.look(r, addr, e.key[0])
	default:
		if l.act != Wait {
			signs.ruled.Add(1)
		}
		if l.acting.Load() {
			signs.met.Add(1)
		}
		if l.acting.Load() && (l.act != Wait || pressure) && Time(e.bypass.Load()) <= r.At {
			v.Rule = l.id
			return e.observe(e.ruled(r, o, v, addr, l))
		}
	}
	o.asked.Add(uint64(cost))
	v.good = e.good(r, s)
	switch {
	case Time(e.bypass.Load()) > r.At:
		v.Reason = Bypassed
	case !pressure:
	case over > 0:
		v = e.overrun(r, o, v, addr, over, b)
	default:
		v = e.weighed(r, o, s, v, addr, cost)
	}
	if v.Act != Allow {
		e.failed.note(asking, r.At)
	}
	if v.Act == Allow && v.Reason != Lottery && (s.age || s.tier != Stranger) {
		o.arrived[v.Rank].Add(uint32(cost))
	}
	return e.observe(v)
}

// weighed is the verdict under pressure on a request within its budget.
func (e *Engine) weighed(r *Request, o *origin, s standing, v Verdict, addr uint64, cost uint16) Verdict {
	called := r.Place != 0 && Time(r.Place) <= Time(o.called.Load()) && e.mayShow(r, addr)
	if called && v.Rank < rankCalled {
		v.Rank, v.Reason = rankCalled, Called
		o.shows.Add(uint64(cost))
	}
	stranger := s.tier == Stranger && !s.age && !called
	switch {
	case stranger && r.Kind == Page && r.Safe:
		if draw(&o.newcomers, cost) {
			return drew(v)
		}
		v.Cut = max(v.Cut, rankProven)
		return e.turn(r, o, v, addr, Unproven)
	case stranger:
		if draw(&o.programs, cost) {
			return drew(v)
		}
		v.Cut = max(v.Cut, rankAddress)
		return e.turn(r, o, v, addr, BelowCut)
	case v.Rank < v.Cut:
		o.arrived[v.Rank].Add(uint32(cost))
		// The lots are for who came under the pressure: a flood that holds passes of
		// before would draw them all.
		if v.Tier != Stranger && !s.age && draw(&o.newcomers, cost) {
			return drew(v)
		}
		return e.turn(r, o, v, addr, BelowCut)
	}
	return v
}

// drew is the verdict on who drew a lot. It puts him above the cut line: in a
// queue that is full of who proved himself or came a minute earlier he would be
// displaced at once, and the lot would be worth nothing.
func drew(v Verdict) Verdict {
	v.Reason, v.Rank = Lottery, max(v.Rank, min(v.Cut+1, RanksMax-1))
	return v
}

// overrun is the verdict under pressure on a request beyond its budget.
func (e *Engine) overrun(r *Request, o *origin, v Verdict, addr uint64, over time.Duration, b budget) Verdict {
	v.Reason, v.RetryAfter = OverBudget, max(over, time.Second)
	if r.Pass.ID != 0 || v.Tier == Partner {
		// Whoever has earned trust gets what everybody else leaves.
		if v.Rank = rankOver; v.Cut > v.Rank {
			return e.turn(r, o, v, addr, OverBudget)
		}
		return v
	}
	v.Act = Deny
	debt := e.owe(r, o, addr, debtOver, 0)
	if r.Kind == Page && r.Safe && debt < debtMuch && !e.policy.Load().NoChallenge {
		// People behind one address may be many; a page lets them prove it.
		v.Act, v.Bits, v.Place = Challenge, e.difficulty(r.At, addr), placeOf(r)
	}
	return v
}

// turn turns a request away for now, in the way that fits it.
func (e *Engine) turn(r *Request, o *origin, v Verdict, addr uint64, why Reason) Verdict {
	v.Act, v.Reason = Wait, why
	signs := &o.segment(r.Route).signs
	if r.Kind != Page || !r.Safe {
		v.RetryAfter = retrySoon
		if v.Tier == Stranger {
			e.owe(r, o, addr, debtRefused, v.Rule)
			if !e.policy.Load().Observe {
				signs.sentAway.Add(1)
				e.told.note(signs, addr, askingHash(addr, r)^r.Credential, r.At)
			}
		}
		return v
	}
	o.show(r, &v, addr)
	observe := e.policy.Load().Observe // then nobody sees it, and nobody can answer
	if v.Tier == Stranger && r.Pass.ID == 0 && !e.policy.Load().NoChallenge && !o.ownFault.Load() {
		if v.Rule == 0 && o.mayBeCrowd() && e.knewPeace() {
			signs.promise(r, v.Place, observe)
			return v
		}
		v.Act, v.Bits, v.Place = Challenge, e.difficulty(r.At, addr), v.Place&^promised
		if !observe {
			signs.challenged.Add(1)
			e.owe(r, o, addr, debtChallenge, v.Rule)
		}
		return v
	}
	signs.promise(r, v.Place, observe)
	return v
}

// show gives a place in the waiting room, and says when to come back: most
// after a second, one in four after two. Whoever does as a page says keeps both;
// whoever comes at a pace of its own keeps one at best.
func (o *origin) show(r *Request, v *Verdict, addr uint64) {
	v.Place = placeOf(r)
	v.RetryAfter = time.Duration(o.wait.Load())
	if ahead := Time(v.Place).Sub(Time(o.called.Load())); ahead < v.RetryAfter {
		v.RetryAfter = max(ahead, o.callAfter())
	}
	if r.Place != 0 || v.RetryAfter > promises*callSoon {
		return
	}
	told := (v.RetryAfter + callSoon - 1) / callSoon
	if told <= 1 {
		told = 1
		if (addr^uint64(r.At)>>promiseBits)%promiseEvery == 0 {
			told = promises
		}
	}
	v.RetryAfter = told * callSoon
	v.Place |= uint64(told)
}

const (
	retrySoon  = 2 * time.Second
	sweepParts = 1 << 16
	showEvery  = 500 * time.Millisecond // an address: two of the waiting room's people a second,
	showBurst  = 40                     // 40 at once
)

// placeOf is the number of a request in the waiting room: when it first came,
// and in its last bits after how many times callSoon it was told to come back,
// where that is evidence.
func placeOf(r *Request) uint64 {
	if r.Place != 0 {
		return r.Place
	}
	return uint64(r.At) &^ promised
}

const (
	promiseBits  = 4
	promised     = 1<<promiseBits - 1
	promiseEvery = 4 // one in so many is told the longer time
	promises     = 2 // times callSoon: what is told later is no evidence
)

// mayShow bounds how many of one address the waiting room lets in.
func (e *Engine) mayShow(r *Request, addr uint64) bool {
	every := showEvery / time.Duration(1+e.past.passes(addr, r.At))
	return e.budgets.Take(addr^saltPlace, int64(r.At), every, showBurst*showEvery) == 0
}

// observe holds an act back where the policy only wants to know.
func (e *Engine) observe(v Verdict) Verdict {
	if v.Act != Allow && e.policy.Load().Observe {
		v.Would, v.Act, v.Reason = v.Act, Allow, Observed
	}
	return v
}

// Turn gives the verdict for a request that was allowed and then found no
// place: what Decide would have said had it known.
func (e *Engine) Turn(r *Request, v Verdict, why Reason) Verdict {
	o := &e.origins[int(r.Origin)%len(e.origins)]
	return e.turn(r, o, v, e.sourceHash(r.Client), why)
}

// Tick adapts limits and cut lines, ends what waited too long and hands out
// orders and events. To be called every TickEvery; a late call is no error.
func (e *Engine) Tick(at Time, out *Out) {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	dt := 1.
	if e.lastTick != 0 {
		dt = min(max(float64(at.Sub(e.lastTick))/float64(TickEvery), .1), 50)
	}
	e.lastTick = at
	e.began.CompareAndSwap(0, int64(at))
	p := e.policy.Load()
	for i := range e.origins {
		e.tickOrigin(i, at, p, dt, out)
	}
	e.judge(at, out)
	e.crowd.tick(e, at, out)
	e.watch.tick(at, dt, e.peaceful(), e.key[0])
	e.keepRules(at, dt, out)
	e.propose(at, out)
	// A part of the table at every tick, all of it in under two hours.
	e.budgets.SweepPart(int64(at), e.swept, sweepParts)
	e.swept = (e.swept + 1) % sweepParts
}

func (e *Engine) tickOrigin(i int, at Time, p *Policy, dt float64, out *Out) {
	o := &e.origins[i]
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began == 0 {
		o.began = at
	}
	o.release(e, i, at, out)
	o.tick(at, p, dt)
	e.weigh(i, at, dt, out)
	e.judgeCause(i, at, out)
}

// Next is the earliest time at which a queued request has waited too long; zero for none.
func (e *Engine) Next() Time {
	next := Time(0)
	for i := range e.origins {
		if due := Time(e.origins[i].slab.due.Load()); due != 0 && (next == 0 || due < next) {
			next = due
		}
	}
	return next
}

// Bypass lets everything pass until the given time, except that the origin's
// limit holds; zero ends it.
func (e *Engine) Bypass(until Time) { e.bypass.Store(int64(until)) }

// BypassUntil says until when everything passes; zero if it does not.
func (e *Engine) BypassUntil() Time { return Time(e.bypass.Load()) }

// ExpectCrowd says that many people are expected until the given time; zero takes
// that back. It is a piece of evidence for the cause and nothing more: what
// else is measured may say otherwise.
func (e *Engine) ExpectCrowd(until Time) { e.people.Store(int64(until)) }

// Swap puts a new policy in force. Sources, Streams, LimitMax and the number
// of origins cannot change while running: an error says so, and nothing
// changes. With NoRules the next Tick takes back the rules there are.
func (e *Engine) Swap(p Policy) error {
	if err := e.Swappable(p); err != nil {
		return err
	}
	p = p.Defaults()
	e.policy.Store(&p)
	return nil
}

// Swappable gives the error that Swap would, all of it, and changes nothing.
func (e *Engine) Swappable(p Policy) error {
	p = p.Defaults()
	if err := p.Validate(); err != nil {
		return err
	}
	var errs []error
	old := e.policy.Load()
	fixed := func(path string, was, is int) {
		if was != is {
			errs = append(errs, &PolicyError{path, fmt.Sprintf("is %d since start: restart to change it", was)})
		}
	}
	fixed("origins", old.Origins, p.Origins)
	fixed("sources", old.Sources, p.Sources)
	fixed("streams", old.Streams, p.Streams)
	fixed("limit_max", old.LimitMax, p.LimitMax)
	return errors.Join(errs...)
}

// Pulse is what one origin looks like now, for the private page and metrics.
type Pulse struct {
	Limit    float64       `json:"limit"`    // places, in units of an average request's cost
	Inflight int           `json:"inflight"` // requests at the origin
	Queued   int           `json:"queued"`
	Streams  int           `json:"streams"`
	Cut      uint8         `json:"cut"`      // the cut line
	Pressure bool          `json:"pressure"` // demand exceeds what the origin can do
	Since    Time          `json:"since"`    // when the present episode of pressure began
	Down     bool          `json:"down"`     // most of its answers fail
	Demand   float64       `json:"demand"`   // average requests per second that came
	Capacity float64       `json:"capacity"` // average requests per second it was seen to answer when full
	Goodput  float64       `json:"goodput"`  // answers per second that the origin gave
	Slowdown float64       `json:"slowdown"` // median latency over each route's baseline
	Wait     time.Duration `json:"wait_ns"`  // mean time to the first byte
}

// Pressed says whether demand exceeds what an origin can do, and whether most
// of its answers fail: what Pulse says too, for every request. Where it only
// observes it says neither, for everything is to pass. It takes no lock.
func (e *Engine) Pressed(origin uint16) (pressure, down bool) {
	if e.policy.Load().Observe {
		return false, false
	}
	o := &e.origins[int(origin)%len(e.origins)]
	return o.pressure.Load(), o.down.Load()
}

// Pulse looks at one origin.
func (e *Engine) Pulse(origin uint16) Pulse {
	o := &e.origins[int(origin)%len(e.origins)]
	o.mu.Lock()
	defer o.mu.Unlock()
	return Pulse{
		Limit: o.limit, Inflight: o.placed, Queued: o.slab.queued, Streams: o.streams,
		Cut: uint8(o.cut.Load()), Pressure: o.pressure.Load(), Since: Time(o.since.Load()), Down: o.down.Load(),
		Demand: o.demand / costOne * ticksSecond, Capacity: o.capacity / costOne * ticksSecond, Goodput: o.goodput,
		Slowdown: o.slow, Wait: time.Duration(o.meanWait * float64(time.Second)),
	}
}

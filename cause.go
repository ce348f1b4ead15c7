package deich

import (
	"math"
	"sync/atomic"
	"time"
)

// Cause is why an origin suffers.
type Cause uint8

const (
	// NoCause: it does not suffer.
	NoCause Cause = iota
	// CauseFlood: somebody sends what nobody wants answered.
	CauseFlood
	// CauseCrowd: more people than usual want something.
	CauseCrowd
	// CauseOriginFault: it is slow or fails with no more demand than usual.
	CauseOriginFault
	// CauseRetryStorm: those it failed ask again, and again.
	CauseRetryStorm
	// CauseUpstream: next to nothing arrives any more.
	CauseUpstream
	// CauseMixed: a flood, and an origin that suffers by itself as well.
	CauseMixed
	// CauseUnknown: it suffers, and what is known does not say why.
	CauseUnknown
	causes
)

var causeNames = [causes]string{"none", "flood", "crowd", "origin_fault", "retry_storm", "upstream", "mixed", "unknown"}

func (c Cause) String() string {
	if c < causes {
		return causeNames[c]
	}
	return "unknown"
}

// MarshalText gives the cause's word.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the cause's word.
func (c *Cause) UnmarshalText(b []byte) error { return readWord(c, "cause", causeNames[:], b) }

// Term is one piece of evidence: what was measured, and what it weighs. Above
// zero it speaks for a flood, below for a crowd; terms of other causes weigh
// nothing and say what was measured.
type Term struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Weight float64 `json:"weight"`
}

// Judgement is the cause with its evidence.
type Judgement struct {
	Cause      Cause   `json:"cause"`
	Confidence float64 `json:"confidence"` // 0 to 1
	Since      Time    `json:"since"`
	Terms      []Term  `json:"terms"`
}

// signs are what Decide counts at one origin, for the cause.
type signs struct {
	came       atomic.Uint64 // requests, fresh answers of a cache left out
	over       atomic.Uint64 // beyond their budget
	ruled      atomic.Uint64 // that meet a rule about more than what is wanted
	challenged atomic.Uint64
	waits      atomic.Uint64 // strangers that were first shown the waiting room, and no proof
	returns    atomic.Uint64 // of them, those who came back when they were told to
	early      atomic.Uint64 // those who did not wait for that
	again      atomic.Uint64 // the same of the same source, soon after it failed
	pages      atomic.Uint64 // of clients who came under the pressure and whose pass is younger than freshPass
	assets     atomic.Uint64
}

// take counts a request that came.
func (s *signs) take(r *Request, since Time) {
	s.came.Add(1)
	if r.Place != 0 && r.Kind == Page {
		if waited := r.At.Sub(Time(r.Place)); waited < callSoon-returnSlack {
			s.early.Add(1)
		} else if waited < returnBy {
			s.returns.Add(1)
		}
	}
	if since != 0 && r.Pass.ID != 0 && r.Pass.First >= since && r.At.Sub(r.Pass.First) < freshPass {
		switch r.Kind {
		case Page:
			s.pages.Add(1)
		case Asset:
			s.assets.Add(1)
		}
	}
}

const (
	causeEvery   = 500 * time.Millisecond
	causeSpan    = 2. // seconds over which evidence is taken
	causeQuiet   = 10 * Time(time.Second)
	causeChange  = 2 * Time(time.Second) // a named cause gives way to another that holds so long
	floodAbove   = 2.5
	crowdBelow   = -1.5
	moreThan     = 1.3 // times usual: less is no more demand
	slowThan     = 3   // times peace: the origin suffers
	failsThan    = .2
	nothingBelow = .15 // of usual
	nothingFor   = 10 * Time(time.Second)
	faultLately  = Time(time.Minute)
	freshPass    = time.Minute
	provenLag    = 3                        // half seconds: evidence of proofs is as old as a phone is slow
	returnLag    = 2                        // and that of returns as the waiting room's first refresh
	returnBy     = 2*callSoon - returnSlack // later it may be the second time
	returnSlack  = 100 * time.Millisecond
	termMost     = 3
)

// evidence is what Tick makes of the signs. Guarded by the origin's lock.
type evidence struct {
	at        Time
	last      [10]uint64
	lastProof uint64
	came      float64 // a second, over a second
	usual     float64 // the same in peace
	usualFor  float64 // seconds of peace it was learned from
	share     struct{ over, ruled, again float64 }
	asked     [provenLag + 1]float64 // challenges, by half second, oldest first
	proofs    float64
	challenge float64
	waited    [returnLag + 1]float64 // pages of the waiting room, as asked
	waits     float64
	returns   float64
	early     float64
	pages     float64
	assets    float64
	refused   float64 // share of answers that say no (4xx)
	usualNo   float64
	rose      Time // when demand was last usual
	fault     Time // when the origin last suffered by itself
	empty     Time // since when next to nothing arrives
	judged    Judgement
	next      Cause // what would be judged, and since when
	nextSince Time
	no, all   int // answers of 4xx and all since the last look
}

// Cause says why an origin suffers, with the evidence. It allocates.
func (e *Engine) Cause(origin uint16) Judgement {
	o := &e.origins[int(origin)%len(e.origins)]
	o.mu.Lock()
	defer o.mu.Unlock()
	j := o.evidence.judged
	j.Terms = append([]Term(nil), j.Terms...)
	return j
}

// mayBeCrowd says that nothing speaks for a flood yet: people who wait their
// turn need not prove that they are people. What is still not known after
// unsureMost is taken for a flood.
func (o *origin) mayBeCrowd() bool {
	switch Cause(o.cause.Load()) {
	case CauseFlood, CauseMixed:
		return false
	case CauseCrowd:
		return true
	}
	return !o.unsure.Load()
}

const unsureMost = 4 * Time(time.Second)

// flooded says whether any origin is judged to be flooded.
func (e *Engine) flooded() bool {
	for i := range e.origins {
		if c := Cause(e.origins[i].cause.Load()); c == CauseFlood || c == CauseMixed {
			return true
		}
	}
	return false
}

// judgeCause looks at the signs of one origin; its lock is held.
func (e *Engine) judgeCause(i int, at Time, out *Out) {
	o := &e.origins[i]
	v := &o.evidence
	if v.at == 0 {
		v.at = at
		return
	}
	span := at.Sub(v.at)
	if span < causeEvery {
		return
	}
	v.at = at
	o.look(span.Seconds(), e.proofs.Load())
	cause, terms, sure := o.explain(at)
	v.settle(cause, terms, sure, at)
	o.unsure.Store(v.judged.Cause == CauseUnknown && at-v.judged.Since > unsureMost)
	if was := Cause(o.cause.Swap(uint32(v.judged.Cause))); was != v.judged.Cause {
		out.event(Event{At: at, Kind: CauseNamed, Origin: uint16(i), Cause: v.judged.Cause, Value: v.judged.Confidence})
	}
}

// look turns counts since the last look into rates and shares.
func (o *origin) look(span float64, proofs uint64) {
	v, s := &o.evidence, &o.signs
	now := [...]uint64{s.came.Load(), s.over.Load(), s.ruled.Load(), s.challenged.Load(), s.again.Load(), s.pages.Load(), s.assets.Load(),
		s.waits.Load(), s.returns.Load(), s.early.Load()}
	var d [len(now)]float64
	for i := range now {
		d[i] = float64(now[i] - v.last[i])
	}
	v.last = now
	quick, slow := min(1, span), min(1, span/causeSpan)
	v.came += quick * (d[0]/span - v.came)
	if d[0] > 0 {
		v.share.over += slow * (d[1]/d[0] - v.share.over)
		v.share.ruled += quick * (d[2]/d[0] - v.share.ruled)
		v.share.again += slow * (d[4]/d[0] - v.share.again)
	}
	// A proof answers a challenge of a moment before.
	v.challenge += slow * (v.asked[0]/span - v.challenge)
	copy(v.asked[:], v.asked[1:])
	v.asked[provenLag] = d[3]
	v.proofs += slow * (float64(proofs-v.lastProof)/span - v.proofs)
	v.lastProof = proofs
	v.waits += quick * (v.waited[0]/span - v.waits)
	copy(v.waited[:], v.waited[1:])
	v.waited[returnLag] = d[7]
	v.returns += quick * (d[8]/span - v.returns)
	v.early += quick * (d[9]/span - v.early)
	v.pages += slow * (d[5]/span - v.pages)
	v.assets += slow * (d[6]/span - v.assets)
	if v.all > 0 {
		v.refused += slow * (float64(v.no)/float64(v.all) - v.refused)
	}
	v.no, v.all = 0, 0
	if o.since.Load() == 0 {
		v.usualFor = min(v.usualFor+span, usualOver.Seconds())
		v.usual += span / v.usualFor * (v.came - v.usual)
		v.usualNo += span / v.usualFor * (v.refused - v.usualNo)
	}
}

// explain gives the cause that the evidence speaks for now.
func (o *origin) explain(at Time) (c Cause, terms []Term, sure float64) {
	v := &o.evidence
	more := v.came / max(v.usual, .5)
	fails := 0.
	if o.down.Load() {
		fails = 1
	}
	suffers := o.down.Load() || o.slow > slowThan && (o.pressure.Load() || o.lastSlow(at)) || o.ease > slowThan/slowTarget
	terms = append(terms, Term{Name: "times_usual", Value: more}, Term{Name: "slowdown", Value: o.slow}, Term{Name: "down", Value: fails})
	if more < moreThan {
		v.rose = at
	}
	if v.usual >= 5 && v.usualFor > 10 && more < nothingBelow {
		if v.empty == 0 {
			v.empty = at
		}
		if at-v.empty >= nothingFor && !o.down.Load() {
			return CauseUpstream, terms, .6
		}
	} else {
		v.empty = 0
	}
	fault := o.down.Load() || suffers && (more < moreThan || o.ease > slowThan/slowTarget)
	if fault {
		v.fault = at
	}
	if !o.pressure.Load() {
		switch {
		case fault:
			return CauseOriginFault, terms, .9
		case o.held():
			// A rule holds the flood back: the origin does not feel it any more.
		default:
			return NoCause, terms, 1
		}
	}
	if more < moreThan && v.usualFor > 3 {
		if fault || o.ownFault.Load() {
			return CauseOriginFault, terms, .9
		}
	}
	flood := o.against(&terms, at, more)
	lately := v.fault != 0 && at-v.fault < faultLately
	if v.share.again > .3 && lately && v.share.ruled < .3 && v.share.over < .1 {
		terms = append(terms, Term{Name: "asked_again", Value: v.share.again})
		return CauseRetryStorm, terms, min(1, v.share.again+.3)
	}
	sure = 1 / (1 + math.Exp(-math.Abs(flood)))
	switch {
	case flood > floodAbove && (o.down.Load() || o.ease > slowThan/slowTarget):
		return CauseMixed, terms, sure
	case flood > floodAbove:
		return CauseFlood, terms, sure
	case o.down.Load():
		return CauseOriginFault, terms, .7
	case flood < crowdBelow:
		return CauseCrowd, terms, sure
	}
	return CauseUnknown, terms, 1 - sure
}

// held says whether rules hold back what would be more than usual.
func (o *origin) held() bool {
	return o.evidence.share.ruled > .3 && o.evidence.came > moreThan*o.evidence.usual
}

// lastSlow says whether slowness was measured lately: with few answers it is not.
func (o *origin) lastSlow(at Time) bool { return o.slowAt != 0 && at.Sub(o.slowAt) < 2*time.Second }

// against weighs flood against crowd, in log-likelihood ratios, each clipped.
func (o *origin) against(terms *[]Term, at Time, more float64) (sum float64) {
	v := &o.evidence
	add := func(name string, value, weight float64) {
		weight = min(max(weight, -termMost), termMost)
		*terms = append(*terms, Term{name, value, weight})
		sum += weight
	}
	add("by_rule", v.share.ruled, 6*max(v.share.ruled-.2, 0))
	add("over_budget", v.share.over, 10*max(v.share.over-.05, 0))
	if v.challenge >= 5 {
		// Whoever is a person answers a challenge, nearly always; one in three is
		// enough to doubt a flood, since people leave.
		p := min(v.proofs/v.challenge, 1)
		add("challenges_answered", p, -math.Log((p+.01)/(1.01-p))-.7)
	}
	if v.waits >= 5 {
		// A browser comes back when the page tells it to: not before, and with its
		// ticket. Most bots keep none; those that do come when it suits them.
		p := min(max(v.returns-v.early, 0)/v.waits, 1)
		add("returned_in_time", p, -math.Log((p+.02)/(1.02-p))-.7)
	}
	if v.pages >= 2 {
		q := v.assets / v.pages
		add("pages_completed", q, 2-4*min(q, 1))
	}
	if no := v.refused - 2*v.usualNo; no > .2 {
		add("answered_no", v.refused, 4*(no-.2))
	}
	if v.rose != 0 && more > 3 {
		rise := at.Sub(v.rose).Seconds()
		add("seconds_of_rise", rise, min(max(1-rise/5, -1), 1)*.5)
	}
	return sum
}

// settle changes the judgement: at once from none, after a while from one
// named cause to another, and back to none after a quiet time.
func (v *evidence) settle(c Cause, terms []Term, sure float64, at Time) {
	j := &v.judged
	if c != v.next {
		v.next, v.nextSince = c, at
	}
	switch {
	case c == j.Cause:
	case c == NoCause:
		if at-v.nextSince < causeQuiet {
			return // what was judged stands, with its evidence
		}
	case j.Cause == NoCause || j.Cause == CauseUnknown:
	case c == CauseUnknown:
		return // less known is no news
	case at-v.nextSince < causeChange:
		return
	}
	if c != j.Cause {
		j.Since = at
	}
	j.Cause, j.Terms, j.Confidence = c, terms, sure
}

// failed remembers which sources were just turned away or failed, to tell who
// asks again: a small table of times by source and path, the latest wins.
type failed struct {
	at [failedMax]atomic.Uint64 // hash in the upper half, seconds in the lower
}

const (
	failedMax   = 1 << 14
	againWithin = 8 // seconds
)

// askingHash names who asks for what.
func askingHash(addr uint64, r *Request) uint64 {
	return addr ^ uint64(r.Traits[TraitPath])<<16 ^ uint64(r.Traits[TraitAsked])
}

func (f *failed) note(hash uint64, at Time) {
	f.at[hash%failedMax].Store(hash&^0xffffffff | uint64(uint32(at/Time(time.Second))))
}

func (f *failed) lately(hash uint64, at Time) bool {
	w := f.at[hash%failedMax].Load()
	return w>>32 == hash>>32 && uint32(at/Time(time.Second))-uint32(w) <= againWithin
}

package deich

import (
	"math"
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

const (
	causeEvery   = 500 * time.Millisecond
	causeSpan    = 2. // seconds over which evidence is taken
	causeQuiet   = 10 * Time(time.Second)
	causeChange  = 2 * Time(time.Second) // a named cause gives way to another that holds so long
	floodAbove   = 2.5
	crowdBelow   = -1.5
	moreThan     = 1.3 // times usual: less is no more demand
	stormMore    = 2   // times usual: so much, mostly asked again, is a storm
	stormRest    = 1.5 // times usual: what is not asked again is less
	slowThan     = 3   // times peace: the origin suffers
	weakThan     = 2.2 // times peace, of who has the origin to himself: it does less
	failsThan    = .2  // of answers, more than usual
	nothingBelow = .15 // of usual
	nothingFor   = 10 * Time(time.Second)
	faultLately  = Time(time.Minute)
	freshPass    = 15 * time.Second // a page's parts are loaded with the first pages; later they are there
	hereLeast    = 10 * time.Second
	hereLately   = 10 * time.Minute
	hereSpan     = 10.                    // seconds over which it is told what they did
	provenLag    = 3                      // half seconds: evidence of proofs is as old as a phone is slow
	returnBy     = 900 * time.Millisecond // after it was due; later it may be the second time
	returnSlack  = 100 * time.Millisecond
	termMost     = 3
	toldLag      = 5         // half seconds: as long as a program is given to come back
	faultOver    = time.Hour // so slowly is a fault taken for what is usual
	tellsLeast   = 5         // a second: fewer say nothing
	tellsPart    = .1        // of what is more than usual: who is fewer says less about it
	// announcedWeight alone names no crowd, and hides no flood that shows in two other ways:
	// whoever attacks can read the calendar, too.
	announcedWeight = 1.2
	aloneFew        = 20      // answers
	aloneMost       = 1 << 14 // answers: then a mean follows slowly
	aloneLeast      = 250e-6  // seconds: less is noise
	aloneFresh      = 5 * Time(time.Second)
)

// Cause says why an origin suffers, with the evidence. It allocates.
func (e *Engine) Cause(origin uint16) Judgement {
	o := &e.origins[int(origin)%len(e.origins)]
	o.mu.Lock()
	defer o.mu.Unlock()
	j := o.judged
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

const unsureMost = 5 * Time(time.Second) // a crowd is told by who was told to wait for two

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
		v.wake(at)
		for k := range o.segments {
			o.segments[k].evidence.wake(at)
		}
		return
	}
	span := at.Sub(v.at)
	if span < causeEvery {
		return
	}
	v.at = at
	announced := at < Time(e.people.Load())
	v.look(o.counted(), at, span.Seconds(), e.proofs.Load(), o.since.Load() == 0)
	cause, terms, sure := v.explain(o.plight(at), at, announced)
	v.settle(cause, terms, sure, at)
	o.unsure.Store(v.judged.Cause == CauseUnknown && at-v.judged.Since > unsureMost)
	// Admission and rules are about requests: they go by what those say.
	o.cause.Store(uint32(v.judged.Cause))
	was := o.judged.Cause
	o.judged = e.empties.judge(o.judged, v.judged, o.down.Load() || v.fails(), at)
	if o.judged.Cause != was {
		out.event(Event{At: at, Kind: CauseNamed, Origin: uint16(i), Cause: o.judged.Cause, Value: o.judged.Confidence})
	}
	o.judgeSegments(i, at, span.Seconds(), announced, e.empties.fault(at), out)
}

// plight is how an origin, or a segment of it, fares.
type plight struct {
	slow     float64 // times peace; of a segment times the rest
	measured bool    // lately
	pressed  bool
	down     bool
	byTrial  bool // slow by itself, by the word of a trial that still shows
	ownFault bool // pressed without more demand than usual
	part     bool // a segment
}

func (o *origin) plight(at Time) plight {
	return plight{slow: o.slow, measured: o.lastSlow(at), pressed: o.pressure.Load(), down: o.down.Load(),
		byTrial: o.ease > slowThan/slowTarget && o.slow > slowThan, ownFault: o.ownFault.Load()}
}

// explain gives the cause that the evidence speaks for now. announced says that
// many people are expected.
func (v *evidence) explain(p plight, at Time, announced bool) (c Cause, terms []Term, sure float64) {
	more := v.came / max(v.expected(at), .5)
	wide := max(more, v.wide(at))
	down := 0.
	if p.down {
		down = 1
	}
	// A trial's word, as long as nobody alone at the origin says otherwise.
	byTrial := p.byTrial && !v.tellsAlone(at)
	suffers := p.slow > slowThan && (p.pressed || p.measured && !v.tellsAlone(at))
	slower := "slowdown"
	if p.part {
		slower = "slower_than_rest"
	}
	terms = append(terms, Term{Name: "times_usual", Value: more}, Term{Name: slower, Value: p.slow}, Term{Name: "down", Value: down})
	if wide > more {
		terms = append(terms, Term{Name: "times_usual_with_cache", Value: wide})
	}
	if v.errors > 0 {
		terms = append(terms, Term{Name: "errors", Value: v.errors})
	}
	if v.tellsAlone(at) {
		terms = append(terms, Term{Name: "slowdown_alone", Value: math.Exp(v.alone)})
	}
	if more < moreThan {
		v.rose = at
	}
	if !p.part && v.usual >= 5 && v.usualFor > 10 && more < nothingBelow {
		if v.empty == 0 {
			v.empty = at
		}
		if at-v.empty >= nothingFor && !p.down {
			return CauseUpstream, terms, .6
		}
	} else {
		v.empty = 0
	}
	weak := v.weak(at)
	itself := p.down || byTrial || weak // whatever is asked of it
	fault := p.down || byTrial || v.fails() || (suffers || weak) && wide < moreThan
	if fault {
		v.fault = at
	}
	lately := v.fault != 0 && at-v.fault < faultLately
	if lately && more > stormMore && more*(1-v.share.again) < stormRest && v.share.ruled < .3 && v.share.over < .1 {
		terms = append(terms, Term{Name: "asked_again", Value: v.share.again})
		return CauseRetryStorm, terms, min(1, v.share.again+.3)
	}
	if !p.pressed && !v.held() {
		if fault {
			return CauseOriginFault, terms, .9
		}
		return NoCause, terms, 1
	}
	// From here on there is pressure, or rules hold it back, so that the origin does not feel it any more.
	if wide < moreThan && v.usualFor > 3 && (fault || p.ownFault) {
		return CauseOriginFault, terms, .9
	}
	flood := v.against(&terms, at, more, announced)
	sure = 1 / (1 + math.Exp(-math.Abs(flood)))
	switch {
	case flood > floodAbove && itself:
		return CauseMixed, terms, sure
	case flood > floodAbove:
		return CauseFlood, terms, sure
	case p.down, weak && math.Exp(v.alone) > wide, (byTrial || v.fails()) && more < stormMore:
		// It lost more than demand rose; and those it fails come again.
		return CauseOriginFault, terms, .7
	case flood < crowdBelow:
		return CauseCrowd, terms, sure
	}
	return CauseUnknown, terms, 1 - sure
}

// held says whether rules hold back what would be more than usual.
func (v *evidence) held() bool { return v.share.ruled > .3 && v.came > moreThan*v.usual }

// lastSlow says whether slowness was measured lately: with few answers it is not.
func (o *origin) lastSlow(at Time) bool { return o.slowAt != 0 && at.Sub(o.slowAt) < 2*time.Second }

// against weighs flood against crowd, in log-likelihood ratios, each clipped.
// What speaks of few weighs as much less as they are fewer than what is more
// than usual: who is let in of a flood that cannot be asked may be all people.
func (v *evidence) against(terms *[]Term, at Time, more float64, announced bool) (sum float64) {
	excess := max(v.came-v.expected(at), 1)
	add := func(name string, value, weight, of float64) {
		weight = min(max(weight, -termMost), termMost) * min(of/(tellsPart*excess), 1)
		*terms = append(*terms, Term{name, value, weight})
		sum += weight
	}
	add("by_rule", v.share.ruled, 6*max(v.share.ruled-.2, 0), excess)
	add("over_budget", v.share.over, 10*max(v.share.over-.05, 0), excess)
	if v.challenge >= tellsLeast {
		// Whoever is a person answers a challenge, nearly always; one in three is
		// enough to doubt a flood, since people leave.
		p := min(v.proofs/v.challenge, 1)
		add("challenges_answered", p, -odds(p, .01)-.7, v.challenge)
	}
	// A browser comes back when the page tells it to: not before, and with its
	// ticket. Most bots keep none; those that do come when it suits them.
	// It is the one question that each stranger is asked, so the share that does is
	// the share of people in what is more: below a half, most are none.
	back := 1.
	if p, waits, all := v.returned(); waits >= tellsLeast {
		back = p
		if w := -2 * odds(p, .02); w > 0 || all {
			add("returned_in_time", p, w, waits)
		}
	}
	if v.told >= tellsLeast {
		// The same of programs. But who comes back too soon for what it was refused
		// wants just that, and who does not come back at all may come tomorrow: only
		// who comes at once for other things each time is none that waits for an answer.
		p := min(max(v.heeded-v.hasty, 0)/v.told, 1)
		w := -odds(p, .02) - .7
		if w > 0 {
			q := min((v.heeded+v.hasty)/v.told, 1)
			w = max(-odds(q, .02)-.7, 0) * min(v.busy/v.told, 1)
		}
		add("came_when_told", p, w, v.sentAway)
	}
	if v.pages >= 2 {
		q := v.assets / v.pages
		w := 2 - 4*min(q, 1)
		if w < 0 {
			w *= back // who is let in came back: what they load says nothing of those who did not
		}
		add("pages_completed", q, w, v.pages)
	}
	if e := (v.here - v.usualHere) / excess; e > .5 && v.usualHere > 0 && more > moreThan {
		// Who was here before makes most of what is more. People come back; but those
		// who are here now do not all at once want many times as much.
		rise := v.lately / max(v.latelyWas, 1)
		w := -termMost * min(e, 1)
		if v.lately > v.here/2 && rise > 2 {
			w = 2 * math.Log(rise/3)
		}
		add("from_who_was_here", rise, w, excess)
	}
	if no := v.refused - 2*v.usualNo; no > .2 {
		add("answered_no", v.refused, 4*(no-.2), excess)
	}
	if v.rose != 0 && more > 3 {
		rise := at.Sub(v.rose).Seconds()
		add("seconds_of_rise", rise, min(max(1-rise/5, -1), 1)*.5, excess)
	}
	if announced && more > moreThan {
		add("crowd_expected", 1, -announcedWeight, excess)
	}
	return sum
}

// odds is the logarithm of p against 1-p, with as much doubt that neither is certain.
func odds(p, doubt float64) float64 { return math.Log((p + doubt) / (1 + doubt - p)) }

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

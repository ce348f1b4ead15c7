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
	met        atomic.Uint64 // that meet a rule that acts
	challenged atomic.Uint64
	again      atomic.Uint64 // the same of the same source, soon after it failed
	pages      atomic.Uint64 // of clients who came under the pressure and whose pass is younger than freshPass
	assets     atomic.Uint64
	here       atomic.Uint64 // of those whose pass was there before, and is within its budget
	lately     atomic.Uint64 // of them, those whose pass was young then

	rooms [promises]promise // first visits to the waiting room, by when the page told them to come back

	sentAway atomic.Uint64 // strangers that no page can be shown to, told to come back later
	told     atomic.Uint64 // of them, those whose return is watched
	heeded   atomic.Uint64 // who came back for it when they were told to
	hasty    atomic.Uint64 // who came back for it sooner
	busy     atomic.Uint64 // who came back sooner, for something else
}

// promise counts who was told to come back, and who did.
type promise struct {
	waits   atomic.Uint64
	returns atomic.Uint64 // in time
	early   atomic.Uint64 // before
}

// take counts a request that came.
func (s *signs) take(r *Request, since Time) {
	s.came.Add(1)
	if told := r.Place & promised; told != 0 && told <= promises && r.Kind == Page {
		due := time.Duration(told) * callSoon
		if waited := r.At.Sub(Time(r.Place &^ promised)); waited < due-returnSlack {
			s.rooms[told-1].early.Add(1)
		} else if waited < due+returnBy {
			s.rooms[told-1].returns.Add(1)
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

// knew counts a request of somebody who was here before the pressure, and not
// only in its first moments.
func (s *signs) knew(r *Request, since Time, over bool) {
	if r.Pass.ID == 0 || over {
		return
	}
	if age := before(r.At, since, r.Pass.First); age > hereLeast {
		s.here.Add(1)
		if age < hereLately {
			s.lately.Add(1)
		}
	}
}

// promise counts a first visit to the waiting room.
func (s *signs) promise(r *Request, place uint64, observe bool) {
	if told := place & promised; r.Place == 0 && told != 0 && !observe {
		s.rooms[told-1].waits.Add(1)
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
	aloneFew     = 20        // answers
	aloneMost    = 1 << 14   // answers: then a mean follows slowly
	aloneLeast   = 250e-6    // seconds: less is noise
	aloneFresh   = 5 * Time(time.Second)
)

// evidence is what Tick makes of the signs. Guarded by the origin's lock.
type evidence struct {
	at        Time
	last      tally
	lastProof uint64
	came      float64 // a second, over a second
	usual     float64 // the same in peace
	usualFor  float64 // seconds of peace it was learned from
	share     struct{ over, ruled, again float64 }
	asked     [provenLag + 1]float64 // challenges, by half second, oldest first
	proofs    float64
	challenge float64
	rooms     [promises]struct {
		asked                 [2*promises + 1]float64 // waits, by half second, the newest first
		waits, returns, early float64
	}
	watched                             [toldLag + 1]float64 // programs told, as asked
	sentAway, told, heeded, hasty, busy float64

	pages, assets float64

	here, usualHere     float64 // requests a second of who was here before, and the same in peace
	lately, latelyWas   float64 // of them, of who was here lately; and the same in the seconds before the pressure
	latelyNext          float64
	refused, usualNo    float64 // share of answers that say no (4xx)
	errors, usualErrors float64 // that say it is the origin's fault (5xx)
	known               float64 // answers a second to known clients

	alone   float64 // logarithm of how many times as long as in peace it takes one who is alone at the origin
	aloneN  int     // answers that say so, at most aloneFew
	aloneAt Time

	week    [weekHours]hour // what comes in peace, by the hour of the week
	savedAt Time            // when what is usual was saved, before a restart; 0: not

	rose      Time // when demand was last usual
	fault     Time // when the origin last suffered by itself
	empty     Time // since when next to nothing arrives
	judged    Judgement
	next      Cause // what would be judged, and since when
	nextSince Time
	answers   [2]struct{ all, no, errors int } // to others and to known clients, since the last look
}

// tally is what signs had counted as of one look.
type tally struct {
	came, over, ruled, challenged, again, pages, assets, here, lately uint64
	sentAway, told, heeded, hasty, busy                               uint64
	rooms                                                             [promises]struct{ waits, returns, early uint64 }
}

func (s *signs) read() (t tally) {
	t.came, t.over, t.ruled, t.challenged, t.again = s.came.Load(), s.over.Load(), s.ruled.Load(), s.challenged.Load(), s.again.Load()
	t.pages, t.assets, t.here, t.lately = s.pages.Load(), s.assets.Load(), s.here.Load(), s.lately.Load()
	t.sentAway, t.told, t.heeded, t.hasty, t.busy = s.sentAway.Load(), s.told.Load(), s.heeded.Load(), s.hasty.Load(), s.busy.Load()
	for i := range s.rooms {
		p := &s.rooms[i]
		t.rooms[i].waits, t.rooms[i].returns, t.rooms[i].early = p.waits.Load(), p.returns.Load(), p.early.Load()
	}
	return t
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
		return
	}
	span := at.Sub(v.at)
	if span < causeEvery {
		return
	}
	v.at = at
	o.look(at, span.Seconds(), e.proofs.Load())
	cause, terms, sure := o.explain(at)
	v.settle(cause, terms, sure, at)
	o.unsure.Store(v.judged.Cause == CauseUnknown && at-v.judged.Since > unsureMost)
	if was := Cause(o.cause.Swap(uint32(v.judged.Cause))); was != v.judged.Cause {
		out.event(Event{At: at, Kind: CauseNamed, Origin: uint16(i), Cause: v.judged.Cause, Value: v.judged.Confidence})
	}
}

// hour is one of a week's.
type hour struct {
	rate    float32 // requests a second that came in peace
	learned float32 // seconds it was learned from, at most hourOver
}

const (
	weekHours = 7 * 24
	hourOver  = 2 * 3600 // seconds: so a week weighs about as much as all before it
	hourLeast = 600      // learned from fewer an hour says nothing
)

func (v *evidence) hour(at Time) *hour { return &v.week[at/Time(time.Hour)%weekHours] }

// expected is how many requests a second are no more than usual: as many as
// lately, or as in this hour in other weeks.
func (v *evidence) expected(at Time) float64 {
	if h := v.hour(at); h.learned >= hourLeast {
		return max(v.usual, float64(h.rate))
	}
	return v.usual
}

// wake holds what was usual before a restart against the time that has passed:
// the rates of half an hour ago say little about now, the hours of the week do.
func (v *evidence) wake(at Time) {
	if v.savedAt == 0 || at.Sub(v.savedAt) < savedFresh {
		return
	}
	v.usual, v.usualFor, v.usualHere = 0, 0, 0
	if h := v.hour(at); h.learned >= hourLeast {
		v.usual, v.usualFor = float64(h.rate), hourLeast/10
	}
}

// answered takes in what one answer says about the origin, and for whom.
func (v *evidence) answered(sl *slot, out *Outcome) {
	a := &v.answers[0]
	if sl.known {
		a = &v.answers[1]
	}
	a.all++
	switch {
	case out.Failed || out.Status >= 500:
		a.errors++
	case out.Status >= 400:
		a.no++
	}
}

// hadItAlone takes in an answer to one who had the origin to himself from
// beginning to end: it says not what load does, but what the origin does. Held
// against what the same took in peace, and as a logarithm, so that a few that
// take long by themselves do not outweigh the rest.
func (v *evidence) hadItAlone(r *route, wait float64, peace bool, at Time) {
	if wait < aloneLeast {
		return // noise
	}
	took := math.Log(wait)
	if r.aloneN >= aloneFew {
		if at-v.aloneAt > aloneFresh {
			v.aloneN = 0
		}
		v.aloneAt = at
		v.aloneN = min(v.aloneN+1, aloneFew)
		v.alone += (took - float64(r.alone) - v.alone) / float64(v.aloneN)
	}
	if peace && v.judged.Cause == NoCause {
		r.aloneN = min(r.aloneN+1, aloneMost)
		r.alone += float32((took - float64(r.alone)) / float64(r.aloneN))
	}
}

// tellsAlone says whether it is known what the origin does for one alone.
func (v *evidence) tellsAlone(at Time) bool { return v.aloneN >= aloneFew && at-v.aloneAt < aloneFresh }

// weak says that the origin does less than in peace, even for one alone.
func (v *evidence) weak(at Time) bool { return v.tellsAlone(at) && math.Exp(v.alone) > weakThan }

// fails says that the origin answers with more errors than usual.
func (v *evidence) fails() bool { return v.errors > v.usualErrors+failsThan }

// look turns counts since the last look into rates and shares.
func (o *origin) look(at Time, span float64, proofs uint64) {
	v := &o.evidence
	was, now := v.last, o.signs.read()
	v.last = now
	quick, slow := min(1, span), min(1, span/causeSpan)
	rate := func(now, was uint64) float64 { return float64(now-was) / span }
	follow := func(x *float64, to, pace float64) { *x += pace * (to - *x) }
	came := rate(now.came, was.came)
	follow(&v.came, came, quick)
	if came > 0 {
		follow(&v.share.over, rate(now.over, was.over)/came, slow)
		follow(&v.share.ruled, rate(now.ruled, was.ruled)/came, quick)
		follow(&v.share.again, rate(now.again, was.again)/came, slow)
	}
	// A proof answers a challenge of a moment before, and whoever comes back was told to before.
	follow(&v.challenge, later(v.asked[:], rate(now.challenged, was.challenged)), slow)
	follow(&v.proofs, rate(proofs, v.lastProof), slow)
	v.lastProof = proofs
	for i := range v.rooms {
		m, now, was := &v.rooms[i], &now.rooms[i], &was.rooms[i]
		follow(&m.waits, later(m.asked[:2*(i+1)+1], rate(now.waits, was.waits)), quick)
		follow(&m.returns, rate(now.returns, was.returns), quick)
		follow(&m.early, rate(now.early, was.early), quick)
	}
	follow(&v.told, later(v.watched[:], rate(now.told, was.told)), slow)
	follow(&v.sentAway, rate(now.sentAway, was.sentAway), slow)
	follow(&v.heeded, rate(now.heeded, was.heeded), slow)
	follow(&v.hasty, rate(now.hasty, was.hasty), slow)
	follow(&v.busy, rate(now.busy, was.busy), slow)
	follow(&v.pages, rate(now.pages, was.pages), slow)
	follow(&v.assets, rate(now.assets, was.assets), slow)
	follow(&v.here, rate(now.here, was.here), quick)
	follow(&v.lately, rate(now.lately, was.lately), quick)
	others, known := v.answers[0], v.answers[1]
	v.answers = [2]struct{ all, no, errors int }{}
	if all := others.all + known.all; all > 0 {
		follow(&v.refused, float64(others.no+known.no)/float64(all), slow)
	}
	// What an attack asks for may fail by itself: where known clients are
	// answered too, they say whether the origin fails.
	follow(&v.known, float64(known.all)/span, slow)
	if v.known >= 1 {
		others.all, others.errors = 0, 0
	}
	if all := others.all + known.all; all > 0 {
		follow(&v.errors, float64(others.errors+known.errors)/float64(all), slow)
	}
	if o.since.Load() != 0 {
		return
	}
	v.usualFor = min(v.usualFor+span, usualOver.Seconds())
	pace := span / v.usualFor
	follow(&v.usual, v.came, pace)
	follow(&v.usualHere, v.here, pace)
	h := v.hour(at)
	h.learned = min(h.learned+float32(span), hourOver)
	h.rate += float32(span) / h.learned * (float32(v.came) - h.rate)
	follow(&v.usualNo, v.refused, pace)
	// As of the look before: this one may have seen a flood's first moments.
	follow(&v.latelyWas, v.latelyNext, max(span/hereSpan, pace))
	v.latelyNext = v.lately
	if c := v.judged.Cause; c != NoCause && c != CauseUpstream {
		pace = span / faultOver.Seconds()
	}
	follow(&v.usualErrors, v.errors, pace)
}

// later puts what was asked into a row of half seconds and gives what is due to
// be answered now.
func later(row []float64, asked float64) (due float64) {
	due = row[0]
	copy(row, row[1:])
	row[len(row)-1] = asked
	return due
}

// explain gives the cause that the evidence speaks for now.
func (o *origin) explain(at Time) (c Cause, terms []Term, sure float64) {
	v := &o.evidence
	more := v.came / max(v.expected(at), .5)
	down := 0.
	if o.down.Load() {
		down = 1
	}
	// A trial's word, as long as it shows and nobody alone at the origin says otherwise.
	byTrial := o.ease > slowThan/slowTarget && o.slow > slowThan && !v.tellsAlone(at)
	suffers := o.slow > slowThan && (o.pressure.Load() || o.lastSlow(at) && !v.tellsAlone(at))
	terms = append(terms, Term{Name: "times_usual", Value: more}, Term{Name: "slowdown", Value: o.slow}, Term{Name: "down", Value: down})
	if v.errors > 0 {
		terms = append(terms, Term{Name: "errors", Value: v.errors})
	}
	if v.tellsAlone(at) {
		terms = append(terms, Term{Name: "slowdown_alone", Value: math.Exp(v.alone)})
	}
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
	weak := v.weak(at)
	itself := o.down.Load() || byTrial || weak // whatever is asked of it
	fault := o.down.Load() || byTrial || v.fails() || (suffers || weak) && more < moreThan
	if fault {
		v.fault = at
	}
	lately := v.fault != 0 && at-v.fault < faultLately
	if lately && more > stormMore && more*(1-v.share.again) < stormRest && v.share.ruled < .3 && v.share.over < .1 {
		terms = append(terms, Term{Name: "asked_again", Value: v.share.again})
		return CauseRetryStorm, terms, min(1, v.share.again+.3)
	}
	if !o.pressure.Load() && !o.held() {
		if fault {
			return CauseOriginFault, terms, .9
		}
		return NoCause, terms, 1
	}
	// From here on there is pressure, or rules hold it back, so that the origin does not feel it any more.
	if more < moreThan && v.usualFor > 3 && (fault || o.ownFault.Load()) {
		return CauseOriginFault, terms, .9
	}
	flood := o.against(&terms, at, more)
	sure = 1 / (1 + math.Exp(-math.Abs(flood)))
	switch {
	case flood > floodAbove && itself:
		return CauseMixed, terms, sure
	case flood > floodAbove:
		return CauseFlood, terms, sure
	case o.down.Load(), weak && math.Exp(v.alone) > more, (byTrial || v.fails()) && more < stormMore:
		// It lost more than demand rose; and those it fails come again.
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
// What speaks of few weighs as much less as they are fewer than what is more
// than usual: who is let in of a flood that cannot be asked may be all people.
func (o *origin) against(terms *[]Term, at Time, more float64) (sum float64) {
	v := &o.evidence
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
	if p, waits, all := v.returned(); waits >= tellsLeast {
		if w := -odds(p, .02) - .7; w > 0 || all {
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
		add("pages_completed", q, 2-4*min(q, 1), v.pages)
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
	return sum
}

// odds is the logarithm of p against 1-p, with as much doubt that neither is certain.
func odds(p, doubt float64) float64 { return math.Log((p + doubt) / (1 + doubt - p)) }

// returned gives the share of the waiting room's pages that were followed to
// the time they told, and how many pages a second it was found from. Of those
// who were told different times the least share counts, since a pace of its own
// may fit one of them; all says that there were some of each.
func (v *evidence) returned() (least, waits float64, all bool) {
	least, all = 1, true
	for i := range v.rooms {
		m := &v.rooms[i]
		waits += m.waits
		if m.waits >= tellsLeast/promiseEvery {
			least = min(least, max(m.returns-m.early, 0)/m.waits)
		} else {
			all = false
		}
	}
	return least, waits, all
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

// told watches strangers that no page can be shown to: they were told to come
// back after retrySoon, each for one thing. A table by source; while one is
// watched no other takes its place.
type told struct {
	at [toldMax]atomic.Uint64 // source 24 bits, what was asked 14, busy 1, time 25 in units of 1/64 s
}

const (
	toldMax  = 1 << 14
	toldFor  = 4500 * time.Millisecond // then it is watched no longer
	toldUnit = time.Second / 64
	toldTime = 1<<25 - 1
	toldBusy = 1 << 25
	toldAsk  = 1<<40 - 1<<26
)

func toldWord(addr, asking uint64, at Time) uint64 {
	return addr&^(1<<40-1) | (asking*0x9e3779b97f4a7c15>>50)<<26 | max(uint64(at/Time(toldUnit))&toldTime, 1)
}

// age is how long ago a word was written.
func (t *told) age(w uint64, at Time) time.Duration {
	return time.Duration((uint64(at/Time(toldUnit))-w)&toldTime) * toldUnit
}

func (t *told) note(s *signs, addr, asking uint64, at Time) {
	w := &t.at[addr%toldMax]
	if old := w.Load(); (old == 0 || t.age(old, at) > toldFor) && w.CompareAndSwap(old, toldWord(addr, asking, at)) {
		s.told.Add(1)
	}
}

// came looks whether somebody who was told to come back is here.
func (t *told) came(s *signs, addr, asking uint64, at Time) {
	w := &t.at[addr%toldMax]
	old := w.Load()
	if old == 0 || (old^addr)>>40 != 0 {
		return
	}
	age := t.age(old, at)
	switch soon := age < retrySoon-returnSlack; {
	case age > toldFor:
	case (old^toldWord(addr, asking, at))&toldAsk == 0:
		if w.CompareAndSwap(old, 0) {
			if soon {
				s.hasty.Add(1)
			} else {
				s.heeded.Add(1)
			}
		}
	case soon && old&toldBusy == 0:
		if w.CompareAndSwap(old, old|toldBusy) {
			s.busy.Add(1)
		}
	}
}

package deich

import (
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"
)

// Rule is a synthesised signature in force, for people.
type Rule struct {
	ID         uint32        `json:"id"`
	Act        Act           `json:"act"`
	Conditions []Condition   `json:"conditions"`
	Shadow     bool          `json:"shadow,omitempty"` // it only counts yet
	Since      Time          `json:"since"`            // when it began to act; in shadow, when it was found
	Until      Time          `json:"until"`
	Share      float64       `json:"share"`      // of the excess, when it was found
	Collateral float64       `json:"collateral"` // upper bound (95 %) of the share of known-good it touches
	Good       int           `json:"good"`       // sightings that bound was made of
	Rate       float64       `json:"rate"`       // requests a second that meet it now
	Hits       uint64        `json:"hits"`       // requests that met it, what was refused at accept for it included
	Known      uint64        `json:"known"`      // of them, those of known clients, who are exempt
	Sources    int           `json:"sources"`    // how many addresses, about
	Left       time.Duration `json:"-"`
}

// Meets says whether a request with these traits meets the rule.
func (r *Rule) Meets(t *Traits) bool {
	for i := range r.Conditions {
		if !r.Conditions[i].holds(t) {
			return false
		}
	}
	return true
}

const (
	rulesMax     = 16 // live at once; full, none is added
	ruleShadow   = 500 * time.Millisecond
	ruleFirst    = time.Minute // then twice as long at each renewal
	ruleLongest  = time.Hour
	ruleIdle     = .02              // of capacity: a rule that meets less is not renewed
	ruleFits     = .7               // of capacity: where all that comes is less, none is renewed
	canaryPart   = 50               // one in so many is let through to admission all the same
	rollbackHits = 5                // more known clients than this met, some 64 of them told apart, and more than this
	rollbackPart = .001             // part of all known clients' requests: it is taken back
	humanPart    = .01              // of what meets it having proved itself: it is taken back
	humanHits    = 5                // and so many at least
	banFor       = 10 * time.Minute // what was taken back is not found again before
	bansMax      = 64               // beyond it the oldest is forgotten
	excessTimes  = 1.5              // what came before: below it the pressure has other reasons
	jobEvery     = time.Second
	jobLongest   = 16 * time.Second // between syntheses that find nothing
)

// liveRule is a rule in force. What is atomic is counted by Decide.
type liveRule struct {
	id         uint32
	conditions []Condition
	act        Act
	found      Found
	good       int
	foundAt    Time
	aged       uint64 // ruling.aged as of then
	since      Time
	until      Time
	renewed    int

	acting  atomic.Bool
	hits    atomic.Uint64
	cost    atomic.Uint64 // of what met it here, in sixteenths of an average request
	known   atomic.Uint64
	whose   atomic.Uint64 // of whom, a bit each by hash
	proven  atomic.Uint64
	young   atomic.Uint64 // with a pass of before the pressure, of clients that are not known
	asks    atomic.Bool   // it does not deny, and asks for a proof
	doubted bool          // it does so for good: some of those hold passes
	sources [sourceBitmap / 64]atomic.Uint64

	counted uint64 // hits as of the last tick
	rate    float64
	spent   uint64  // cost as of the last tick
	load    float64 // a tick, smoothed
}

const sourceBitmap = 1 << 16

// ruleSet is replaced as a whole; Decide reads it without a lock.
type ruleSet struct{ live []*liveRule }

// match gives the first rule that a request meets, nil for none.
func (s *ruleSet) match(t *Traits) *liveRule {
	for _, r := range s.live {
		met := true
		for i := range r.conditions {
			if !r.conditions[i].holds(t) {
				met = false
				break
			}
		}
		if met {
			return r
		}
	}
	return nil
}

// does is what it does now.
func (r *liveRule) does() Act {
	if r.act == Deny && r.asks.Load() {
		return Challenge
	}
	return r.act
}

// note counts a request that met the rule.
func (r *liveRule) note(addr, who uint64, cost uint16, known, proven, young bool) (n uint64) {
	n = r.hits.Add(1)
	r.cost.Add(uint64(cost))
	switch {
	case known:
		r.known.Add(1)
		if bit := uint64(1) << (who % 64); r.whose.Load()&bit == 0 {
			r.whose.Or(bit)
		}
	case proven:
		r.proven.Add(1)
	case young:
		r.young.Add(1)
	}
	bit := addr >> 40 % sourceBitmap
	if w := &r.sources[bit/64]; w.Load()&(1<<(bit%64)) == 0 {
		w.Or(1 << (bit % 64))
	}
	return n
}

// from estimates the number of addresses (linear counting, Whang et al., 1990).
func (r *liveRule) from() int {
	empty := 0
	for i := range r.sources {
		empty += 64 - bits.OnesCount64(r.sources[i].Load())
	}
	if empty == 0 {
		empty = 1
	}
	return int(math.Round(-sourceBitmap * math.Log(float64(empty)/sourceBitmap)))
}

// ruling is what Tick knows of rules. Guarded by Engine.ticking.
type ruling struct {
	set     atomic.Pointer[ruleSet]
	running bool // a Job is out
	next    Time // no Job before
	pause   time.Duration
	bans    []ban
	aged    atomic.Uint64 // requests of who is known by more than an address, while there are rules
	job     Job
}

type ban struct {
	signature uint64
	until     Time
}

// signature names what a rule says, whatever its pools hold.
func signatureOf(conditions []Condition) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range conditions {
		for _, v := range [...]uint64{uint64(c.column), uint64(c.Compare), uint64(c.Value)} {
			h = (h ^ v) * 1099511628211
		}
	}
	return h
}

// propose hands a Job out where there is more than the origin can do and no
// rule explains it.
func (e *Engine) propose(at Time, out *Out) {
	r := &e.ruling
	if r.running || at < r.next || e.policy.Load().NoRules || !e.pressed() {
		return
	}
	if len(r.set.Load().live) >= rulesMax {
		return
	}
	w := &e.watch
	j := &r.job
	j.now, j.rate = w.present.gather(j.now[:0], at)
	j.peace, j.good, j.usual, j.flood = w.peace.all, w.good.all, w.usual, e.flooded()
	j.settled, j.live, j.held = w.calm >= usualOver, r.set.Load().live, 0
	for _, l := range j.live {
		j.held += l.rate
	}
	if len(j.now) < sightingsMin || j.rate < excessTimes*j.usual {
		return
	}
	w.peace.hold(true)
	w.good.hold(true)
	r.running = true
	out.Job = j
}

// pressed says whether demand exceeds what an origin can do for other reasons
// than its own. Those whom it fails come again, which is more than usual, too.
func (e *Engine) pressed() bool {
	for i := range e.origins {
		if o := &e.origins[i]; o.pressure.Load() && !o.ownFault.Load() && Cause(o.cause.Load()) != CauseOriginFault {
			return true
		}
	}
	return false
}

// Adopt puts what a Job found into force: for half a second each rule only
// counts, then it acts. It must follow every Job, found or not.
func (e *Engine) Adopt(at Time, found Rules, out *Out) {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	r := &e.ruling
	if !r.running || found.job != &r.job {
		return
	}
	r.running = false
	if e.policy.Load().NoRules { // since it was handed out
		found.Found = nil
	}
	e.watch.peace.hold(false)
	e.watch.good.hold(false)
	live := slices.Clone(r.set.Load().live)
	added := 0
	for _, f := range found.Found {
		if len(live) >= rulesMax || r.banned(signatureOf(f.Conditions), at) || slices.ContainsFunc(live, func(l *liveRule) bool {
			return signatureOf(l.conditions) == signatureOf(f.Conditions)
		}) {
			continue
		}
		live = append(live, &liveRule{id: e.nextID(), conditions: f.Conditions, act: f.Act, found: f, good: found.Good,
			foundAt: at, aged: r.aged.Load(), since: at, until: at.Add(ruleFirst)})
		added++
	}
	if added == 0 {
		r.pause = min(max(2*r.pause, jobEvery), jobLongest)
	} else {
		r.pause = jobEvery
		r.set.Store(&ruleSet{live})
	}
	r.next = at.Add(r.pause)
}

func (r *ruling) banned(signature uint64, at Time) bool {
	return slices.ContainsFunc(r.bans, func(b ban) bool { return b.signature == signature && b.until > at })
}

func (r *ruling) ban(l *liveRule, at Time) {
	if len(r.bans) == bansMax {
		r.bans = r.bans[1:]
	}
	r.bans = append(r.bans, ban{signatureOf(l.conditions), at.Add(banFor)})
}

// keep lets rules act, renews, and takes back; dt is in ticks.
func (e *Engine) keepRules(at Time, dt float64, out *Out) {
	r := &e.ruling
	old := r.set.Load()
	if len(old.live) == 0 {
		return
	}
	capacity, fits, flooded, off := e.answering(), e.fits(old), e.flooded(), e.policy.Load().NoRules
	live := make([]*liveRule, 0, len(old.live))
	var withdrawn []uint32
	for _, l := range old.live {
		hits := l.hits.Load()
		l.rate += min(1, .2*dt) * (float64(hits-l.counted)/dt*ticksSecond - l.rate)
		l.counted = hits
		cost := l.cost.Load()
		l.load += min(1, .2*dt) * (float64(cost-l.spent)/dt - l.load)
		l.spent = cost
		// Those may be people, or bots that came early. Who has no pass is to be
		// able to prove that he is the former.
		if young := l.young.Load(); young > humanHits && float64(young) > humanPart*float64(hits) {
			l.doubted = true
		}
		l.asks.Store(l.doubted || !flooded)
		kind, gone := e.fate(l, at, capacity, fits)
		if off {
			kind, gone = RuleWithdrawn, true
		}
		if gone {
			out.event(Event{At: at, Kind: kind, Rule: l.id, Value: l.rate})
			if kind == RuleWithdrawn {
				if !off { // else nothing is wrong with it, and it may be found again
					r.ban(l, at)
				}
				withdrawn = append(withdrawn, l.id)
			}
			continue
		}
		if !l.acting.Load() && at.Sub(l.foundAt) >= ruleShadow {
			l.since = at
			l.acting.Store(true)
			out.event(Event{At: at, Kind: RuleActs, Rule: l.id, Value: l.found.Share})
		}
		live = append(live, l)
	}
	if len(live) != len(old.live) {
		r.set.Store(&ruleSet{live})
	}
	for _, id := range withdrawn {
		e.revokeOf(id, at, out)
	}
}

// fits says whether the origins could do all that is asked of them now, with what
// the rules hold back. Then none of these is needed: a rule that came of a
// moment's trouble would be met for ever by those it is about. What its sources
// are refused at accept is not seen here, and counts as if each cost the average.
func (e *Engine) fits(rules *ruleSet) bool {
	demand, capacity := 0., 0.
	for _, l := range rules.live {
		demand += max(l.load, l.rate*costOne/ticksSecond)
	}
	for i := range e.origins {
		o := &e.origins[i]
		o.mu.Lock()
		demand += o.demand
		capacity += o.capacity
		o.mu.Unlock()
	}
	return demand < ruleFits*capacity
}

// fate says whether a rule has come to its end, and which.
func (e *Engine) fate(l *liveRule, at Time, capacity float64, fits bool) (EventKind, bool) {
	hits, known, proven := l.hits.Load(), l.known.Load(), l.proven.Load()
	switch {
	case bits.OnesCount64(l.whose.Load()) > rollbackHits && float64(known) > rollbackPart*float64(max(e.ruling.aged.Load()-l.aged, 1)) && l.act != Wait,
		proven > humanHits && float64(proven) > humanPart*float64(hits) && l.act == Deny:
		return RuleWithdrawn, true
	case at < l.until:
		return 0, false
	case l.rate < max(ruleIdle*capacity, .5), fits:
		return RuleExpired, true
	}
	l.renewed++
	l.until = at.Add(min(ruleFirst<<min(l.renewed, 8), ruleLongest))
	return 0, false
}

// Rules gives the rules in force, the oldest first.
func (e *Engine) Rules(at Time) []Rule {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	var all []Rule
	for _, l := range e.ruling.set.Load().live {
		all = append(all, l.view(at))
	}
	return all
}

func (l *liveRule) view(at Time) Rule {
	return Rule{ID: l.id, Act: l.does(), Conditions: l.conditions, Shadow: !l.acting.Load(), Since: l.since, Until: l.until,
		Share: l.found.Share, Collateral: l.found.Collateral, Good: l.good, Rate: l.rate, Hits: l.hits.Load(), Known: l.known.Load(),
		Sources: l.from(), Left: l.until.Sub(at)}
}

// undoRule takes a rule back, and bans it for a while; the lock is held.
func (e *Engine) undoRule(at Time, id uint32, out *Out) bool {
	r := &e.ruling
	old := r.set.Load()
	i := slices.IndexFunc(old.live, func(l *liveRule) bool { return l.id == id })
	if i < 0 {
		return false
	}
	r.ban(old.live[i], at)
	r.set.Store(&ruleSet{slices.Delete(slices.Clone(old.live), i, i+1)})
	e.revokeOf(id, at, out)
	out.event(Event{At: at, Kind: RuleWithdrawn, Rule: id})
	return true
}

func (r *ruling) init() {
	r.set.Store(new(ruleSet))
	r.pause = jobEvery
	r.job.now = make([]sighting, 0, windows*windowSample)
}

// lives says whether a rule is in force; the lock is held.
func (r *ruling) lives(id uint32) bool {
	return slices.ContainsFunc(r.set.Load().live, func(l *liveRule) bool { return l.id == id })
}

// met adds to a rule what was refused at accept for it; the lock is held.
func (r *ruling) met(id uint32, n uint64) {
	for _, l := range r.set.Load().live {
		if l.id == id {
			l.hits.Add(n)
		}
	}
}

// met gives the rule that a request meets and is not exempt from; nil for
// none. Known clients are exempt, and so is whoever has proven to be a person
// since, or was called by the waiting room. Where people with passes share an
// address, it makes nobody known: a flood may come from it too. A pass of not
// long before exempts, too, but is doubted: bots may have come early for it.
func (e *Engine) met(r *Request, o *origin, s standing, addr uint64) (_ *liveRule, doubted bool) {
	set := e.ruling.set.Load()
	if len(set.live) == 0 {
		return nil, false
	}
	pass := r.Pass.ID != 0
	known := s.tier == Partner || e.trusted(r, s) && (!s.here || e.past.passes(addr, r.At) == 0)
	if known && !s.here {
		e.ruling.aged.Add(1)
	}
	l := set.match(&r.Traits)
	if l == nil {
		return nil, false
	}
	n := l.note(addr, r.Pass.ID^r.Credential, o.cost(r.Route), known && !s.here, pass && !s.age, pass) // an address alone takes no rule back
	switch {
	case pass && !known:
		return nil, s.age && r.Pass.Account == 0 && l.act != Wait && l.acting.Load()
	case known,
		r.Place != 0 && Time(r.Place) <= Time(o.called.Load()) && e.mayShow(r, addr),
		n%canaryPart == 0 && l.acting.Load():
		return nil, false
	}
	return l, false
}

// ruled is the verdict on a request that meets a rule. A browser is shown a
// page all the same, until it has left too many of them unanswered: whoever is
// a person proves it, and is exempt.
func (e *Engine) ruled(r *Request, o *origin, v Verdict, addr uint64, l *liveRule) Verdict {
	if l.does() == Deny {
		if debt := e.owe(r, o, addr, debtRuled, l.id); debt > debtMuch || r.Kind != Page || !r.Safe {
			v.Act, v.Reason, v.RetryAfter = Deny, ByRule, retryRuled
			return v
		}
	}
	if l.act == Wait && r.Kind == Page && r.Safe {
		v.Act, v.Reason = Wait, ByRule // perhaps a crowd: it is not challenged
		o.show(r, &v, addr)
		o.segment(r.Route).signs.promise(r, v.Place, e.policy.Load().Observe)
		return v
	}
	return e.turn(r, o, v, addr, ByRule)
}

const retryRuled = 10 * time.Second

// answering is how many requests a second the origins answer.
func (e *Engine) answering() (sum float64) {
	for i := range e.origins {
		o := &e.origins[i]
		o.mu.Lock()
		sum += o.goodput
		o.mu.Unlock()
	}
	return sum
}

func (r *ruling) bytes() int {
	return windows*windowSample*int(unsafe.Sizeof(sighting{})) + rulesMax*int(unsafe.Sizeof(liveRule{}))
}

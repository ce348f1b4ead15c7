package deich

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// origin is one platform behind: its limit, its queue, its cut line.
//
// What Decide reads is atomic; everything else is guarded by mu, which is held
// for the few hundred nanoseconds of one queue operation.
type origin struct {
	cut      atomic.Uint32 // rank below which proven clients are turned away
	since    atomic.Int64  // when the present episode of pressure began; 0 in peace
	pressure atomic.Bool   // demand exceeds capacity now (an episode outlives it by episodeQuiet)
	down     atomic.Bool   // most of its answers fail
	ownFault atomic.Bool   // pressure without more demand than usual: the origin is slow by itself
	called   atomic.Int64  // the waiting room has called whoever came before this
	wait     atomic.Int64  // how long a newcomer to the waiting room will wait

	newcomers atomic.Int64 // lottery: 1/lotUnits of cost left for strangers who could prove themselves
	programs  atomic.Int64 // the same for those who cannot

	arrived [RanksMax]atomic.Uint32 // cost of what asked for a place since the last tick, by rank
	asked   atomic.Uint64           // cost of everything that came since the last tick
	shows   atomic.Uint64           // cost of those the waiting room called

	routes [RoutesMax]route
	mean   atomic.Uint32 // seconds (float32 bits): mean baseline of a request, in peace

	cause  atomic.Uint32 // as its requests were judged last
	unsure atomic.Bool   // the cause has been unknown for long

	segments [SegmentsMax]segment

	mu       sync.Mutex
	evidence evidence  // of the whole
	judged   Judgement // by requests and connections
	slowAt   Time      // when slowness was last measured
	slab     slab
	limit    float64 // in units of cost
	inflight int     // cost of what is placed
	placed   int
	streams  int
	peak     int     // highest inflight since the last tick
	use      float64 // part of the limit in use, times nanoseconds, since the last tick
	usedAt   Time
	load     float64 // its mean over the last tick
	queueMax int
	patient  bool        // a crowd is served: in turn, and whoever waits may wait longer
	observed bool        // nobody is held back
	alone    *slot       // who has had the origin to himself; nil: nobody
	lowWater int         // fewest queued, or above, since the last tick
	turned   int         // turned away by a full or late queue since the last tick
	shares   [256]uint8  // queued, by client
	streamed [256]uint16 // streams, by client

	crowded  slowdowns // since the last step, of those placed while the limit was nearly reached
	unknown  slowdowns // the same, on routes that were not seen in peace
	loose    slowdowns // of all others
	answers  int
	failures int
	done     int // cost of what was answered since the last tick
	finished int // number of what was answered since the last tick
	waits    float64
	lately   uint32 // answers of known routes in peace since the last tick

	adapt
}

// route is what the engine knows of one kind of request at one origin.
type route struct {
	base    atomic.Uint32 // latency without load in seconds (float32 bits); 0 unknown
	seen    atomic.Uint32 // answers, saturating
	calm    atomic.Uint32 // of them, those in peace, saturating at routeKnown
	refuses atomic.Bool   // it was seen to refuse a credential
	segment atomic.Uint32 // its place among the origin's
	part    float32       // of all answers, in peace; under the origin's lock
	lately  uint32        // answers in peace since the last tick; as part

	// Guarded by the origin's lock:
	alone  float32 // mean logarithm of the seconds it takes one who is alone at the origin, in peace
	aloneN uint32  // answers that was learned from, at most aloneMost
}

// slowdowns are latencies over their routes' baselines, the first of each step.
type slowdowns struct {
	n   int
	all [256]float32
}

func (s *slowdowns) add(v float32) {
	if s.n < len(s.all) {
		s.all[s.n] = v
		s.n++
	}
}

// median is that of at least one.
func (s *slowdowns) median() float64 {
	all := s.all[:s.n]
	slices.Sort(all)
	return float64(all[len(all)/2])
}

// Costs are counted in sixteenths of an average request.
const (
	costOne = 16
	costMin = costOne / 4
	costMax = costOne * 16
)

const (
	limitStart   = 24
	limitMin     = 2
	roomBelow    = .8 // of the limit in use: the origin has room
	queueLeast   = 64
	queueWait    = QueueWaitMax / 8 // in a flood: better told at once than served when nobody waits any more
	samplesMin   = 10               // so many answers say something about latency
	routeKnown   = 8                // so many answers make a baseline
	mixFollows   = .01              // an answer, of what is asked for in peace
	mixMost      = .2               // and all of a tick together
	votersMin    = 3                // so many answers on routes known in peace outvote all others
	slowTarget   = 1.5              // median slowdown the limit steers for
	slackLatency = 1e-3             // seconds: differences below this are noise, not load
	nearly       = .75              // of the limit: who is placed above this feels it
	shrinkMost   = .7
	growMost     = 1.1
	explore      = .25 // times √limit: how far the limit reaches above what is proven
	failTooMany  = .05
	episodeQuiet = time.Minute
	newcomerPart = .03             // of capacity, for strangers who could prove themselves
	programPart  = .5              // of what is left, for strangers who cannot
	lotUnits     = 64              // of a unit of cost: a small origin gives one lot in many ticks
	callAfter    = 3 * time.Second // in a flood, from the first request to the first call
	callSoon     = time.Second     // the same where nothing speaks for a flood yet
	guessMore    = .02             // a tick, of capacity, while the origin is not full
	guessOwn     = .05             // the same where it was slow by itself
	guessHeld    = 5 * time.Second // pressure that returns sooner says that the guess was too high
	paceFollows  = .02             // a tick, of the difference
	standsPart   = .9              // of what comes is answered over some seconds: standing in line for the rest is worth it
	doubtsMax    = 3               // each halves the pace of guessing
	ticksSecond  = float64(time.Second / TickEvery)
)

// adapt is what the limiter remembers between ticks.
type adapt struct {
	capacity                  float64 // cost per tick the origin was seen to answer when saturated
	saturated                 bool    // capacity was measured, not guessed
	measured                  float64 // capacity without what has been guessed on top since
	doubts                    int     // guesses in a row that were too high
	demand                    float64 // cost per tick that came, over a fifth of a second
	usual                     float64 // the same over five minutes of peace
	pace                      float64 // cost per tick that was answered, over some seconds
	goodput                   float64 // answers per second, smoothed
	full                      bool    // the limit was reached since the last step
	span                      float64 // ticks since the last step
	slow                      float64 // last median slowdown
	ease                      float64 // how much slower the origin is by itself, at least 1
	quick                     int     // steps in a row that were much quicker than that
	meanWait                  float64
	fails                     float64 // usual share of failures
	ranks                     [RanksMax]float64
	calm                      int     // ticks in a row without more demand than capacity
	busy                      int     // ticks in a row with a queue that never emptied
	quiet                     Time    // when pressure last ended, or rules last held a flood back
	metRate                   float64 // requests a second that meet acting rules
	metBefore                 uint64  // how many did, as of the last tick
	failing                   int
	callSpeed                 float64  // seconds of arrivals called per second
	told                      bool     // the last word on pressure
	proven                    float64  // cost per tick of what asked for a place and need not draw one
	began                     Time     // first tick
	lastAnswers, lastFailures int      // since the last tick
	trusted                   struct { // the same of clients that have been known for long
		answers, failures int     // since the last tick
		all, failed       float64 // over some two seconds
		fail              bool    // most of the last ones did
	}
	trial trial
}

func (o *origin) init(p Policy) {
	o.slab.init(slotsOf(p))
	o.limit = min(limitStart, float64(p.LimitMax))
	o.queueMax = queueLeast
	o.callSpeed = 1
	o.ease = 1
	o.segments[0].evidence.fewest = lateLeast
}

// slotsOf is the size of one origin's slab: requests cost at least a quarter
// of an average one, so places number at most four times the limit.
func slotsOf(p Policy) int { return min(PlacesMax, 4*p.LimitMax) + QueueMax + p.Streams }

// cost of a request on this route, in sixteenths.
func (o *origin) cost(r uint16) uint16 {
	base := o.routes[r].baseline()
	mean := float64(math.Float32frombits(o.mean.Load()))
	if base == 0 || mean == 0 {
		return costOne
	}
	return uint16(min(max(costOne*base/mean, costMin), costMax))
}

func (r *route) baseline() float64 {
	if r.seen.Load() < routeKnown {
		return 0
	}
	return float64(math.Float32frombits(r.base.Load()))
}

// learn takes one latency into the route's baseline: it follows what is
// quicker at once and what is slower only slowly, and not at all while an
// episode of pressure lasts, so it settles near what the origin does without load.
func (r *route) learn(wait float64, peace bool) {
	n := r.seen.Load()
	if n < 1<<30 {
		r.seen.Store(n + 1)
	}
	if c := r.calm.Load(); peace && c < routeKnown {
		r.calm.Store(c + 1)
	}
	old := float64(math.Float32frombits(r.base.Load()))
	var next float64
	switch {
	case n == 0:
		next = wait
	case wait < old:
		next = old + .1*(wait-old)
	case !peace && n >= routeKnown:
		return
	default:
		next = old + .01*(min(wait, 4*old)-old)
	}
	r.base.Store(math.Float32bits(float32(next)))
}

// sample takes what one answer says about the origin.
func (o *origin) sample(sl *slot, out Outcome, peace bool) {
	o.answers++
	o.lastAnswers++
	if sl.trusted {
		o.trusted.answers++
	}
	g := o.segment(sl.route)
	o.evidence.answered(sl, &out)
	g.evidence.answered(sl, &out)
	if out.Failed || out.Status == 502 || out.Status == 503 || out.Status == 504 {
		o.failures++
		o.lastFailures++
		if sl.trusted {
			o.trusted.failures++
		}
		return
	}
	o.done += int(sl.cost)
	o.finished++
	wait := out.Wait.Seconds()
	o.waits += wait
	r := &o.routes[sl.route]
	base := r.baseline()
	r.learn(wait, peace)
	if o.alone == sl {
		g.evidence.holdAlone(r, wait, sl.at.Add(out.Wait))
		o.evidence.hadItAlone(r, wait, peace, sl.at.Add(out.Wait))
	}
	if base > 0 {
		g.late.add(wait, base)
	}
	if slow := float32(wait / (base + slackLatency)); base > 0 {
		switch {
		case sl.trial:
			if !o.trial.up || sl.crowded { // else it did not meet twice as many
				o.trial.found.add(slow)
			}
		case !sl.crowded:
			o.loose.add(slow)
		case r.calm.Load() >= routeKnown:
			o.crowded.add(slow)
		default:
			o.unknown.add(slow)
		}
	}
	if peace && base > 0 {
		r.lately++
		o.lately++
	}
}

// average makes the mean baseline of a request from what is asked for in peace, and
// what each of it takes. Following the answers one by one it would come behind where
// all of them become slower, and all would be taken for dear.
func (o *origin) average() {
	if o.lately == 0 {
		return
	}
	follows := min(mixFollows*float32(o.lately), mixMost)
	sum, known := 0., 0.
	for i := range o.routes {
		r := &o.routes[i]
		if r.part == 0 && r.lately == 0 {
			continue
		}
		r.part += follows * (float32(r.lately)/float32(o.lately) - r.part)
		r.lately = 0
		sum += float64(r.part) * r.baseline()
		known += float64(r.part)
	}
	o.lately = 0
	mean := float64(math.Float32frombits(o.mean.Load()))
	if mean == 0 {
		mean = sum / known
	}
	o.mean.Store(math.Float32bits(float32(sum + max(1-known, 0)*mean)))
}

// tick adapts the limit to what the origin did since the last one.
func (o *origin) tick(at Time, p *Policy, dt float64) {
	full := float64(o.peak) >= .9*o.limit*costOne
	o.used(at)
	o.load = min(o.use/(dt*float64(TickEvery)), 1)
	o.use = 0
	throughput := float64(o.done) / dt // cost per tick
	if full && o.lowWater > 0 && o.finished > 0 {
		if !o.saturated {
			o.capacity, o.saturated = throughput, true
		}
		o.capacity += .3 * (throughput - o.capacity)
		o.measured = o.capacity
	} else if throughput > o.capacity {
		o.capacity, o.measured = throughput, throughput
	}
	o.average()
	o.goodput += .3 * (float64(o.finished)/dt*ticksSecond - o.goodput)
	if o.finished > 0 {
		o.meanWait = o.waits / float64(o.finished)
	}
	o.full = o.full || full
	o.span += dt
	// Not faster than answers come: what they say is about the limit of then.
	telling := o.crowded.n + o.unknown.n
	if !o.full {
		telling += o.loose.n
	}
	switch {
	case o.trial.on:
		o.trial.conclude(o, at, float64(p.LimitMax))
	case telling+o.failures >= samplesMin && o.span*TickEvery.Seconds() >= o.meanWait:
		o.slowAt = at
		o.steer(p)
		o.trial.consider(o, at, float64(p.LimitMax))
	}
	o.done, o.finished, o.waits = 0, 0, 0
	o.peak = o.inflight
	// As many may queue as can be answered before the last of them waited too long.
	o.pace += min(1, paceFollows*dt) * (throughput - o.pace)
	answered := o.goodput
	if o.patient {
		answered = max(answered, o.pace/costOne*ticksSecond) // slow for a moment, it is quicker again before they have waited
	}
	o.queueMax = min(max(queueLeast, int(2*o.limit), int(answered*o.patience().Seconds())), QueueMax)
}

// steer moves the limit by one step: towards the latency of an origin without
// a queue of its own, unless throughput says otherwise.
func (o *origin) steer(p *Policy) {
	// Only who was placed near the limit says whether it is too high: a burst
	// that touches it for a moment would raise it by what the quiet before it felt.
	// And what a route takes without load is not known if it was first asked for in
	// a flood: its answers do not count where others can be had.
	switch {
	case o.crowded.n >= min(votersMin, max(o.unknown.n, 1)):
		o.slow = o.crowded.median()
	case o.unknown.n > 0:
		o.slow = o.unknown.median()
	case o.loose.n > 0:
		o.slow = o.loose.median()
	}
	failed := float64(o.failures) / float64(max(o.answers, 1))
	o.ease = max(1, o.ease*easeKeeps)
	if o.slow >= easeOver*slowTarget*o.ease {
		o.quick = 0
	} else if o.quick++; o.quick >= easeQuick {
		o.ease += easeFalls * (max(1, easeRoom*o.slow/slowTarget) - o.ease)
	}
	if o.full {
		g := min(max(slowTarget*o.ease/max(o.slow, .01), shrinkMost), growMost)
		if o.ease >= trialSlow && o.slow <= trialSlow*slowTarget*o.ease {
			g = max(g, 1) // slower still is worth a trial, not a guess
		}
		if failed > o.fails+failTooMany {
			g = min(g, shrinkMost)
		}
		l := o.limit
		o.limit = min(max(.6*l+.4*(l*g+explore*math.Sqrt(l)), limitMin), float64(p.LimitMax))
	} else {
		if failed <= failTooMany {
			o.fails += .02 * (failed - o.fails)
		}
	}
	o.crowded.n, o.unknown.n, o.loose.n, o.answers, o.failures = 0, 0, 0, 0, 0
	o.full, o.span = false, 0
}

package deich

import (
	"math"
	"time"
)

// segment is a part of what is asked of an origin that is judged for itself: a
// route that takes much of the origin's time in peace, or all others together.
// Decide counts in segments alone; what is counted of the origin is their sum.
type segment struct {
	signs signs

	// Guarded by the origin's lock:
	route    uint16 // 0: every route that has no segment of its own
	evidence evidence
	late     late
}

// late is how much longer than in peace a segment's answers take: how many times,
// and by how much.
type late struct {
	times, more float64 // sums of logarithms since it was last told, of n answers
	n           int
	told        struct {
		times, more, weight float64 // mean logarithms
		at                  Time
	}
}

const (
	segmentMore  = 2.  // times the work of another: the segment is taken from that
	segmentKnown = 10. // seconds of peace: before, what is usual there says nothing
	lateLeast    = 5   // answers
	lateFresh    = 5 * time.Second
)

// Segment is why a part of an origin suffers.
type Segment struct {
	Route uint16 `json:"-"` // 0: every route that has no segment of its own
	Judgement
}

// Segments says why the parts of an origin suffer, as Cause says it of the whole:
// the routes that take most of its time, and last of all others together. It
// allocates.
func (e *Engine) Segments(origin uint16) (all []Segment) {
	o := &e.origins[int(origin)%len(e.origins)]
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := 1; k <= len(o.segments); k++ {
		g := &o.segments[k%len(o.segments)]
		if g.route == 0 && k < len(o.segments) {
			continue
		}
		j := g.evidence.judged
		j.Terms = append([]Term{}, j.Terms...)
		all = append(all, Segment{g.route, j})
	}
	return all
}

// segment gives the one of a route.
func (o *origin) segment(route uint16) *segment { return &o.segments[o.routes[route].segment.Load()] }

// counted is what was counted of all segments.
func (o *origin) counted() (all tally) {
	for k := range o.segments {
		t := o.segments[k].signs.read()
		all.add(&t)
	}
	return all
}

// work is what a route takes of the origin's time in peace.
func (r *route) work() float64 {
	if r.calm.Load() < routeKnown {
		return 0
	}
	return float64(r.part) * r.baseline()
}

// divide gives a segment to the route that takes most of the origin's time and
// has none: a free one, or that of a route that takes less than half as much.
func (o *origin) divide(at Time) {
	best, most := 0, 0.
	for i := 1; i < len(o.routes); i++ {
		if r := &o.routes[i]; r.segment.Load() == 0 && r.work() > most {
			best, most = i, r.work()
		}
	}
	if best == 0 {
		return
	}
	k, least := 0, most/segmentMore
	for i := 1; i < len(o.segments); i++ {
		route := o.segments[i].route
		if route == 0 {
			k = i
			break
		}
		if w := o.routes[route].work(); w < least {
			k, least = i, w
		}
	}
	if k == 0 {
		return
	}
	g := &o.segments[k]
	if g.route != 0 {
		o.routes[g.route].segment.Store(0)
	}
	g.route, g.late, g.evidence = uint16(best), late{}, evidence{at: at, last: g.signs.read(), fewest: lateLeast}
	o.routes[best].segment.Store(uint32(k))
}

// judgeSegments looks at the signs of each segment; span is in seconds. What is not counted by
// route, since it is seen elsewhere (proofs, what pages load), is known of the
// whole, and tells of a segment that makes most of what is more than usual. What is
// slow while empty connections are many is no fault of a part.
func (o *origin) judgeSegments(i int, at Time, span float64, announced, empties bool, out *Out) {
	peace := o.since.Load() == 0
	if peace {
		o.divide(at)
	}
	for k := range o.segments {
		o.segments[k].late.tell(at)
	}
	whole := &o.evidence
	for k := range o.segments {
		g := &o.segments[k]
		v := &g.evidence
		if g.route == 0 && k != 0 {
			continue
		}
		v.look(g.signs.read(), at, span, 0, peace)
		v.challenge, v.proofs, v.pages, v.assets = 0, 0, 0, 0
		if v.came-v.expected(at) > (whole.came-whole.expected(at))/2 {
			v.challenge, v.proofs, v.pages, v.assets = whole.challenge, whole.proofs, whole.pages, whole.assets
		}
		if v.usualFor < segmentKnown {
			continue
		}
		was := v.judged.Cause
		cause, terms, sure := v.explain(o.plightOf(k, at), at, announced)
		if empties && cause == CauseOriginFault {
			cause = NoCause
		}
		v.settle(cause, terms, sure, at)
		if v.judged.Cause != was {
			out.event(Event{At: at, Kind: SegmentNamed, Origin: uint16(i), Route: g.route, Cause: v.judged.Cause, Value: v.judged.Confidence})
		}
	}
}

// plightOf is how a segment fares. It is pressed where more than usual comes for it
// to an origin that is, and slow where it is slower than the rest.
func (o *origin) plightOf(k int, at Time) plight {
	v := &o.segments[k].evidence
	p := plight{part: true, down: o.down.Load(), pressed: o.pressure.Load() && v.came > moreThan*max(v.expected(at), .5)}
	p.slow, p.measured = o.apart(k, at)
	return p
}

// apart gives how many times as late as the rest's a segment's answers are. Load
// reaches all routes of an origin alike: either each takes so many times as long,
// or each waits as long. Only who is beyond both is slow by himself.
func (o *origin) apart(k int, at Time) (times float64, known bool) {
	own := &o.segments[k].late.told
	rest, more, weight := 0., 0., 0.
	for j := range o.segments {
		if t := &o.segments[j].late.told; j != k && t.at != 0 && at.Sub(t.at) < lateFresh {
			rest, more, weight = rest+t.weight*t.times, more+t.weight*t.more, weight+t.weight
		}
	}
	if weight == 0 || own.at == 0 || at.Sub(own.at) >= lateFresh {
		return 1, false
	}
	return math.Exp(min(own.times-rest/weight, own.more-more/weight)), true
}

// add takes in an answer that took wait seconds, on a route that takes base.
func (l *late) add(wait, base float64) {
	l.times += math.Log(max(wait, slackLatency) / (base + slackLatency))
	l.more += math.Log(max(wait-base, slackLatency))
	l.n++
}

// tell sums up where there were enough answers.
func (l *late) tell(at Time) {
	if l.n < lateLeast {
		return
	}
	n := float64(l.n)
	l.told.times, l.told.more, l.told.weight, l.told.at = l.times/n, l.more/n, n, at
	l.times, l.more, l.n = 0, 0, 0
}

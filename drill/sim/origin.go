package sim

import (
	"math"
	"math/rand/v2"
)

// origin models the platform behind. It never drops work that was begun.
type origin struct {
	spec   Origin
	rand   *rand.Rand
	factor float64 // milliseconds of routeCost to seconds
	slow   float64
	down   bool
	errors float64
	here   int // requests it holds

	// CPU: processor sharing in virtual service. Every request at work has had
	// served seconds since it came; one is finished when served reaches its mark.
	served float64
	since  int64
	marks  []mark // heap, least first
	due    int64  // when evOrigin is to come; 0: none is on its way

	// IO: first come, first served, by Cores at once.
	busy int
	line ring
}

type mark struct {
	at     float64
	seq    uint64
	flight uint32
}

func newOrigin(spec Origin, r *rand.Rand) *origin {
	o := &origin{spec: spec, rand: r, factor: 1e-3 / spec.Speed, slow: 1}
	if spec.Model == IO {
		o.factor = spec.Latency.Seconds() / mixCost
	}
	return o
}

// demand draws what a request needs, in seconds of a core or connection.
func (o *origin) demand(route uint16) float64 {
	s := o.spec.Spread
	return routeCost[route] * o.factor * math.Exp(s*o.rand.NormFloat64()-s*s/2)
}

// keep is the share of its capacity the origin has left with n requests at once.
func (o *origin) keep(n int) float64 {
	if o.spec.Thrash == 0 || n <= o.spec.Thrash {
		return 1
	}
	return max(.2, float64(o.spec.Thrash)/float64(n))
}

// pace is how fast each request at work advances, in service a second.
func (o *origin) pace() float64 {
	n := len(o.marks)
	return min(1, float64(o.spec.Cores)/float64(max(n, 1))) * o.keep(n) / o.slow
}

func (o *origin) advance(now int64) {
	o.served += float64(now-o.since) * 1e-9 * o.pace()
	o.since = now
}

// begin takes a request; false says the connection was refused.
func (r *run) begin(fi uint32) bool {
	o, f := r.origin, &r.flights[fi]
	if o.down || o.here >= o.spec.Backlog {
		return false
	}
	o.here++
	r.causes.given += float64(f.demand)
	r.stats.arrived(r.phase(), o.here)
	if o.spec.Model == IO {
		if o.busy < o.spec.Cores {
			r.serve(fi)
		} else {
			o.line.push(fi)
		}
		return true
	}
	o.advance(r.now)
	o.push(mark{o.served + float64(f.demand), r.events.made, fi})
	r.plan()
	return true
}

// serve puts an IO request to work.
func (r *run) serve(fi uint32) {
	o, f := r.origin, &r.flights[fi]
	o.busy++
	took := float64(f.demand) * o.slow / o.keep(o.here)
	r.events.push(r.now+int64(took*1e9), evJob, fi, f.gen)
}

// finishIO is a connection of an IO origin that has come free.
func (r *run) finishIO(fi uint32) {
	o := r.origin
	o.busy--
	o.here--
	if next, ok := o.line.pop(); ok {
		r.serve(next)
	}
	r.answered(fi, false)
}

// plan has evOrigin come when the next request is finished, as things stand.
// An event that is on its way earlier is left alone: it will plan anew.
func (r *run) plan() {
	o := r.origin
	if len(o.marks) == 0 {
		return
	}
	left := (o.marks[0].at - o.served) / o.pace()
	at := r.now + max(int64(math.Ceil(left*1e9)), 0)
	if o.due == 0 || at < o.due {
		o.due = at
		r.events.push(at, evOrigin, 0, 0)
	}
}

// finishCPU ends whatever has had its service.
func (r *run) finishCPU() {
	const nanosecond = 1e-9
	o := r.origin
	if r.now != o.due {
		return // planned, then overtaken by an earlier one
	}
	o.due = 0
	o.advance(r.now)
	for len(o.marks) > 0 && o.marks[0].at <= o.served+nanosecond {
		fi := o.pop().flight
		o.here--
		r.answered(fi, false)
	}
	r.plan()
}

// weather changes what befalls the origin, as it begins and ends.
func (r *run) weather(flood bool) {
	o := r.origin
	if o.spec.Model == CPU {
		o.advance(r.now)
	}
	o.slow, o.errors = 1, 0
	if flood {
		o.errors = o.spec.Errors
		if o.spec.Slow > 0 {
			o.slow = o.spec.Slow
		}
	}
	if down := flood && o.spec.Down; down != o.down {
		o.down = down
		if down {
			r.killed()
		}
	}
	r.plan()
}

// killed fails everything the origin held.
func (r *run) killed() {
	o := r.origin
	var all []uint32
	for len(o.marks) > 0 {
		all = append(all, o.pop().flight)
	}
	for fi, ok := o.line.pop(); ok; fi, ok = o.line.pop() {
		all = append(all, fi)
	}
	o.here -= len(all)
	for _, fi := range all {
		r.answered(fi, true)
	}
}

func (m *mark) before(n *mark) bool { return m.at < n.at || m.at == n.at && m.seq < n.seq }

func (o *origin) push(m mark) {
	o.marks = append(o.marks, m)
	h := o.marks
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up].before(&m) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = m
}

func (o *origin) pop() mark {
	h := o.marks
	top, n := h[0], len(h)-1
	last := h[n]
	o.marks = h[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h[c+1].before(&h[c]) {
			c++
		}
		if last.before(&h[c]) {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = last
	return top
}

// ring is a line of flights.
type ring struct {
	all  []uint32
	head int
	n    int
}

func (q *ring) push(fi uint32) {
	if q.n == len(q.all) {
		grown := make([]uint32, max(64, 2*q.n))
		for i := range q.n {
			grown[i] = q.all[(q.head+i)%len(q.all)]
		}
		q.all, q.head = grown, 0
	}
	q.all[(q.head+q.n)%len(q.all)] = fi
	q.n++
}

func (q *ring) pop() (uint32, bool) {
	if q.n == 0 {
		return 0, false
	}
	fi := q.all[q.head]
	q.head = (q.head + 1) % len(q.all)
	q.n--
	return fi, true
}

package sim

import (
	"math"
	"math/bits"
	"time"

	"github.com/deichproject/deich"
)

// phases of a rehearsal.
const (
	peace = iota
	flood
	after
	phases
)

var phaseNames = [phases]string{"peace", "flood", "after"}

// histogram of times: sixteen steps a doubling, from a microsecond.
type histogram struct {
	n     uint64
	steps [16 * 27]uint32
}

func (h *histogram) add(d time.Duration) {
	us := uint64(max(d/time.Microsecond, 1))
	e := bits.Len64(us) - 1
	h.steps[min(16*e+int((us<<4>>e)&15), len(h.steps)-1)]++
	h.n++
}

// at gives the time below which the share q lies, in milliseconds.
func (h *histogram) at(q float64) float64 {
	if h.n == 0 {
		return 0
	}
	left := uint64(math.Ceil(q * float64(h.n)))
	for i, n := range h.steps {
		if left <= uint64(n) {
			return float64(uint64(1)<<(i/16)) * (1 + (float64(i%16)+.5)/16) / 1000
		}
		left -= uint64(n)
	}
	return 0
}

// tally is what became of one group's requests in one phase.
type tally struct {
	wants, ok, late, denied uint64
	acts                    [8]uint64
	reasons                 [32]uint64
	took                    histogram
}

// follow is a group through time.
type follow struct {
	tally       [phases]tally
	begun, good []uint32 // by bin, since the flood began
	stuck       []int32  // by bin: how many more wait overdue than in the bin before
	settled     [2]uint64
	back        [2]uint64
	first       histogram
	met         [2]uint64 // requests that met an acting rule, of those since the flood began
	users       int
	served      int
	asked       int // users with a request in the flood phase
}

// foes is what became of one attack's requests.
type foes struct {
	sent, dropped, farmed uint64
	acts                  [8]uint64
	reasons               [32]uint64
	answered              uint64
	met                   [2]uint64 // requests that were covered, of those that should be
}

// load is the origin through one phase.
type load struct {
	arrived, done, failed, wasted uint64
	most                          int
	useful, inTime                float64   // core or connection seconds
	took                          histogram // users' requests
	waited, worked                float64   // users' seconds at the origin, and of work among them
}

type stats struct {
	r      *run
	groups []follow
	foes   []foes
	loads  [phases]load
	pulses []Pulse
	events []deich.Event
	most   int // queued at once
}

const (
	eventsMax = 1024 // engine events kept for the report; later ones are not
	pulsesMax = 4096 // one a second; later ones are not kept
)

func newStats(r *run) *stats {
	s := &stats{r: r, groups: make([]follow, len(r.scenario.Groups)), foes: make([]foes, len(r.scenario.Attacks))}
	n := int((r.scenario.Flood+r.scenario.After)/bin) + 1
	for i := range s.groups {
		s.groups[i].begun, s.groups[i].good, s.groups[i].stuck = make([]uint32, n), make([]uint32, n), make([]int32, n)
	}
	return s
}

// want is a user's request that came to its end.
func (s *stats) want(phase int, c *client, began int64, took time.Duration, denied, content bool) {
	g := &s.groups[c.group]
	t := &g.tally[phase]
	t.wants++
	ok := content && took <= inTime
	switch {
	case ok:
		t.ok++
		t.took.add(took)
	case content:
		t.late++
	}
	if denied || !content {
		t.denied++
	}
	if phase == flood {
		c.seen++
		if ok {
			c.ok++
		}
		if c.first != 0 && began >= c.first {
			count(&g.settled, ok)
		}
	}
	if phase == after && began > s.r.floodEnd+int64(time.Second) {
		count(&g.back, ok)
	}
	if i := (began - s.r.flood) / int64(bin); began >= s.r.flood && int(i) < len(g.begun) {
		g.begun[i]++
		if ok {
			g.good[i]++
		}
	}
	g.overdue(began+int64(inTime)-s.r.flood, s.r.now-s.r.flood)
}

// overdue notes that someone waited without content longer than is in time:
// who does so asks for nothing new, and would not be missed otherwise.
func (g *follow) overdue(from, to int64) {
	if i, j := from/int64(bin), to/int64(bin)+1; from >= 0 && i < j && int(i) < len(g.stuck) {
		g.stuck[i]++
		if int(j) < len(g.stuck) {
			g.stuck[j]--
		}
	}
}

func count(of *[2]uint64, ok bool) {
	of[1]++
	if ok {
		of[0]++
	}
}

func (s *stats) act(f *flight, phase int) {
	s.r.calmAct(f)
	t := &s.groups[f.kind].tally[phase]
	t.acts[f.v.Act&7]++
	t.reasons[f.v.Reason&31]++
}

func (s *stats) foe(ai int, f *flight) {
	x := &s.foes[ai]
	x.acts[f.v.Act&7]++
	x.reasons[f.v.Reason&31]++
	if f.stage == stageReturns && !f.lapse {
		x.answered++
	}
}

func (s *stats) sent(ai int)    { s.foes[ai].sent++ }
func (s *stats) dropped(ai int) { s.foes[ai].dropped++ }
func (s *stats) farmed(ai int)  { s.foes[ai].farmed++ }
func (s *stats) queued(n int)   { s.most = max(s.most, n) }

func (s *stats) arrived(phase, here int) {
	l := &s.loads[phase]
	l.arrived++
	l.most = max(l.most, here)
}

// answered is a request the origin has ended, whether anyone waits for it or not.
func (s *stats) answered(phase int, f *flight, took time.Duration, failed bool) {
	l := &s.loads[phase]
	switch {
	case failed:
		l.failed++
		return
	case f.gone:
		l.wasted++
	default:
		l.done++
		l.inTime += float64(f.demand)
	}
	if _, foe := f.attack(); !foe && !f.asset {
		l.took.add(took)
		l.waited += took.Seconds()
		l.worked += float64(f.demand)
	}
}

// delivered is content in a user's hands.
func (s *stats) delivered(phase int, f *flight) {
	if s.r.now-f.began <= int64(inTime) {
		s.loads[phase].useful += float64(f.demand)
	}
}

func (s *stats) event(e deich.Event) {
	if len(s.events) < eventsMax && e.Kind != deich.SourceJudged { // of those there may be many, and the report leaves them out
		s.events = append(s.events, e)
	}
}

// pulse keeps the engine's state once a second.
func (s *stats) pulse(now int64, p deich.Pulse) {
	if len(s.pulses) >= pulsesMax || (now-s.r.begins)%int64(time.Second) >= int64(deich.TickEvery) {
		return
	}
	s.pulses = append(s.pulses, Pulse{
		At: time.Duration(now - s.r.flood).Seconds(), Limit: p.Limit, Inflight: p.Inflight, Queued: p.Queued,
		Cut: p.Cut, Pressure: p.Pressure, Demand: p.Demand, Capacity: p.Capacity, Goodput: p.Goodput, Slowdown: p.Slowdown,
	})
}

// mitigated gives how long after from success reached the target and stayed
// there: a second at it, followed by five more; below zero for never.
func (g *follow) mitigated(from time.Duration, target float64) float64 {
	const one, five = int(time.Second / bin), int(5 * time.Second / bin)
	waiting := make([]float64, len(g.begun))
	for b, n := 0, int32(0); b < len(waiting); b++ {
		n += g.stuck[b]
		waiting[b] = float64(n)
	}
	for b := max(int(from/bin), 0); b+one+five <= len(g.begun); b++ {
		if g.held(b, b+one, target, waiting) && g.held(b+one, b+one+five, target, waiting) {
			return (time.Duration(b)*bin - from).Seconds()
		}
	}
	return -1
}

// held says whether the target holds from a bin to another, for those who
// asked and those who were still waiting.
func (g *follow) held(from, to int, target float64, waiting []float64) bool {
	begun, good, most := 0., 0., 0.
	for b := from; b < to; b++ {
		begun += float64(g.begun[b])
		good += float64(g.good[b])
		most = max(most, waiting[b])
	}
	return good >= target*(begun+most)
}

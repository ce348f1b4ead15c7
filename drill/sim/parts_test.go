package sim

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func TestEventsComeInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var q events
	var times []int64
	for range 5000 {
		at := r.Int64N(500) // many at the same time
		q.push(at, evUser, uint32(len(times)), 0)
		times = append(times, at)
		if r.IntN(4) == 0 { // taken out while others are put in
			ev := q.pop()
			times[ev.who] = -1
			for _, other := range q.heap {
				if other.before(&ev) {
					t.Fatalf("event of %d came before one of %d", ev.at, other.at)
				}
			}
		}
	}
	last := event{at: -1}
	for len(q.heap) > 0 {
		ev := q.pop()
		if ev.before(&last) {
			t.Fatalf("event %d of %d after %d of %d", ev.seq, ev.at, last.seq, last.at)
		}
		if times[ev.who] != ev.at {
			t.Fatalf("event %d came at %d, twice or changed: %d", ev.who, ev.at, times[ev.who])
		}
		times[ev.who], last = -1, ev
	}
	if slices.ContainsFunc(times, func(at int64) bool { return at >= 0 }) {
		t.Error("some events never came")
	}
}

// bare is a run with nothing but an origin; its requests cost what they are given.
func bare(t *testing.T, spec Origin, costs ...float64) *run {
	t.Helper()
	s := Scenario{Name: "bare", Flood: time.Minute, Control: None, Origin: spec}
	r, err := newRun(s.defaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	r.raids = []raid{{}}
	r.stats.foes = make([]foes, 1)
	for _, c := range costs {
		fi := r.launch()
		f := &r.flights[fi]
		f.kind, f.stage, f.began, f.placed, f.demand, f.who = -1, stagePlaced, r.now, r.now, float32(c), fi
		if !r.begin(fi) {
			t.Fatal("the origin refused")
		}
	}
	return r
}

// ends gives when each request was answered, in milliseconds.
func ends(r *run) map[uint32]float64 {
	got := make(map[uint32]float64)
	for len(r.events.heap) > 0 {
		ev := r.events.pop()
		r.now = ev.at
		was := make(map[uint32]bool)
		for i := range r.flights {
			was[uint32(i)] = r.flights[i].stage == stagePlaced
		}
		switch ev.kind() {
		case evOrigin:
			r.finishCPU()
		case evJob:
			r.finishIO(ev.who)
		}
		for i := range r.flights {
			if was[uint32(i)] && r.flights[i].stage != stagePlaced {
				got[uint32(i)] = math.Round(float64(r.now-r.begins)/1e5) / 10
			}
		}
	}
	return got
}

func TestOriginShares(t *testing.T) {
	for _, c := range []struct {
		name  string
		spec  Origin
		costs []float64
		want  []float64 // milliseconds
	}{
		{"one request takes its time", Origin{Cores: 1}, []float64{.1}, []float64{100}},
		{"two on one core take twice as long", Origin{Cores: 1}, []float64{.1, .1}, []float64{200, 200}},
		{"the short one leaves first, the long one then has all", Origin{Cores: 1}, []float64{.1, .3}, []float64{200, 400}},
		{"two on two cores do not mind each other", Origin{Cores: 2}, []float64{.1, .3}, []float64{100, 300}},
		{"three on two cores", Origin{Cores: 2}, []float64{.1, .1, .1}, []float64{150, 150, 150}},
		{"beyond the threshold capacity falls", Origin{Cores: 1, Thrash: 1}, []float64{.1, .1}, []float64{400, 400}},
		{"connections serve in line", Origin{Model: IO, Cores: 1}, []float64{.1, .2}, []float64{100, 300}},
		{"connections at once", Origin{Model: IO, Cores: 2}, []float64{.1, .2, .1}, []float64{100, 200, 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ends(bare(t, c.spec, c.costs...))
			for i, want := range c.want {
				if math.Abs(got[uint32(i)]-want) > .2 {
					t.Errorf("request %d was answered after %v ms, expected %v", i, got[uint32(i)], want)
				}
			}
		})
	}
}

func TestOriginRefusesBeyondItsBacklog(t *testing.T) {
	r := bare(t, Origin{Cores: 1, Backlog: 2}, .1, .1)
	if r.begin(r.launch()) {
		t.Error("a third request was taken with a backlog of two")
	}
	r.origin.spec.Down = true
	r.weather(true)
	if r.origin.here != 0 || r.stats.loads[peace].failed+r.stats.loads[flood].failed != 2 {
		t.Errorf("a killed origin holds %d requests", r.origin.here)
	}
	if r.begin(r.launch()) {
		t.Error("a killed origin took a request")
	}
}

func TestBooksCatchAnEngineThatLies(t *testing.T) {
	const a, b = deich.Ticket(1<<32 | 1), deich.Ticket(1<<32 | 2)
	for _, c := range []struct {
		name string
		do   func(p *places) error
	}{
		{"no ticket", func(p *places) error { return p.take(0, 0, true) }},
		{"a slot outside", func(p *places) error { return p.take(9, 0, true) }},
		{"a slot twice", func(p *places) error { return p.take(2<<32|1, 0, true) }},
		{"a wake for nobody", func(p *places) error { _, err := p.woken(deich.Wake{Ticket: b}); return err }},
		{"a wake for an old ticket", func(p *places) error { _, err := p.woken(deich.Wake{Ticket: 2<<32 | 1}); return err }},
		{"a wake for a placed one", func(p *places) error { _, err := p.woken(deich.Wake{Ticket: a}); return err }},
		{"an end of an unknown one", func(p *places) error { return p.end(b, true) }},
		{"a second end", func(p *places) error {
			if err := p.end(a, true); err != nil {
				t.Errorf("the first end: %v", err)
			}
			return p.end(a, true)
		}},
		{"a cancel of a placed one", func(p *places) error { return p.end(a, false) }},
		{"other counts", func(p *places) error { return p.agree(deich.Pulse{Inflight: 2, Limit: 9}, true) }},
		{"more than the limit", func(p *places) error {
			p.placed = 100
			return p.agree(deich.Pulse{Inflight: 100, Limit: 20}, true)
		}},
	} {
		p := &places{slots: make([]held, 2)}
		if err := p.take(a, 3, true); err != nil {
			t.Fatal(err)
		}
		if c.do(p) == nil {
			t.Errorf("%s: not noticed", c.name)
		}
	}
}

func TestRefusedAtAccept(t *testing.T) {
	x := refused{by: make(map[uint64]int)}
	bad, near, six := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8"), netip.MustParseAddr("2001:db8::1")
	for _, a := range []netip.Addr{bad, six} {
		p, err := a.Prefix(min(a.BitLen(), 64))
		if err != nil {
			t.Fatal(err)
		}
		if err := x.take(deich.Order{Prefix: p, Until: 100}); err != nil {
			t.Fatal(err)
		}
	}
	first, again := x.hit(bad, 99), x.hit(bad, 99)
	if !first || !again || !x.hit(netip.MustParseAddr("2001:db8::2"), 5) || x.hit(near, 5) || x.hit(bad, 100) {
		t.Error("an order holds for its source until its end, for nobody else and not after")
	}
	got := x.counts()
	if len(got) != 2 || got[0].N != 2 || got[1].N != 1 || len(x.counts()) != 0 {
		t.Errorf("told of %v: each hit once", got)
	}
	if err := x.take(deich.Order{Prefix: netip.MustParsePrefix("192.0.2.7/32")}); err != nil || x.hit(bad, 1) {
		t.Errorf("a revoked order still holds (%v)", err)
	}
	if x.take(deich.Order{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Until: 9}) == nil {
		t.Error("an order for a whole network was taken")
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for ms := range 1000 {
		h.add(time.Duration(ms+1) * time.Millisecond)
	}
	for q, want := range map[float64]float64{.5: 500, .99: 990, 1: 1000} {
		if got := h.at(q); math.Abs(got-want) > .05*want {
			t.Errorf("quantile %v is %v ms, expected %v", q, got, want)
		}
	}
	h.add(10 * time.Hour) // beyond the last step: kept in it
	if h.at(1) < 60_000 {
		t.Errorf("ten hours count as %v ms", h.at(1))
	}
}

func TestMitigated(t *testing.T) {
	g := follow{begun: make([]uint32, 100), good: make([]uint32, 100), stuck: make([]int32, 100)}
	for i := range g.begun {
		g.begun[i] = 10
		if i >= 13 {
			g.good[i] = 10
		}
	}
	if got := g.mitigated(0, 1); got != 1.3 {
		t.Errorf("mitigated after %v s, expected 1.3", got)
	}
	if got := g.mitigated(time.Second, 1); math.Abs(got-.3) > 1e-9 {
		t.Errorf("since a second in: after %v s, expected 0.3", got)
	}
	g.overdue(int64(13*bin), int64(20*bin))
	if got := g.mitigated(0, 1); got != 2.1 {
		t.Errorf("someone waits until then: mitigated after %v s, expected 2.1", got)
	}
	g.good[60] = 0
	if got := g.mitigated(0, 1); got != -1 {
		t.Errorf("a relapse, then too little time: %v, expected never", got)
	}
}

func TestBounds(t *testing.T) {
	rep := Report{Groups: []GroupReport{{Name: "known", Phases: make([]PhaseReport, phases)}},
		Origin: []OriginReport{{Stretch: 1}, {Stretch: 4, Goodput: .9, Useful: .5}, {}}}
	rep.Groups[0].Phases[flood] = PhaseReport{Requests: 1000, Success: .99, Denied: 1}
	rep.Groups[0].Mitigate = -1
	for _, c := range []struct {
		b  Bound
		ok bool
	}{
		{Bound{"known", Success, .99, 0}, true}, {Bound{"known", Success, .995, 0}, false},
		{Bound{"known", Denied, 0, .001}, true}, {Bound{"known", Denied, 0, 0}, false},
		{Bound{"known", Mitigate, 0, 1}, false}, {Bound{"", Slowdown, 0, 3}, false}, {Bound{"", Slowdown, 0, 4}, true},
		{Bound{"", Goodput, .9, 0}, true}, {Bound{"", Useful, .6, 0}, false}, {Bound{"else", Success, 0, 1}, false},
	} {
		if got := len(rep.unmet([]Bound{c.b})) == 0; got != c.ok {
			t.Errorf("%+v holds: %v", c.b, got)
		}
	}
}

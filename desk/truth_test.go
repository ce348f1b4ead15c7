package desk

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/drill/sim"
	"github.com/deichproject/deich/sketch"
)

// observer carries the simulator's engine as far as the desk is concerned: it
// counts what guard counts, shows the desk a State each second, and keeps the
// incidents that come of it. Beside that it notes what really happened.
type observer struct {
	watch *incident.Watch
	book  *incident.Book
	last  *counted

	verdicts map[[3]uint8]uint64 // act, reason, tier
	ok       [len(tiers)]uint64
	failed   [len(tiers)]uint64
	took     [len(tiers)][]uint64
	gated    uint64
	failing  bool
	key      sketch.Key
	marks    [4]sketch.Distinct // known who read, known who send, strangers

	flood deich.Time
	truth happened
}

// happened is what the simulation knows of a time from the flood's begin on.
type happened struct {
	foe    [2]deich.Time // an attack's first and last request
	lost   [2]deich.Time // the first and the last time a user missed something
	held   [2]deich.Time // or was told to wait
	people map[uint32]bool
	misses int // their requests
	// The same of those who held a pass.
	known       map[uint32]bool
	knownMisses int
}

// widen has a span reach to a time.
func widen(span *[2]deich.Time, at deich.Time) {
	if span[0] == 0 {
		span[0] = at
	}
	span[1] = at
}

// took are guard's bounds: four steps an octave from a tenth of a millisecond.
var tookBounds = func() (bounds []float64) {
	for i := range 80 {
		bounds = append(bounds, (100 * time.Microsecond * time.Duration(4+i%4) << (i / 4) / 4).Seconds())
	}
	return bounds
}()

func newObserver(flood time.Duration) *observer {
	o := &observer{
		book: incident.NewBook(time.UTC), watch: incident.NewWatch(time.UTC, nil), verdicts: map[[3]uint8]uint64{},
		key: sketch.Key{3, 4}, truth: happened{people: map[uint32]bool{}, known: map[uint32]bool{}},
	}
	for i := range o.took {
		o.took[i] = make([]uint64, len(tookBounds)+1)
	}
	o.flood = deich.Time(flood)
	return o
}

// tierIndex is a tier's place on the page.
func tierIndex(t deich.Tier) int { return slices.Index(tiers[:], t.String()) }

// mark is what guard's missed does.
func (o *observer) mark(r *deich.Request, t deich.Tier) {
	i := 0
	if t == deich.Stranger {
		i = 2
	}
	if !r.Safe {
		i++
	}
	switch {
	case r.Pass.Account != 0:
		o.marks[i].Add(o.key.Uint64(r.Pass.Account))
	case r.Pass.ID != 0:
		o.marks[i].Add(o.key.Uint64(r.Pass.ID))
	case r.Credential != 0:
		o.marks[i].Add(o.key.Uint64(r.Credential))
	default:
		o.marks[i].Add(o.key.Addr(r.Client, 64))
	}
}

func (o *observer) Refused(at deich.Time, r *deich.Request, v deich.Verdict, foe bool) {
	o.verdicts[[3]uint8{uint8(v.Act), uint8(v.Reason), uint8(v.Tier)}]++
	if v.Tier != deich.Stranger && !slices.Contains(ownReasons, v.Reason.String()) {
		o.mark(r, v.Tier)
	}
	if foe {
		widen(&o.truth.foe, at)
	} else if at >= o.flood {
		widen(&o.truth.held, at)
	}
}

func (o *observer) Ended(at deich.Time, r *deich.Request, v deich.Verdict, foe, ok bool, took time.Duration) {
	i := tierIndex(v.Tier)
	o.verdicts[[3]uint8{uint8(deich.Allow), uint8(v.Reason), uint8(v.Tier)}]++
	if ok {
		o.ok[i]++
		k, _ := slices.BinarySearch(tookBounds, took.Seconds())
		o.took[i][k]++
	} else {
		o.failed[i]++
		o.mark(r, v.Tier)
	}
	if foe {
		widen(&o.truth.foe, at)
	}
}

func (o *observer) Gated(at deich.Time, foe bool) {
	o.gated++
	if foe {
		widen(&o.truth.foe, at)
	}
}

func (o *observer) Missed(at deich.Time, user uint32, r *deich.Request) {
	if at < o.flood {
		return
	}
	widen(&o.truth.lost, at)
	o.truth.people[user] = true
	o.truth.misses++
	if r.Pass.ID != 0 {
		o.truth.known[user] = true
		o.truth.knownMisses++
	}
}

func (o *observer) Events(all []deich.Event) {
	for _, e := range all {
		switch e.Kind {
		case deich.OriginFailing:
			o.failing = true
		case deich.OriginBack:
			o.failing = false
		}
	}
}

func (o *observer) Second(at deich.Time, e *deich.Engine) {
	now := time.Unix(0, int64(at)).UTC()
	judged := e.Cause(0)
	s := &State{
		Connections: Connections{Refused: o.gated},
		Origins:     []Origin{{Name: "origin", Pulse: e.Pulse(0), Failing: o.failing, Cause: judged.Cause.String(), Sure: judged.Confidence, Terms: judged.Terms}},
		Missed: incident.Marks{KnownRead: o.marks[0].Take(), KnownSend: o.marks[1].Take(),
			StrangerRead: o.marks[2].Take(), StrangerSend: o.marks[3].Take()},
	}
	for v, n := range o.verdicts {
		s.Requests = append(s.Requests, Requests{deich.Act(v[0]).String(), deich.Reason(v[1]).String(), deich.Tier(v[2]).String(), n})
	}
	for i, tier := range tiers {
		s.Served = append(s.Served, Served{tier, o.ok[i], o.failed[i]})
		s.Latency = append(s.Latency, Latency{Tier: tier, Bounds: tookBounds, Counts: o.took[i]})
	}
	for _, r := range e.Rules(at) {
		if !r.Shadow {
			s.Rules = append(s.Rules, Rule{ID: r.ID, Text: fmt.Sprint("rule ", r.ID)})
		}
	}
	is := countState(now, s)
	for i := range is.latency { // the next second's must not change this one's
		is.latency[i].Counts = slices.Clone(is.latency[i].Counts)
	}
	if o.last != nil {
		for _, f := range o.watch.See(sampleBetween(o.last, is, s)) {
			o.book.Apply(f)
		}
	}
	o.last = is
}

// observed is a rehearsal as a desk in front of it would have seen it.
func observed(t *testing.T, s sim.Scenario, seed uint64) (*observer, sim.Report) {
	t.Helper()
	// The same date for all: sim's epoch, at which peace begins.
	o := newObserver(time.Duration(simEpoch.UnixNano()) + s.Peace)
	rep, err := sim.RunSeen(s, seed, o)
	if err != nil {
		t.Fatal(err)
	}
	return o, rep
}

// simEpoch is when every simulation begins.
var simEpoch = time.Unix(1_790_000_000, 0)

// rehearsal is a scenario of the simulator, with a peace long enough to learn what
// is usual, and time for an incident to be closed.
func rehearsal(t *testing.T, name string) sim.Scenario {
	t.Helper()
	s, ok := sim.Find(name)
	if !ok {
		t.Fatalf("no scenario %q", name)
	}
	if s.Peace < 2*time.Minute {
		s.Peace = 2*time.Minute + 10*time.Second
		s.Groups = slices.Clone(s.Groups)
		for i := range s.Groups {
			if g := &s.Groups[i]; g.From < 0 {
				g.From, g.Over = -2*time.Minute, 20*time.Second
			}
		}
	}
	s.Groups = slices.Clone(s.Groups)
	for i := range s.Groups {
		if g := &s.Groups[i]; g.Name == "crowd" { // else it never ends
			g.Stay = s.Flood
		}
	}
	s.After = 6*time.Minute + 30*time.Second
	return s
}

// An hour of a real log's visitors, within which nothing happens, is no incident.
func TestAnHourOfPeaceIsNoIncident(t *testing.T) {
	s, ok := sim.Find("peace-hour")
	if !ok {
		t.Fatal("there is no hour of peace")
	}
	for seed := uint64(1); seed <= 3; seed++ {
		o, rep := observed(t, s, seed)
		requests := uint64(0)
		for _, g := range rep.Groups {
			for _, p := range g.Phases {
				requests += p.Requests
			}
		}
		if requests < 10_000 || o.book.Said().IsZero() {
			t.Fatalf("seed %d: only %d requests", seed, requests)
		}
		for _, i := range o.book.Incidents() {
			t.Errorf("seed %d: an incident began at %s: %+v", seed, i.Begin, i.Timeline)
		}
		t.Logf("seed %d: %d requests, no incident", seed, requests)
	}
}

// truthWithin is how far a measured time may lie from the truth.
const truthWithin = 2 * time.Second

// What happens in the simulator is what the desk tells of it: one incident, its
// begin and end, how many requests and users it met, and why.
func TestIncidentsAreTheTruth(t *testing.T) {
	for _, c := range []struct {
		name      string
		fault     time.Duration // how long the origin was not well; 0: it was all along
		strangers bool          // count as users: nobody but users came
		causes    []string
	}{
		{"pulse", 0, false, []string{"flood"}},
		{"botnet", 0, false, []string{"flood"}},
		{"origin-down", 40 * time.Second, true, []string{"origin_fault"}},
		{"origin-slow", 40 * time.Second, false, []string{"origin_fault"}},
		{"flash-crowd", 0, false, []string{"crowd"}},
		{"fault-and-flood", 30 * time.Second, false, []string{"mixed"}},
		{"crowd-tool", 0, false, []string{"flood", "mixed"}},
	} {
		for seed := uint64(1); seed <= 3; seed++ {
			t.Run(fmt.Sprint(c.name, "/", seed), func(t *testing.T) {
				t.Parallel()
				o, _ := observed(t, rehearsal(t, c.name), seed)
				all := o.book.Incidents()
				if len(all) != 1 {
					t.Fatalf("%d incidents", len(all))
				}
				i, was := all[0], &o.truth
				from, to := was.span(o.flood, c.fault)
				people, misses := was.people, was.misses
				if !c.strangers {
					people, misses = was.known, was.knownMisses
				}
				cause, sure := i.Cause()
				since := func(at time.Time) time.Duration { return at.Sub(wall(o.flood)) }
				t.Logf("from %+.1f to %+.1f s, %d users missed %d requests; told: from %+.1f to %+.1f s, %d users, %d requests, %s %.2f", since(wall(from)).Seconds(), since(wall(to)).Seconds(),
					len(people), misses, since(i.Begin).Seconds(), since(i.End).Seconds(), i.Toll.Missed.All, i.Toll.Users.Lost(), cause, sure)
				if off := i.Begin.Sub(wall(from)); off.Abs() > truthWithin {
					t.Errorf("its begin is %v off", off)
				}
				if off := i.End.Sub(wall(to)); off.Abs() > truthWithin || i.Life != incident.Resolved {
					t.Errorf("its end is %v off; it is %s", off, i.Life)
				}
				if off := i.Mitigated.Sub(wall(to)); c.strangers && off.Abs() > truthWithin {
					t.Errorf("users were served again %v off", off)
				}
				near := func(what string, told, were int) {
					if most := max(1, were/50); told < were-most || told > were+most {
						t.Errorf("%s: told %d, and it were %d", what, told, were)
					}
				}
				near("users", i.Toll.Missed.All, len(people))
				near("requests", int(i.Toll.Users.Lost()), misses)
				if !slices.Contains(c.causes, cause) {
					t.Errorf("the cause is said to be %s: %+v", cause, i.Verdicts)
				}
				if t.Failed() {
					for _, m := range i.Timeline {
						t.Logf("%+.1f %s %+.1f %s", since(m.At).Seconds(), m.Kind, since(m.Time).Seconds(), m.Cause)
					}
				}
			})
		}
	}
}

func wall(at deich.Time) time.Time { return time.Unix(0, int64(at)) }

// span is from when on something was off, and until when: an attack came, the
// origin was not well, or a user missed something or was told to wait.
func (h *happened) span(flood deich.Time, fault time.Duration) (from, to deich.Time) {
	spans := [][2]deich.Time{h.foe, h.lost, h.held}
	if fault > 0 {
		spans = append(spans, [2]deich.Time{flood, flood.Add(fault)})
	}
	for _, s := range spans {
		if s[0] != 0 && (from == 0 || s[0] < from) {
			from = s[0]
		}
		to = max(to, s[1])
	}
	return from, to
}

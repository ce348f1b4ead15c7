package drill

import (
	"math"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/deichproject/deich/drill/scenarios"
)

func itoa(n int) string { return strconv.Itoa(n) }

// steady gives a request every 100 ms between two times, with the same end.
func steady(from, to float64, end ending) []sample {
	var all []sample
	for t := from; t < to-1e-9; t += 0.1 {
		all = append(all, sample{began: time.Duration(math.Round(t*1000)) * time.Millisecond, took: 20 * time.Millisecond, end: end})
	}
	return all
}

func TestSettled(t *testing.T) {
	join := func(parts ...[]sample) []sample {
		var all []sample
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for name, c := range map[string]struct {
		samples []sample
		to      float64
		want    float64 // -1: never
	}{
		"never disturbed":        {steady(0, 20, served), 20, 1},
		"two bad seconds":        {join(steady(0, 2, failed), steady(2, 20, served)), 20, 3},
		"never":                  {steady(0, 20, failed), 20, -1},
		"back too late to tell":  {join(steady(0, 16, failed), steady(16, 20, served)), 20, -1},
		"a relapse in the five":  {join(steady(0, 3, served), steady(3, 5, failed), steady(5, 20, served)), 20, 6},
		"silence is no recovery": {steady(12, 20, served), 20, 12.1},
	} {
		t.Run(name, func(t *testing.T) {
			got := settled(c.samples, 0.995, 0, c.to)
			switch {
			case got == nil && c.want >= 0:
				t.Errorf("never, want %.1f s", c.want)
			case got != nil && math.Abs(*got-c.want) > 0.15:
				t.Errorf("after %.1f s, want %.1f", *got, c.want)
			}
		})
	}
}

func TestReckonCell(t *testing.T) {
	samples := []sample{
		{user: 1, began: -time.Second, took: time.Millisecond, end: served}, // before
		{user: 1, began: 0, took: 10 * time.Millisecond, end: served},
		{user: 1, began: time.Second, took: 6 * time.Second, end: late},
		{user: 2, began: time.Second, took: 20 * time.Millisecond, end: served},
		{user: 3, began: time.Second, end: refused, denied: true, status: 429, reason: "over_budget"},
		{user: 3, began: time.Second, end: failed, lost: true, reason: "timeout"},
	}
	c := reckonCell(Phase{"flood", 0, 10}, samples)
	if c.Requests != 5 || c.Served != 2 || c.Success != 0.4 || c.Users != 3 || c.UsersIn != 1 {
		t.Errorf("%+v", c)
	}
	if c.Denied != 2 || c.Lost != 1 || c.Goodput != 0.2 {
		t.Errorf("denied %d, lost %d, goodput %v", c.Denied, c.Lost, c.Goodput)
	}
	if c.P50 != 20 || c.P99 != 6000 {
		t.Errorf("p50 %v, p99 %v", c.P50, c.P99)
	}
	for word, n := range map[string]int{"served": 2, "late": 1, "429 over_budget": 1, "timeout": 1} {
		if c.Endings[word] != n {
			t.Errorf("%q: %d, want %d", word, c.Endings[word], n)
		}
	}
}

func TestReckonIn(t *testing.T) {
	samples := []sample{
		{user: 1, began: 1 * time.Second, took: 2 * time.Second, end: served},
		{user: 2, began: 2 * time.Second, end: failed},
		{user: 1, began: 4 * time.Second, end: served},
		{user: 2, began: 5 * time.Second, took: 3 * time.Second, end: served},
		{user: 2, began: 9 * time.Second, end: failed},
		{user: 3, began: 9 * time.Second, end: failed},
		{user: 4, began: 99 * time.Second, end: served}, // after the flood
	}
	in := reckonIn(samples, 0, 3*time.Second, 20*time.Second)
	if in.Users != 3 || in.Ever != 2 || in.Count != 2 || in.After != 0.5 {
		t.Errorf("%+v", in)
	}
	if math.Abs(in.Within-1.0/3) > 1e-9 || in.P50 != 2 || in.P95 != -1 {
		t.Errorf("within 3 s %v, p50 %v, p95 %v", in.Within, in.P50, in.P95)
	}
}

// Who waits for a shield that is not there yet is in as of its start.
func TestReckonInBeforeTheShield(t *testing.T) {
	in := reckonIn([]sample{
		{user: 1, began: 1 * time.Second, end: failed},
		{user: 1, began: 9 * time.Second, took: time.Second, end: served},
	}, 8*time.Second, 3*time.Second, 20*time.Second)
	if in.Within != 1 || in.P50 != 2 {
		t.Errorf("%+v", in)
	}
}

func TestReckonChecks(t *testing.T) {
	quick := 1.0
	groups := []Group{
		{Name: "known", Target: 0.995, Mitigated: &quick, Cells: []Cell{{}, {Requests: 2000, Success: 0.999}}},
		{Name: "few", Target: 0.995, Mitigated: &quick, Cells: []Cell{{}, {Requests: 10, Success: 1}}},
		{Name: "newcomers", Target: 0.95, In: &In{Within: 0.5, After: 0.97, Count: 100}, Cells: []Cell{{}, {}}},
		{Name: "no target", Cells: []Cell{{}, {}}},
	}
	s := &scenarios.Scenario{Attacks: make([]scenarios.Attack, 1), Goodput: 0.95}
	s.Phases.Flood = scenarios.Duration(10 * time.Second)
	groups[0].Cells[1].Served, groups[0].Cells[1].Endings = 1500, map[string]int{"late": 500}
	f := &Finding{Groups: groups, Phases: []Phase{{Name: "peace"}, {Name: "flood"}},
		Origin: []AtOrigin{{Phase: "peace", Requests: 9, Busy: 1}, {Phase: "flood", Requests: 2500, Busy: 0.9}}}
	checks, m := reckonChecks(s, f)
	want := []bool{true, true, false, true, true, false}
	if len(checks) != len(want) {
		t.Fatalf("%d checks: %+v", len(checks), checks)
	}
	for i, c := range checks {
		if c.Met != want[i] {
			t.Errorf("%s: met %v", c.What, c.Met)
		}
	}
	if got := checks[5].Got; math.Abs(got-0.72) > 1e-9 { // busy for nine tenths of the time, for users in four of five
		t.Errorf("goodput %v, want 0.72", got)
	}
	groups[0].Cells[1].Served = 1995 // from a cache: the origin had less to do
	if checks, _ = reckonChecks(s, f); !checks[5].Met || math.Abs(checks[5].Got-1995./2010) > 1e-9 {
		t.Errorf("goodput %+v", checks[5])
	}
	groups[0].Cells[1].Served = 1500
	if checks[1].Note == "" {
		t.Error("ten requests pass for enough")
	}
	groups[0].Cells[1].Denied = 1
	s.Attacks = nil
	if checks, _ = reckonChecks(s, f); checks[4].Met {
		t.Error("one is denied though nobody attacks, and that is met?")
	}
	if m.Slowest == nil || *m.Slowest != 1 {
		t.Errorf("slowest %v", m.Slowest)
	}
}

func TestAttackHolds(t *testing.T) {
	s := newStrikes()
	s.add(-30, strike{Planned: 100, Unsent: 90, Endings: map[string]int64{}}) // early visits do not count
	s.began(0)
	s.add(0, strike{Planned: 1000, Sent: 990, Unsent: 10, Endings: map[string]int64{"200": 990}})
	s.began(time.Second)
	if a := reckonAttack(s); !a.Holding || a.Rate != 990 || a.Endings["200"] != 990 {
		t.Errorf("%+v", a)
	}
	s.add(1, strike{Planned: 1000, Sent: 500, Unsent: 500, Endings: map[string]int64{}})
	if a := reckonAttack(s); a.Holding {
		t.Error("half of it was not sent, and the rate was held?")
	}
}

func TestEndingsAreBounded(t *testing.T) {
	s := newStrikes()
	for i := range 3 * EndingsMax {
		s.add(0, strike{Endings: map[string]int64{"word " + itoa(i): 1}})
	}
	if n := len(s.whole.Endings); n > EndingsMax+1 {
		t.Errorf("%d endings told apart", n)
	}
	if s.whole.Endings["other"] == 0 {
		t.Error("the rest is not counted")
	}
}

func TestSecondsCountWhereARequestBegan(t *testing.T) {
	phases := []Phase{{"peace", -2, 0}, {"flood", 0, 3}}
	samples := []sample{
		{began: -1500 * time.Millisecond, end: served}, {began: 0, end: failed}, {began: 999 * time.Millisecond, end: served},
		{began: 50 * time.Second, end: served},
	}
	all := reckonSeconds(1, phases, samples, newStrikes(), map[int]float64{0: 7})
	if len(all) != 5 || all[0].At != -2 {
		t.Fatalf("%+v", all)
	}
	if all[0].Groups[0].Served != 1 || all[2].Groups[0] != (Counted{2, 1}) || all[2].Origin != 7 || all[1].Origin != -1 {
		t.Errorf("%+v", all)
	}
}

func TestTallyIsBounded(t *testing.T) {
	tl := &tally{samples: make([]sample, SamplesMax)}
	tl.add(sample{})
	if tl.leftOut != 1 || len(tl.since(0)) != SamplesMax {
		t.Errorf("left out %d, kept %d", tl.leftOut, len(tl.since(0)))
	}
}

func TestJudge(t *testing.T) {
	errReset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	for name, c := range map[string]struct {
		a      answer
		err    error
		took   time.Duration
		shield bool
		end    ending
		denied bool
	}{
		"content":                {a: answer{status: 200}, end: served},
		"content too late":       {a: answer{status: 200}, took: 6 * time.Second, end: late},
		"an error of the origin": {a: answer{status: 500}, end: broken},
		"a waiting room":         {a: answer{status: 503, reason: "below_cut", refresh: 5 * time.Second}, end: refused},
		"a challenge":            {a: answer{status: 503, reason: "unproven", puzzle: puzzle{14, "x"}}, end: refused},
		"come back later":        {a: answer{status: 503, reason: "queue_full", retry: time.Second}, end: refused},
		"over budget":            {a: answer{status: 429, reason: "over_budget", retry: time.Second}, end: refused, denied: true},
		"the act itself":         {a: answer{status: 503, reason: "below_cut", act: "deny", retry: time.Second}, end: refused, denied: true},
		"the origin is down":     {a: answer{status: 502, reason: "origin_down"}, end: refused},
		"dropped":                {err: errReset, shield: true, end: failed, denied: true},
		"reset by the origin":    {err: errReset, end: failed},
	} {
		t.Run(name, func(t *testing.T) {
			u := &user{shielded: c.shield, spec: &scenarios.Group{Kind: scenarios.Browser}}
			s := sample{took: c.took}
			u.judge(&s, c.a, c.err)
			if s.end != c.end || s.denied != c.denied {
				t.Errorf("%s, denied %v; want %s, %v", s.end, s.denied, c.end, c.denied)
			}
		})
	}
}

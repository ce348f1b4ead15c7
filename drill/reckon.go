package drill

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/deichproject/deich/drill/scenarios"
)

// enough is how many requests a success of 99.5 % needs to mean anything.
const enough = 1000

// enoughDenied is how many a share denied of less than 0.1 % needs.
const enoughDenied = 3000

// reckonGroups makes the groups' figures of all samples.
func reckonGroups(s *scenarios.Scenario, phases []Phase, samples []sample, attack Attack, opens time.Duration) []Group {
	byGroup := make([][]sample, len(s.Groups))
	for _, one := range samples {
		byGroup[one.group] = append(byGroup[one.group], one)
	}
	groups := make([]Group, len(s.Groups))
	for i := range s.Groups {
		spec, mine := &s.Groups[i], byGroup[i]
		slices.SortStableFunc(mine, func(a, b sample) int { return cmp.Compare(a.began, b.began) })
		g := Group{Name: spec.Name, Kind: string(spec.Kind), Users: spec.Count, Target: spec.Target}
		for _, p := range phases {
			g.Cells = append(g.Cells, reckonCell(p, mine))
		}
		if spec.From >= 0 {
			g.In = reckonIn(mine, opens, spec.In.D(), s.Phases.Flood.D())
		}
		target := cmp.Or(spec.Target, 0.95)
		last := phases[1].To
		if attack.Begun() > 0 {
			g.Mitigated = settled(mine, target, max(attack.First, opens.Seconds()), phases[1].To)
			last = attack.Last
		}
		if len(phases) > 2 {
			g.Recovered = settled(mine, target, last, phases[2].To)
		}
		groups[i] = g
	}
	return groups
}

func reckonCell(p Phase, samples []sample) Cell {
	c := Cell{Phase: p.Name, Endings: map[string]int{}}
	var took []float64
	each := map[uint16]*Counted{}
	for _, s := range samples {
		if at := s.began.Seconds(); at < p.From || at >= p.To {
			continue
		}
		c.Requests++
		u := each[s.user]
		if u == nil {
			u = &Counted{}
			each[s.user] = u
		}
		u.Requests++
		if s.end == served {
			c.Served++
			u.Served++
		}
		if s.end == served || s.end == late {
			took = append(took, milliseconds(s.took))
		}
		if s.denied || s.lost {
			c.Denied++
		}
		if s.lost {
			c.Lost++
		}
		if s.proved {
			c.Proved++
		}
		if s.waited {
			c.Waited++
		}
		c.Endings[endingWord(s)]++
	}
	c.Success = share(c.Served, c.Requests)
	c.Users = len(each)
	for _, u := range each {
		if float64(u.Served) >= 0.95*float64(u.Requests) {
			c.UsersIn++
		}
	}
	slices.Sort(took)
	c.P50, c.P99 = quantile(took, 0.50), quantile(took, 0.99)
	if p.To > p.From {
		c.Goodput = float64(c.Served) / (p.To - p.From)
	}
	return c
}

func endingWord(s sample) string {
	switch {
	case s.end == served || s.end == late:
		return s.end.String()
	case s.status == 0:
		return s.reason
	case s.reason != "":
		return strconv.Itoa(int(s.status)) + " " + s.reason
	}
	return strconv.Itoa(int(s.status))
}

// reckonIn follows the users who came while the flood lasted; samples are in
// order. Before opens nobody could get in.
func reckonIn(samples []sample, opens, limit, floodEnds time.Duration) *In {
	type way struct {
		came, in time.Duration
		isIn     bool
	}
	ways := map[uint16]*way{}
	in := &In{Limit: limit.Seconds()}
	ok := 0
	for _, s := range samples {
		w := ways[s.user]
		if w == nil {
			if s.began >= floodEnds {
				continue
			}
			w = &way{came: max(s.began, opens)}
			ways[s.user] = w
		}
		switch {
		case w.isIn:
			if s.began < floodEnds {
				in.Count++
				if s.end == served {
					ok++
				}
			}
		case s.end == served || s.end == late:
			w.isIn, w.in = true, s.began+s.took-w.came
		}
	}
	var times []float64
	within := 0
	for _, w := range ways {
		if w.isIn {
			times = append(times, w.in.Seconds())
			if w.in <= limit {
				within++
			}
		}
	}
	in.Users, in.Ever = len(ways), len(times)
	in.Within = share(within, in.Users)
	in.After = share(ok, in.Count)
	slices.Sort(times)
	in.P50 = quantile(times, 0.50)
	for len(times) < in.Users {
		times = append(times, math.Inf(1))
	}
	if in.P95 = quantile(times, 0.95); math.IsInf(in.P95, 1) {
		in.P95 = -1
	}
	return in
}

// Windows of time to mitigate: the first of windowLength at the target that is
// followed by windowAfter at it, looked for every windowStep.
const (
	windowLength = 1.0
	windowAfter  = 5.0
	windowStep   = 0.1
)

// settled gives how long after from the first second at the target ends that
// is followed by five at it, all before to. Nil: none. samples are in order.
func settled(samples []sample, target, from, to float64) *float64 {
	reaches := func(begin, end float64) bool {
		low, _ := slices.BinarySearchFunc(samples, begin, compareBegan)
		high, _ := slices.BinarySearchFunc(samples, end, compareBegan)
		ok := 0
		for _, s := range samples[low:high] {
			if s.end == served {
				ok++
			}
		}
		return high > low && float64(ok) >= target*float64(high-low)
	}
	for n := 0; ; n++ {
		t := from + float64(n)*windowStep
		if t+windowLength+windowAfter > to+windowStep/2 {
			return nil
		}
		if reaches(t, t+windowLength) && reaches(t+windowLength, t+windowLength+windowAfter) {
			d := t + windowLength - from
			return &d
		}
	}
}

func compareBegan(s sample, at float64) int { return cmp.Compare(s.began.Seconds(), at) }

// reckonAttack sums up the attackers' counts.
func reckonAttack(s *strikes) Attack {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := Attack{strike: s.whole, First: s.first.Seconds(), Last: s.last.Seconds()}
	if !s.any {
		return a
	}
	var planned, unsent int64
	for second, one := range s.seconds {
		if second >= secondOf(s.first) {
			planned += one.Planned
			unsent += one.Unsent
		}
	}
	if d := a.Last - a.First; d > 0 {
		a.Rate = float64(planned-unsent) / d
	}
	a.Holding = float64(unsent) <= 0.03*float64(planned)
	return a
}

// routeEnough is how many requests a route's median in peace takes.
const routeEnough = 5

// reckonSlowdown holds each phase's latency at the origin against that of peace.
func reckonSlowdown(at []AtOrigin) {
	for i := range at {
		spent, would := 0., 0.
		for name, r := range at[i].Routes {
			if calm := at[0].Routes[name]; calm.Requests >= routeEnough {
				spent += float64(r.Requests) * r.P50
				would += float64(r.Requests) * calm.P50
			}
		}
		if would > 0 {
			at[i].Slowdown = spent / would
		}
	}
}

// reckonSeconds counts second by second.
func reckonSeconds(groups int, phases []Phase, samples []sample, sums *strikes, origin map[int]float64) []Second {
	from, to := int(math.Floor(phases[0].From)), int(math.Ceil(phases[len(phases)-1].To))
	out := make([]Second, to-from)
	for i := range out {
		one := sums.second(from + i)
		out[i] = Second{At: from + i, Groups: make([]Counted, groups), Begun: one.Begun(), Come: one.Come, Reached: one.Reached, Origin: -1, Judged: -1, Shield: -1, Kernel: -1}
		if rate, known := origin[from+i]; known {
			out[i].Origin = rate
		}
	}
	for _, s := range samples {
		if i := secondOf(s.began) - from; i >= 0 && i < len(out) {
			c := &out[i].Groups[s.group]
			c.Requests++
			if s.end == served {
				c.Served++
			}
		}
	}
	return out
}

// reckonChecks holds the figures against the scenario's targets.
func reckonChecks(s *scenarios.Scenario, f *Finding) (checks []Check, m Mitigation) {
	slowest, never := 0.0, false
	for _, g := range f.Groups {
		if g.Target == 0 {
			continue
		}
		checks = append(checks, checkGroup(g)...)
		switch {
		case g.In != nil:
		case g.Mitigated == nil:
			never = true
		default:
			slowest = max(slowest, *g.Mitigated)
		}
	}
	if !never && slowest > 0 {
		m.Slowest = &slowest
	}
	checks = append(checks, checkDenied(s, f))
	if s.Goodput > 0 {
		checks = append(checks, checkGoodput(s, f))
	}
	return checks, m
}

func checkGroup(g Group) []Check {
	flood := g.Cells[1]
	if g.In != nil {
		return []Check{
			{What: fmt.Sprintf("%s: in within %.0f s", g.Name, g.In.Limit), Target: g.Target, Got: g.In.Within, Met: g.In.Within >= g.Target},
			{What: g.Name + ": success in the flood, once in", Target: g.Target, Got: g.In.After, Met: g.In.Count > 0 && g.In.After >= g.Target},
		}
	}
	c := Check{What: g.Name + ": success in the flood", Target: g.Target, Got: flood.Success}
	c.Met = flood.Requests > 0 && c.Got >= g.Target
	if g.Target >= 0.995 && flood.Requests < enough {
		c.Note = fewNote(flood.Requests, enough)
	}
	return []Check{c}
}

// checkDenied holds the share of requests that were not denied against 99.9 %,
// or, where nobody attacks, against all.
func checkDenied(s *scenarios.Scenario, f *Finding) Check {
	requests, denied := 0, 0
	for _, g := range f.Groups {
		for _, c := range g.Cells {
			requests += c.Requests
			denied += c.Denied
		}
	}
	c := Check{What: "all users: requests not denied", Target: 0.999, Got: 1 - share(denied, requests)}
	if len(s.Attacks) == 0 {
		c.Target = 1
	}
	c.Met = requests > 0 && c.Got >= c.Target
	if requests < enoughDenied {
		c.Note = fewNote(requests, enoughDenied)
	}
	return c
}

// checkGoodput takes the origin's work for users, as a share of what it can do:
// how busy it was, less what it did for requests whose answers nobody waited
// for. What came late counts: who waited in the waiting room was meant to, and
// the origin was at work meanwhile. A rate of answers would say less, since
// what a request costs depends on who asks. Where users were served all the
// same in time, as from a cache, the origin need not have worked for it.
func checkGoodput(s *scenarios.Scenario, f *Finding) Check {
	asked, inTime, delivered := 0, 0, 0
	for _, g := range f.Groups {
		asked += g.Cells[1].Requests
		inTime += g.Cells[1].Served
		delivered += g.Cells[1].Served + g.Cells[1].Endings[late.String()]
	}
	c := Check{What: "the origin's work for users in the flood phase, of what it can do", Target: s.Goodput}
	for _, o := range f.Origin {
		if o.Phase == f.Phases[1].Name && o.Requests > 0 {
			c.Got = o.Busy * min(float64(delivered)/float64(o.Requests), 1)
		}
	}
	if all := share(inTime, asked); c.Got < c.Target && all >= c.Target {
		c.What, c.Got = "all users: requests served in the flood phase", all
	}
	c.Met = c.Got >= c.Target
	return c
}

func fewNote(requests, want int) string {
	return fmt.Sprintf("%d requests: fewer than the %d that such a figure needs", requests, want)
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantile gives the nearest-rank quantile of sorted values; 0 of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

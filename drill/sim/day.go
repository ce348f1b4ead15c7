package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

const (
	// calmAfter is how long after an attack, a crowd or a fault it is calm
	// again: rules made for it have lapsed by then.
	calmAfter = 4 * time.Minute
	// copyShift is by how much later each further copy of the log's visitors comes.
	copyShift = 7 * time.Minute
)

// days are a whole day at one platform, and the same within an hour. Its users
// come as the log's did, who are there all day, and others; the policy is
// swapped all the time, and now and then something happens: floods by a tool,
// by a library, by browsers of a botnet, at night and by day, a crowd, a fault.
func days() []Scenario {
	return []Scenario{
		day("day", "A day of a real log's visitors, with floods, crowds, a fault and reloads", 24*time.Hour-4*time.Minute, 4),
		day("day-hour", "The same within an hour", time.Hour, 1),
	}
}

// day is one of a length, with so many times the log's visitors.
func day(name, title string, long time.Duration, copies int) Scenario {
	at := func(share float64) time.Duration { return time.Duration(share * float64(long)).Round(time.Second) }
	flood := func(name string, guise Guise, aim Aim, share float64, rate float64, last time.Duration) Attack {
		return Attack{Name: name, Guise: guise, Request: aim, Sources: 4000, Rate: rate, From: at(share), For: last}
	}
	crowd := func(name string, share float64) Group {
		return Group{Name: name, Kind: Browser, Count: 1200, From: at(share), Over: 10 * time.Second, Stay: time.Minute, New: true}
	}
	begin := -2 * time.Minute
	return Scenario{
		Name: name, Title: title, Peace: 2*time.Minute + 10*time.Second, Flood: long, After: time.Minute, Reload: max(long/144, 30*time.Second),
		Origin: Origin{Slow: 8, At: at(.62), For: time.Minute},
		Groups: []Group{
			{Name: "known", Kind: Browser, Count: 100, From: begin, Over: 30 * time.Second, Gap: 15 * time.Second, Members: .3},
			{Name: "api", Kind: Program, Count: 24, From: begin, Over: 20 * time.Second, Gap: 10 * time.Second},
			{Name: "watchers", Kind: Program, Look: Monitors, Count: 20, From: begin, Over: 20 * time.Second, Gap: 30 * time.Second},
			{Name: "peers", Kind: Program, Look: Servers, Count: 60, From: begin, Over: 40 * time.Second, Gap: time.Minute},
			{Name: "visitors", Kind: Browser, Count: 2229 * copies, Over: long, Replay: true},
			crowd("crowd-morning", .22), crowd("crowd-night", .80),
		},
		Attacks: []Attack{
			flood("tool", Tool, AimSearch, .10, 3000, time.Minute),
			flood("library", Library, AimSearch, .34, 1500, time.Minute),
			flood("botnet", Mimic, AimPage, .48, 2000, time.Minute),
			flood("night", Tool, AimLogin, .90, 1200, time.Minute),
		},
		Expect: []Bound{
			{"known", Success, .995, 0}, {"api", Success, .99, 0}, {"watchers", Success, .99, 0}, {"peers", Success, .99, 0},
			{"visitors", Success, .98, 0}, {"", CalmRefused, 0, 1e-5}, {"", CalmRules, 0, 0}, {"", CalmCause, 0, .001}, {"", Orders, 0, 0},
		},
	}
}

// span is a time in which something happens.
type span struct{ from, to int64 }

// lull is what was seen while nothing happened.
type lull struct {
	unrest   []span
	requests uint64
	refused  uint64
	reasons  [32]uint64
	rules    int
	ticks    int
	named    map[deich.Cause]int
	said     deich.Cause // at the last tick
	words    []string    // what was wrong, and when it began
	swaps    int
}

// forecast notes when something happens.
func (r *run) forecast() {
	s, add := &r.scenario, func(from, to int64) {
		r.calm.unrest = append(r.calm.unrest, span{from, to + int64(calmAfter)})
	}
	for i := range r.raids {
		add(r.raids[i].from, r.raids[i].to)
	}
	for i := range s.Groups {
		if g := &s.Groups[i]; g.New {
			from := r.flood + int64(g.From)
			add(from, from+int64(g.Over+g.Stay))
		}
	}
	if o := &s.Origin; o.Slow > 0 || o.Down || o.Errors > 0 {
		add(r.flood+int64(o.At), r.cleared)
	}
}

// quiet says that nothing happens at a time, nor has lately.
func (r *run) quiet(at int64) bool {
	return at >= r.flood && at < r.floodEnd &&
		!slices.ContainsFunc(r.calm.unrest, func(s span) bool { return at >= s.from && at < s.to })
}

// calmAct notes what became of a user's request.
func (r *run) calmAct(f *flight) {
	if x := &r.calm; r.quiet(f.began) {
		x.requests++
		if f.v.Refused() {
			x.refused++
			x.reasons[f.v.Reason&31]++
		}
	}
}

// calmTick notes what the engine takes for the cause.
func (r *run) calmTick() {
	if x := &r.calm; r.quiet(r.now) {
		x.ticks++
		c := r.cause().Cause
		if c != x.said && c != deich.NoCause && len(x.words) < textsMax {
			x.words = append(x.words, fmt.Sprintf("%+.1fs %v", time.Duration(r.now-r.flood).Seconds(), c))
		}
		if x.said = c; c != deich.NoCause {
			if x.named == nil {
				x.named = make(map[deich.Cause]int)
			}
			x.named[c]++
		}
	}
}

// reload swaps the policy, in turn with the waiting room in place of calculations.
func (r *run) reload() {
	r.calm.swaps++
	p := r.scenario.Policy
	p.NoChallenge = r.calm.swaps%2 == 1
	r.fail(r.engine.Swap(p))
	if at := r.now + int64(r.scenario.Reload); at < r.end {
		r.events.push(at, evReload, 0, 0)
	}
}

// CalmReport is what was seen while nothing happened, over the whole day.
type CalmReport struct {
	Requests uint64            `json:"requests"`
	Refused  uint64            `json:"refused"`
	Reasons  map[string]uint64 `json:"reasons,omitempty"`
	Rules    int               `json:"rules"`           // that began to act
	Named    map[string]int    `json:"named,omitempty"` // ticks with a cause
	Ticks    int               `json:"ticks"`
	Words    []string          `json:"words,omitempty"` // when a cause was named
	Reloads  int               `json:"reloads"`
}

func (r *run) calmReport() *CalmReport {
	x := &r.calm
	rep := &CalmReport{x.requests, x.refused, reasonWords(&x.reasons), x.rules, make(map[string]int), x.ticks, x.words, x.swaps}
	for c, n := range x.named {
		rep.Named[c.String()] = n
	}
	return rep
}

// wrong is the share of ticks with a cause.
func (c *CalmReport) wrong() float64 {
	n := uint64(0)
	for _, ticks := range c.Named {
		n += uint64(ticks)
	}
	return part([2]uint64{n, uint64(c.Ticks)})
}

func tickWords(ticks map[string]int) string {
	var all []string
	for _, cause := range slices.Sorted(maps.Keys(ticks)) {
		all = append(all, fmt.Sprint(cause, " ", ticks[cause]))
	}
	return strings.Join(all, " ")
}

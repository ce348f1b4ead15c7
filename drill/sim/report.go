package sim

import (
	"fmt"
	"time"

	"github.com/deichproject/deich"
)

// Report is what a run came to. Everything but Took, EventsPerSecond and Cost is
// the same for the same scenario and seed.
type Report struct {
	Scenario        string         `json:"scenario"`
	Title           string         `json:"title"`
	Control         Control        `json:"control,omitempty"`
	Seed            uint64         `json:"seed"`
	Trace           string         `json:"trace"` // hash over every decision and its outcome
	Users           int            `json:"users"`
	Sources         int            `json:"sources"` // of attackers
	Groups          []GroupReport  `json:"groups"`
	Attacks         []AttackReport `json:"attacks,omitempty"`
	Origin          []OriginReport `json:"origin"` // by phase
	Engine          EngineReport   `json:"engine"`
	Rules           RulesReport    `json:"rules"`
	Cause           *CauseReport   `json:"cause,omitempty"`
	Calm            *CalmReport    `json:"calm,omitempty"`   // of scenarios with reloads: the rest of the day
	Cost            Cost           `json:"cost"`             // of this machine: not the same each time
	Pulses          []Pulse        `json:"pulses,omitempty"` // one a second
	Events          uint64         `json:"events"`           // of the simulation
	Took            time.Duration  `json:"took_ns"`
	EventsPerSecond float64        `json:"events_per_second"`
	Unmet           []string       `json:"unmet,omitempty"` // expectations that do not hold
}

// GroupReport is how a group of users fared.
type GroupReport struct {
	Name     string        `json:"name"`
	Users    int           `json:"users"`
	Phases   []PhaseReport `json:"phases"`
	Served   float64       `json:"served"`   // share of users with ≥ 95 % of their own requests of the flood phase
	Settled  float64       `json:"settled"`  // success after the first content, flood phase
	Back     float64       `json:"back"`     // success later than a second after the flood
	Mitigate float64       `json:"mitigate"` // seconds until success was back for good (≥ 99.5 %); below zero: never
	FirstP50 float64       `json:"first_p50"`
	FirstP95 float64       `json:"first_p95"` // seconds from coming to the first content
	Never    int           `json:"never"`     // users who never got any content
	Touched  float64       `json:"touched"`   // share of requests, flood and after, that meet an acting rule, exempt or not
	Before   bool          `json:"before"`    // they came in peace
	met      [2]uint64
}

// PhaseReport is how a group fared in one phase.
type PhaseReport struct {
	Phase    string            `json:"phase"`
	Requests uint64            `json:"requests"`
	Success  float64           `json:"success"`
	Late     uint64            `json:"late"`
	Denied   uint64            `json:"denied"`
	P50      float64           `json:"p50_ms"`
	P99      float64           `json:"p99_ms"`
	Acts     map[string]uint64 `json:"acts"`
	Reasons  map[string]uint64 `json:"reasons,omitempty"`
}

// AttackReport is what became of an attack's requests.
type AttackReport struct {
	Name     string            `json:"name"`
	Sent     uint64            `json:"sent"`
	Refused  uint64            `json:"refused"`          // at accept, under an order
	Passes   uint64            `json:"passes,omitempty"` // earned by proof
	Answered uint64            `json:"answered"`         // by the origin, in time
	Covered  float64           `json:"covered"`          // share met by an acting rule or refused at accept, from three seconds on
	Acts     map[string]uint64 `json:"acts"`
	Reasons  map[string]uint64 `json:"reasons,omitempty"`
}

// OriginReport is the origin in one phase.
type OriginReport struct {
	Phase   string  `json:"phase"`
	Arrived uint64  `json:"arrived"`
	Done    uint64  `json:"done"`
	Failed  uint64  `json:"failed"`
	Wasted  uint64  `json:"wasted"` // worked off for clients that had left
	Most    int     `json:"most"`   // held at once
	P50     float64 `json:"p50_ms"` // of users' requests
	P99     float64 `json:"p99_ms"`
	Stretch float64 `json:"stretch"` // how many times the work in them users' requests took
	Goodput float64 `json:"goodput"` // work answered in time, as a share of what the origin can do
	Useful  float64 `json:"useful"`  // the same, for users alone
}

// RulesReport is what the synthesis came to.
type RulesReport struct {
	Jobs      int      `json:"jobs"`
	Acted     int      `json:"acted"` // rules that acted, in all
	Most      int      `json:"most"`  // at once
	Withdrawn int      `json:"withdrawn"`
	First     float64  `json:"first"`   // seconds from the first bad request until a rule acts; below zero: none did
	Covered   float64  `json:"covered"` // share of the attacks' requests, from three seconds on, that met an acting rule or were refused at accept
	Touched   float64  `json:"touched"` // share of the requests of those who came in peace that meet an acting rule, exempt or not
	Orders    int      `json:"orders"`  // against addresses where users live
	Texts     []string `json:"texts,omitempty"`
}

// CauseReport is what the engine took for the cause, in the flood phase.
type CauseReport struct {
	Truth  []deich.Cause `json:"truth"`           // any of them is right
	After  float64       `json:"after"`           // seconds until it was right, since there was something to explain; below zero: never
	Held   float64       `json:"held"`            // share of the time since that it was right
	Mostly deich.Cause   `json:"mostly"`          // what it said most of the time that it was wrong
	Said   []deich.Cause `json:"said"`            // all that it said, as it was first said
	Sure   float64       `json:"sure"`            // the confidence it was right with, the mean
	Wrong  []deich.Term  `json:"wrong,omitempty"` // the evidence for the last wrong cause
}

// Cost is what the synthesis took of this machine's time.
type Cost struct {
	Mean time.Duration `json:"mean_ns"`
	Most time.Duration `json:"most_ns"`
}

// EngineReport is the engine over the whole run.
type EngineReport struct {
	MemoryBytes int      `json:"memory_bytes"`
	Most        int      `json:"most"`       // placed at once
	MostLimit   float64  `json:"most_limit"` // the limit then, in average requests
	MostQueued  int      `json:"most_queued"`
	Orders      int      `json:"orders"`
	Events      []string `json:"events,omitempty"`
}

// Pulse is the engine at one moment.
type Pulse struct {
	At       float64 `json:"at"` // seconds since the flood began
	Limit    float64 `json:"limit"`
	Inflight int     `json:"inflight"`
	Queued   int     `json:"queued"`
	Cut      uint8   `json:"cut"`
	Pressure bool    `json:"pressure"`
	Demand   float64 `json:"demand"`
	Capacity float64 `json:"capacity"`
	Goodput  float64 `json:"goodput"`
	Slowdown float64 `json:"slowdown"`
}

// Group gives a group's report by name, or nil.
func (r *Report) Group(name string) *GroupReport {
	for i := range r.Groups {
		if r.Groups[i].Name == name {
			return &r.Groups[i]
		}
	}
	return nil
}

const target = .995 // success is back at this share

func (r *run) report(seed uint64, took time.Duration) Report {
	s := &r.scenario
	rep := Report{
		Scenario: s.Name, Title: s.Title, Control: s.Control, Seed: seed,
		Trace: fmt.Sprintf("%016x", r.trace.Sum64()), Users: len(r.clients),
		Pulses: r.stats.pulses, Events: r.handled, Took: took, EventsPerSecond: float64(r.handled) / took.Seconds(),
	}
	never := r.census()
	for gi := range s.Groups {
		rep.Groups = append(rep.Groups, r.groupReport(gi, never[gi]))
	}
	for ai := range s.Attacks {
		x := &r.stats.foes[ai]
		rep.Sources += s.Attacks[ai].Sources
		rep.Attacks = append(rep.Attacks, AttackReport{s.Attacks[ai].Name, x.sent, x.dropped, x.farmed, x.answered,
			ratio(x.met[0], x.met[1]), actWords(&x.acts), reasonWords(&x.reasons)})
	}
	for p, long := range [phases]time.Duration{s.Peace, s.Flood, s.After} {
		l := &r.stats.loads[p]
		can := max(float64(s.Origin.Cores)*long.Seconds(), 1e-9)
		rep.Origin = append(rep.Origin, OriginReport{phaseNames[p], l.arrived, l.done, l.failed, l.wasted, l.most,
			l.took.at(.5), l.took.at(.99), l.waited / max(l.worked, 1e-9), l.inTime / can, l.useful / can})
	}
	if r.engine != nil {
		rep.Engine = EngineReport{r.engine.MemoryBytes(), r.places.most, r.places.limit, r.stats.most, r.refused.orders, r.words()}
	}
	r.reportRules(&rep)
	if s.Reload > 0 {
		rep.Calm = r.calmReport()
	}
	rep.Unmet = rep.unmet(s.Expect)
	return rep
}

// census counts who was served, by group, and gives how many never were.
func (r *run) census() []int {
	never := make([]int, len(r.stats.groups))
	for i := range r.clients {
		c := &r.clients[i]
		g := &r.stats.groups[c.group]
		g.users++
		if c.seen > 0 {
			g.asked++
			if float64(c.ok) >= .95*float64(c.seen) {
				g.served++
			}
		}
		if c.came >= r.end {
			continue
		}
		if c.first == 0 {
			never[c.group]++
			g.first.add(lost)
		} else {
			g.first.add(time.Duration(c.first - max(c.came, r.starts)))
		}
	}
	return never
}

func (r *run) groupReport(gi, never int) GroupReport {
	g := &r.stats.groups[gi]
	rep := GroupReport{
		Name: r.scenario.Groups[gi].Name, Users: g.users,
		Served:  ratio(uint64(g.served), uint64(g.asked)),
		Settled: ratio(g.settled[0], g.settled[1]), Back: ratio(g.back[0], g.back[1]),
		Mitigate: g.mitigated(r.firstBad(), target),
		Touched:  part(g.met), Before: r.scenario.Groups[gi].From < 0, met: g.met,
		FirstP50: g.first.at(.5) / 1000, FirstP95: g.first.at(.95) / 1000, Never: never,
	}
	for p := range phases {
		t := &g.tally[p]
		rep.Phases = append(rep.Phases, PhaseReport{phaseNames[p], t.wants, ratio(t.ok, t.wants), t.late, t.denied,
			t.took.at(.5), t.took.at(.99), actWords(&t.acts), reasonWords(&t.reasons)})
	}
	return rep
}

// firstBad is when the first bad request comes, since the flood began, or the
// shield, if that is later.
func (r *run) firstBad() time.Duration {
	at := time.Duration(0)
	for i := range r.scenario.Attacks {
		if a := &r.scenario.Attacks[i]; i == 0 || a.From < at {
			at = a.From
		}
	}
	return max(at, r.scenario.Start, 0)
}

// reportRules tells of the synthesis and of the cause.
func (r *run) reportRules(rep *Report) {
	x, bad := &r.rules, int64(r.firstBad())
	rr := RulesReport{Jobs: x.jobs, Acted: x.acted, Most: x.most, Withdrawn: x.taken, First: -1, Orders: x.orders, Texts: x.texts}
	if x.acted > 0 {
		rr.First = time.Duration(x.first - r.flood - bad).Seconds()
	}
	var covered, touched [2]uint64
	for i := range r.stats.foes {
		covered[0], covered[1] = covered[0]+r.stats.foes[i].met[0], covered[1]+r.stats.foes[i].met[1]
	}
	for i := range rep.Groups {
		if g := &rep.Groups[i]; g.Before {
			touched[0], touched[1] = touched[0]+g.met[0], touched[1]+g.met[1]
		}
	}
	rr.Covered, rr.Touched = part(covered), part(touched)
	rep.Rules = rr
	if x.jobs > 0 {
		rep.Cost = Cost{x.spent / time.Duration(x.jobs), x.worst}
	}
	if c := &r.causes; r.engine != nil && len(r.scenario.Truth) > 0 {
		rep.Cause = &CauseReport{Truth: r.scenario.Truth, After: -1, Held: part([2]uint64{uint64(c.right), uint64(c.then)}),
			Mostly: c.mostly(), Said: c.said, Sure: c.sure / float64(max(c.right, 1)), Wrong: c.wrong.Terms}
		if c.first != 0 {
			rep.Cause.After = time.Duration(c.first - c.suffers).Seconds()
		}
	}
}

// part is 0 where nothing came.
func part(of [2]uint64) float64 { return float64(of[0]) / float64(max(of[1], 1)) }

// ratio is 1 where nothing was asked for.
func ratio(n, of uint64) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

func actWords(n *[8]uint64) map[string]uint64 {
	m := make(map[string]uint64)
	for i, x := range n {
		if x > 0 {
			m[deich.Act(i).String()] = x
		}
	}
	return m
}

func reasonWords(n *[32]uint64) map[string]uint64 {
	m := make(map[string]uint64)
	for i, x := range n {
		if x > 0 && i > 0 {
			m[deich.Reason(i).String()] = x
		}
	}
	return m
}

// words tells the engine's events that were kept.
func (r *run) words() []string {
	var all []string
	for _, e := range r.stats.events {
		all = append(all, fmt.Sprintf("%+.1fs %v", time.Duration(int64(e.At)-r.flood).Seconds(), e.Kind))
	}
	return all
}

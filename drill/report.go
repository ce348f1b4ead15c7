package drill

import "time"

// Report is what one call of Run found.
type Report struct {
	Made    time.Time `json:"made"`
	Machine Machine   `json:"machine"`
	Sandbox string    `json:"sandbox"`               // namespace or loopback
	Why     string    `json:"sandbox_why,omitempty"` // why it is loopback
	Runs    []Finding `json:"runs"`
	Skipped []Skipped `json:"skipped,omitempty"`
}

// Machine says where it was measured.
type Machine struct {
	System string `json:"system"`
	Cores  int    `json:"cores"`
	Go     string `json:"go"`
}

// Skipped is a scenario that could not run here.
type Skipped struct {
	Scenario string `json:"scenario"`
	Why      string `json:"why"`
}

// Finding is what one rehearsal of one scenario found.
type Finding struct {
	Scenario   string     `json:"scenario"`
	Title      string     `json:"title"`
	Shield     string     `json:"shield"`         // "Deich", "none", or another's name
	Gate       string     `json:"gate,omitempty"` // what its gate was, by its own word
	Seed       uint64     `json:"seed"`
	Phases     []Phase    `json:"phases"`
	Capacity   Capacity   `json:"capacity"`
	Groups     []Group    `json:"groups"`
	Attack     Attack     `json:"attack"`
	Mitigation Mitigation `json:"mitigation"`
	Origin     []AtOrigin `json:"origin,omitempty"` // by phase
	Processes  []Process  `json:"processes"`
	// Others is how many cores other processes of the machine used, by phase:
	// what was measured while they worked hard says less. Interrupts is what no
	// process is charged with: the kernel's work on packets, mostly the drill's.
	Others     map[string]float64 `json:"others_cores,omitempty"`
	Interrupts map[string]float64 `json:"interrupts_cores,omitempty"`
	Stolen     map[string]float64 `json:"stolen_cores,omitempty"` // the machine's host gave them to others
	Seconds    []Second           `json:"seconds"`
	Checks     []Check            `json:"checks,omitempty"`
	LeftOut    int                `json:"left_out,omitempty"` // samples beyond SamplesMax
	Recorded   []Recorded         `json:"recorded,omitempty"` // the incidents that Deich recorded
	Truth      *Happened          `json:"truth,omitempty"`    // to hold them against
	Notes      []string           `json:"notes,omitempty"`
}

// Phase is a part of a rehearsal, in seconds since the flood phase began.
type Phase struct {
	Name string  `json:"name"` // peace, flood, after
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// Capacity is what the origin did when it was asked directly, before anything
// else ran: answers a second.
type Capacity struct {
	Searches float64 `json:"searches"`
	Mix      float64 `json:"mix"` // of what users ask for
}

// Group is how a group of users fared.
type Group struct {
	Name   string  `json:"name"`
	Kind   string  `json:"kind"`
	Users  int     `json:"users"`
	Target float64 `json:"target,omitempty"`
	Cells  []Cell  `json:"phases"`
	In     *In     `json:"in,omitempty"` // where users came during the flood
	// Mitigated and Recovered are seconds: from the first attack request, and
	// from the last, to the first second at the target that is followed by five
	// at it. Nil: never, or there was too little time or traffic to tell.
	Mitigated *float64 `json:"mitigated_s,omitempty"`
	Recovered *float64 `json:"recovered_s,omitempty"`
}

// Cell is a group in a phase. Requests are counted where they began.
type Cell struct {
	Phase    string         `json:"phase"`
	Requests int            `json:"requests"`
	Served   int            `json:"served"`       // the origin's own content within the deadline
	Success  float64        `json:"success"`      // Served / Requests
	Users    int            `json:"users"`        // with a request in the phase
	UsersIn  int            `json:"users_served"` // of them, with at least 95 % of their requests served
	P50      float64        `json:"p50_ms"`       // of what got content
	P99      float64        `json:"p99_ms"`
	Goodput  float64        `json:"goodput"` // served a second
	Denied   int            `json:"denied"`  // met deny or drop, or had nothing within 60 s
	Lost     int            `json:"lost"`    // of them, those that had nothing within 60 s
	Proved   int            `json:"proved"`  // had to solve a proof on the way
	Waited   int            `json:"waited"`  // were in a waiting room on the way
	Endings  map[string]int `json:"endings"` // "served", "503 below_cut", "timeout", …
}

// In is how users who came during the flood got in. Who came before the shield
// was there counts from its start.
type In struct {
	Users  int     `json:"users"`         // who came during the flood
	Ever   int     `json:"ever"`          // of them, who got in at all
	Limit  float64 `json:"limit_s"`       // until when they are to be in
	Within float64 `json:"within"`        // share in within it
	P50    float64 `json:"p50_s"`         // of who got in
	P95    float64 `json:"p95_s"`         // of all; -1: more than one in twenty never got in
	After  float64 `json:"success_after"` // success of the requests that came after it
	Count  int     `json:"requests_after"`
}

// Attack is what the attackers did.
type Attack struct {
	strike
	First   float64 `json:"first_s"` // the first and last attack request
	Last    float64 `json:"last_s"`
	Rate    float64 `json:"rate"`    // begun a second, between the two
	Holding bool    `json:"holding"` // the rate was held: at most 3 % of what was planned was not begun in time
}

// Mitigation sums up the groups that have a target.
type Mitigation struct {
	Slowest *float64 `json:"slowest_s,omitempty"` // of all groups that have a target; nil: one never
}

// AtOrigin is what reached the origin in a phase, as it measured itself.
type AtOrigin struct {
	Phase    string  `json:"phase"`
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	Rate     float64 `json:"rate"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	MostOpen int     `json:"most_in_flight"`
	Busy     float64 `json:"busy"` // share of its processor cores that it used
	// Slowdown is how many times as long the phase's requests took as the same
	// requests would have in peace: the mean of the routes' medians, over that of
	// their medians in peace, both weighted by the phase's requests. 0: not known.
	Slowdown float64            `json:"slowdown,omitempty"`
	Routes   map[string]AtRoute `json:"routes"`
}

// AtRoute is one route of the origin in a phase.
type AtRoute struct {
	Requests int     `json:"requests"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
}

// Process is what a process used.
type Process struct {
	Name  string             `json:"name"`  // the shield, origin, drill
	Cores map[string]float64 `json:"cores"` // processor cores in use, by phase
	Peak  int64              `json:"peak_bytes"`
	RSS   []int64            `json:"rss_bytes"` // by second, as Seconds
}

// Second is one second of a rehearsal.
type Second struct {
	At      int       `json:"at"`
	Groups  []Counted `json:"groups"` // as Finding.Groups
	Begun   int64     `json:"attack_begun"`
	Come    int64     `json:"attack_come_about"` // as Attack
	Reached int64     `json:"attack_reached"`
	Origin  float64   `json:"origin_rate"`      // -1: not known, as below
	Judged  int       `json:"judged"`           // sources that Deich refuses
	Shield  float64   `json:"shield_cores"`     // that the shield used
	Kernel  float64   `json:"interrupts_cores"` // as Finding.Interrupts
}

// Counted is a group in a second.
type Counted struct {
	Requests int `json:"requests"`
	Served   int `json:"served"`
}

// Check holds a figure against its target.
type Check struct {
	What   string  `json:"what"`
	Target float64 `json:"target"`
	Got    float64 `json:"got"`
	Met    bool    `json:"met"`
	Note   string  `json:"note,omitempty"` // why it says little
}

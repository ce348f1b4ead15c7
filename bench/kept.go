package main

import (
	"cmp"
	"math"

	"github.com/deichproject/deich/drill"
)

// keptTrial is one rehearsal of one scenario behind one peer. What is not said
// otherwise is of the flood phase.
type keptTrial struct {
	Peer     string      `json:"peer"`
	Date     string      `json:"date"`
	Kept     float64     `json:"users_kept"` // share of all users' requests that got the platform's own content in time
	After    float64     `json:"kept_after"` // the same when the flood is over
	Requests int         `json:"requests"`
	Groups   []keptGroup `json:"groups"`
	Goodput  float64     `json:"goodput"`     // requests of users served in time, a second
	Origin   float64     `json:"origin_rate"` // requests a second that reached the platform
	Busy     float64     `json:"origin_busy"`
	// Mitigated is the time in seconds until all groups with a target were back at it; nil: never, or nobody attacked.
	Mitigated *float64 `json:"mitigated_s,omitempty"`
	Attack    float64  `json:"attack_rate,omitempty"`
	Holding   bool     `json:"attack_held,omitempty"` // its rate
	Reached   int64    `json:"attack_reached"`
	Cores     float64  `json:"shield_cores"` // of all the peer's processes
	Drill     float64  `json:"drill_cores"`  // users and attackers
	Others    float64  `json:"others_cores"` // other processes of the machine: how disturbed it was
	Stolen    float64  `json:"stolen_cores"` // the machine's host gave them to others
	Peak      int64    `json:"shield_peak_bytes"`
	Searches  float64  `json:"capacity_searches"` // the platform alone, a second
	Mix       float64  `json:"capacity_mix"`
	Notes     []string `json:"notes,omitempty"`
}

// keptGroup is how a group of users fared.
type keptGroup struct {
	Name       string         `json:"name"`
	Requests   int            `json:"requests"`
	Served     int            `json:"served"`
	Users      int            `json:"users"`
	UsersIn    int            `json:"users_served"` // with at least 95 % of their requests
	Denied     int            `json:"denied"`
	Challenged int            `json:"challenged"` // solved a proof
	Waited     int            `json:"waited"`     // were in a waiting room
	P50        float64        `json:"p50_ms"`
	Endings    map[string]int `json:"endings"`
}

func newKeptTrial(peer string, rep *drill.Report, f *drill.Finding) keptTrial {
	t := keptTrial{
		Peer: peer, Date: rep.Made.UTC().Format("2006-01-02 15:04 UTC"), Mitigated: f.Mitigation.Slowest,
		Attack: f.Attack.Rate, Holding: f.Attack.Holding, Reached: f.Attack.Reached,
		Others: f.Others["flood"], Stolen: f.Stolen["flood"], Searches: f.Capacity.Searches, Mix: f.Capacity.Mix, Notes: f.Notes,
	}
	served, after, afterServed := 0, 0, 0
	for _, g := range f.Groups {
		for _, c := range g.Cells {
			switch c.Phase {
			case "flood":
				t.Groups = append(t.Groups, keptGroup{
					g.Name, c.Requests, c.Served, c.Users, c.UsersIn, c.Denied, c.Proved, c.Waited, c.P50, c.Endings,
				})
				t.Requests += c.Requests
				served += c.Served
				t.Goodput += c.Goodput
			case "after":
				after += c.Requests
				afterServed += c.Served
			}
		}
	}
	t.Kept, t.After = part(served, t.Requests), part(afterServed, after)
	for _, o := range f.Origin {
		if o.Phase == "flood" {
			t.Origin, t.Busy = o.Rate, o.Busy
		}
	}
	for _, p := range f.Processes {
		switch p.Name {
		case "origin":
		case "drill":
			t.Drill = p.Cores["flood"]
		default:
			t.Cores, t.Peak = p.Cores["flood"], p.Peak
		}
	}
	return t
}

func part(of, all int) float64 { return float64(of) / float64(max(all, 1)) }

// count sums one figure of all groups.
func (t *keptTrial) count(of func(*keptGroup) int) (n int) {
	for i := range t.Groups {
		n += of(&t.Groups[i])
	}
	return n
}

// group gives one group; nil where the scenario has none of the name.
func (t *keptTrial) group(name string) *keptGroup {
	for i := range t.Groups {
		if t.Groups[i].Name == name {
			return &t.Groups[i]
		}
	}
	return nil
}

// agree says whether two runs found the same: users kept within keptOff, and
// what users were given a second within goodputOff of the larger.
func agree(a, b *keptTrial) bool {
	return math.Abs(a.Kept-b.Kept) <= keptOff && math.Abs(a.Goodput-b.Goodput) <= goodputOff*max(a.Goodput, b.Goodput)
}

// agreed gives the first two runs that agree: the earliest second one, with the
// earliest first one. False: none do.
func agreed(trials []*keptTrial) (a, b *keptTrial, ok bool) {
	for j := range trials {
		for i := range j {
			if agree(trials[i], trials[j]) {
				return trials[i], trials[j], true
			}
		}
	}
	return nil, nil, false
}

// figure gives what stands in a table for several runs: the mean of the two that
// agree, else the median of all.
func figure(trials []*keptTrial, of func(*keptTrial) float64) float64 {
	if a, b, ok := agreed(trials); ok {
		return (of(a) + of(b)) / 2
	}
	var values []float64
	for _, t := range trials {
		values = append(values, of(t))
	}
	return median(values)
}

// spread gives the least and the most of all runs.
func spread(trials []*keptTrial, of func(*keptTrial) float64) (low, high float64) {
	low = math.Inf(1)
	for _, t := range trials {
		low, high = min(low, of(t)), max(high, of(t))
	}
	return low, high
}

func keptOf(t *keptTrial) float64    { return t.Kept }
func goodputOf(t *keptTrial) float64 { return t.Goodput }

// Names that mean more than a row: justDeich also begins those of Deich with a
// setting, nobody leaves users and attackers to the platform itself.
const (
	justDeich = "Deich"
	nobody    = "nothing"
)

// byOrder sorts peers as guardians are listed.
func byOrder(order []string) func(a, b string) int {
	at := func(name string) int {
		for i, each := range order {
			if each == name {
				return i
			}
		}
		return len(order)
	}
	return func(a, b string) int { return cmp.Compare(at(a), at(b)) }
}

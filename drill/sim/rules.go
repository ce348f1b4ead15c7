package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

const (
	synthesisTakes = 300 * time.Millisecond // from the tick that asks for it until its rules are adopted
	rulesDue       = 3 * time.Second        // after the first bad request: what the attacks send from then on counts as covered or not
	textsMax       = 64                     // rules told in words; later ones are not
)

// rules keeps the books on what the engine synthesised.
type rules struct {
	found  deich.Rules // by the synthesis under way
	acting []deich.Rule
	acted  int
	most   int // acting at once
	first  int64
	taken  int // withdrawn
	texts  []string
	users  map[uint64]bool // keys of users' addresses
	orders int             // that met one of them

	jobs         int
	spent, worst time.Duration // of this machine's time: told, not traced
}

// synthesise runs what the engine wants done at once; what it finds comes to
// the engine as late as from a processor of its own.
func (r *run) synthesise(job *deich.Job) {
	if job == nil {
		return
	}
	began := time.Now()
	r.rules.found = job.Run()
	took := time.Since(began)
	r.rules.jobs++
	r.rules.spent += took
	r.rules.worst = max(r.rules.worst, took)
	r.events.push(r.now+int64(synthesisTakes), evAdopt, 0, 0)
}

func (r *run) adopt() {
	found := r.rules.found
	r.rules.found = deich.Rules{}
	r.engine.Adopt(deich.Time(r.now), found, r.out)
	r.handle()
}

// ruleEvent keeps the list of acting rules current.
func (r *run) ruleEvent(ev deich.Event) {
	x := &r.rules
	switch ev.Kind {
	default:
		return
	case deich.RuleWithdrawn:
		x.taken++
	case deich.RuleExpired:
	case deich.RuleActs:
		if x.acted++; x.acted == 1 {
			x.first = r.now
		}
		if r.quiet(r.now) {
			r.calm.rules++
		}
	}
	x.acting = x.acting[:0]
	for _, rule := range r.engine.Rules(deich.Time(r.now)) {
		if rule.Shadow {
			continue
		}
		x.acting = append(x.acting, rule)
		if rule.ID == ev.Rule && len(x.texts) < textsMax {
			x.texts = append(x.texts, r.ruleText(&rule))
		}
	}
	x.most = max(x.most, len(x.acting))
}

func (r *run) ruleText(rule *deich.Rule) string {
	var parts []string
	for _, c := range rule.Conditions {
		name := c.Trait.String()
		if c.With != c.Trait {
			name += "×" + c.With.String()
		}
		switch c.Compare {
		case deich.Is:
			name += fmt.Sprintf(" is %x", c.Value)
		case deich.Novel:
			name += " is novel"
		case deich.Hot:
			name += fmt.Sprintf(" is one of %d", c.Pool)
		}
		parts = append(parts, name)
	}
	return fmt.Sprintf("%+.1fs %v %.0f %%: %s", time.Duration(r.now-r.flood).Seconds(), rule.Act, 100*rule.Share,
		strings.Join(parts, ", "))
}

// meets says whether a request meets a rule that acts, exempt or not.
func (r *run) meets(t *deich.Traits) bool {
	for i := range r.rules.acting {
		if r.rules.acting[i].Meets(t) {
			return true
		}
	}
	return false
}

// touch notes whether a user's request meets a rule.
func (r *run) touch(f *flight) {
	if r.now < r.flood {
		return
	}
	g := &r.stats.groups[f.kind]
	g.met[1]++
	if r.meets(&f.req.Traits) {
		g.met[0]++
	}
}

// cover notes whether an attack's request meets a rule, or is refused at accept.
func (r *run) cover(f *flight, refused bool) {
	if ai, _ := f.attack(); r.now < r.floodEnd && r.now >= r.flood+int64(r.firstBad()+rulesDue) {
		x := &r.stats.foes[ai]
		count(&x.met, refused || r.meets(&f.req.Traits))
	}
}

// ordered notes an order against an address where users live.
func (r *run) ordered(o deich.Order) {
	if o.Until != 0 && r.rules.users[sourceKey(o.Prefix.Addr())] {
		r.rules.orders++
	}
}

// register takes down where users live, for ordered.
func (r *run) register() {
	r.rules.users = make(map[uint64]bool, len(r.clients))
	for i := range r.clients {
		r.rules.users[sourceKey(r.clients[i].addr)] = true
	}
}

package drill

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"
)

// usage is what a process has used.
type usage struct {
	cpu  time.Duration // since it began
	rss  int64         // bytes now
	peak int64         // bytes at most
}

// busy is what a whole machine has used.
type busy struct {
	processes, interrupts time.Duration
	stolen                time.Duration // the host gave it to others
}

// gauges are what the processes used, second by second. Safe for concurrent use.
type gauges struct {
	mu         sync.Mutex
	all        []*gauge
	origin     map[int]float64 // requests a second that reached the origin
	judged     map[int]int     // sources that Deich refuses
	whole      busy            // as of wholeAt
	wholeAt    time.Duration
	processes  map[int]float64 // cores that all processes of the machine used, by second
	interrupts map[int]float64
	stolen     map[int]float64
}

// gauge is one process's: it may end and be started again under another number.
type gauge struct {
	name string
	pid  int
	last usage
	at   time.Duration
	used map[int]float64 // cores in use, by second
	rss  map[int]int64
	peak int64
}

func newGauges(shield string) *gauges {
	g := &gauges{origin: map[int]float64{}, judged: map[int]int{}, processes: map[int]float64{}, interrupts: map[int]float64{}, stolen: map[int]float64{}}
	for _, name := range [...]string{strings.ToLower(shield), "origin", "drill"} {
		g.all = append(g.all, &gauge{name: name, used: map[int]float64{}, rss: map[int]int64{}})
	}
	return g
}

// take reads one process's use; pid 0: it does not run.
func (g *gauges) take(which, pid int, now time.Duration) {
	var u usage
	var err error
	if pid > 0 {
		u, err = usageOf(pid)
	}
	g.put(which, pid, u, err, now)
}

// takeGroups reads what process groups and their ended children have used, as one.
func (g *gauges) takeGroups(which int, leaders []int, now time.Duration) {
	if len(leaders) == 0 {
		g.put(which, 0, usage{}, nil, now)
		return
	}
	u, err := usageOfGroups(leaders)
	g.put(which, leaders[0], u, err, now)
}

func (g *gauges) put(which, pid int, u usage, err error, now time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.all[which]
	if pid == 0 || err != nil {
		one.pid = 0
		return
	}
	second := secondOf(now)
	if d := (now - one.at).Seconds(); one.pid == pid && d > 0 {
		one.used[second-1] = (u.cpu - one.last.cpu).Seconds() / d
	}
	one.pid, one.last, one.at = pid, u, now
	one.rss[second] = u.rss
	one.peak = max(one.peak, u.peak)
}

// takeWhole reads the whole machine's use.
func (g *gauges) takeWhole(now time.Duration) {
	whole, err := busyOf()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.wholeAt = 0
		return
	}
	if d := (now - g.wholeAt).Seconds(); g.wholeAt != 0 && d > 0 {
		second := secondOf(now) - 1
		g.processes[second] = (whole.processes - g.whole.processes).Seconds() / d
		g.interrupts[second] = (whole.interrupts - g.whole.interrupts).Seconds() / d
		g.stolen[second] = (whole.stolen - g.whole.stolen).Seconds() / d
	}
	g.whole, g.wholeAt = whole, now
}

// rest gives how many cores were not used by what the drill started, by phase:
// other processes, interrupts, and what the host gave to others.
func (g *gauges) rest(phases []Phase) (others, interrupts, stolen map[string]float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	others, interrupts, stolen = map[string]float64{}, map[string]float64{}, map[string]float64{}
	for _, phase := range phases {
		left := mean(g.processes, phase)
		for _, one := range g.all {
			left -= mean(one.used, phase)
		}
		others[phase.Name], interrupts[phase.Name] = max(left, 0), mean(g.interrupts, phase)
		stolen[phase.Name] = mean(g.stolen, phase)
	}
	return others, interrupts, stolen
}

// mean is over the seconds of a phase that are known; 0 of none.
func mean(bySecond map[int]float64, p Phase) float64 {
	sum, n := 0.0, 0
	for second := int(p.From); second < int(p.To); second++ {
		if v, known := bySecond[second]; known {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(max(n, 1))
}

func (g *gauges) arrived(second int, rate float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.origin[second] = rate
}

func (g *gauges) rates() map[int]float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.origin)
}

// judge notes how many sources Deich refuses.
func (g *gauges) judge(second, sources int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.judged[second] = sources
}

// fill puts what is known into seconds.
func (g *gauges) fill(all []Second) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range all {
		s := &all[i]
		if n, known := g.judged[s.At]; known {
			s.Judged = n
		}
		if v, known := g.all[gaugeShield].used[s.At]; known {
			s.Shield = v
		}
		if v, known := g.interrupts[s.At]; known {
			s.Kernel = v
		}
	}
}

// latest gives the cores in use in the last full second, and the memory.
func (g *gauges) latest(which int) (cores float64, rss int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.all[which]
	return one.used[secondOf(one.at)-1], one.last.rss
}

// processes sums up by phase; a process that never ran is left out.
func (g *gauges) sums(phases []Phase) []Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Process
	for _, one := range g.all {
		if len(one.rss) == 0 {
			continue
		}
		p := Process{Name: one.name, Cores: map[string]float64{}, Peak: one.peak}
		for _, phase := range phases {
			p.Cores[phase.Name] = mean(one.used, phase)
		}
		for second := int(phases[0].From); second < int(phases[len(phases)-1].To); second++ {
			p.RSS = append(p.RSS, one.rss[second])
		}
		out = append(out, p)
	}
	return out
}

// The gauges' places.
const (
	gaugeShield = iota
	gaugeOrigin
	gaugeDrill
)

// lineDelay lets a second's counts be handed over before they are told.
const lineDelay = 60 * time.Millisecond

// watch reads the gauges once a second and writes a line about it.
func (r *rehearsal) watch(ctx context.Context) {
	live := newLive(r)
	asks := newTeller(r.figures)
	defer asks.close()
	asked, counted := time.Duration(0), -1
	for second := r.clock.second() + 1; r.clock.until(ctx, time.Duration(second)*time.Second+lineDelay); second++ {
		now := r.clock.now()
		if r.with == nil {
			r.gauges.take(gaugeShield, pidOf(r.get(&r.shield)), now)
		} else {
			r.gauges.takeGroups(gaugeShield, r.pids(&r.shield, &r.beside), now)
		}
		if r.platform == nil {
			r.gauges.take(gaugeOrigin, pidOf(r.get(&r.origin)), now)
		} else {
			r.gauges.takeGroups(gaugeOrigin, r.pids(&r.origin, &r.behind), now)
		}
		r.gauges.take(gaugeDrill, os.Getpid(), now)
		r.gauges.takeWhole(now)
		quick, cancel := context.WithTimeout(ctx, 700*time.Millisecond)
		stats, err := asks.ask(quick, false)
		cancel()
		if err != nil {
			counted = -1
		} else {
			d := (r.clock.now() - asked).Seconds()
			if stats.All.Count < counted { // it began a new window in between
				d, counted = stats.Seconds, 0
			}
			if counted >= 0 && d > 0 {
				r.gauges.arrived(second-1, float64(stats.All.Count-counted)/d)
			}
			asked, counted = r.clock.now(), stats.All.Count
		}
		if r.shielded && r.with == nil {
			var state struct{ Ordered int }
			if err := r.askDeich(ctx, "/api/v1/state", &state); err == nil {
				r.gauges.judge(second-1, state.Ordered)
			}
		}
		live.line(second - 1)
		if c := r.get(&r.shield); c != nil && c.ended() {
			r.fail(fmt.Errorf("%s ended in the middle: %w\n%s", c.name, orEnded(c.err), c.out))
		}
	}
}

func pidOf(c *child) int {
	if c == nil || c.ended() {
		return 0
	}
	return c.pid()
}

package drill

import (
	"fmt"
	"io"
	"strings"
)

// live writes one line a second about a rehearsal under way.
type live struct {
	r    *rehearsal
	out  io.Writer
	seen int
	left []sample // of seconds that are not over
}

func newLive(r *rehearsal) *live { return &live{r: r, out: r.o.Out} }

func shieldGone(c *child) error {
	return fmt.Errorf("drill: %s ended in the middle: %w\n%s", c.name, orEnded(c.err), c.out)
}

// line writes about the second that has just ended.
func (l *live) line(second int) {
	r := l.r
	counts := make([]Counted, len(r.spec.Groups))
	fresh := r.tally.since(l.seen)
	l.seen += len(fresh)
	for _, s := range fresh {
		// Told in the second in which it ended: a request that waits five seconds is not known before.
		c := &counts[s.group]
		c.Requests++
		if s.end == served {
			c.Served++
		}
	}
	one := r.sums.second(second)
	var b strings.Builder
	fmt.Fprintf(&b, "%4d s  %-5s", second, phaseAt(r.phases(), second))
	for i, c := range counts {
		if c.Requests == 0 {
			fmt.Fprintf(&b, "  %s     –", r.spec.Groups[i].Name)
			continue
		}
		fmt.Fprintf(&b, "  %s %3d %4.0f %%", r.spec.Groups[i].Name, c.Requests, 100*share(c.Served, c.Requests))
	}
	if len(r.spec.Attacks) > 0 {
		fmt.Fprintf(&b, "  | attack %5d, through %4d", one.Sent, one.Reached)
	}
	if rate, known := r.gauges.rates()[second]; known {
		fmt.Fprintf(&b, " | origin %4.0f/s", rate)
	} else {
		b.WriteString(" | origin    –  ")
	}
	for which, name := range [...]string{gaugeShield: "deich", gaugeOrigin: "origin", gaugeDrill: "drill"} {
		if cores, rss := r.gauges.latest(which); rss > 0 && (which != gaugeShield || r.shielded) {
			fmt.Fprintf(&b, " | %s %.2f core %d MiB", name, cores, rss>>20)
		}
	}
	fmt.Fprintln(l.out, b.String())
}

func phaseAt(phases []Phase, second int) string {
	for _, p := range phases {
		if at := float64(second); at >= p.From && at < p.To {
			return p.Name
		}
	}
	return ""
}

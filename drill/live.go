package drill

import (
	"fmt"
	"io"
	"strings"
)

// live writes one line a second about a rehearsal under way.
type live struct {
	r     *rehearsal
	out   io.Writer
	seen  int
	lines int
}

// headEvery is after how many lines the columns' names are written again.
const headEvery = 20

func newLive(r *rehearsal) *live { return &live{r: r, out: r.o.Out} }

func (l *live) names() string {
	var b strings.Builder
	b.WriteString(" time phase")
	for i := range l.r.spec.Groups {
		fmt.Fprintf(&b, " |%11.11s", l.r.spec.Groups[i].Name)
	}
	if len(l.r.spec.Attacks) > 0 {
		b.WriteString(" | attack/s through")
	}
	b.WriteString(" | origin/s")
	if l.r.shielded {
		fmt.Fprintf(&b, " | %5.5s cores  MiB", strings.ToLower(l.r.shieldName()))
	}
	b.WriteString(" | origin cores  MiB | drill cores")
	return b.String()
}

// line writes about the second that has just ended. A user's request is told
// in the second in which it ended: one that waits is not known before.
func (l *live) line(second int) {
	r := l.r
	counts := make([]Counted, len(r.spec.Groups))
	fresh := r.tally.since(l.seen)
	l.seen += len(fresh)
	for _, s := range fresh {
		c := &counts[s.group]
		c.Requests++
		if s.end == served {
			c.Served++
		}
	}
	if l.lines%headEvery == 0 {
		fmt.Fprintln(l.out, l.names())
	}
	l.lines++
	var b strings.Builder
	fmt.Fprintf(&b, "%5d %-5s", second, phaseAt(r.phases(), second))
	for _, c := range counts {
		if c.Requests == 0 {
			fmt.Fprintf(&b, " |%11s", "")
			continue
		}
		fmt.Fprintf(&b, " |%5d %3.0f %%", c.Requests, 100*share(c.Served, c.Requests))
	}
	if len(r.spec.Attacks) > 0 {
		one := r.sums.second(second)
		fmt.Fprintf(&b, " | %8d %7d", one.Begun(), one.Reached)
	}
	if rate, known := r.gauges.rates()[second]; known {
		fmt.Fprintf(&b, " | %8.0f", rate)
	} else {
		fmt.Fprintf(&b, " | %8s", "?")
	}
	if r.shielded {
		cores, rss := r.gauges.latest(gaugeShield)
		fmt.Fprintf(&b, " | %11.2f %4d", cores, rss>>20)
	}
	cores, rss := r.gauges.latest(gaugeOrigin)
	fmt.Fprintf(&b, " | %12.2f %4d", cores, rss>>20)
	cores, _ = r.gauges.latest(gaugeDrill)
	fmt.Fprintf(&b, " | %11.2f", cores)
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

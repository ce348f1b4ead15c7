package sim

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes the report as a table for a terminal.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	name := r.Scenario
	if r.Control != Deich {
		name += " (" + string(r.Control) + ")"
	}
	fmt.Fprintf(t, "%s: %s\n%d users, %d sources, seed %d, trace %s, %d events in %v (%.2f M/s)\n\n",
		name, r.Title, r.Users, r.Sources, r.Seed, r.Trace, r.Events, r.Took.Round(time.Millisecond), r.EventsPerSecond/1e6)
	fmt.Fprintln(t, "group\tphase\trequests\tsuccess\tdenied\tlate\tp50 ms\tp99 ms\tacts")
	for i := range r.Groups {
		g := &r.Groups[i]
		for _, p := range g.Phases {
			if p.Requests > 0 {
				fmt.Fprintf(t, "%s\t%s\t%d\t%.2f %%\t%d\t%d\t%.0f\t%.0f\t%s\n", g.Name, p.Phase, p.Requests, 100*p.Success,
					p.Denied, p.Late, p.P50, p.P99, words(p.Acts)+" · "+words(p.Reasons))
			}
		}
	}
	fmt.Fprintln(t, "\ngroup\tusers\tserved\tsettled\tback\tmitigated s\tfirst p50 s\tfirst p95 s\tnever")
	for _, g := range r.Groups {
		fmt.Fprintf(t, "%s\t%d\t%.1f %%\t%.2f %%\t%.2f %%\t%.1f\t%.2f\t%.2f\t%d\n", g.Name, g.Users, 100*g.Served,
			100*g.Settled, 100*g.Back, g.Mitigate, g.FirstP50, g.FirstP95, g.Never)
	}
	if len(r.Attacks) > 0 {
		fmt.Fprintln(t, "\nattack\tsent\tat accept\tpasses\tanswered\tacts")
	}
	for _, a := range r.Attacks {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", a.Name, a.Sent, a.Refused, a.Passes, a.Answered,
			words(a.Acts)+" · "+words(a.Reasons))
	}
	fmt.Fprintln(t, "\norigin\tarrived\tdone\tfailed\twasted\tmost\tp50 ms\tp99 ms\tstretch\tgoodput\tuseful")
	for _, o := range r.Origin {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%.2f\t%.1f %%\t%.1f %%\n", o.Phase, o.Arrived, o.Done, o.Failed,
			o.Wasted, o.Most, o.P50, o.P99, o.Stretch, 100*o.Goodput, 100*o.Useful)
	}
	if e := r.Engine; r.Control == Deich {
		fmt.Fprintf(t, "\nengine: %.1f MiB, %d placed at most (limit %.1f), %d queued at most, %d orders; %s\n",
			float64(e.MemoryBytes)/(1<<20), e.Most, e.MostLimit, e.MostQueued, e.Orders, strings.Join(e.Events, ", "))
	}
	for _, x := range r.Rules.Texts {
		fmt.Fprintln(t, "rule: "+x)
	}
	if c := r.Calm; c != nil {
		fmt.Fprintf(t, "while nothing happened: %d of %d requests refused (%s), %d rules began to act, a cause named in %d of %d ticks (%s); %d reloads\n",
			c.Refused, c.Requests, words(c.Reasons), c.Rules, int(c.wrong()*float64(c.Ticks)+.5), c.Ticks, tickWords(c.Named), c.Reloads)
		for _, x := range c.Words {
			fmt.Fprintln(t, "cause named while nothing happened: "+x)
		}
	}
	if c := r.Cause; c != nil {
		fmt.Fprintf(t, "cause: %s", r.causeWord())
		for _, x := range c.Wrong {
			fmt.Fprintf(t, "; %s %.3g (%+.2f)", x.Name, x.Value, x.Weight)
		}
		fmt.Fprintln(t)
	}
	for _, u := range r.Unmet {
		fmt.Fprintln(t, "unmet: "+u)
	}
	return t.Flush()
}

// PrintPulses writes the engine second by second, for whoever tunes it.
func (r *Report) PrintPulses(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "s\tlimit\tplaced\tqueued\tcut\tpressure\tdemand\tcapacity\tgoodput\tslowdown\t")
	for _, p := range r.Pulses {
		fmt.Fprintf(t, "%.1f\t%.1f\t%d\t%d\t%d\t%v\t%.0f\t%.0f\t%.0f\t%.2f\t\n", p.At, p.Limit, p.Inflight, p.Queued,
			p.Cut, p.Pressure, p.Demand, p.Capacity, p.Goodput, p.Slowdown)
	}
	return t.Flush()
}

// words tells a count by name, most first.
func words(m map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			return int(int64(m[b]) - int64(m[a]))
		}
		return strings.Compare(a, b)
	})
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, m[n])
	}
	return strings.Join(names, ", ")
}

package sim

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/deichproject/deich"
)

// PrintTable writes one line a report, and then which bounds do not hold. Covered, rules and acting are of the
// synthesis; refused and challenged count users' requests since the flood
// began.
func PrintTable(w io.Writer, all []Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "scenario\tseed\tsuccess %\trefused\tchallenged\tmitigated s\tfirst s\tcovered\trules\tacting s\ttouched\tcause\tsynthesis ms\tunmet")
	for i := range all {
		r := &all[i]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", r.Scenario, r.Seed, r.successes(),
			percent(r.share("", deich.Deny, deich.Drop)), percent(r.share("", deich.Challenge)),
			seconds(r.worst(true)), seconds(r.worst(false)), r.coverage(), r.ruleCount(), seconds(r.Rules.First),
			percent(r.Rules.Touched), r.causeWord(), r.costWord(), len(r.Unmet))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range all {
		for _, u := range all[i].Unmet {
			if _, err := fmt.Fprintf(w, "unmet: %s, seed %d: %s\n", all[i].Scenario, all[i].Seed, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// successes gives each group's success in the flood phase.
func (r *Report) successes() string {
	var parts []string
	for i := range r.Groups {
		if p := &r.Groups[i].Phases[flood]; p.Requests > 0 {
			parts = append(parts, fmt.Sprintf("%s %.4g", r.Groups[i].Name, 100*p.Success))
		}
	}
	return strings.Join(parts, " · ")
}

// worst gives the longest time to mitigate of those who came in peace, or the
// longest time to the first content of the others.
func (r *Report) worst(before bool) float64 {
	worst, any := 0., false
	for i := range r.Groups {
		g := &r.Groups[i]
		if g.Before != before {
			continue
		}
		x := g.FirstP95
		if before {
			x = g.Mitigate
		}
		if x < 0 {
			return -1
		}
		worst, any = max(worst, x), true
	}
	if !any {
		return -1
	}
	return worst
}

func (r *Report) coverage() string {
	if len(r.Attacks) == 0 {
		return "–"
	}
	return percent(r.Rules.Covered)
}

func (r *Report) ruleCount() string {
	if r.Rules.Acted == r.Rules.Most {
		return fmt.Sprint(r.Rules.Most)
	}
	return fmt.Sprintf("%d of %d", r.Rules.Most, r.Rules.Acted)
}

func (r *Report) causeWord() string {
	switch c := r.Cause; {
	case c == nil:
		return "–"
	case c.After < 0:
		return fmt.Sprintf("%v, not %v", c.Mostly, c.Truth[0])
	default:
		return fmt.Sprintf("%v in %.1f s, %.0f %%", c.Truth[0], c.After, 100*c.Held)
	}
}

func (r *Report) costWord() string {
	if r.Rules.Jobs == 0 {
		return "–"
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	return fmt.Sprintf("%d × %.0f, %.0f at most", r.Rules.Jobs, ms(r.Cost.Mean), ms(r.Cost.Most))
}

func percent(x float64) string {
	if x == 0 {
		return "0"
	}
	return fmt.Sprintf("%.3g %%", 100*x)
}

func seconds(x float64) string {
	if x < 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", x)
}

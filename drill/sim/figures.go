package sim

import (
	"fmt"
	"math"

	"github.com/deichproject/deich"
)

// figure gives a number of the report.
func (r *Report) figure(b Bound) (x float64, ok bool) {
	p, o := r.Origin[peace], r.Origin[flood]
	switch b.Figure {
	case Goodput:
		return o.Goodput, true
	case Useful:
		return o.Useful, true
	case Slowdown:
		return o.Stretch / max(p.Stretch, 1), true
	}
	if x, ok := r.judged(b); ok {
		return x, true
	}
	g := r.Group(b.Group)
	if g == nil {
		return 0, false
	}
	switch f := g.Phases[flood]; b.Figure {
	case Success:
		return f.Success, true
	case Settled:
		return g.Settled, true
	case Back:
		return g.Back, true
	case Served:
		return g.Served, true
	case Denied:
		return ratio(f.Denied, max(f.Requests, 1)), true
	case Mitigate:
		if g.Mitigate < 0 {
			return math.Inf(1), true
		}
		return g.Mitigate, true
	case First:
		return g.FirstP95, true
	}
	return 0, false
}

// judged gives a figure of the synthesis or of collateral.
func (r *Report) judged(b Bound) (x float64, ok bool) {
	never := func(x float64) float64 {
		if x < 0 {
			return math.Inf(1)
		}
		return x
	}
	if r.Calm == nil && (b.Figure == CalmRefused || b.Figure == CalmRules || b.Figure == CalmCause) {
		return 0, false
	}
	switch b.Figure {
	case CalmRefused:
		return part([2]uint64{r.Calm.Refused, r.Calm.Requests}), true
	case CalmRules:
		return float64(r.Calm.Rules), true
	case CalmCause:
		return r.Calm.wrong(), true
	case Covered:
		return r.Rules.Covered, true
	case Rules:
		return float64(r.Rules.Most), true
	case Acting:
		return never(r.Rules.First), true
	case Orders:
		return float64(r.Rules.Orders), true
	case RightCause:
		return never(r.causeAfter()), true
	case Touched:
		if g := r.Group(b.Group); g != nil {
			return g.Touched, true
		}
		return r.Rules.Touched, b.Group == ""
	case Refusals:
		return r.share(b.Group, deich.Deny, deich.Drop), true
	case Challenges:
		return r.share(b.Group, deich.Challenge), true
	}
	return 0, false
}

func (r *Report) causeAfter() float64 {
	if r.Cause == nil {
		return -1
	}
	return r.Cause.After
}

// share is how often a group's requests, or everyone's, met one of the acts
// since the flood began.
func (r *Report) share(group string, acts ...deich.Act) float64 {
	var of [2]uint64
	for i := range r.Groups {
		if group != "" && r.Groups[i].Name != group {
			continue
		}
		for _, p := range r.Groups[i].Phases[flood:] {
			for _, n := range p.Acts {
				of[1] += n
			}
			for _, a := range acts {
				of[0] += p.Acts[a.String()]
			}
		}
	}
	return part(of)
}

// unmet says which expectations do not hold.
func (r *Report) unmet(bounds []Bound) []string {
	var all []string
	for _, b := range bounds {
		x, ok := r.figure(b)
		switch {
		case !ok:
			all = append(all, fmt.Sprintf("%s of %q: there is no such figure", b.Figure, b.Group))
		case x < b.Min:
			all = append(all, fmt.Sprintf("%s %s is %.4g, expected at least %.4g", b.Group, b.Figure, x, b.Min))
		case x > b.Max && (b.Max > 0 || b.Min == 0):
			all = append(all, fmt.Sprintf("%s %s is %.4g, expected at most %.4g", b.Group, b.Figure, x, b.Max))
		}
	}
	return all
}

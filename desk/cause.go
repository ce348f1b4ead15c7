package desk

import (
	"cmp"
	"math"
	"slices"

	"github.com/deichproject/deich"
)

// termUnits says what the engine's pieces of evidence are measured in, where
// they are no plain numbers.
var termUnits = map[string]string{
	"times_usual": "times", "times_usual_with_cache": "times", "slowdown": "times", "slower_than_rest": "times", "slowdown_alone": "times", "from_who_was_here": "times",
	"errors": "share", "asked_again": "share", "by_rule": "share", "over_budget": "share", "challenges_answered": "share",
	"returned_in_time": "share", "came_when_told": "share", "answered_no": "share",
	"seconds_of_rise": "seconds", "down": "yes", "crowd_expected": "yes",
}

// leanMost is the weight that fills a bar, and leanLeast the least that is told:
// what rounds to nothing says nothing.
const (
	leanMost  = 3
	leanLeast = .05
)

// weighed is one piece of evidence as people read it.
type weighed struct {
	Label, Measured, For string
	Side                 string  // flood, crowd, or nothing
	Left, Wide           float64 // of its bar, from -leanMost to leanMost
}

// Weighed gives the evidence about an origin, what weighs most first.
func (w *words) Weighed(o Origin) (all []weighed) {
	for _, t := range heaviest(o.Terms) {
		one := weighed{Label: w.Term(t.Name), Measured: w.measured(t), For: "–"}
		if math.Abs(t.Weight) >= leanLeast {
			lean := min(max(math.Round(t.Weight*100)/100, -leanMost), leanMost)
			one.Side, one.For = "flood", w.Flood+" "+w.Count(math.Abs(t.Weight))
			if lean < 0 {
				one.Side, one.For = "crowd", w.Crowd+" "+w.Count(math.Abs(t.Weight))
			}
			one.Left, one.Wide = min(lean, 0), math.Abs(lean)
		}
		all = append(all, one)
	}
	return all
}

func heaviest(terms []deich.Term) []deich.Term {
	return slices.SortedStableFunc(slices.Values(terms), func(a, b deich.Term) int {
		return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight))
	})
}

// Term names a piece of evidence.
func (w *words) Term(name string) string { return cmp.Or(w.Terms[name], name) }

func (w *words) measured(t deich.Term) string {
	switch termUnits[t.Name] {
	case "share":
		return w.Share(t.Value)
	case "times":
		return w.Count(t.Value) + " ×"
	case "seconds":
		return w.Count(t.Value) + " s"
	case "yes":
		if t.Value == 0 {
			return w.No
		}
		return w.Yes
	}
	return w.Count(t.Value)
}

// Suffering are the origins of which a cause is known, or looked for.
func (v Live) Suffering() []Origin {
	return slices.DeleteFunc(slices.Clone(v.Origins), func(o Origin) bool { return o.Why == "" })
}

// Explains says whether there is a cause to be told, of an origin or a part of one.
func (v Live) Explains() bool {
	return slices.ContainsFunc(v.Origins, func(o Origin) bool { return o.Why != "" || len(o.Segments) > 0 })
}

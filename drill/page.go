package drill

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"
)

//go:embed page.html
var pageText string

// writePage writes the report as one HTML file that needs nothing else.
func writePage(w io.Writer, r *Report) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"percent": func(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) },
		"whole":   func(v float64) string { return fmt.Sprintf("%.0f", v) },
		"one":     func(v float64) string { return fmt.Sprintf("%.1f", v) },
		"two":     func(v float64) string { return fmt.Sprintf("%.2f", v) },
		"mib":     func(v int64) string { return fmt.Sprintf("%d", v>>20) },
		"settled": settledText,
		"counts":  counts[int64],
		"endings": counts[int],
		"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
		"under":   func(v float64) float64 { return v + 4 },
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("drill: page: %w", err)
	}
	view := struct {
		*Report
		Views []pageRun
	}{Report: r}
	for i := range r.Runs {
		view.Views = append(view.Views, newPageRun(&r.Runs[i]))
	}
	if err := t.Execute(w, view); err != nil {
		return fmt.Errorf("drill: page: %w", err)
	}
	return nil
}

// pageRun is a finding as the page shows it.
type pageRun struct {
	*Finding
	Sentence string
	Plots    []plot
}

func newPageRun(f *Finding) pageRun {
	return pageRun{Finding: f, Sentence: sentence(f), Plots: plotsOf(f)}
}

// sentence says in one what the rehearsal found.
func sentence(f *Finding) string {
	if len(f.Groups) == 0 || len(f.Groups[0].Cells) < 2 {
		return ""
	}
	g, c := f.Groups[0], f.Groups[0].Cells[1]
	with := "Without a shield"
	if f.Shield != "none" {
		with = "Behind " + f.Shield
	}
	s := fmt.Sprintf("%s, %.1f %% of the %d requests of the group “%s” got the platform's own content within %.0f seconds while the flood lasted.",
		with, 100*c.Success, c.Requests, g.Name, Deadline.Seconds())
	if f.Attack.Sent > 0 {
		s += fmt.Sprintf(" The attackers began %.0f requests a second; the platform can answer %.0f searches a second.", f.Attack.Rate, f.Capacity.Searches)
	}
	return s
}

func plotsOf(f *Finding) []plot {
	if len(f.Seconds) == 0 {
		return nil
	}
	first := f.Seconds[0].At
	happened := []tickMark{{At: f.Phases[1].From, Text: "begin"}}
	for _, g := range f.Groups {
		if g.Target > 0 && g.In == nil && g.Mitigated != nil {
			happened = append(happened, tickMark{At: f.Attack.First + *g.Mitigated, Text: "mitigated: " + g.Name})
			break
		}
	}
	happened = append(happened, tickMark{At: f.Phases[1].To, Text: "end"})
	plots := []plot{newPlot("Requests of users that were served", "% of those begun in the second", first, 100, groupShares(f), happened)}
	if f.Attack.Sent > 0 {
		plots = append(plots, newPlot("Attack", "requests a second", first, 0, []series{
			{"begun", "deny", eachSecond(f, func(s Second) float64 { return float64(s.Begun) })},
			{"answered with the platform's content", "wait", eachSecond(f, func(s Second) float64 { return float64(s.Reached) })},
		}, happened))
	}
	plots = append(plots, newPlot("At the platform", "requests a second", first, 0, []series{
		{"arrived", "sea", eachSecond(f, func(s Second) float64 { return orGap(s.Origin) })},
	}, happened))
	var memory []series
	for i, p := range f.Processes {
		values := make([]float64, len(p.RSS))
		for k, v := range p.RSS {
			if values[k] = float64(v) / (1 << 20); v == 0 {
				values[k] = math.NaN()
			}
		}
		memory = append(memory, series{p.Name, lineClass(i), values})
	}
	return append(plots, newPlot("Memory", "MiB resident", first, 0, memory, happened))
}

func groupShares(f *Finding) []series {
	var all []series
	for i, g := range f.Groups {
		all = append(all, series{g.Name, lineClass(i), eachSecond(f, func(s Second) float64 {
			if c := s.Groups[i]; c.Requests > 0 {
				return 100 * share(c.Served, c.Requests)
			}
			return math.NaN()
		})})
	}
	return all
}

func eachSecond(f *Finding, of func(Second) float64) []float64 {
	values := make([]float64, len(f.Seconds))
	for i, s := range f.Seconds {
		values[i] = of(s)
	}
	return values
}

func orGap(v float64) float64 {
	if v < 0 {
		return math.NaN()
	}
	return v
}

// lineClass tells lines apart by colour and dashes.
func lineClass(i int) string {
	return [...]string{"served", "sea", "keep", "wait", "cache", "deny"}[i%6]
}

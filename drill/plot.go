package drill

import (
	"fmt"
	"math"
	"strings"
)

// plot is a panel over time, ready to be drawn: positions are in the units of
// its view box.
type plot struct {
	Title   string
	Unit    string
	Lines   []line
	Across  []tickMark // of time
	Up      []tickMark // of the values
	Rules   []tickMark // what happened when
	Hovers  []hover
	Columns []string
	Rows    [][]string
}

type line struct {
	Name  string
	Path  string
	Class string // its colour and its dashes
}

type tickMark struct {
	At   float64
	Text string
	Low  bool // its text stands a line lower, beside another's
}

type hover struct {
	At, Width float64
	Text      string
}

// series is a line's values, a second each; NaN is a gap.
type series struct {
	name   string
	class  string
	values []float64
}

// The plot area, in units of the view box (0 0 760 240).
const (
	plotLeft, plotRight = 56.0, 740.0
	plotTop, plotBottom = 34.0, 206.0
	labelWidth          = 90.0 // of a rule's text
)

// newPlot draws series over the seconds from first on. top is the value at the
// upper edge; 0 takes the largest.
func newPlot(title, unit string, first int, top float64, all []series, happened []tickMark) plot {
	p := plot{Title: title, Unit: unit, Columns: []string{"second"}}
	n := 0
	for _, s := range all {
		n = max(n, len(s.values))
		for _, v := range s.values {
			if v > top { // false for a gap
				top = v
			}
		}
	}
	top = niceTop(top)
	x := func(second float64) float64 {
		return plotLeft + (plotRight-plotLeft)*(second-float64(first))/float64(max(n, 1))
	}
	y := func(v float64) float64 { return plotBottom - (plotBottom-plotTop)*v/top }
	for _, s := range all {
		p.Columns = append(p.Columns, s.name)
		p.Lines = append(p.Lines, line{s.name, pathOf(s.values, func(i int) float64 { return x(float64(first+i) + 0.5) }, y), s.class})
	}
	for i := range 5 {
		v := top * float64(i) / 4
		p.Up = append(p.Up, tickMark{At: y(v), Text: number(v)})
	}
	for _, second := range timeTicks(first, n) {
		p.Across = append(p.Across, tickMark{At: x(float64(second)), Text: fmt.Sprintf("%d s", second)})
	}
	for i, h := range happened {
		mark := tickMark{At: x(h.At), Text: h.Text}
		mark.Low = i > 0 && !p.Rules[i-1].Low && mark.At-p.Rules[i-1].At < labelWidth
		p.Rules = append(p.Rules, mark)
	}
	p.table(first, n, all, x)
	return p
}

// table puts the values behind the plot into rows and into what a pointer shows.
func (p *plot) table(first, n int, all []series, x func(float64) float64) {
	for i := range n {
		row := []string{fmt.Sprint(first + i)}
		words := []string{fmt.Sprintf("%d s", first+i)}
		for _, s := range all {
			text := "–"
			if i < len(s.values) && !math.IsNaN(s.values[i]) {
				text = number(s.values[i])
			}
			row = append(row, text)
			words = append(words, s.name+" "+text)
		}
		p.Rows = append(p.Rows, row)
		at := x(float64(first + i))
		p.Hovers = append(p.Hovers, hover{at, x(float64(first+i+1)) - at, strings.Join(words, ", ")})
	}
}

func pathOf(values []float64, x func(int) float64, y func(float64) float64) string {
	var b strings.Builder
	pen := "M"
	for i, v := range values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", pen, x(i), y(v))
		pen = "L"
	}
	return b.String()
}

// niceTop gives the next of 1, 2, 4, 5, 10, … at or above v.
func niceTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range [...]float64{1, 2, 4, 5, 10} {
		if v <= m*base*1.0001 {
			return m * base
		}
	}
	return 10 * base
}

// timeTicks gives at most nine round seconds.
func timeTicks(first, n int) []int {
	step := 1
	for _, s := range [...]int{1, 2, 5, 10, 20, 30, 60, 120, 300} {
		if step = s; n/s <= 8 {
			break
		}
	}
	var ticks []int
	for second := int(math.Ceil(float64(first)/float64(step))) * step; second <= first+n; second += step {
		ticks = append(ticks, second)
	}
	return ticks
}

func number(v float64) string {
	switch {
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) < 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

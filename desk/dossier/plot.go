package dossier

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// The plots' sheet, in its own units.
const (
	plotWidth, plotHeight = 720, 190
	plotLeft, plotRight   = 52, 712
	plotTop, plotLow      = 44, 164
)

// The plots' anchors.
const plotUsers, plotLatency, plotActs = "plot-users", "plot-latency", "plot-acts"

// plot is one panel over the time axis: lines, and labelled rules for what was
// measured.
type plot struct {
	ID                 string // its anchor
	Title, Unit, Label string
	Lines              []line
	Rules              []rule
	Top                string // the highest value, at TopY
	Ticks              []tick
	Heads              []string
	Table              [][]string
}

type line struct{ Name, Kind, Path string }

type rule struct {
	X, LabelX, LabelY int
	Name, Anchor      string
}

type tick struct {
	X      int
	Text   string
	Anchor string
}

// series is a line's value in a row, per second; where it has none, NaN, and the line a gap.
type series struct {
	name, kind string
	value      func(*incident.Row) float64
}

// bucket is some seconds together.
type bucket struct {
	from, to time.Time
	rows     []incident.Row
}

func buckets(rows []incident.Row, most int) []bucket {
	if len(rows) == 0 {
		return nil
	}
	size := (len(rows) + most - 1) / most
	var all []bucket
	for k := 0; k < len(rows); k += size {
		part := rows[k:min(k+size, len(rows))]
		all = append(all, bucket{part[0].From(), part[len(part)-1].At, part})
	}
	return all
}

// mean is a series' value over a bucket, or NaN.
func (b bucket) mean(s series) float64 {
	sum, seconds := 0., 0
	for k := range b.rows {
		if v := s.value(&b.rows[k]); !math.IsNaN(v) {
			sum += v * float64(b.rows[k].Span)
			seconds += b.rows[k].Span
		}
	}
	return sum / float64(seconds) // NaN where no row has a value
}

// mark is a measured time that gets a rule.
type mark struct {
	name string
	at   time.Time
}

func newPlot(id, title, unit string, rows []incident.Row, all []series, marks []mark, timeHead string, clock func(time.Time) string, figure func(float64) string) *plot {
	points := buckets(rows, pointsMax)
	if len(points) < 2 {
		return nil
	}
	p := &plot{ID: id, Title: title, Unit: unit, Heads: []string{timeHead}}
	begin, end := points[0].from, points[len(points)-1].to
	x := func(t time.Time) int {
		return plotLeft + int(float64(plotRight-plotLeft)*float64(t.Sub(begin))/float64(end.Sub(begin)))
	}
	top := 1.
	for _, b := range points {
		for _, s := range all {
			if v := b.mean(s); v > top {
				top = v
			}
		}
	}
	for _, s := range all {
		var d strings.Builder
		step := "M"
		for _, b := range points {
			v := b.mean(s)
			if math.IsNaN(v) {
				step = "M"
				continue
			}
			fmt.Fprintf(&d, "%s%d %.1f", step, x(b.from.Add(b.to.Sub(b.from)/2)), plotLow-(plotLow-plotTop)*v/top)
			step = "L"
		}
		p.Lines = append(p.Lines, line{s.name, s.kind, d.String()})
		p.Heads = append(p.Heads, s.name)
	}
	p.Top = fmt.Sprintf("%.0f", top)
	for _, m := range marks {
		if m.at.Before(begin) || m.at.After(end) {
			continue
		}
		r := rule{X: x(m.at), Name: m.name, Anchor: "start", LabelY: 12}
		if r.LabelX = r.X + 3; r.X > plotRight-150 {
			r.LabelX, r.Anchor = r.X-3, "end"
		}
		// Labels that would meet stand in lines below each other.
		for n := len(p.Rules) - 1; n >= 0; n-- {
			if d := r.X - p.Rules[n].X; d < 150 && d > -150 {
				r.LabelY = p.Rules[n].LabelY + 12
				break
			}
		}
		if r.LabelY > 36 {
			r.LabelY = 12
		}
		p.Rules = append(p.Rules, r)
	}
	for k, t := range []time.Time{begin, begin.Add(end.Sub(begin) / 2), end} {
		p.Ticks = append(p.Ticks, tick{x(t), clock(t), []string{"start", "middle", "end"}[k]})
	}
	for _, b := range buckets(rows, tableMax) {
		line := []string{clock(b.from)}
		for _, s := range all {
			text := "–"
			if v := b.mean(s); !math.IsNaN(v) {
				text = figure(v)
			}
			line = append(line, text)
		}
		p.Table = append(p.Table, line)
	}
	p.Label = title + ", " + unit
	return p
}

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
)

//go:embed plot.svg.tmpl
var plotText string

var plotTemplate = template.Must(template.New("plot").Parse(plotText))

// The plot's measures, in units of its view box.
const (
	plotWidth  = 760.0
	plotLeft   = 176.0 // where bars begin
	plotRight  = 600.0 // where the scale ends; figures stand behind
	plotTop    = 64.0
	barHeight  = 18.0
	barStep    = 24.0
	groupTitle = 22.0
	groupGap   = 18.0
)

// panel is one contest: bars in multiples of the peer that Deich is held against.
type panel struct {
	Title    string
	TitleY   float64
	Bars     []bar
	TargetX  float64
	TargetY1 float64
	TargetY2 float64
	Target   string
}

type bar struct {
	Name  string
	Class string
	Y     float64
	TextY float64
	Width float64
	Text  string
}

// plot draws all contests as bars; a thin line marks each target.
func (rs *results) plot() ([]byte, error) {
	most := 1.
	for _, r := range rs.List {
		most = max(most, r.Target)
		for _, name := range r.names() {
			most = max(most, r.over(name))
		}
	}
	scale := (plotRight - plotLeft) / (math.Ceil(most*4) / 4)
	y := plotTop
	var panels []panel
	for _, r := range rs.List {
		if r.ratio() == 0 {
			continue // what it is held against was left out
		}
		p := panel{
			Title: r.Title + " (" + r.Figure + ")", TitleY: y + 14,
			TargetX: plotLeft + r.Target*scale, Target: fmt.Sprintf("target %.2f", r.Target),
		}
		y += groupTitle
		p.TargetY1 = y - 2
		for i, name := range r.names() {
			v, times := r.median(name, figureOf), r.over(name)
			b := bar{Name: name, Class: "peer", Y: y, TextY: y + 13, Width: times * scale, Text: fmt.Sprintf("%s, %.2f ×", short(v), times)}
			if i == 0 {
				b.Class = "deich"
				b.Text += ", " + verdict(times, r.Target)
			}
			p.Bars = append(p.Bars, b)
			y += barStep
		}
		p.TargetY2 = y - barStep + barHeight + 2
		y += groupGap
		panels = append(panels, p)
	}
	var b bytes.Buffer
	err := plotTemplate.Execute(&b, map[string]any{
		"Width": plotWidth, "Height": y + 8, "Left": plotLeft, "One": plotLeft + scale, "Top": plotTop, "Bottom": y - groupGap,
		"BarHeight": barHeight, "TextX": plotRight + 8, "NameX": plotLeft - 10, "Panels": panels,
	})
	return b.Bytes(), err
}

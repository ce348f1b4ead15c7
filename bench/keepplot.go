package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

//go:embed users.svg.tmpl
var keepPlotText string

var keepPlotTemplate = template.Must(template.New("users").Parse(keepPlotText))

// keepPanel is one scenario: bars of users kept, the whole width is all of them.
type keepPanel struct {
	Title  string
	TitleY float64
	Bars   []bar
}

// plot draws users kept, a panel for each scenario.
func (ks *keeps) plot() ([]byte, error) {
	y := plotTop
	var panels []keepPanel
	for _, r := range ks.List {
		if len(r.Trials) == 0 {
			continue
		}
		p := keepPanel{Title: r.Scenario + ": " + r.Title, TitleY: y + 14}
		y += groupTitle
		for _, peer := range r.peers(ks.order) {
			list := r.of(peer)
			b := bar{Name: peer, Class: "peer", Y: y, TextY: y + 13, Width: figure(list, keptOf) * (plotRight - plotLeft),
				Text: fmt.Sprintf("%s, %.0f/s", keptText(list), figure(list, goodputOf))}
			if strings.HasPrefix(peer, justDeich) {
				b.Class = "deich"
			}
			p.Bars = append(p.Bars, b)
			y += barStep
		}
		y += groupGap
		panels = append(panels, p)
	}
	var b bytes.Buffer
	err := keepPlotTemplate.Execute(&b, map[string]any{
		"Width": plotWidth, "Height": y + 8, "Left": plotLeft, "Right": plotRight, "Top": plotTop, "Bottom": y - groupGap,
		"BarHeight": barHeight, "TextX": plotRight + 8, "NameX": plotLeft - 10, "Panels": panels,
	})
	return b.Bytes(), err
}

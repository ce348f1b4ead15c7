package drill

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func finding() Finding {
	slow := 2.5
	return Finding{
		Scenario: "botnet", Title: "<b>a title</b>", Shield: "Deich", Seed: 1,
		Phases:   []Phase{{"peace", -2, 0}, {"flood", 0, 3}, {"after", 3, 4}},
		Capacity: Capacity{300, 800},
		Groups: []Group{
			{Name: "known", Kind: "browser", Users: 2, Target: 0.995, Mitigated: &slow, Cells: []Cell{
				{Phase: "peace", Requests: 10, Served: 10, Success: 1}, {Phase: "flood", Requests: 20, Served: 19, Success: 0.95, Endings: map[string]int{"served": 19, "timeout": 1}}}},
			{Name: "newcomers", Kind: "plain", Users: 1, In: &In{Users: 1, P95: -1}, Cells: []Cell{{Phase: "peace"}, {Phase: "flood"}}},
		},
		Attack:    Attack{strike: strike{Planned: 100, Sent: 99, Endings: map[string]int64{"reset": 3, "200": 96}}, Rate: 33},
		Processes: []Process{{Name: "deich", Cores: map[string]float64{"peace": 0.1}, Peak: 50 << 20, RSS: []int64{0, 1 << 20, 2 << 20, 0, 3 << 20, 3 << 20}}},
		Seconds: []Second{
			{At: -2, Groups: []Counted{{0, 0}, {0, 0}}, Origin: -1}, {At: -1, Groups: []Counted{{5, 5}, {0, 0}}, Origin: 5},
			{At: 0, Groups: []Counted{{5, 4}, {1, 0}}, Begun: 33, Reached: 1, Origin: 6}, {At: 1, Groups: []Counted{{5, 5}, {0, 0}}, Begun: 33, Origin: -1},
			{At: 2, Groups: []Counted{{5, 5}, {0, 0}}, Begun: 33, Origin: 6}, {At: 3, Groups: []Counted{{5, 5}, {0, 0}}, Origin: 6},
		},
		Checks: []Check{{What: "known", Target: 0.995, Got: 0.95, Note: "few"}},
	}
}

func TestPageStandsAlone(t *testing.T) {
	var b bytes.Buffer
	if err := writePage(&b, &Report{Sandbox: Namespace, Runs: []Finding{finding()}}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"<svg", "begin", "mitigated: known", "Behind Deich, 95.0 %", "missed", "&lt;b&gt;a title", "prefers-color-scheme:dark", "@media print"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	for _, not := range []string{"NaN", "Inf", "ZgotmplZ", "http://", "https://", "<script", "<b>a title"} {
		if strings.Contains(text, not) {
			t.Errorf("the page holds %q", not)
		}
	}
	if plots, tables := strings.Count(text, "<figure>"), strings.Count(text, "The figures behind it"); plots != 4 || tables != plots {
		t.Errorf("%d plots, %d tables behind them", plots, tables)
	}
}

func TestPlotLeavesGaps(t *testing.T) {
	p := newPlot("t", "u", -1, 0, []series{{"a", "sea", []float64{1, math.NaN(), 3, 4}}}, []tickMark{{At: 0, Text: "x"}, {At: 0.1, Text: "y"}, {At: 3, Text: "z"}})
	if got := strings.Count(p.Lines[0].Path, "M"); got != 2 {
		t.Errorf("%d strokes in %s", got, p.Lines[0].Path)
	}
	if p.Rules[0].Low || !p.Rules[1].Low || p.Rules[2].Low {
		t.Errorf("labels over one another: %+v", p.Rules)
	}
	if len(p.Rows) != 4 || p.Rows[1][1] != "–" || p.Up[4].Text != "4" {
		t.Errorf("%+v %+v", p.Rows, p.Up)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	writeTable(&b, finding())
	for _, want := range []string{"known", "95.00 %", "2.5 s", "MISSED: known", "(few)", "200: 96, reset: 3", "0.10 cores in peace", "more than one in twenty never"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table does not hold %q:\n%s", want, &b)
		}
	}
}

func TestSideBySide(t *testing.T) {
	var b bytes.Buffer
	without, with := finding(), finding()
	without.Groups[0].Mitigated = nil
	writeSideBySide(&b, without, with)
	for _, want := range []string{"without Deich", "with Deich", "never", "2.5 s", "0 of 1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table does not hold %q:\n%s", want, &b)
		}
	}
}

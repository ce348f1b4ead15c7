package main

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/drill/scenarios"
)

func keptRun(peer string, kept, goodput float64) *keptTrial {
	return &keptTrial{Peer: peer, Kept: kept, Goodput: goodput, Requests: 100, Groups: []keptGroup{{
		Name: "known", Requests: 100, Served: int(100 * kept), Users: 10, UsersIn: 4, Denied: 3, Challenged: 2, Endings: map[string]int{"served": 60, "429": 40},
	}}}
}

func TestAgreed(t *testing.T) {
	for name, c := range map[string]struct {
		kept, goodput []float64
		a, b          int // -1: none
	}{
		"none":                 {nil, nil, -1, -1},
		"one":                  {[]float64{.5}, []float64{10}, -1, -1},
		"two that agree":       {[]float64{.50, .52}, []float64{10, 10}, 0, 1},
		"two that do not":      {[]float64{.50, .54}, []float64{10, 10}, -1, -1},
		"kept but not goodput": {[]float64{.50, .50}, []float64{10, 12}, -1, -1},
		"the third with one":   {[]float64{.50, .60, .51}, []float64{10, 10, 10}, 0, 2},
		"the first pair holds": {[]float64{.50, .60, .61, .50}, []float64{10, 10, 10, 10}, 1, 2},
		"nothing at all twice": {[]float64{0, 0}, []float64{0, 0}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var list []*keptTrial
			for i := range c.kept {
				list = append(list, keptRun("x", c.kept[i], c.goodput[i]))
			}
			a, b, ok := agreed(list)
			if ok != (c.a >= 0) || ok && (a != list[c.a] || b != list[c.b]) {
				t.Errorf("%v, %v, %v", a, b, ok)
			}
		})
	}
	list := []*keptTrial{keptRun("x", .2, 10), keptRun("x", .4, 10), keptRun("x", .9, 10)}
	if got := figure(list, keptOf); got != .4 {
		t.Errorf("no two agree, the median is .4: %v", got)
	}
	if got := figure(append(list, keptRun("x", .42, 10)), keptOf); math.Abs(got-.41) > 1e-9 {
		t.Errorf("the mean of those that agree: %v", got)
	}
}

func keptSample(t *testing.T, dir string) *keeps {
	t.Helper()
	ks, err := openKeeps(dir, []string{justDeich, "nginx", nobody})
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Find("botnet")
	if err != nil {
		t.Fatal(err)
	}
	r := ks.result(&s, machined{}, nil)
	r.LeftOut = []string{"Varnish, since there is no varnishd here"}
	second := 2.5
	deich := keptRun(justDeich, .99, 50)
	deich.Mitigated = &second
	r.Trials = append(r.Trials, keptRun("nginx", .10, 5), keptRun("nginx", .30, 9), deich, keptRun(justDeich, .98, 50))
	return ks
}

func TestKeepsTableAndFiles(t *testing.T) {
	dir := t.TempDir()
	ks := keptSample(t, dir)
	table := string(ks.table())
	for _, want := range []string{
		"| users kept | botnet |", "| Deich | 98.5 % |", "| nginx | ≈ 20.0 % |", "2, agree", "2, do not agree", "2.5 s, never", "never",
		"10.0 – 30.0", "Left out: Varnish", "429 40.0 %, served 60.0 %",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	if strings.Index(table, "| Deich | **") > strings.Index(table, "| nginx | **") || strings.Contains(table, "| "+nobody) {
		t.Errorf("rows in another order, or of nobody's:\n%s", table)
	}
	if err := ks.write(); err != nil {
		t.Fatal(err)
	}
	again, err := openKeeps(dir, ks.order)
	if err != nil || string(again.table()) != table {
		t.Errorf("what was written reads differently: %v", err)
	}
	s := scenarios.Scenario{Name: "botnet"}
	if r := again.result(&s, machined{}, []string{"nginx"}); len(r.of("nginx")) != 0 || len(r.of(justDeich)) != 2 {
		t.Errorf("asked anew, others must stay: %+v", r.Trials)
	}
}

func TestKeepsPlotIsWellFormed(t *testing.T) {
	ks := keptSample(t, t.TempDir())
	ks.List[0].Title = "Deny & <drop>"
	b, err := ks.plot()
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(b)))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, b)
		}
	}
	if strings.Count(string(b), `class="deich"`) != 1 || strings.Count(string(b), `class="peer"`) != 1 {
		t.Errorf("bars:\n%s", b)
	}
}

func TestKeptTrialOfAFinding(t *testing.T) {
	slowest := 3.
	cell := func(phase string, requests, served int) drill.Cell {
		return drill.Cell{Phase: phase, Requests: requests, Served: served, Goodput: float64(served) / 10, Proved: 2, Denied: 1}
	}
	f := drill.Finding{
		Groups: []drill.Group{
			{Name: "known", Cells: []drill.Cell{cell("peace", 9, 9), cell("flood", 100, 50), cell("after", 10, 5)}},
			{Name: "api", Cells: []drill.Cell{cell("flood", 100, 100)}},
		},
		Mitigation: drill.Mitigation{Slowest: &slowest}, Others: map[string]float64{"flood": .3}, Stolen: map[string]float64{"flood": .1},
		Processes: []drill.Process{{Name: "nginx", Cores: map[string]float64{"flood": .5}}, {Name: "origin"}, {Name: "drill", Cores: map[string]float64{"flood": .7}}},
	}
	got := newKeptTrial("nginx", &drill.Report{}, &f)
	if got.Kept != .75 || got.After != .5 || got.Goodput != 15 || got.Cores != .5 || got.Drill != .7 || got.Others != .3 || got.Stolen != .1 ||
		got.count(func(g *keptGroup) int { return g.Challenged }) != 4 || *got.Mitigated != 3 || got.group("api").Served != 100 || got.group("nobody") != nil {
		t.Errorf("%+v", got)
	}
}

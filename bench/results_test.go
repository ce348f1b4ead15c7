package main

import (
	"encoding/xml"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

func measured(name string, figures ...float64) []trial {
	var list []trial
	for i, f := range figures {
		list = append(list, trial{Contender: name, Round: i + 1, Figure: f, Outcomes: map[string]int{"200": 3, "reset": 1}, Seconds: 2, ProxyCPU: 1})
	}
	return list
}

func TestResults(t *testing.T) {
	dir := t.TempDir()
	rs, err := openResults(filepath.Join(dir, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	rs.put(&result{Name: "a", Title: "First", Figure: "µs", Over: "nginx", Target: 2, Trials: append(measured("Deich", 50, 30, 40), measured("nginx", 20, 10, 90)...)})
	rs.put(&result{Name: "b", Title: "Second & last", Over: "HAProxy", Target: 1.5, Trials: measured("Deich", 1), LeftOut: []string{"HAProxy is not installed"}})
	// The medians are 40 and 20.
	if got := rs.List[0].ratio(); got != 2.5 {
		t.Errorf("2.5, 3 and 0.44 times by round: ratio %v", got)
	}
	if got := rs.List[1].ratio(); got != 0 {
		t.Errorf("the peer was left out: ratio %v", got)
	}
	table := string(rs.table())
	for _, want := range []string{"| **First**, µs | Deich | 40.0 | 30.0 – 50.0 | **2.50** missed | ≤ 2.00 |", "200 75.0 %, reset 25.0 %", "HAProxy is not installed"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	if err := rs.write(dir); err != nil {
		t.Fatal(err)
	}
	again, err := openResults(filepath.Join(dir, "bench.json"))
	if err != nil || string(again.table()) != table {
		t.Errorf("what was written reads differently: %v", err)
	}
	again.put(&result{Name: "a"})
	if len(again.List) != 2 || len(again.List[0].Trials) != 0 {
		t.Error("a contest held again does not take its own place")
	}
}

func TestPlotIsWellFormed(t *testing.T) {
	rs := &results{List: []*result{{Title: "Deny & <drop>", Over: "nginx", Target: 2, Trials: append(measured("Deich", 4), measured("nginx", 1)...)}}}
	b, err := rs.plot()
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(b)))
	bars := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, b)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 3 || !strings.Contains(string(b), "4.00 ×, missed") {
		t.Errorf("%d rectangles in\n%s", bars, b)
	}
}

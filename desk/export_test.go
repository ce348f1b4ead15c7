package desk

import (
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every table comes whole as CSV and as JSON, and its text is no formula.
func TestTablesAreExported(t *testing.T) {
	s := flooded()
	s.Rules = []Rule{{ID: 7, Text: `=HYPERLINK("http://evil.example"), "quoted"` + "\nand a line", German: "-1+1"}}
	s.Spool = &Spool{Waiting: 3, Keeping: true, Ended: map[string]uint64{"delivered": 5}}
	s.Gate = Gate{Backend: "nft", Packets: []GatePackets{{Reason: "source", Packets: 4, Dropped: true}}}
	s.Hand = []Listing{{ID: 3, Act: "allow", Target: "203.0.113.7"}}
	s.Networks = []Network{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Fates: Fates{Before: 5}}, {Prefix: netip.MustParsePrefix("2001:db8::/48")}}
	s.Operators, s.Countries = []Part{{Code: "AS64500", Name: "=Example"}}, []Part{{Code: "DE", Name: "Germany", German: "Deutschland"}}
	s.NetworkFiles = []NetworkFile{{Type: "Example", Operators: true, Countries: true}}
	d := newDesk(t, func() State { return s })
	d.sample()
	s.Served = []Served{{"member", 400, 1}}
	d.sample()
	d.Note(Event{At: time.Now(), Kind: "pressure_began", Text: "@SUM(A1)"})
	rows := map[string]int{"users": len(tiers), "acts": len(acts), "causes": 0, "rules": 1, "networks": 2, "operators": 1, "countries": 1, "hand": 1, "origins": 1, "spool": 12, "gate": 1, "events": 1, "history": 1, "actions": 0, "incidents": 0}
	for name := range tables {
		w := ask(d, "/api/v1/tables/"+name+".csv")
		all, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || w.Code != 200 || len(all) != rows[name]+1 || !strings.Contains(w.Header().Get("Content-Disposition"), "deich-"+name+".csv") {
			t.Errorf("%s.csv: %d, %d lines, %v", name, w.Code, len(all), err)
			continue
		}
		for _, line := range all[1:] {
			for _, c := range line {
				if c != "" && strings.ContainsAny(c[:1], "=+-@") {
					t.Errorf("%s.csv: %q is a formula", name, c)
				}
			}
		}
		w = ask(d, "/api/v1/tables/"+name+".json")
		var objects []map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &objects); err != nil || len(objects) != rows[name] {
			t.Errorf("%s.json: %d, %d objects, %v", name, w.Code, len(objects), err)
			continue
		}
		for _, one := range objects {
			for _, column := range all[0] {
				if _, ok := one[column]; !ok {
					t.Errorf("%s.json: no %s in %v", name, column, one)
				}
			}
		}
	}
	page := ask(d, "/").Body.String()
	for name := range tables {
		if name != "incidents" && !strings.Contains(page, `href="/api/v1/tables/`+name+`.csv"`) {
			t.Errorf("the page does not offer %s", name)
		}
	}
	for _, bad := range []string{"users", "users.xml", "nobody.csv", "../users.csv", ".csv"} {
		if w := ask(d, "/api/v1/tables/"+bad); w.Code != 404 && w.Code != 307 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	if got := cell(nil); got != "" || cell(-1.5) != "-1.5" || cell(time.Time{}) != "" || !slices.Contains([]string{"'\tx"}, cell("\tx")) {
		t.Error("cells")
	}
}

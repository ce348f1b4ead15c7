package desk

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// The networks from which most comes stand on the page, with what was done and a
// way to look each up; the table has all.
func TestPageShowsNetworks(t *testing.T) {
	s := flooded()
	d := newDesk(t, func() State { return s })
	if p := ask(d, "/").Body.String(); !strings.Contains(p, `id="networks-table" hidden`) || strings.Contains(p, `id="networks-none" hidden`) {
		t.Error("nothing came, and networks are shown")
	}
	for i := range networksShown + 3 {
		n := Network{Prefix: netip.MustParsePrefix(fmt.Sprintf("203.0.%d.0/24", i)), Fates: Fates{Before: 7}, Ordered: 2}
		n.Did(deich.Challenge, uint64(4500-i))
		n.Did(deich.Deny, 9)
		s.Networks = append(s.Networks, n)
	}
	s.Networks[1].Prefix = netip.MustParsePrefix("2001:db8::/48")
	s.NetworksOver = 90 * time.Second
	d.sample()
	for lang, want := range map[string][]string{
		"en": {`<tr data-id="203.0.0.0/24"><th scope="row"><a href="/?lang=en&amp;find=203.0.0.0%2f24#find">203.0.0.0/24</a></th><td class="n">50</td><td class="n">0</td><td class="n">0</td><td class="n">0</td>` +
			`<td class="n">4500</td><td class="n">9</td><td class="n">0</td><td class="n">7</td><td class="n">2</td></tr>`, "find=2001%3adb8%3a%3a%2f48#find", "Over the last 90 s.", "3 more are in the files."},
		"de": {"In den letzten 90 s.", "3 mehr stehen in den Dateien.", `<th scope="col" class="n">abgewiesen</th>`},
	} {
		page := ask(d, "/?lang="+lang).Body.String()
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %s", lang, text)
			}
		}
		if n := strings.Count(page, `<tr data-id="`); n != networksShown {
			t.Errorf("%s: %d networks", lang, n)
		}
	}
	lines := strings.Split(ask(d, "/api/v1/tables/networks.csv").Body.String(), "\r\n")
	if len(lines) != networksShown+3+2 || lines[0] != "network,seconds,requests,allow,keep,wait,challenge,deny,drop,before,ordered,operator,country" || lines[1] != "203.0.0.0/24,90,4509,0,0,0,4500,9,0,7,2,," {
		t.Errorf("%d lines: %q", len(lines), lines[:2])
	}
}

// part is one from which so much came, of which so much was refused.
func part(code, name, german string, allowed, refused uint64) Part {
	p := Part{Code: code, Name: name, German: german}
	p.Did(deich.Allow, allowed)
	p.Did(deich.Challenge, refused)
	return p
}

// Where a file tells, the page has operators and countries: as columns, as lists,
// and on a map, with what the publisher asks to be said. Where none does, it says
// how to come by one.
func TestPageShowsOperatorsAndCountries(t *testing.T) {
	s := flooded()
	d := newDesk(t, func() State { return s })
	for lang, want := range map[string]string{"en": "takes a file that tells", "de": "nimmt eine Datei, die es sagt"} {
		if p := ask(d, "/?lang="+lang).Body.String(); !strings.Contains(p, want) || strings.Contains(p, `id="map"`) || strings.Contains(p, `id="countries"`) {
			t.Errorf("%s: without a file there is a map, or no word on how to have one", lang)
		}
	}
	s.NetworksOver = 100 * time.Second
	n := Network{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Operator: "AS 64500 <Example> Net", Country: "Germany", German: "Deutschland"}
	n.Did(deich.Deny, 5)
	s.Networks = []Network{n}
	s.Countries = []Part{part("DE", "Germany", "Deutschland", 200, 150_000), part("FR", "France", "Frankreich", 3000, 900), part("-", "not listed", "nicht verzeichnet", 50, 0)}
	for i := range networksShown {
		s.Countries = append(s.Countries, part("QQ", "QQ", "QQ", uint64(i), 0))
	}
	s.Operators = []Part{part("AS64500", "AS 64500 <Example> Net", "AS 64500 <Example> Net", 0, 100)}
	s.NetworkFiles = []NetworkFile{{Type: "DBIP-Country-Lite", Built: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Credit: "IP Geolocation by DB-IP", Link: "https://db-ip.com", Countries: true}, {Type: "Own", Operators: true}}
	d.sample()
	for lang, want := range map[string][]string{
		"en": {`<td>AS 64500 &lt;Example&gt; Net</td><td>Germany</td>`, `<th scope="row">Germany</th><td class="n">1502</td><td class="n">1500</td>`,
			"From DBIP-Country-Lite of 1 November 2026.", `<a href="https://db-ip.com" rel="noreferrer">IP Geolocation by DB-IP</a>`, "3 more are in the files.",
			`<th scope="row">AS 64500 &lt;Example&gt; Net</th><td class="n">1</td>`, `<span class="shade w1">0.1</span>`, "no rule is ever made of a country"},
		"de": {`<td>Deutschland</td>`, `<th scope="row">Frankreich</th><td class="n">39</td><td class="n">9</td>`, "vom 1. November 2026.", `<span class="shade w1">0,1</span>`, "Nach Netzbetreibern"},
	} {
		page := ask(d, "/?lang="+lang).Body.String()
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %s", lang, text)
			}
		}
		_, drawing, _ := strings.Cut(page, `<svg id="map"`)
		drawing, _, _ = strings.Cut(drawing, "</svg>")
		for _, text := range []string{`aria-hidden="true"`, `<path data-c="DE" class="w5" d="M`, `<path data-c="FR" class="w2" d="M`, `<path data-c="US" d="M`} {
			if !strings.Contains(drawing, text) {
				t.Errorf("%s: the map has no %s", lang, text)
			}
		}
		if len(drawing) == 0 || len(drawing) > 40<<10 || strings.Contains(drawing, "style=") || strings.Contains(drawing, "href") {
			t.Errorf("%s: a map of %d bytes", lang, len(drawing))
		}
	}
	s.NetworkFiles = s.NetworkFiles[1:]
	d.sample()
	if p := ask(d, "/?lang=en").Body.String(); strings.Contains(p, `id="map"`) || !strings.Contains(p, `id="operators"`) || !strings.Contains(p, "In which countries these networks are is not known") {
		t.Error("only operators are known, and there is a map, or no word on it")
	}
	lines := strings.Split(ask(d, "/api/v1/tables/countries.csv").Body.String(), "\r\n")
	if len(lines) != networksShown+3+2 || lines[1] != "DE,Germany,Deutschland,100,150200,200,0,0,150000,0,0,0" {
		t.Errorf("%d lines: %q", len(lines), lines[:2])
	}
}

// Every country on the map is drawn once, and nothing is drawn beyond its edges.
func TestOutlines(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(string(builtIn("world.txt"))), "\n")
	var x0, y0, w, h int
	if _, err := fmt.Sscanf(lines[0], "%d %d %d %d", &x0, &y0, &w, &h); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, line := range lines[1:] {
		code, path, _ := strings.Cut(line, " ")
		if seen[code] && code != "-" || strings.Trim(path, "Mlz-0123456789 ") != "" {
			t.Errorf("%s: twice, or no path: %.40s", code, path)
		}
		seen[code] = true
		for _, ring := range strings.Split(path, "M")[1:] {
			var x, y int
			if _, err := fmt.Sscanf(ring, "%d %dl", &x, &y); err != nil || x < x0-2 || x > x0+w+2 || y < y0-2 || y > y0+h+2 {
				t.Errorf("%s: a ring begins at %d, %d: %v", code, x, y, err)
			}
		}
	}
	for _, code := range []string{"AU", "BR", "CA", "CN", "DE", "FR", "GB", "HK", "IN", "NL", "RU", "SG", "US", "ZA"} {
		if !seen[code] {
			t.Errorf("%s is not on the map", code)
		}
	}
	if len(seen) < 170 {
		t.Errorf("%d countries", len(seen))
	}
}

// What was refused is said to come from those of which most did, and of nobody where little was.
func TestWhenceIsSaid(t *testing.T) {
	operators := []Part{part("AS1", "AS 1 One", "", 5000, 60), part("AS2", "AS 2 Two", "", 0, 120), part("AS3", "AS 3 Three", "", 0, 15), part("AS4", "AS 4 Four", "", 0, 5)}
	countries := []Part{part("DE", "Germany", "Deutschland", 10, 150), part("FR", "France", "Frankreich", 10, 50)}
	for _, c := range []struct {
		s               State
		english, german string
	}{
		{State{Operators: operators, Countries: countries}, "The largest shares of what was refused came from the networks of AS 2 Two (60 %), AS 1 One (30 %), AS 3 Three (8 %); by country: Germany (75 %), France (25 %). Users live there, too.",
			"Am meisten von dem, was abgewiesen wurde, kam aus den Netzen von AS 2 Two (60 %), AS 1 One (30 %), AS 3 Three (8 %); nach Ländern: Deutschland (75 %), Frankreich (25 %). Auch Nutzer leben dort."},
		{State{Countries: countries}, "The largest shares of what was refused came from these countries: Germany (75 %), France (25 %). Users live there, too.", ""},
		{State{Operators: operators[2:], Countries: countries[2:]}, "", ""},
		{State{}, "", ""},
	} {
		if got := whence(&c.s); got.English != c.english || c.german != "" && got.German != c.german {
			t.Errorf("%+v", got)
		}
	}
}

// No outline runs across the map, as one does that is cut on its edge.
func TestMapIsInPieces(t *testing.T) {
	const most = 100 // units, of 960: no straight border is as long
	for _, land := range worldOf(builtIn("world.txt"))(nil).Lands {
		for _, step := range regexp.MustCompile(`(-?\d+)[ ]?(-?\d+)`).FindAllStringSubmatch(regexp.MustCompile(`M-?\d+ ?-?\d+`).ReplaceAllString(land.Path, ""), -1) {
			if x, err := strconv.Atoi(step[1]); err != nil || x > most || x < -most {
				t.Errorf("%s: a line over %s units", land.Code, step[1])
			}
		}
	}
}

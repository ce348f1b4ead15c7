package desk

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// A reference, an address and a network are explained by the page's address, in
// both languages, and whom one may let pass from there is offered.
func TestPageFinds(t *testing.T) {
	until := time.Date(2025, 5, 24, 16, 0, 0, 0, time.UTC)
	network := netip.MustParsePrefix("203.0.113.0/24")
	known := map[string]Found{
		"ref": {
			Refused: &Refusal{At: until.Add(-time.Hour), Act: "challenge", Reason: "unproven", Why: incident.Text{English: "More was asked.", German: "Es war mehr verlangt."},
				Tier: "stranger", From: network, Kind: "page", Rank: 12, Cut: 40, Origin: "http://a"},
			Scopes: []netip.Prefix{network},
		},
		"203.0.113.7": {Scopes: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32"), network}},
		"203.0.113.0/24": {
			Listed: []Listing{{ID: 3, Act: "deny", Target: "203.0.113.0/25", Until: until}, {ID: 4, Act: "allow", Target: "203.0.113.9"}},
			Orders: []Order{{Prefix: netip.MustParsePrefix("203.0.113.8/32"), Reason: "rule", Until: until}},
		},
		"2001:db8::/48": {Scopes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/48")}},
	}
	many := Found{}
	for i := range 30 {
		many.Listed = append(many.Listed, Listing{ID: uint32(i), Act: "deny", Target: fmt.Sprintf("10.0.0.%d", i)})
	}
	known["10.0.0.0/24"] = many
	d, err := New(Options{Token: testToken, State: flooded, Find: func(what string) (Found, bool) { f, ok := known[what]; return f, ok }})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		lang, what string
		want, not  []string
	}{
		{"en", "ref", []string{"More was asked.", "24 May 2025, 15:00 UTC", "challenge", "asked for a short calculation", "203.0.113.0/24, 256 sources", "a page", "12, 40", "http://a"}, []string{english.FindNone, `<ul`}},
		{"de", "ref", []string{"Es war mehr verlangt.", "geprüft", "Fremde", "eine Seite", "256 Quellen", `<option value="1h" selected>eine Stunde`}, nil},
		{"en", " 203.0.113.7 ", []string{"Nothing is listed or ordered against 203.0.113.7 now", `<option value="203.0.113.7">203.0.113.7</option>`, `<option value="203.0.113.0/24">`}, nil},
		{"en", "203.0.113.0/24", []string{"Denied: 203.0.113.0/25, until ", "Allowed: 203.0.113.9, until it is taken back", "Refused at accept: 203.0.113.8 (rule), until 16:00:00 UTC"}, []string{`id="allow"`, "Nothing is listed or ordered"}},
		{"de", "203.0.113.0/24", []string{"Abgewiesen: 203.0.113.0/25, bis ", "Durchgelassen: 203.0.113.9, bis es zurückgenommen wird"}, nil},
		{"en", "2001:db8::/48", []string{"2001:db8::/48, 65536 sources"}, nil},
		{"en", "10.0.0.0/24", []string{"10.0.0.19", "and 10 more"}, []string{"10.0.0.20"}},
		{"en", "<script>x</script>", []string{english.FindNone, "&lt;script&gt;"}, []string{"<script>x", `id="allow"`}},
	} {
		w := ask(d, "/?lang="+c.lang+"&find="+url.QueryEscape(c.what))
		for _, text := range c.want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s %q: no %s", c.lang, c.what, text)
			}
		}
		for _, text := range c.not {
			if strings.Contains(w.Body.String(), text) {
				t.Errorf("%s %q: %s is there", c.lang, c.what, text)
			}
		}
	}
	for _, path := range []string{"/", "/?find=", "/?find=%20"} {
		if strings.Contains(ask(d, path).Body.String(), `id="found"`) {
			t.Errorf("%s: something was looked for", path)
		}
	}
}

package desk

import (
	"fmt"
	"net/netip"
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
		n := Network{Prefix: netip.MustParsePrefix(fmt.Sprintf("203.0.%d.0/24", i)), Before: 7, Ordered: 2}
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
	if len(lines) != networksShown+3+2 || lines[0] != "network,seconds,requests,allow,keep,wait,challenge,deny,drop,before,ordered" || lines[1] != "203.0.0.0/24,90,4509,0,0,0,4500,9,0,7,2" {
		t.Errorf("%d lines: %q", len(lines), lines[:2])
	}
}

package desk

import (
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// The page says why, how sure that is and since when, and what speaks for it.
func TestPageShowsEvidence(t *testing.T) {
	s := flooded()
	page := func(lang string) string {
		return ask(newDesk(t, func() State { return s }), "/?lang="+lang).Body.String()
	}
	if p := page("en"); !strings.Contains(p, english.NoCause) || !strings.Contains(p, `<div id="evidence" hidden>`) {
		t.Error("there is evidence where nothing is explained")
	}
	o := &s.Origins[0]
	o.Cause, o.Why, o.WhyGerman, o.Sure = "flood", "This is a flood.", "Das ist eine Flut.", .982
	o.CauseSince = time.Date(2025, 5, 24, 15, 0, 3, 0, time.UTC)
	o.Terms = []deich.Term{{Name: "times_usual", Value: 9.52}, {Name: "down"}, {Name: "pages_completed", Value: 2.5, Weight: -1.24}, {Name: "by_rule", Value: .9712, Weight: 3},
		{Name: "seconds_of_rise", Value: 4, Weight: .04}, {Name: "<i>new</i>", Value: 12, Weight: 7}}
	for lang, want := range map[string][]string{
		"en": {"This is a flood.", "98.2 % sure, since 15:00:03 UTC", ">9.5 ×<", ">no<", ">97.1 %<", ">flood 3<", ">crowd 1.2<", ">4 s<", ">–<", "&lt;i&gt;new&lt;/i&gt;",
			`<rect class="crowd" x="-1.24" y="0.2" width="1.24"`, `<rect class="flood" x="0" y="0.2" width="3"`, `href="/api/v1/tables/causes.csv"`},
		"de": {"Das ist eine Flut.", "zu 98,2 % sicher, seit 15:00:03 Uhr (UTC)", ">9,5 ×<", ">nein<", ">Andrang 1,2<"},
	} {
		p := page(lang)
		for _, text := range want {
			if !strings.Contains(p, text) {
				t.Errorf("%s: no %s", lang, text)
			}
		}
		if strings.Contains(p, `id="evidence" hidden`) {
			t.Errorf("%s: the evidence is hidden", lang)
		}
	}
	if n := strings.Count(page("en"), `<rect class=`); n != 3 {
		t.Errorf("%d bars: what weighs next to nothing has none", n)
	}
	csv := ask(newDesk(t, func() State { return s }), "/api/v1/tables/causes.csv").Body.String()
	if lines := strings.Split(csv, "\r\n"); len(lines) != 8 || lines[2] != "http://127.0.0.1:9000,,flood,0.982,2025-05-24T15:00:03Z,by_rule,0.9712,3" {
		t.Errorf("%q", lines)
	}
}

package main

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestScopesAreTheSourceAndItsNetwork(t *testing.T) {
	for given, want := range map[string]string{
		"203.0.113.7":         "[203.0.113.7/32 203.0.113.0/24]",
		"::ffff:203.0.113.7":  "[203.0.113.7/32 203.0.113.0/24]",
		"203.0.113.0/28":      "[203.0.113.0/28 203.0.113.0/24]",
		"203.0.113.9/24":      "[203.0.113.0/24]",
		"203.0.0.0/16":        "[203.0.0.0/16]",
		"203.0.0.0/15":        "[]",
		"0.0.0.0/0":           "[]",
		"2001:db8:1:2::3":     "[2001:db8:1:2::/64 2001:db8:1::/48]",
		"fe80::1%eth0":        "[fe80::/64 fe80::/48]",
		"2001:db8:1:2::/64":   "[2001:db8:1:2::/64 2001:db8:1::/48]",
		"2001:db8:1::/48":     "[2001:db8:1::/48]",
		"2001:db8::/32":       "[2001:db8::/32]",
		"::/0":                "[]",
		"example.org":         "",
		"203.0.113.7/33":      "",
		"203.0.113.7 or that": "",
	} {
		p, ok := readSource(given)
		got := ""
		if ok {
			got = fmt.Sprint(scopes(p))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}

// What is listed about an address is found by it, by its network and by what is
// narrower; a path is nobody's.
func TestFindsWhatIsListed(t *testing.T) {
	s := standing(t, t.TempDir())
	for _, body := range []string{
		`{"act":"deny","target":"203.0.113.0/24","for":"1h"}`, `{"act":"allow","target":"203.0.113.7"}`, `{"act":"allow","target":"/health"}`, `{"act":"deny","target":"2001:db8::/48"}`,
		`{"act":"allow","target":"192.0.2.7","path":"/api"}`,
	} {
		if w := call(s, "POST", "/api/v1/hand?by=Anna", body); w.Code != 200 {
			t.Fatal(w.Body)
		}
	}
	for what, want := range map[string]string{
		"203.0.113.7": "[1 2]", "203.0.113.8": "[1]", "203.0.113.0/25": "[1 2]", "203.0.0.0/16": "[1 2]", "198.51.100.1": "[]", "192.0.2.0/24": "[5]", "2001:db8::1": "[4]",
	} {
		f, ok := s.find(what)
		ids := []uint32{}
		for _, l := range f.Listed {
			ids = append(ids, l.ID)
		}
		if got := fmt.Sprint(ids); !ok || got != want || f.Refused != nil || len(f.Scopes) == 0 {
			t.Errorf("%s: %s, want %s; %+v", what, got, want, f)
		}
	}
	for _, body := range []string{`{"act":"allow","target":"/a","path":"/b"}`, `{"act":"allow","target":"192.0.2.8","path":"b"}`} {
		if w := call(s, "POST", "/api/v1/hand", body); w.Code != 422 {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
	if _, ok := s.find("nothing"); ok {
		t.Error("a word is explained")
	}
	if state := s.state(); len(state.Hand) != 5 || state.Listed != 5 || state.Hand[4].Path != "/api" || state.Hand[0].Target != "203.0.113.0/24" || state.Hand[0].Until.IsZero() {
		t.Errorf("%+v", state.Hand)
	}
	if p := netip.MustParsePrefix("203.0.113.0/24"); len(s.standing(p).Orders) != 0 {
		t.Error("orders from nowhere")
	}
}

package incident

import (
	"slices"
	"testing"
)

func TestSentencesAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Sentences() {
		if s.Name == "" || seen[s.Name] || s.Text.English == "" || s.Text.German == "" || s.Text.Lacks() != "" {
			t.Errorf("%+v", s)
		}
		seen[s.Name] = true
		if !slices.Contains([]Life{"", Investigating, Identified, Monitoring, Resolved}, s.Life) {
			t.Errorf("%s: the stage %q", s.Name, s.Life)
		}
		if got, ok := SentenceOf(s.Name); !ok || got != s {
			t.Errorf("%s: %+v", s.Name, got)
		}
	}
	if _, ok := SentenceOf("none"); ok || len(seen) == 0 {
		t.Error("there is one of no name, or none at all")
	}
}

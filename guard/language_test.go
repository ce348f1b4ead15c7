package guard

import (
	"strings"
	"testing"
)

func TestLanguage(t *testing.T) {
	for _, c := range []struct{ header, want string }{
		{"", "en"},
		{"de", "de"},
		{"DE-at", "de"},
		{"en-GB,en;q=0.9,de;q=0.8", "en"},
		{"fr-CH, fr;q=0.9, de;q=0.7, en;q=0.5", "de"},
		{"fr, en;q=0.5, de;q=0.5", "en"},
		{"fr, de;q=0.5, en;q=0.5", "de"},
		{"en;q=0.8, de", "de"},
		{"en;q=0.8, de;q=0.801", "de"},
		{"en;q=0, de;q=0.001", "de"},
		{"de;q=0", "en"},
		{"*", "en"},
		{"de;q=0.5, *", "en"},
		{"fr", "en"},
		{"deu, den, ende", "en"},
		{"de ; q=0.9 , en;q=0.1", "de"},
		{"de;Q=0.9,en;q=0.1", "de"},
		{"de;q=1.0000", "en"},                           // not a weight: three decimals at most
		{"de;q=nan,de;q=-1,de;q=2", "en"},               // nor these
		{";;;,,,=;q", "en"},                             // nor anything
		{strings.Repeat("xx,", 100) + "de", "en"},       // beyond what is read
		{strings.Repeat("de;q=0.1,", 10000) + "", "de"}, // bounded work, right answer
	} {
		if got := language(c.header); got != c.want {
			t.Errorf("language(%.60q) = %q, want %q", c.header, got, c.want)
		}
	}
}

func FuzzLanguage(f *testing.F) {
	for _, header := range []string{"", "de", "en-GB,en;q=0.9,de;q=0.8", "*;q=0.5, de;q=1.000", ";q=,de;q=.5", "de;q=0.\x00"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := language(header)
		if got != "en" && got != "de" {
			t.Fatalf("language(%q) = %q", header, got)
		}
		if got == "de" && !strings.Contains(strings.ToLower(header), "de") {
			t.Fatalf("language(%q) = de, which nobody asked for", header)
		}
	})
}

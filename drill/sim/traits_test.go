package sim

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func aWorld(t *testing.T) *world {
	t.Helper()
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestLooksAreClientsOwn: whoever has the same number looks the same, and
// users differ as the constants say.
func TestLooksAreClientsOwn(t *testing.T) {
	const n = 20000
	w := aWorld(t)
	seen := make(map[uint32]int)
	agents := make(map[uint32]int)
	for i := range uint64(n) {
		var a, b deich.Traits
		w.dress(&a, Browsers, i, address(uint32(i), false), deich.Page)
		w.dress(&b, Browsers, i, address(uint32(i), false), deich.Page)
		if a != b {
			t.Fatalf("client %d looks different the second time", i)
		}
		seen[a[deich.TraitTLS]]++
		agents[a[deich.TraitAgent]]++
	}
	alone := func(m map[uint32]int) (one int) {
		for _, k := range m {
			if k == 1 {
				one++
			}
		}
		return one
	}
	if got := float64(alone(seen)) / n; got < ownTLS/2 || got > 2*ownTLS {
		t.Errorf("%.4f of users have a handshake of their own, not about %.4f", got, ownTLS)
	}
	if got := float64(alone(agents)) / n; got < ownAgent*.8 || got > ownAgent*1.5 {
		t.Errorf("%.3f of users have an agent of their own, not about %.3f", got, ownAgent)
	}
	if len(seen)-alone(seen) > 20 {
		t.Errorf("%d handshakes are shared: more than browsers have", len(seen)-alone(seen))
	}
}

// TestPagesAreAsPopularAsInTheLog: half the visits go to few pages.
func TestPagesAreAsPopularAsInTheLog(t *testing.T) {
	w := aWorld(t)
	draw := rand.New(rand.NewPCG(1, 1))
	top, all := 0, 20000
	for range all {
		if w.page(draw.Float64()) <= 12 {
			top++
		}
	}
	// 48 % of the visits in the profile's second log are to its dozen most popular pages.
	if got := float64(top) / float64(all); got < .45 || got > .52 {
		t.Errorf("%.3f of visits go to the dozen most popular pages", got)
	}
	if w.page(0) != 1 || w.page(.999999) <= 12 {
		t.Errorf("the first page is %d, the last %d", w.page(0), w.page(.999999))
	}
}

// TestGuises: what each hides and what it shows.
func TestGuises(t *testing.T) {
	w := aWorld(t)
	req := deich.Request{Client: netip.MustParseAddr("192.0.2.7"), Kind: deich.Page}
	differs := func(a Attack, trait deich.Trait, elapsed time.Duration) int {
		draw := rand.New(rand.NewPCG(1, 1))
		values := make(map[uint32]bool)
		for n := range uint32(200) {
			var t deich.Traits
			w.disguise(&t, &a, n, elapsed*time.Duration(n), &req, draw)
			values[t[trait]] = true
		}
		return len(values)
	}
	for _, c := range []struct {
		name        string
		attack      Attack
		trait       deich.Trait
		least, most int
	}{
		{"a tool has one handshake", Attack{}, deich.TraitTLS, 1, 1},
		{"a shifting one has many", Attack{Shift: time.Second}, deich.TraitTLS, 15, 25},
		{"random headers", Attack{Guise: Random}, deich.TraitHeaders, 200, 200},
		{"a liar's handshake gives it away", Attack{Guise: Liar}, deich.TraitTLS, 1, 1},
		{"while its headers differ", Attack{Guise: Liar}, deich.TraitHeaders, 4, 60},
		{"a pool is a pool", Attack{Guise: Pool, Pool: 12}, deich.TraitTLS, 12, 12},
		{"chaos has one handshake", Attack{Guise: Chaos}, deich.TraitTLS, 1, 1},
		{"a popular browser is one", Attack{Guise: Popular}, deich.TraitAgent, 1, 1},
		{"mimics are many", Attack{Guise: Mimic}, deich.TraitAgent, 20, 150},
	} {
		if got := differs(c.attack, c.trait, 100*time.Millisecond); got < c.least || got > c.most {
			t.Errorf("%s: %d values of %v, not %d to %d", c.name, got, c.trait, c.least, c.most)
		}
	}
	var popular, tool deich.Traits
	w.disguise(&popular, &Attack{Guise: Popular}, 1, 0, &req, rand.New(rand.NewPCG(1, 1)))
	w.disguise(&tool, &Attack{}, 1, 0, &req, rand.New(rand.NewPCG(1, 1)))
	if popular[deich.TraitAgent] != tool[deich.TraitAgent] || popular[deich.TraitTLS] == tool[deich.TraitTLS] {
		t.Error("a tool claims the commonest browser's agent over a handshake of its own")
	}
}

// TestDarkIsDark: where TLS ends elsewhere no request tells of it.
func TestDarkIsDark(t *testing.T) {
	full := deich.Traits{}
	for i := range full {
		full[i] = 7
	}
	blind(&full)
	for i, v := range full {
		dark := deich.Trait(i) == deich.TraitTLS || deich.Trait(i) == deich.TraitASN || deich.Trait(i) == deich.TraitCountry
		if (v == 0) != dark {
			t.Errorf("%v is %d", deich.Trait(i), v)
		}
	}
}

// TestSynthesisTakesTime: no rule acts sooner than its synthesis and its
// shadow take, and one does act.
func TestSynthesisTakesTime(t *testing.T) {
	s := scenario(t, "one-tool")
	s.Flood, s.After = 4*time.Second, 0
	rep := rehearse(t, s, 1)
	if least := (synthesisTakes + 500*time.Millisecond).Seconds(); rep.Rules.First < least {
		t.Errorf("a rule acts after %.1f s: less than %.1f", rep.Rules.First, least)
	}
	if rep.Rules.Jobs == 0 || rep.Rules.Acted == 0 || len(rep.Rules.Texts) != rep.Rules.Acted || rep.Cost.Most == 0 {
		t.Errorf("%+v, cost %+v", rep.Rules, rep.Cost)
	}
}

// TestReplayKeepsTheLogsGaps: a visitor comes as often as in the log, as far as
// the rehearsal reaches.
func TestReplayKeepsTheLogsGaps(t *testing.T) {
	s := Scenario{Name: "replay", Flood: time.Hour, Groups: []Group{{Name: "visitors", Kind: Browser, Count: 300, Over: time.Hour, Replay: true}}}
	rep := rehearse(t, s, 1)
	w, want := aWorld(t), uint64(0)
	for _, v := range w.hours[:300] {
		first := v.Visits[0].Offset % 3600
		for _, one := range v.Visits {
			if first+one.Offset-v.Visits[0].Offset < 3600 {
				want++
			}
		}
	}
	pages := rep.Group("visitors").Phases[flood].Requests - assets*300
	if pages < want*9/10 || pages > want {
		t.Errorf("%d pages were asked for; the log has %d", pages, want)
	}
}

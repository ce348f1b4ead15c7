package sim

import (
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func scenario(t *testing.T, name string) Scenario {
	t.Helper()
	s, ok := Find(name)
	if !ok {
		t.Fatalf("no scenario %q", name)
	}
	return s
}

// rehearse runs and fails the test where the engine broke a promise.
func rehearse(t *testing.T, s Scenario, seed uint64) Report {
	t.Helper()
	rep, err := Run(s, seed)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestOneSeedOneTrace(t *testing.T) {
	s := scenario(t, "tls-pool") // with rules
	text := func(seed uint64) (trace, all string) {
		rep := rehearse(t, s, seed)
		rep.Took, rep.EventsPerSecond, rep.Cost = 0, 0, Cost{}
		b, err := json.Marshal(rep)
		if err != nil {
			t.Fatal(err)
		}
		return rep.Trace, string(b)
	}
	trace, all := text(7)
	if again, whole := text(7); again != trace || whole != all {
		t.Errorf("seed 7 gave trace %s, then %s; reports equal: %v", trace, again, whole == all)
	}
	if other, _ := text(8); other == trace {
		t.Errorf("seeds 7 and 8 both gave trace %s", trace)
	}
}

// TestTheTraceSeesEverything makes sure that the hash is not blind to what it is to witness.
func TestTheTraceSeesEverything(t *testing.T) {
	s := scenario(t, "botnet")
	s.Flood, s.After = 3*time.Second, 0
	was := rehearse(t, s, 1)
	for name, change := range map[string]func(*Scenario){
		"a slower origin":   func(s *Scenario) { s.Origin.Speed = .99 },
		"another policy":    func(s *Scenario) { s.Policy.NoChallenge = true },
		"one attacker more": func(s *Scenario) { s.Attacks[0].Sources++ },
		"no engine":         func(s *Scenario) { s.Control = None },
	} {
		other := scenario(t, "botnet")
		other.Flood, other.After = s.Flood, s.After
		change(&other)
		if got := rehearse(t, other, 1); got.Trace == was.Trace {
			t.Errorf("%s left the trace as it was", name)
		}
	}
}

// TestAloneItCollapses calibrates: without a shield, and with a plain limit, the flood wins.
func TestAloneItCollapses(t *testing.T) {
	for control, most := range map[Control]float64{None: .3, Semaphore: .4} {
		s := scenario(t, "botnet")
		s.Control = control
		rep := rehearse(t, s, 1)
		if got := rep.Group("known").Phases[flood].Success; got > most {
			t.Errorf("control %q: known users %.1f %% served: the flood does not reach the origin", control, 100*got)
		}
	}
}

// TestEveryScenario runs what the simulator offers: no promise is broken, and
// users did ask for something.
func TestEveryScenario(t *testing.T) {
	for _, s := range Scenarios() {
		if s.Name == "day" || s.Name == "ten-million" || testing.Short() && (s.Name == "hundred-thousand" || s.Name == "workers") {
			continue // the first two have tests of their own; the others take seconds
		}
		if len(s.Truth) > 0 {
			continue // TestExam asks more of it
		}
		rep := rehearse(t, s, 1)
		asked := uint64(0)
		for _, g := range rep.Groups {
			asked += g.Phases[flood].Requests
		}
		if asked < 100 {
			t.Errorf("%s: users asked %d times in the flood phase", s.Name, asked)
		}
	}
}

func TestTenMillionSources(t *testing.T) {
	if testing.Short() {
		t.Skip("ten million requests: left out with -short")
	}
	s := scenario(t, "ten-million")
	const most = 256 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rep := rehearse(t, s, 1)
	runtime.ReadMemStats(&after)
	if rep.Sources < 10_000_000 || rep.Attacks[0].Sent < uint64(rep.Sources) {
		t.Fatalf("%d sources sent %d requests: not ten million", rep.Sources, rep.Attacks[0].Sent)
	}
	if rep.Engine.MemoryBytes > most {
		t.Errorf("the engine holds %d bytes: more than %d", rep.Engine.MemoryBytes, most)
	}
	// Whatever the run allocated in all, engine and simulator, garbage included, bounds what the engine grew by.
	if all := after.TotalAlloc - before.TotalAlloc; all > most {
		t.Errorf("the run allocated %d bytes in all: more than %d", all, most)
	}
	for _, u := range rep.Unmet {
		t.Error(u)
	}
}

// TestAnythingGoes runs small rehearsals of everything at once, drawn at
// random: whatever comes, the engine keeps its promises (Run gives an error
// where one is broken) and does not panic.
func TestAnythingGoes(t *testing.T) {
	n := uint64(120)
	if testing.Short() {
		n = 20
	}
	for seed := range n {
		s := anything(rand.New(rand.NewPCG(seed, 99)))
		if _, err := Run(s, seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func anything(r *rand.Rand) Scenario {
	some := func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) + 1 }
	yes := func() bool { return r.IntN(3) == 0 }
	s := Scenario{
		Name: "anything", Peace: some(5 * time.Second), Flood: some(8 * time.Second), After: some(3 * time.Second),
		Policy: deich.Policy{Observe: r.IntN(8) == 0, NoChallenge: yes(), Sources: 1 << (12 + r.IntN(6)), LimitMax: 2 + r.IntN(600)},
		Origin: Origin{Model: []Model{CPU, IO}[r.IntN(2)], Cores: 1 + r.IntN(32), Speed: .1 + 3*r.Float64(),
			Spread: .1 + 2*r.Float64(), Thrash: r.IntN(200), Backlog: 1 + r.IntN(3000), Down: r.IntN(6) == 0},
	}
	if yes() {
		s.Origin.Slow = 1 + 30*r.Float64()
	}
	s.Dark, s.Origin.Errors, s.Origin.For = yes(), max(0, r.Float64()-.5), time.Duration(r.IntN(2))*some(4*time.Second)
	if yes() {
		s.Start = some(6*time.Second) - 3*time.Second
	}
	for range 1 + r.IntN(4) {
		s.Groups = append(s.Groups, Group{
			Name: "users", Kind: []Kind{Browser, Plain, Program}[r.IntN(3)], Count: 1 + r.IntN(200),
			From: some(9*time.Second) - 5*time.Second, Over: some(4 * time.Second), Stay: some(10 * time.Second),
			Gap: some(3 * time.Second), Addresses: r.IntN(30), V6: yes(), Token: yes(), Roams: yes(), Members: r.Float64(),
			Age:  time.Duration(r.IntN(2)) * some(200*time.Hour),
			Look: []Look{"", Browsers, OneBuild, InApp, Clients, Monitors, Servers}[r.IntN(7)], New: yes(), Eager: yes(), Replay: yes(),
			Referer: uint64(r.IntN(2)),
		})
	}
	for range r.IntN(4) {
		a := Attack{
			Request: []Aim{AimPage, AimSearch, AimPost, AimLogin, AimAPI, AimMe, AimBrowse, AimMiss, AimMissAny, AimNew}[r.IntN(10)],
			Sources: 1 + r.IntN(3000), Rate: 10 + 5000*r.Float64(), From: some(3 * time.Second),
			Dense: yes(), Cookies: yes(), Bearer: yes(), Hosted: yes(), Rotate: yes(), Reuse: yes(), Jar: yes(), Tool: r.IntN(3),
			Guise: []Guise{Tool, Library, Random, Liar, Pool, Chaos, Popular, Minority, Mimic}[r.IntN(9)],
		}
		if yes() {
			a.Shift, a.Ramp, a.Pool = some(time.Second), some(4*time.Second), r.IntN(9)
		}
		if yes() {
			a.Steals, a.Stolen = "users", 1+r.IntN(9)
		}
		if yes() {
			a.On, a.Off = some(time.Second), some(time.Second)
		}
		if yes() {
			a.Hashes = 1e5 * r.ExpFloat64() * 100
		}
		if yes() {
			a.Networks = 1 + r.IntN(20)
		}
		if yes() {
			a.Behind = "users"
		}
		if yes() {
			a.Early, a.Visits = some(4*time.Second), 1+r.IntN(2)
		}
		s.Attacks = append(s.Attacks, a)
	}
	return s
}

func TestValidateGivesEveryError(t *testing.T) {
	s := Scenario{
		Name: "wrong", Control: "magic", Origin: Origin{Model: "quantum"},
		Groups:  []Group{{Name: "nobody", Kind: "ghost"}},
		Attacks: []Attack{{Name: "none", Behind: "elsewhere"}},
	}
	_, err := Run(s, 1)
	if err == nil {
		t.Fatal("a scenario that is wrong throughout was run")
	}
	for _, part := range []string{"phases", `"magic"`, `"quantum"`, `"ghost"`, "nobody in it", "0 sources", "a rate above zero", `"elsewhere"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not tell of %s:\n%v", part, err)
		}
	}
}

func TestScenarioNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range Scenarios() {
		if s.Name == "" || s.Title == "" || len(s.Expect) == 0 || seen[s.Name] {
			t.Errorf("scenario %q: a name of its own, a title and expectations", s.Name)
		}
		seen[s.Name] = true
	}
	for _, name := range []string{"get-flood", "botnet", "botnet-cookies", "botnet-solver", "botnet-api", "nat-mixed",
		"v6-rotation", "pulse", "flash-crowd", "flash-nat", "cold-start", "post-flood", "login-flood", "ten-million"} {
		if !seen[name] {
			t.Errorf("there is no scenario %q", name)
		}
	}
}

func TestPrintTellsWhatMatters(t *testing.T) {
	s := scenario(t, "botnet")
	s.Flood = 3 * time.Second
	s.Expect = append(s.Expect, Bound{"known", Success, 1.5, 0}, Bound{"nobody", Success, 1, 0})
	rep := rehearse(t, s, 1)
	var b strings.Builder
	if err := rep.Print(&b); err != nil {
		t.Fatal(err)
	}
	if err := rep.PrintPulses(&b); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"known", "botnet", rep.Trace, "MiB", "unmet: known success is", `"nobody": there is no such figure`, "slowdown"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the table does not tell of %q:\n%s", part, b.String())
		}
	}
}

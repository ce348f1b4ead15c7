package sim

import (
	"slices"
	"time"

	"github.com/deichproject/deich"
)

// Scenarios gives every rehearsal the simulator knows, by the names of the
// drill's where both have one. Callers may change what they get.
func Scenarios() []Scenario {
	return slices.Concat(fewSources(), botnets(), farms(), shared(), crowds(), faults(), scales(), days(), Strategies())
}

// Find gives the scenario of a name.
func Find(name string) (Scenario, bool) {
	all := Scenarios()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, false
	}
	return all[i], true
}

// Who visits, as in the drill: users of before, programs of before, and
// newcomers with and without scripts.
var (
	known     = Group{Name: "known", Kind: Browser, Count: 60, From: -9 * time.Second, Over: 4 * time.Second, Members: .3}
	programs  = Group{Name: "api", Kind: Program, Count: 12, From: -9 * time.Second, Over: 2 * time.Second, Gap: time.Second}
	newcomers = Group{Name: "newcomers", Kind: Browser, Count: 40, From: time.Second, Over: 30 * time.Second}
	nojs      = Group{Name: "nojs", Kind: Plain, Count: 16, From: time.Second, Over: 20 * time.Second}
)

// What must hold in every flood.
var (
	knownHold   = []Bound{{"known", Success, .995, 0}, {"known", Denied, 0, .001}, {"known", Mitigate, 0, .2}, {"known", Back, .995, 0}}
	programHold = []Bound{{"api", Success, .99, 0}}
	comersHold  = []Bound{{"newcomers", First, 0, 3}, {"newcomers", Settled, .95, 0}}
)

// flooded is the frame of most scenarios.
func flooded(name, title string, attacks ...Attack) Scenario {
	return Scenario{
		Name: name, Title: title, Peace: 10 * time.Second, Flood: 40 * time.Second, After: 12 * time.Second,
		Groups: []Group{known, programs, newcomers, nojs}, Attacks: attacks,
		Expect: slices.Concat(knownHold, programHold, comersHold),
	}
}

func with(s Scenario, change func(*Scenario)) Scenario {
	change(&s)
	return s
}

func fewSources() []Scenario {
	return []Scenario{
		flooded("get-flood", "Twenty sources ask for the front page",
			Attack{Name: "get", Request: AimPage, Sources: 20, Rate: 3000, Dense: true}),
		flooded("post-flood", "1,000 sources post messages they have no right to",
			Attack{Name: "post", Request: AimPost, Sources: 1000, Rate: 2000}),
		flooded("login-flood", "1,500 sources try names and passwords",
			Attack{Name: "login", Request: AimLogin, Sources: 1500, Rate: 1200}),
	}
}

// theBotnet is below one request a second from each of its sources, at ten
// times what the origin can do.
var theBotnet = Attack{Name: "botnet", Request: AimSearch, Sources: 4000, Rate: 3000}

func botnets() []Scenario {
	botnet := flooded("botnet", "4,000 sources, each below one request a second, search for random words", theBotnet)
	botnet.Expect = append(botnet.Expect, Bound{"", Slowdown, 0, 3})
	small := func(s *Scenario) {
		s.Name, s.Title = "botnet-50x", "The botnet at fifty times what an origin of 60 searches a second can do"
		s.Origin.Speed = .2
		s.Groups = slices.Clone(s.Groups)
		s.Groups[0].Count, s.Groups[1].Count, s.Groups[2].Count = 36, 6, 20
	}
	pulse := theBotnet
	pulse.Name, pulse.On, pulse.Off = "pulse", 4*time.Second, 4*time.Second
	rotation := theBotnet
	rotation.Name, rotation.Networks = "rotation", 16
	cold := flooded("cold-start", "Deich starts eight seconds into the flood and has seen no peace", theBotnet)
	cold.Start = 8 * time.Second
	cold.Groups = []Group{{Name: "browsers", Kind: Browser, Count: 60, From: -3 * time.Second, Over: 2 * time.Second}, newcomers, nojs}
	cold.Expect = []Bound{{"browsers", First, 0, 10}, {"browsers", Settled, .95, 0}, {"newcomers", Settled, .95, 0}}
	restart := with(cold, func(s *Scenario) {
		s.Name, s.Title = "restart", "The same, but half the users hold passes of yesterday"
		old := s.Groups[0]
		old.Name, old.Count, old.Age = "known", 60, 30*time.Hour
		s.Groups = append([]Group{old}, s.Groups...)
		s.Expect = append(s.Expect, Bound{"known", Success, .99, 0})
	})
	return []Scenario{
		botnet, with(botnet, small),
		flooded("pulse", "Bursts of four seconds", pulse),
		flooded("v6-rotation", "Each request from another IPv6 /64, out of sixteen /48", rotation),
		cold, restart,
	}
}

// farms are bots that earn what users earn.
func farms() []Scenario {
	cookies := theBotnet
	cookies.Name, cookies.Cookies, cookies.Early, cookies.Visits = "cookies", true, time.Minute, 2
	solver := theBotnet
	solver.Name, solver.Cookies, solver.Hashes = "solver", true, 11e6
	tokens := theBotnet
	tokens.Name, tokens.Request, tokens.Bearer = "tokens", AimAPI, true
	waiters := theBotnet
	waiters.Name, waiters.Cookies = "waiters", true
	expect := []Bound{{"known", Success, .99, 0}, {"known", Denied, 0, .001}, {"known", Back, .995, 0}, {"api", Success, .99, 0}}
	farm := func(s Scenario) Scenario {
		s.Expect = expect
		return s
	}
	early := farm(flooded("botnet-cookies", "Bots come a minute early, keep their cookies, behave, then flood", cookies))
	early.Peace = 125 * time.Second
	early.Groups = slices.Clone(early.Groups)
	early.Groups[0].From, early.Groups[0].Over = -2*time.Minute, 10*time.Second
	early.Groups[1].From, early.Groups[1].Over = -2*time.Minute, 10*time.Second
	withTokens := farm(flooded("botnet-api", "Bots search through the API with random bearer tokens", tokens))
	withTokens.Groups = append(slices.Clone(withTokens.Groups), Group{Name: "tokens", Kind: Program, Count: 12,
		From: -9 * time.Second, Over: 2 * time.Second, Gap: time.Second, Token: true, Roams: true})
	return []Scenario{
		early,
		farm(flooded("botnet-solver", "Bots solve every proof with native code on two cores", solver)),
		farm(flooded("botnet-waiters", "Bots keep waiting-room tickets and come back when called", waiters)),
		withTokens,
	}
}

// shared are users who live with attackers.
func shared() []Scenario {
	behind := Attack{Name: "behind", Request: AimSearch, Sources: 12, Rate: 900, Behind: "sharing"}
	rest := theBotnet
	rest.Rate = 2000
	s := flooded("nat-mixed", "Users share twelve addresses with attackers", behind, rest)
	s.Groups = append(slices.Clone(s.Groups), Group{Name: "sharing", Kind: Browser, Count: 48,
		From: -9 * time.Second, Over: 4 * time.Second, Addresses: 12})
	s.Expect = append(s.Expect, Bound{"sharing", Success, .95, 0}, Bound{"sharing", Denied, 0, .001})
	return []Scenario{s}
}

func crowds() []Scenario {
	crowd := Scenario{
		Name: "flash-crowd", Title: "120 users become 1,200 at once; nobody attacks",
		Peace: 10 * time.Second, Flood: time.Minute, After: 5 * time.Second,
		Origin: Origin{Speed: .8}, // together they ask for a fifth more than it can do
		Groups: []Group{
			{Name: "known", Kind: Browser, Count: 120, From: -9 * time.Second, Over: 4 * time.Second},
			{Name: "crowd", Kind: Browser, Count: 1080, Over: 2 * time.Second},
		},
		Expect: []Bound{{"known", Success, .995, 0}, {"known", Denied, 0, 0}, {"crowd", Denied, 0, 0}, {"", Goodput, .95, 0}},
	}
	nat := with(crowd, func(s *Scenario) {
		s.Name, s.Title, s.Flood = "flash-nat", "540 users behind twelve addresses come at once; nobody attacks", 45*time.Second
		s.Origin.Speed = 1
		s.Groups = []Group{known, {Name: "crowd", Kind: Browser, Count: 540, Over: 3 * time.Second, Addresses: 12}}
		s.Expect = s.Expect[:3]
	})
	return []Scenario{crowd, nat}
}

// faults are no floods at all.
func faults() []Scenario {
	peaceful := func(name, title string, o Origin) Scenario {
		s := flooded(name, title)
		s.Groups, s.Origin = s.Groups[:3], o
		s.Expect = []Bound{{"known", Denied, 0, 0}, {"newcomers", Denied, 0, 0}}
		return s
	}
	slow := peaceful("origin-slow", "The origin waits ten times as long for something else; nobody attacks",
		Origin{Model: IO, Cores: 64, Slow: 10})
	slow.Expect = append(slow.Expect, Bound{"known", Success, .995, 0}, Bound{"newcomers", Success, .95, 0})
	return []Scenario{
		slow,
		peaceful("origin-weak", "The origin does a tenth of its work; nobody attacks", Origin{Slow: 10}),
		peaceful("origin-down", "The origin is killed and comes back; nobody attacks", Origin{Down: true}),
	}
}

// scales are what real sockets cannot show.
func scales() []Scenario {
	grown := func(n int) []Group {
		all := slices.Clone(flooded("", "").Groups)
		for i := range all {
			all[i].Count *= n
			all[i].Over = min(all[i].Over, 6*time.Second)
		}
		return all
	}
	workers := flooded("workers", "64 workers of 20 ms that thrash beyond twice as many; a hundred times what they can do",
		Attack{Name: "botnet", Request: AimSearch, Sources: 400_000, Rate: 130_000})
	workers.Origin = Origin{Model: IO, Cores: 64, Thrash: 128}
	workers.Groups, workers.Flood = grown(20), 15*time.Second

	large := flooded("hundred-thousand", "100,000 users and a million sources at ten times what 128 cores can do",
		Attack{Name: "botnet", Request: AimSearch, Sources: 1_000_000, Rate: 400_000})
	large.Origin = Origin{Cores: 128, Thrash: 1024}
	large.Policy = deich.Policy{Sources: 1 << 22, LimitMax: 4096}
	large.Groups, large.Flood, large.After = grown(800), 10*time.Second, 8*time.Second

	huge := flooded("ten-million", "Ten million sources, one request each", Attack{Name: "botnet", Request: AimSearch,
		Sources: 10_000_000, Rate: 1_000_000})
	huge.Origin = Origin{Cores: 16, Thrash: 128}
	huge.Policy = deich.Policy{Sources: 1 << 23}
	huge.Groups, huge.Flood, huge.After = grown(10), 10*time.Second, 8*time.Second
	return []Scenario{workers, large, huge}
}

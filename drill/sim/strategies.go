package sim

import (
	"slices"
	"time"

	"github.com/deichproject/deich"
)

// Strategies gives the exam of the synthesis of rules and of causes: what
// attackers who know exactly this engine would try, what people do that looks
// like it, and what breaks by itself. Attack requests are the attacks', all
// others are good; Truth says which cause is right.
func Strategies() []Scenario {
	return slices.Concat(tools(), liars(), slow(), poachers(), throngs(), breakdowns(), calm())
}

// Who visits in the exam. Two minutes of peace with so many known users are
// what the engine needs to know what is good.
var (
	locals   = Group{Name: "known", Kind: Browser, Count: 220, From: -2 * time.Minute, Over: 20 * time.Second, Gap: 2 * time.Second, Members: .3}
	clients  = Group{Name: "api", Kind: Program, Count: 24, From: -2 * time.Minute, Over: 10 * time.Second, Gap: 2 * time.Second}
	arrivals = Group{Name: "newcomers", Kind: Browser, Count: 60, From: time.Second, Over: 30 * time.Second}
	plain    = Group{Name: "nojs", Kind: Plain, Count: 20, From: time.Second, Over: 20 * time.Second}
)

// What the promise says of floods that tools make.
var toolMade = []Bound{
	{"", Covered, .95, 0}, {"", Touched, 0, .001}, {"", Rules, 0, 5}, {"", Acting, 0, 3},
	{"known", Success, .995, 0}, {"known", Refusals, 0, .001}, {"api", Success, .99, 0}, {"newcomers", First, 0, 3},
}

// What the cause is held to besides, where pressure lasts long enough to show it.
var named = append(slices.Clone(toolMade), Bound{"", RightCause, 0, 5})

// What holds whoever comes and however.
var admitted = []Bound{{"known", Success, .99, 0}, {"known", Refusals, 0, .001}, {"", Touched, 0, .001}, {"", Orders, 0, 0}}

// studied is the frame of the exam.
func studied(name, title string, expect []Bound, attacks ...Attack) Scenario {
	s := Scenario{
		Name: name, Title: title, Peace: 2*time.Minute + 10*time.Second, Flood: 30 * time.Second, After: 12 * time.Second,
		Groups: []Group{locals, clients, arrivals, plain}, Attacks: attacks, Expect: expect,
	}
	if len(attacks) > 0 {
		s.Truth = []deich.Cause{deich.CauseFlood}
	}
	return s
}

// from is an attack at four times what the origin can do.
func from(name string, guise Guise, aim Aim) Attack {
	return Attack{Name: name, Guise: guise, Request: aim, Sources: 4000, Rate: 3000}
}

// tools are floods made by one or a few programs.
func tools() []Scenario {
	search := from("tool", Tool, AimSearch)
	mix := func(n int, rate float64) (all []Attack) {
		aims := []Aim{AimPage, AimSearch, AimPost, AimAPI, AimBrowse, AimMe}
		for i := range n {
			all = append(all, Attack{Name: "tool-" + string(rune('a'+i)), Tool: i, Request: aims[i%len(aims)],
				Sources: 6000 / n, Rate: rate / float64(n)})
		}
		return all
	}
	var many []Attack
	for i := range 60 {
		many = append(many, Attack{Name: "tool", Tool: i, Request: AimSearch, Sources: 100, Rate: 50})
	}
	few := search
	few.Hosted, few.Sources, few.Reuse = true, 300, true
	tokens := from("tokens", Library, AimAPI)
	tokens.Bearer = true
	login := from("login", Tool, AimLogin)
	login.Rate, login.Sources = 1500, 2000
	dark := studied("one-tool-dark", "One tool, where neither TLS nor networks can be told", named, search)
	dark.Dark = true
	announced := studied("one-tool-announced", "One program, in the minute for which a crowd was announced", named, search)
	announced.Crowd = true
	shift := search
	shift.Shift = time.Second
	pulses := search
	pulses.On, pulses.Off, pulses.Shift = 4*time.Second, 4*time.Second, 8*time.Second
	rare := search
	rare.On, rare.Off = 6*time.Second, 64*time.Second
	seldom := studied("slow-pulse", "Six seconds of one tool every seventy: longer than a rule lives", slices.Concat(
		[]Bound{{"", Covered, .75, 0}}, toolMade[1:]), rare) // a rule that has lapsed is found anew in the pulse's first second
	seldom.Flood = 3 * time.Minute
	shy := search
	shy.Jar, shy.Reuse = true, true
	return []Scenario{
		studied("one-tool", "One program searches", named, search),
		dark,
		announced,
		studied("one-tool-hosted", "The same from 300 machines in few networks, with lasting connections", named, few),
		studied("one-tool-cookie", "The same with a cookie of the platform's name and lasting connections", named, shy),
		studied("tools-4", "Four programs, each with an aim of its own", named, mix(4, 3000)...),
		studied("tools-6", "Six programs at eight times what the origin can do", named, mix(6, 6000)...),
		studied("tools-60", "Sixty programs, none with two in a hundred of the flood", named, many...),
		studied("tool-carousel", "Another program each second", []Bound{{"known", Success, .99, 0}, {"", Touched, 0, .001}}, shift),
		studied("shifting-pulse", "Four seconds on, four off, each pulse by another program", []Bound{{"known", Success, .99, 0}, {"", Touched, 0, .001}}, pulses),
		seldom,
		studied("random-headers", "Every header drawn anew for each request", named, from("random", Random, AimSearch)),
		studied("login", "Names and passwords tried by one tool", named, login),
		studied("library", "Made with the library that honest programs use too, for a search", named, from("library", Library, AimSearch)),
		studied("api-tokens", "The same through the API, with a random token each", toolMade, tokens),
	}
}

// liars look like browsers, more or less.
func liars() []Scenario {
	pool := from("pool", Pool, AimSearch)
	pool.Pool = 40
	half := pool
	half.Name, half.Jar = "pool-cookies", true
	pool.Rate, half.Rate = pool.Rate/2, half.Rate/2
	v6 := from("v6", Liar, AimSearch)
	v6.Networks = 64
	proxies := from("proxies", Liar, AimPage)
	proxies.Sources, proxies.Rotate = 100_000, true
	mimic := from("mimic", Mimic, AimBrowse)
	lazy := mimic
	mimic.Jar = true
	costly := from("mimic", Mimic, AimSearch)
	costly.Rate, costly.Jar = 900, true
	miss := from("miss", Liar, AimMiss)
	miss.Rate = 900
	anyMiss := from("miss", Mimic, AimMissAny)
	anyMiss.Rate = 900
	posing := studied("mimics-announced", "A browser of its own for each source, in the minute for which a crowd was announced", nil, mimic)
	posing.Crowd = true
	// Whoever looks like everyone else is for admission. What rules there are ask for a proof, and of few;
	// a browser that many have is cut into three to seven pieces, as seeds go.
	few := []Bound{{"known", Success, .99, 0}, {"known", Refusals, 0, .001}, {"", Touched, 0, .015}, {"", Rules, 0, 8}, {"newcomers", First, 0, 6}}
	posing.Expect = append(slices.Clone(few), Bound{"", RightCause, 0, 10}) // the announcement speaks against it, until more does for it
	return []Scenario{
		studied("liar", "Browsers' headers over one program's TLS", named, from("liar", Liar, AimSearch)),
		studied("tls-pool", "Browsers' headers over forty forged handshakes, half with cookies", named, pool, half),
		studied("header-chaos", "The commonest browser, but for headers that come and go", named, from("chaos", Chaos, AimSearch)),
		studied("rotating-proxies", "100,000 proxies, any of them at each request", named, proxies),
		studied("v6-spray", "Each request from another IPv6 /64, out of 64 /48", named, v6),
		studied("cache-misses", "A number in the query that no cache has, at a modest rate", toolMade, miss),
		studied("cache-misses-any", "The same by whole browsers, with another key each", toolMade, anyMiss),
		studied("popular-browser", "The commonest browser, whole", few, from("popular", Popular, AimSearch)),
		studied("minority-browser", "A rare browser, whole, so that its users be blamed", few, from("minority", Minority, AimSearch)),
		studied("mimics", "A browser of its own for each source, browsing as people do", few, mimic),
		posing,
		studied("mimics-lazy", "The same without cookies, a new connection each", admitted, lazy),
		studied("mimics-search", "The same, searching only, at little more than the origin can do", few, costly),
	}
}

// slow floods grow, or were there before.
func slow() []Scenario {
	boil := from("boil", Tool, AimSearch)
	boil.Ramp = 3 * time.Minute
	boiling := studied("slow-boil", "One program whose rate grows over three minutes", slices.Concat(
		[]Bound{{"", Covered, .8, 0}, {"", Rules, 0, 5}}, toolMade[4:7], toolMade[1:2]), boil)
	boiling.Flood = 4 * time.Minute
	poison := from("poison", Tool, AimSearch)
	poison.Rate, poison.From, poison.For, poison.Sources = .4, -3*time.Hour, 3*time.Hour, 4000
	strike := from("strike", Tool, AimSearch)
	strike.As = "poison"
	poisoned := studied("poisoned", "Hours at a low rate first, from the same sources", []Bound{
		{"known", Success, .995, 0}, {"known", Refusals, 0, .001}, {"", Orders, 0, 0}}, poison, strike) // its sources are known by then: rules spare them
	poisoned.Peace = 3 * time.Hour
	poisoned.Groups = slices.Clone(poisoned.Groups)
	poisoned.Groups[0].From, poisoned.Groups[0].Gap, poisoned.Groups[0].Count = -3*time.Hour, time.Minute, 120
	poisoned.Groups[1].From, poisoned.Groups[1].Gap, poisoned.Groups[1].Count = -3*time.Hour, time.Minute, 12
	cold := studied("cold-tool", "Deich starts eight seconds into one tool's flood and has seen no peace",
		[]Bound{{"known", Success, .9, 0}, {"", Touched, 0, .01}, {"", Orders, 0, 0}}, from("tool", Tool, AimSearch))
	cold.Start, cold.Peace = 8*time.Second, 10*time.Second
	cold.Groups = []Group{
		{Name: "known", Kind: Browser, Count: 100, From: -3 * time.Second, Over: 2 * time.Second, Age: 30 * time.Hour, Gap: 2 * time.Second},
		arrivals, plain,
	}
	return []Scenario{boiling, poisoned, cold}
}

// poachers take what users have: passes, proofs, addresses.
func poachers() []Scenario {
	farm := from("farm", Tool, AimSearch)
	farm.Cookies, farm.Early, farm.Visits = true, time.Minute, 2
	late := studied("token-farmers-late", "The same after an hour of peace, beside users who came five minutes before", slices.Concat(admitted[:2], []Bound{
		{"fresh", Success, .99, 0}, {"fresh", Refusals, 0, .001}, {"newcomers", Success, .8, 0}, {"nojs", Success, .8, 0},
		{"", Covered, .95, 0}, {"", Touched, 0, .001}, {"", Rules, 0, 5}, {"", Orders, 0, 0}}), farm)
	late.Peace = time.Hour + 10*time.Second // then a minute is not long, and who came in it is not known
	late.Groups = append(slices.Clone(late.Groups), Group{Name: "fresh", Kind: Browser, Count: 60, From: -5 * time.Minute, Over: 20 * time.Second, Gap: 4 * time.Second})
	late.Groups[0].From, late.Groups[0].Gap = -time.Hour, 4*time.Second
	late.Groups[1].From, late.Groups[1].Gap = -time.Hour, 4*time.Second
	thieves := from("thieves", Mimic, AimBrowse)
	thieves.Steals, thieves.Stolen, thieves.Jar = "known", 40, true
	solvers := from("solvers", Mimic, AimBrowse)
	solvers.Cookies, solvers.Hashes, solvers.Jar = true, 11e6, true
	behind := Attack{Name: "behind", Guise: Liar, Request: AimSearch, Sources: 12, Rate: 900, Behind: "sharing"}
	beside := from("beside", Tool, AimSearch)
	beside.Rate = 2000
	framed := studied("framers", "Flooding from a carrier's twelve addresses, which are full of users", append(slices.Clone(admitted),
		Bound{"sharing", Success, .95, 0}, Bound{"sharing", Refusals, 0, .001}), behind, beside)
	framed.Groups = append(slices.Clone(framed.Groups), Group{Name: "sharing", Kind: Browser, Count: 96,
		From: -2 * time.Minute, Over: 20 * time.Second, Gap: 2 * time.Second, Addresses: 12})
	// What they look like is what everyone does: only where they come from sets them apart.
	among := from("among", Popular, AimSearch)
	among.Operator = true
	neighboured := studied("one-operator", "Flooding from the networks of one operator, which are full of users", append(slices.Clone(admitted),
		Bound{"neighbours", Success, .99, 0}, Bound{"neighbours", Refusals, 0, .001}, Bound{"arriving", Refusals, 0, .001}, Bound{"arriving", First, 0, 6}), among)
	neighboured.Peace = 6 * time.Minute // until it is known where requests come from
	neighboured.Groups = append(slices.Clone(neighboured.Groups),
		Group{Name: "neighbours", Kind: Browser, Count: 60, From: -6 * time.Minute, Over: 20 * time.Second, Gap: 2 * time.Second, Operator: true},
		Group{Name: "arriving", Kind: Browser, Count: 30, From: time.Second, Over: 20 * time.Second, Operator: true})
	neighboured.Groups[0].From, neighboured.Groups[1].From = -6*time.Minute, -6*time.Minute
	held := []Bound{{"known", Success, .99, 0}, {"", Touched, 0, .01}, {"", Orders, 0, 0}}
	return []Scenario{
		studied("token-farmers", "Bots come a minute early, keep their cookies, behave, then flood", held, farm),
		late,
		studied("token-thieves", "Whole browsers with the stolen passes of forty users", []Bound{{"", Touched, 0, .001}, {"", Orders, 0, 0}}, thieves),
		studied("native-solvers", "Whole browsers that solve proofs with native code on two cores", held, solvers),
		framed, neighboured,
	}
}

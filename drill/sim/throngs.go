package sim

import (
	"slices"
	"time"

	"github.com/deichproject/deich"
)

// What holds for people who come all at once.
var (
	allWelcome = []Bound{{"", Refusals, 0, 0}, {"", Challenges, 0, .01}, {"", Orders, 0, 0}, {"known", Success, .99, 0}, {"known", Challenges, 0, 0}}
	noneHarmed = []Bound{{"", Refusals, 0, .001}, {"known", Refusals, 0, 0}, {"known", Success, .99, 0}}
)

// throng is a crowd that asks for more than there is.
func throng(name, title string, g Group, attacks ...Attack) Scenario {
	s := studied(name, title, allWelcome, attacks...)
	g.Name, g.Kind = "crowd", Browser
	if g.Count == 0 {
		g.Count = 1400
	}
	if g.Over == 0 {
		g.Over = 5 * time.Second
	}
	s.Flood, s.Truth = time.Minute, []deich.Cause{deich.CauseCrowd}
	s.Groups = []Group{locals, clients, g}
	return s
}

// throngs are crowds: of people, of people with attackers among them, and of programs.
func throngs() []Scenario {
	worldCup := throng("crowd-ramp", "People come over five minutes, as for the World Cup in 1998: 5.3 times as many", Group{
		Count: 1000, Over: 5 * time.Minute})
	worldCup.Flood = 6 * time.Minute
	among := from("mimic", Mimic, AimNew)
	among.Rate = 1000
	hidden := throng("crowd-mimics", "A crowd for a new page, and whole browsers among it that want the same", Group{New: true}, among)
	hidden.Truth, hidden.Expect = []deich.Cause{deich.CauseFlood, deich.CauseMixed}, slices.Concat(noneHarmed, []Bound{{"", Touched, 0, .001}})
	beside := from("tool", Tool, AimNew)
	mixed := throng("crowd-tool", "A crowd for a new page, and one tool that floods the same page", Group{New: true}, beside)
	mixed.Truth, mixed.Expect = []deich.Cause{deich.CauseFlood, deich.CauseMixed}, slices.Concat(noneHarmed, []Bound{{"", Covered, .95, 0}, {"", Touched, 0, .001}, {"", Rules, 0, 5}})
	return []Scenario{
		throng("crowd-page", "1,400 people come for a new page", Group{New: true}),
		throng("crowd-campaign", "1,400 people come from one other site, by its app, for a new page", Group{New: true, Referer: 1, Look: InApp}),
		throng("crowd-mailing", "1,400 readers of one mailing, all with the same build of one mail program", Group{New: true, Look: OneBuild}),
		throng("crowd-carrier", "1,400 people come for a new page from forty carriers' addresses", Group{New: true, Addresses: 40}),
		worldCup, hidden, mixed, monitors(), federation(), pushed(), apps("crowd-apps", "2,000 apps behind forty carriers' addresses, all at once", 40, false, deich.CauseCrowd),
		// Nothing tells these from a flood but that they want what they were refused: not to know is right, too.
		apps("crowd-eager", "2,000 apps at once that ask again and again, whatever they are told", 0, true, deich.CauseCrowd, deich.CauseUnknown, deich.CauseRetryStorm),
	}
}

// pushed are people who were here days ago, all called by one message.
func pushed() Scenario {
	s := throng("crowd-push", "A message to those who were here days ago: 1,400 come within three seconds", Group{Over: 3 * time.Second, Age: 80 * time.Hour})
	s.Expect = []Bound{{"", Refusals, 0, 0}, {"", Challenges, 0, .01}, {"", Orders, 0, 0}, {"crowd", Success, .95, 0}} // they are known for longer than the others
	return s
}

// apps are programs of people, at addresses that they share or, with 0, of their own.
func apps(name, title string, addresses int, eager bool, truth ...deich.Cause) Scenario {
	s := studied(name, title, []Bound{{"", Challenges, 0, 0}, {"known", Success, .99, 0}}) // behind a carrier most are refused for its budget: they hold no passes
	s.Truth = truth
	s.Groups = append(slices.Clone(s.Groups[:2]),
		Group{Name: "apps", Kind: Program, Count: 2000, Over: 2 * time.Second, Gap: 2 * time.Second, Addresses: addresses, Token: true, Eager: eager})
	return s
}

// monitors are a fleet that was there before and a larger one that begins at once.
func monitors() Scenario {
	s := studied("monitors", "Forty monitors all along, 1,200 more at once", noneHarmed)
	s.Truth = []deich.Cause{deich.CauseCrowd}
	s.Origin.Speed = .5
	s.Groups = append(slices.Clone(s.Groups[:2]),
		Group{Name: "watchers", Kind: Program, Look: Monitors, Count: 40, From: -2 * time.Minute, Over: 10 * time.Second, Gap: 5 * time.Second},
		Group{Name: "fleet", Kind: Program, Look: Monitors, Count: 1200, Over: time.Second, Gap: time.Second})
	return s
}

// federation is what follows a popular message: every server delivers and fetches.
func federation() Scenario {
	s := studied("federation", "A popular message: 2,400 servers deliver and fetch within five seconds", noneHarmed)
	s.Truth = []deich.Cause{deich.CauseCrowd}
	s.Groups = append(slices.Clone(s.Groups),
		Group{Name: "peers", Kind: Program, Look: Servers, Count: 60, From: -2 * time.Minute, Over: 20 * time.Second, Gap: 3 * time.Second},
		Group{Name: "burst", Kind: Program, Look: Servers, Count: 2400, Over: 5 * time.Second, Gap: 2 * time.Second, Stay: 10 * time.Second})
	return s
}

// breakdowns are the platform's own faults, alone and with floods.
func breakdowns() []Scenario {
	broken := func(name, title string, truth deich.Cause, o Origin, attacks ...Attack) Scenario {
		s := studied(name, title, []Bound{{"", Refusals, 0, 0}, {"", Challenges, 0, 0}, {"", Rules, 0, 0}, {"", Orders, 0, 0}}, attacks...)
		s.Origin, s.Truth, s.Groups = o, []deich.Cause{truth}, s.Groups[:3]
		return s
	}
	storm := broken("retry-storm", "Eight seconds of outage, then everyone retries at once, whatever they are told", deich.CauseRetryStorm,
		Origin{Down: true, For: 8 * time.Second})
	storm.Groups = slices.Clone(storm.Groups)
	storm.Groups[1].Eager = true
	storm.Groups = append(storm.Groups, Group{Name: "apps", Kind: Program, Count: 400, From: -2 * time.Minute, Over: 20 * time.Second,
		Gap: 4 * time.Second, Eager: true})
	both := broken("fault-and-flood", "The origin does a third of its work, and one tool floods it", deich.CauseMixed,
		Origin{Slow: 3}, from("tool", Tool, AimSearch))
	both.Expect = []Bound{{"", Covered, .95, 0}, {"", Touched, 0, .001}, {"", Rules, 0, 5}, {"", Orders, 0, 0}, {"known", Success, .95, 0}}
	return []Scenario{
		broken("fault-slow", "The origin waits ten times as long for something else", deich.CauseOriginFault, Origin{Model: IO, Cores: 64, Slow: 10}),
		broken("fault-weak", "The origin does an eighth of its work", deich.CauseOriginFault, Origin{Slow: 8}),
		broken("fault-errors", "Two in five answers are errors", deich.CauseOriginFault, Origin{Errors: .4}),
		storm, both,
	}
}

// calm is an hour in which nothing happens, as one real site's visitors came.
func calm() []Scenario {
	return []Scenario{{
		Name: "peace-hour", Title: "Thirteen hours of a real log within one: nobody attacks",
		Peace: time.Minute, Flood: time.Hour, After: 10 * time.Second, Truth: []deich.Cause{deich.NoCause},
		Origin: Origin{Speed: .25},
		Groups: []Group{
			{Name: "visitors", Kind: Browser, Count: 2229, From: -time.Minute, Over: time.Hour, Replay: true},
			{Name: "api", Kind: Program, Count: 12, From: -50 * time.Second, Over: 10 * time.Second, Gap: 20 * time.Second},
			{Name: "watchers", Kind: Program, Look: Monitors, Count: 20, From: -50 * time.Second, Over: 10 * time.Second, Gap: 30 * time.Second},
			{Name: "peers", Kind: Program, Look: Servers, Count: 60, From: -50 * time.Second, Over: 40 * time.Second, Gap: time.Minute},
		},
		Expect: []Bound{{"", Rules, 0, 0}, {"", Orders, 0, 0}, {"", Challenges, 0, 0}, {"", Refusals, 0, 0}, {"visitors", Success, .999, 0}},
	}}
}

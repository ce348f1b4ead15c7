package scenarios

import (
	"errors"
	"fmt"
	"time"
)

// Error is one thing wrong in a scenario, by its path.
type Error struct {
	Path string
	Text string
}

func (e *Error) Error() string { return "scenarios: " + e.Path + ": " + e.Text }

type check struct{ errs []error }

func (c *check) bad(path, format string, args ...any) {
	c.errs = append(c.errs, &Error{path, fmt.Sprintf(format, args...)})
}

func (c *check) within(path string, v, low, high int) {
	if v < low || v > high {
		c.bad(path, "%d: between %d and %d", v, low, high)
	}
}

func (c *check) time(path string, v Duration, low, high time.Duration) {
	if v.D() < low || v.D() > high {
		c.bad(path, "%s: between %s and %s", v.D(), low, high)
	}
}

// Validate gives every error at once, joined; each is an *Error.
func (s *Scenario) Validate() error {
	c := &check{}
	if !plainName(s.Name) {
		c.bad("name", "%q: small letters, digits and hyphens, at most 40", s.Name)
	}
	if s.Title == "" || len(s.Title) > 200 {
		c.bad("title", "one sentence, at most 200 bytes")
	}
	c.time("phases.peace", s.Phases.Peace, time.Second, PhaseMax)
	c.time("phases.flood", s.Phases.Flood, time.Second, PhaseMax)
	c.time("phases.after", s.Phases.After, 0, PhaseMax)
	c.within("origin.searches", s.Origin.Searches, 1, SearchesMax)
	if !(s.Origin.Stall >= 0 && s.Origin.Stall <= 0.95) {
		c.bad("origin.stall", "%v: a share between 0 and 0.95", s.Origin.Stall)
	}
	c.time("origin.fresh", s.Origin.Fresh, 0, time.Minute)
	if s.Origin.Fresh.D()%time.Second != 0 {
		c.bad("origin.fresh", "%s: whole seconds", s.Origin.Fresh.D())
	}
	c.time("shield.start", s.Shield.Start, -s.Phases.Peace.D(), s.Phases.Flood.D())
	c.share("goodput", s.Goodput)
	c.pin("pin.origin", s.Pin.Origin)
	c.pin("pin.shield", s.Pin.Shield)
	c.groups(s)
	c.attacks(s)
	return errors.Join(c.errs...)
}

func plainName(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return name != "" && len(name) <= 40
}

func (c *check) share(path string, v float64) {
	if !(v >= 0 && v <= 1) {
		c.bad(path, "%v: a share between 0 and 1", v)
	}
}

func (c *check) pin(path string, cores []int) {
	for i, core := range cores {
		c.within(fmt.Sprintf("%s[%d]", path, i), core, 0, 1023)
	}
}

func (c *check) groups(s *Scenario) {
	c.within("groups", len(s.Groups), 1, GroupsMax)
	if n := s.Users(); n > UsersMax {
		c.bad("groups", "%d users in all: at most %d", n, UsersMax)
	}
	seen := map[string]bool{}
	for i := range s.Groups {
		g, at := &s.Groups[i], fmt.Sprintf("groups[%d]", i)
		if !plainName(g.Name) || seen[g.Name] {
			c.bad(at+".name", "%q: small letters, digits and hyphens, each name once", g.Name)
		}
		seen[g.Name] = true
		if g.Kind != Browser && g.Kind != Plain && g.Kind != Program {
			c.bad(at+".kind", "%q: browser, plain or program", g.Kind)
		}
		if g.Token && g.Kind != Program {
			c.bad(at+".token", "only for programs")
		}
		c.within(at+".count", g.Count, 1, UsersMax)
		c.within(at+".addresses", g.Addresses, 0, max(g.Count, 0))
		c.time(at+".from", g.From, -s.Phases.Peace.D(), s.Phases.Flood.D())
		c.time(at+".over", g.Over, 0, PhaseMax)
		c.time(at+".stay", g.Stay, 0, 3*PhaseMax)
		c.time(at+".gap", g.Gap, 50*time.Millisecond, time.Minute)
		c.time(at+".in", g.In, time.Second, time.Minute)
		c.share(at+".target", g.Target)
	}
}

func (c *check) attacks(s *Scenario) {
	if len(s.Attacks) > AttacksMax {
		c.bad("attacks", "%d: at most %d", len(s.Attacks), AttacksMax)
	}
	rate, early, connections := 0.0, 0.0, 0
	for i := range s.Attacks {
		a, at := &s.Attacks[i], fmt.Sprintf("attacks[%d]", i)
		c.attack(at, a, s)
		rate += a.Rate
		if a.Early.Visits > 0 && a.Early.From < 0 {
			early += float64(a.Early.Visits) * float64(a.Sources) / -a.Early.From.D().Seconds()
		}
		connections += a.Connections
	}
	if rate > RateMax {
		c.bad("attacks", "%.0f requests a second in all: at most %d", rate, RateMax)
	}
	if early > RateMax {
		c.bad("attacks", "%.0f early visits a second in all: at most %d", early, RateMax)
	}
	if connections > ConnectionsMax {
		c.bad("attacks", "%d connections in all: at most %d", connections, ConnectionsMax)
	}
}

func (c *check) attack(at string, a *Attack, s *Scenario) {
	if !plainName(a.Name) {
		c.bad(at+".name", "%q: small letters, digits and hyphens, at most 40", a.Name)
	}
	switch a.Request {
	case Page, Search, Post, Login, API:
	default:
		c.bad(at+".request", "%q: page, search, post, login or api", a.Request)
	}
	c.within(at+".sources", a.Sources, 1, SourcesMax)
	switch a.Manner {
	case Each, Leave, Hello, Shake:
		c.rate(at, a)
	case Keep:
		c.rate(at, a)
		c.within(at+".connections", a.Connections, 1, ConnectionsMax)
	case SlowHeaders, SlowBody:
		c.within(at+".connections", a.Connections, 1, ConnectionsMax)
		if a.Rate != 0 {
			c.bad(at+".rate", "%s has connections, not a rate", a.Manner)
		}
	default:
		c.bad(at+".manner", "%q: each, leave, hello, shake, keep, slow-headers or slow-body", a.Manner)
	}
	begins := a.Manner == Hello || a.Manner == Shake
	switch {
	case begins && !s.Shield.TLS:
		c.bad(at+".manner", "%s: only with shield.tls", a.Manner)
	case !begins && a.Manner != Leave && s.Shield.TLS:
		c.bad(at+".manner", "%s: attackers send no request over TLS: leave, hello or shake", a.Manner)
	}
	c.time(at+".from", a.From, -s.Phases.Peace.D(), s.Phases.Flood.D())
	c.time(at+".pulse.on", a.Pulse.On, 0, PhaseMax)
	c.time(at+".pulse.off", a.Pulse.Off, 0, PhaseMax)
	if (a.Pulse.On == 0) != (a.Pulse.Off == 0) {
		c.bad(at+".pulse", "both on and off, or neither")
	}
	c.within(at+".networks", a.Networks, 0, 4096)
	c.time(at+".early.from", a.Early.From, -s.Phases.Peace.D(), 0)
	c.within(at+".early.visits", a.Early.Visits, 0, 20)
	if a.Early.Visits > 0 && a.Early.From >= 0 {
		c.bad(at+".early.from", "before the flood, where there are early visits")
	}
	if a.Early.Visits > 0 && (begins || a.Manner == Leave) {
		c.bad(at+".early", "%s visits no page", a.Manner)
	}
	if a.Behind != "" && !s.hasAddresses(a.Behind) {
		c.bad(at+".behind", "%q: a group that shares addresses", a.Behind)
	}
	if a.Networks > 0 && a.Behind != "" {
		c.bad(at+".networks", "not together with behind")
	}
}

func (c *check) rate(at string, a *Attack) {
	if !(a.Rate > 0 && a.Rate <= RateMax) {
		c.bad(at+".rate", "%v: above 0 and at most %d requests a second", a.Rate, RateMax)
	}
}

func (s *Scenario) hasAddresses(group string) bool {
	for i := range s.Groups {
		if s.Groups[i].Name == group && s.Groups[i].Addresses > 0 {
			return true
		}
	}
	return false
}

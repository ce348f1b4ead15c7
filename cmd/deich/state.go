package main

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/atlas"
	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/guard"
)

// state is what the console shows: the parts' own counters, put into its words.
func (s *station) state() (state desk.State) {
	now := s.now()
	c := s.edge.Guard().Counters()
	defer func() {
		// Guard goes on without an engine that fails; so does the console.
		if recover() != nil {
			state.Panics = c.Panics + 1
		}
	}()
	listed, orders := s.listed(now), s.engine.Orders(now)
	networks, over := s.networks(now, orders)
	operators, countries := s.parts()
	state = desk.State{
		Version: s.version, PID: os.Getpid(), Started: s.started, Observe: s.observe(), ReloadRefused: s.refused.Load(), Bypass: s.bypassed(),
		MemoryBytes: s.engine.MemoryBytes(), Listed: len(listed), Hand: listed, Ordered: len(orders), Networks: networks, NetworksOver: over,
		Operators: operators, Countries: countries, NetworkFiles: s.networkFiles(),
		Panics: c.Panics, Failopen: c.Failopen, Rules: s.ruleTexts(now),
		Own: c.Own, Minted: c.Minted, BadPasses: c.BadPasses, Proofs: c.Proofs, BadProofs: c.BadProofs, Gone: c.Gone, BodyBytes: c.BodyBytes,
		Connections: desk.Connections(s.edge.Connections()), Spool: s.spoolState(), Gate: viewGate(s.gateStatus()),
	}
	for i, name := range s.originNames() {
		if name == "" {
			continue
		}
		o := desk.Origin{Name: name, Pulse: s.engine.Pulse(uint16(i)), FailingSince: s.chronicle.failingSince(uint16(i))}
		o.Failing = !o.FailingSince.IsZero()
		judged := s.engine.Cause(uint16(i))
		o.Cause, o.Sure, o.Terms = judged.Cause.String(), judged.Confidence, judged.Terms
		if judged.Cause != deich.NoCause {
			o.Why, o.WhyGerman = causeWords[judged.Cause].English, causeWords[judged.Cause].German
			o.CauseSince = wall(judged.Since)
		}
		for _, g := range s.engine.Segments(uint16(i)) {
			if g.Cause == deich.NoCause {
				continue
			}
			why := segmentWords(g.Cause)
			o.Segments = append(o.Segments, desk.Segment{Paths: s.pathsOf(uint16(i), g.Route), Cause: g.Cause.String(), Why: why.English, WhyGerman: why.German,
				Sure: g.Confidence, Terms: g.Terms, CauseSince: wall(g.Since)})
		}
		o.Public = s.publicName(name)
		state.Origins = append(state.Origins, o)
	}
	for _, v := range c.Verdicts {
		state.Requests = append(state.Requests, desk.Requests{Act: v.Act, Reason: v.Reason, Tier: v.Tier, N: v.N})
	}
	for i := range c.Tiers {
		t := &c.Tiers[i]
		state.Served = append(state.Served, desk.Served{Tier: t.Tier, OK: t.Served, Failed: t.Failed})
		state.Latency = append(state.Latency, latency(t))
	}
	return state
}

// missed are those who could not read or send since it was last asked.
func (s *station) missed() incident.Marks { return incident.Marks(s.edge.Guard().Missed()) }

// networks are where requests came from lately, each with how many of its sources
// are refused at accept.
func (s *station) networks(now deich.Time, orders []deich.Order) ([]desk.Network, time.Duration) {
	counted, since := s.edge.Guard().Networks()
	ordered := make(map[netip.Prefix]int)
	for _, o := range orders {
		ordered[networkOf(o.Prefix)]++
	}
	known := s.inForce.Load().atlas
	all := make([]desk.Network, 0, len(counted))
	for _, c := range counted {
		n := desk.Network{Prefix: c.Prefix, Fates: fates(&c.Fates), Ordered: ordered[c.Prefix]}
		operator, country := known.Find(c.Prefix.Addr())
		if operator != 0 {
			n.Operator = operatorText(operator, known)
		}
		n.Country, n.German = atlas.NameOf(country)
		all = append(all, n)
	}
	return all, now.Sub(since)
}

// parts are where requests came from lately by operator and by country; none
// where that cannot be told.
func (s *station) parts() (operators, countries []desk.Part) {
	known := s.inForce.Load().atlas
	byOperator, _ := s.edge.Guard().Operators()
	for _, c := range byOperator {
		p := desk.Part{Code: fmt.Sprintf("AS%d", c.Number), Fates: fates(&c.Fates)}
		p.Name, p.German = operatorText(c.Number, known), operatorText(c.Number, known)
		if c.Number == atlas.Unlisted {
			p.Code = "-"
			p.Name, p.German = atlas.NameOf(atlas.Nowhere)
		}
		operators = append(operators, p)
	}
	byCountry, _ := s.edge.Guard().Countries()
	for _, c := range byCountry {
		p := desk.Part{Code: atlas.Country(c.Code).String(), Fates: fates(&c.Fates)}
		p.Name, p.German = atlas.NameOf(atlas.Country(c.Code))
		if atlas.Country(c.Code) == atlas.Nowhere {
			p.Code = "-"
		}
		countries = append(countries, p)
	}
	return operators, countries
}

func fates(f *guard.Fates) desk.Fates {
	to := desk.Fates{Before: f.Before}
	for act, times := range f.Acts {
		to.Did(deich.Act(act), times)
	}
	return to
}

// networkFiles are the files that tell of networks, with what their publishers ask to be said.
func (s *station) networkFiles() (all []desk.NetworkFile) {
	for _, f := range s.inForce.Load().atlas.Sources() {
		credit, link := f.Credit()
		all = append(all, desk.NetworkFile{Type: f.Type, Built: f.Built, Credit: credit, Link: link, Operators: f.Operators, Countries: f.Countries})
	}
	return all
}

// networkOf is the network of a source: its /24 or /48.
func networkOf(p netip.Prefix) netip.Prefix {
	bits := 24
	if p.Addr().Is6() {
		bits = 48
	}
	q, err := p.Addr().Prefix(min(bits, p.Bits()))
	if err != nil {
		return p // unreachable: an order's prefix is valid
	}
	return q
}

func latency(t *guard.TierCount) desk.Latency {
	l := desk.Latency{Tier: t.Tier, Counts: t.Latency.Counts[:], Sum: t.Latency.Sum.Seconds()}
	for i := range l.Counts {
		if bound := t.Latency.Bound(i); bound > 0 {
			l.Bounds = append(l.Bounds, bound.Seconds())
		}
	}
	return l
}

// originNames are by the engine's index.
func (s *station) originNames() []string { return *s.origins.Load() }

func (s *station) originName(i uint16) string {
	if names := s.originNames(); int(i) < len(names) {
		return names[i]
	}
	return ""
}

// ruleTexts are the rules in force as the page shows them.
func (s *station) ruleTexts(now deich.Time) []desk.Rule {
	all := []desk.Rule{}
	for _, r := range s.rules(now) {
		all = append(all, desk.Rule{ID: r.ID, Text: r.Sentence.English, German: r.Sentence.German})
	}
	return all
}

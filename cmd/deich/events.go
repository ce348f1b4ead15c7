package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk"
)

// judgedEvery is how often the console is told of newly judged sources: one
// sentence for all of them, lest a flood of sources drive out what else happened.
const judgedEvery = 10 * time.Second

// chronicle turns the engine's events into sentences for the console and the
// terminal, and remembers which origins fail.
type chronicle struct {
	mu      sync.Mutex
	failing map[uint16]time.Time
	judged  int // sources since the last sentence about them
	told    deich.Time
}

// take notes what happened at one tick.
func (s *station) take(events []deich.Event) {
	for _, e := range events {
		s.chronicle.mu.Lock()
		loud, text := s.chronicle.sentence(e)
		s.chronicle.mu.Unlock()
		if e.Kind == deich.RuleActs {
			loud, text = true, s.ruleText(e)
		}
		if text == "" {
			continue
		}
		s.desk.Note(desk.Event{At: wall(e.At), Kind: e.Kind.String(), Origin: s.originName(e.Origin), Text: text})
		if loud {
			s.terminal.say("%s %s", wall(e.At).Format("15:04:05"), text)
		}
	}
}

// sentence gives the words for an event, and whether the terminal hears them
// too; c.mu is held.
func (c *chronicle) sentence(e deich.Event) (loud bool, text string) {
	switch e.Kind {
	case deich.PressureBegan:
		if e.Value < 1.05 { // too many at once, not too many a second
			return true, "More is asked at once than the origin can do. Known users come first."
		}
		return true, fmt.Sprintf("More is asked than the origin can do: %.1f times as much. Known users come first.", e.Value)
	case deich.PressureEnded:
		return true, "The origin keeps up with what is asked again."
	case deich.OneAddress:
		return true, fmt.Sprintf("%.0f %% of requests come from one address, %s. If that is a proxy of yours, name it with trusted_proxies (--trusted-proxies), so that clients can be told apart.",
			100*e.Value, e.Prefix.Addr())
	case deich.OriginFailing:
		if c.failing == nil {
			c.failing = make(map[uint16]time.Time)
		}
		c.failing[e.Origin] = wall(e.At)
		return true, "The origin does not answer."
	case deich.OriginBack:
		delete(c.failing, e.Origin)
		return true, "The origin answers again."
	case deich.RuleExpired:
		return false, fmt.Sprintf("Rule %d has expired: next to nothing meets it any more.", e.Rule)
	case deich.RuleWithdrawn:
		return true, fmt.Sprintf("Rule %d is taken back.", e.Rule)
	case deich.CauseNamed:
		return e.Cause != deich.NoCause && e.Cause != deich.CauseUnknown, causeWords[e.Cause].English
	case deich.SourceJudged:
		c.judged++
		if c.told != 0 && e.At.Sub(c.told) < judgedEvery {
			return false, ""
		}
		n := c.judged
		c.judged, c.told = 0, e.At
		if n == 1 {
			return false, fmt.Sprintf("%s kept sending after it was turned away, and is refused at accept.", prefixText(e.Prefix))
		}
		return false, fmt.Sprintf("%d sources kept sending after they were turned away, and are refused at accept; the last one is %s.", n, prefixText(e.Prefix))
	}
	return false, ""
}

// ruleText tells of a rule that begins to act.
func (s *station) ruleText(e deich.Event) string {
	for _, r := range s.engine.Rules(e.At) {
		if r.ID == e.Rule {
			v := s.viewRule(r)
			return fmt.Sprintf("Rule %d: %s Take it back with: deich undo %d", e.Rule, v.Sentence.English, e.Rule)
		}
	}
	return fmt.Sprintf("Rule %d acts.", e.Rule)
}

// failingSince gives since when an origin fails; zero where it does not.
func (c *chronicle) failingSince(origin uint16) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing[origin]
}

// note tells the console of what an operator did.
func (s *station) note(kind, origin, text string) {
	s.desk.Note(desk.Event{At: time.Now(), Kind: kind, Origin: origin, Text: text})
}

package main

import (
	"cmp"
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
		if e.Kind == deich.SegmentNamed && e.Cause != deich.NoCause && e.Cause != deich.CauseUnknown {
			loud, text = true, s.segmentText(e)
		}
		if text.English == "" {
			continue
		}
		s.desk.Note(desk.Event{At: wall(e.At), Kind: e.Kind.String(), Origin: s.originName(e.Origin), Text: text.English, German: text.German})
		if loud {
			s.terminal.say("%s %s", wall(e.At).Format("15:04:05"), text.English)
		}
	}
}

// sentence gives the words for an event, and whether the terminal hears them
// too; c.mu is held.
func (c *chronicle) sentence(e deich.Event) (loud bool, text sentence) {
	switch e.Kind {
	case deich.PressureBegan:
		if e.Value < 1.05 { // too many at once, not too many a second
			return true, sentence{"More is asked at once than the origin can do. Known users come first.",
				"Es wird zugleich mehr verlangt, als die Plattform kann. Bekannte Nutzer kommen zuerst."}
		}
		return true, said("More is asked than the origin can do: %.1f times as much. Known users come first.",
			"Es wird mehr verlangt, als die Plattform kann: das %.1f-Fache. Bekannte Nutzer kommen zuerst.", e.Value)
	case deich.PressureEnded:
		return true, sentence{"The origin keeps up with what is asked again.", "Die Plattform kommt wieder mit."}
	case deich.OneAddress:
		return true, said("%.0f %% of requests come from one address, %s. If that is a proxy of yours, name it with trusted_proxies (--trusted-proxies), so that clients can be told apart.",
			"%.0f %% der Anfragen kommen von einer Adresse, %s. Ist das ein Proxy von Ihnen, nennen Sie ihn mit trusted_proxies (--trusted-proxies), damit sich Clients unterscheiden lassen.",
			100*e.Value, e.Prefix.Addr())
	case deich.OriginFailing:
		if c.failing == nil {
			c.failing = make(map[uint16]time.Time)
		}
		c.failing[e.Origin] = wall(e.At)
		return true, sentence{"The origin does not answer.", "Die Plattform antwortet nicht."}
	case deich.OriginBack:
		delete(c.failing, e.Origin)
		return true, sentence{"The origin answers again.", "Die Plattform antwortet wieder."}
	case deich.RuleExpired:
		return false, said("Rule %d has expired: next to nothing meets it any more.", "Regel %d ist abgelaufen: Fast nichts passt noch auf sie.", e.Rule)
	case deich.RuleWithdrawn:
		return true, said("Rule %d is taken back.", "Regel %d ist zurückgenommen.", e.Rule)
	case deich.CauseNamed:
		return e.Cause != deich.NoCause && e.Cause != deich.CauseUnknown, causeWords[e.Cause]
	case deich.SourceJudged:
		c.judged += max(int(e.Value), 1)
		if c.told != 0 && e.At.Sub(c.told) < judgedEvery {
			return false, sentence{}
		}
		n := c.judged
		c.judged, c.told = 0, e.At
		if n == 1 {
			return false, said("%s kept sending after it was turned away, and is refused at accept.",
				"%s sendete weiter, nachdem es abgewiesen wurde, und wird bei der Annahme abgewiesen.", prefixText(e.Prefix))
		}
		return false, said("%d sources kept sending after they were turned away, and are refused at accept; the last one is %s.",
			"%d Quellen sendeten weiter, nachdem sie abgewiesen wurden, und werden bei der Annahme abgewiesen; die letzte ist %s.", n, prefixText(e.Prefix))
	}
	return false, sentence{}
}

// segmentText says why a part of a platform suffers.
func (s *station) segmentText(e deich.Event) sentence {
	paths := s.pathsOf(e.Origin, e.Route)
	why := segmentWords(e.Cause)
	return sentence{cmp.Or(paths, "All other paths") + ": " + why.English, cmp.Or(paths, "Alle anderen Pfade") + ": " + why.German}
}

// ruleText tells of a rule that begins to act.
func (s *station) ruleText(e deich.Event) sentence {
	for _, r := range s.engine.Rules(e.At) {
		if r.ID == e.Rule {
			v := s.viewRule(r).Sentence
			return sentence{
				fmt.Sprintf("Rule %d: %s Take it back with: deich undo %d", e.Rule, v.English, e.Rule),
				fmt.Sprintf("Regel %d: %s Zurückgenommen wird sie mit: deich undo %d", e.Rule, v.German, e.Rule),
			}
		}
	}
	return said("Rule %d acts.", "Regel %d greift.", e.Rule)
}

// failingSince gives since when an origin fails; zero where it does not.
func (c *chronicle) failingSince(origin uint16) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing[origin]
}

// acted tells the console and the record of what a person did, and in what way
// it came: console, command or signal.
func (s *station) acted(by, kind string, what sentence) {
	s.desk.Did(desk.Action{At: time.Now(), Kind: kind, By: by, Text: what.English, German: what.German})
}

package desk

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// known is the share of known users' requests that were served, over the
// window; asked is how many came per second. Strangers are not known.
func known(groups []Group) (share, asked float64) {
	var served float64
	for _, g := range groups {
		if g.Tier == deich.Stranger.String() || g.Served < 0 {
			continue
		}
		asked += g.Asked
		served += g.Asked * g.Served
	}
	if asked == 0 {
		return -1, 0
	}
	return served / asked, asked
}

// mood is how things stand, in a word: the page says it aloud where it turns.
func mood(s *State, at time.Time) string {
	failing, pressed := worst(s.Origins)
	switch {
	case bypassed(s, at):
		return "bypass"
	case failing != nil:
		return "failing"
	case pressed != nil:
		return "pressure"
	}
	return "calm"
}

func bypassed(s *State, at time.Time) bool { return !s.Bypass.IsZero() && s.Bypass.After(at) }

// speak says in a sentence or two what is true now, what it means for users,
// and what the operator can do. It names nobody, and a cause only where the
// engine does.
func (w *words) speak(s *State, v *Live) string {
	var b strings.Builder
	share, _ := known(v.Groups)
	failing, pressed := worst(s.Origins)
	switch {
	case failing != nil:
		fmt.Fprintf(&b, w.say.Down, naming(w.say.Named, s.Origins, failing), w.since(failing.FailingSince))
	case pressed != nil:
		of, since := naming(w.say.OfOrigin, s.Origins, pressed), w.since(time.Unix(0, int64(pressed.Since)))
		came, answered := w.Count(pressed.Demand), w.Count(pressed.Goodput)
		if pressed.Demand > pressed.Goodput && came != answered {
			fmt.Fprintf(&b, w.say.Pressed, of, since, came, answered)
		} else { // for a moment, or no more than what was answered a moment ago
			fmt.Fprintf(&b, w.say.AtOnce, of, since)
		}
		if why := w.In(pressed.Why, pressed.WhyGerman); why != "" {
			b.WriteString(" " + why)
		}
		switch {
		case share < 0:
			b.WriteString(w.say.NobodyKnown)
		case share >= 0.99:
			fmt.Fprintf(&b, w.say.AllServed, w.Share(share))
		default:
			fmt.Fprintf(&b, w.say.SomeServed, w.Share(share))
		}
	default:
		b.WriteString(w.peace(v, share))
		b.WriteString(w.suffering(s))
	}
	if bypassed(s, v.At) {
		fmt.Fprintf(&b, w.say.Bypass, w.Clock(s.Bypass))
	} else if s.Observe {
		b.WriteString(w.say.Observe)
	}
	return b.String()
}

func (w *words) peace(v *Live, share float64) string {
	var asked, served float64
	for _, g := range v.Groups {
		asked += g.Asked
		served += g.Asked * max(g.Served, 0)
	}
	if asked == 0 {
		return w.say.Quiet
	}
	all := served / asked
	switch {
	case all >= 0.99:
		return fmt.Sprintf(w.say.Calm, w.Count(asked), w.Share(all))
	case share >= 0.99:
		return fmt.Sprintf(w.say.CalmKnown, w.Share(share), w.Count(asked), w.Share(all))
	default:
		return fmt.Sprintf(w.say.Rest, w.Count(asked), w.Share(all))
	}
}

// suffering says why an origin suffers although no more reaches it than it can
// do: mostly because rules hold the rest back.
func (w *words) suffering(s *State) string {
	i := slices.IndexFunc(s.Origins, func(o Origin) bool { return o.Why != "" })
	if i < 0 {
		return ""
	}
	o := &s.Origins[i]
	text := " " + w.In(o.Why, o.WhyGerman)
	if of := naming(w.say.Named, s.Origins, o); of != "" {
		text = of + ":" + text
	}
	if len(s.Rules) > 0 && (o.Cause == deich.CauseFlood.String() || o.Cause == deich.CauseMixed.String()) {
		text += w.say.HeldByRules
	}
	return text
}

// worst finds an origin that fails and one under pressure, the hardest pressed.
func worst(origins []Origin) (failing, pressed *Origin) {
	for i := range origins {
		o := &origins[i]
		if o.Failing && failing == nil {
			failing = o
		}
		if o.Pressure && (pressed == nil || o.Demand > pressed.Demand) {
			pressed = o
		}
	}
	return failing, pressed
}

// naming says which origin, where there are several.
func naming(form string, origins []Origin, o *Origin) string {
	if len(origins) < 2 {
		return ""
	}
	return fmt.Sprintf(form, o.Name)
}

func (w *words) since(t time.Time) string {
	if t.UnixNano() <= 0 {
		return ""
	}
	return fmt.Sprintf(w.say.Since, w.Clock(t))
}

// percent keeps a digit where it tells, and never rounds up to a whole that was not.
func percent(share float64) string {
	p := share * 100
	if p >= 100 {
		return "100 %"
	}
	return fmt.Sprintf("%.1f %%", min(p, 99.9))
}

func count(n float64) string {
	if n > 0 && n < 10 && n != math.Trunc(n) {
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

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

// speak says in a sentence or two what is true now, what it means for users,
// and what the operator can do. It names nobody, and a cause only where the
// engine does.
func speak(s *State, v *Live) (mood, sentence string) {
	var b strings.Builder
	mood = "calm"
	share, _ := known(v.Groups)
	failing, pressed := worst(s.Origins)
	switch {
	case failing != nil:
		mood = "failing"
		fmt.Fprintf(&b, "The origin%s does not answer%s. Users see a page that says so. Look at the origin: Deich can pass on only what it gets.",
			naming(" ", s.Origins, failing), since(failing.FailingSince))
	case pressed != nil:
		mood = "pressure"
		fmt.Fprintf(&b, "More is asked%s than the origin can do%s: %s requests a second came, it answered %s.",
			naming(" of ", s.Origins, pressed), since(time.Unix(0, int64(pressed.Since))), count(pressed.Demand), count(pressed.Goodput))
		if pressed.Why != "" {
			b.WriteString(" " + pressed.Why)
		}
		switch {
		case share < 0:
			b.WriteString(" No known user asked in the last 10 seconds.")
		case share >= 0.99:
			fmt.Fprintf(&b, " %s of known users' requests were served. Nothing for you to do.", percent(share))
		default:
			fmt.Fprintf(&b, " %s of known users' requests were served: some of them wait or are turned away.", percent(share))
		}
	default:
		b.WriteString(peace(v, share))
		b.WriteString(suffering(s))
	}
	if !s.Bypass.IsZero() && s.Bypass.After(v.At) {
		mood = "bypass"
		fmt.Fprintf(&b, " Bypass is on until %s: everybody passes, only the origin's limit holds.", clock(s.Bypass))
	} else if s.Observe {
		b.WriteString(" Deich only observes: it judges and counts, and lets everything pass.")
	}
	return mood, b.String()
}

func peace(v *Live, share float64) string {
	var asked, served float64
	for _, g := range v.Groups {
		asked += g.Asked
		served += g.Asked * max(g.Served, 0)
	}
	if asked == 0 {
		return "Quiet: nobody asked in the last 10 seconds."
	}
	all := served / asked
	switch {
	case all >= 0.99:
		return fmt.Sprintf("Calm: %s requests a second, %s of them served. Nothing for you to do.", count(asked), percent(all))
	case share >= 0.99:
		return fmt.Sprintf("Calm for known users: %s of their requests were served; of all %s requests a second, %s.", percent(share), count(asked), percent(all))
	default:
		return fmt.Sprintf("%s requests a second came, %s of them were served. The rest failed at the origin or was refused: see the acts below.", count(asked), percent(all))
	}
}

// suffering says why an origin suffers although no more reaches it than it can
// do: mostly because rules hold the rest back.
func suffering(s *State) string {
	i := slices.IndexFunc(s.Origins, func(o Origin) bool { return o.Why != "" })
	if i < 0 {
		return ""
	}
	text := " " + s.Origins[i].Why
	if of := naming(" ", s.Origins, &s.Origins[i]); of != "" {
		text = of + ":" + text
	}
	if cause := s.Origins[i].Cause; len(s.Rules) > 0 && (cause == deich.CauseFlood.String() || cause == deich.CauseMixed.String()) {
		text += " Rules hold it back."
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
func naming(before string, origins []Origin, o *Origin) string {
	if len(origins) < 2 {
		return ""
	}
	return before + o.Name
}

func since(t time.Time) string {
	if t.UnixNano() <= 0 {
		return ""
	}
	return " since " + clock(t)
}

func clock(t time.Time) string { return t.Format("15:04:05 MST") }

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

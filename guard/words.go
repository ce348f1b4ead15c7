package guard

import (
	"strconv"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// The pages' words. Each says what is, what it means for you, what happens
// next and what you can do, in this order. {wait} and {retry} stand for a time
// ("about 40 seconds", "in about 40 seconds"); {reason} and the like, for what
// valueNames lists.

// spokenLanguages are the languages that pages are written in.
var spokenLanguages = [...]string{"en", "de"}

// text is what one page says.
type text struct {
	Title string
	Head  string
	Says  []string
	Again bool // whether a link to try again makes sense
}

// common is what several pages say.
type common struct {
	Reason, Reference, Again, YourText string
	Progress                           string // the name of the bar
	Work, Done                         string // challenge: while it runs, when it holds
	Failed, Cookies                    string // challenge: what can go wrong
	Queue, Faster                      string // challenge: without JavaScript
	Late                               string // challenge: the script never came
	Resend, Resent, Soon, Reload       string // resend: the button, when it goes on, when it waits, without JavaScript
}

// words is everything in one language.
type words struct {
	common common
	times  times
	// pages are by name, then by reason; NoReason is for every reason that has
	// no words of its own.
	pages map[string]map[deich.Reason]text
}

func wording(lang string) words {
	if lang == "de" {
		return german()
	}
	return english()
}

// times says durations.
type times struct {
	wait, retry                      timeForm
	second, seconds, minute, minutes string
}

// timeForm is one way to say a duration: none known, or about so long.
type timeForm struct{ soon, about string }

// append writes d as people say it: whole seconds up to ten, then by fives,
// from 90 on in minutes; rounded up, since nobody minds being early.
func (t times) append(b []byte, form timeForm, d time.Duration) []byte {
	n := int64((d + time.Second - 1) / time.Second)
	unit, one := t.seconds, t.second
	switch {
	case n <= 0:
		return append(b, form.soon...)
	case n > 90:
		n, unit, one = (n+59)/60, t.minutes, t.minute
	case n > 10:
		n = (n + 4) / 5 * 5
	}
	if n == 1 {
		unit = one
	}
	b = append(b, form.about...)
	b = strconv.AppendInt(b, n, 10)
	b = append(b, "\u00a0"...) // a number does not part from its unit
	return append(b, unit...)
}

// say puts marks in the place of a sentence's values.
func say() func(sentence string) string {
	pairs := make([]string, 0, 2*int(values))
	for v := range values {
		pairs = append(pairs, "{"+valueNames[v]+"}", v.mark())
	}
	return strings.NewReplacer(pairs...).Replace
}

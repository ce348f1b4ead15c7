package status

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// badgeColours are those of the page by day, dark enough for white text (5:1).
var badgeColours = map[State]string{Up: "#2f7040", Slow: "#8a5a00", Down: "#a8321f", Unknown: "#51646c"}

// badge gives a small picture for other pages: how it is, in a word with its
// colour. A published one says as of when, since nobody makes it anew.
func (d *Document) badge(lang string, now time.Time, zone *time.Location, live bool) []byte {
	w := wordsIn(lang)
	state := d.worst()
	word := w.Badge[state]
	switch {
	case live && now.Sub(d.Heard) > unheardAfter:
		state, word = Unknown, w.Badge[Unknown]
	case state != Down && d.hurts():
		state, word = Slow, w.Disturbed
	case state == Up && len(d.missing()) > 0:
		state, word = Slow, w.Partly
	}
	if !live {
		word += ", " + d.Heard.In(zone).Format("2006-01-02 15:04 MST")
	}
	wide := func(s string) int { return utf8.RuneCountInString(s) * badgeRune }
	left, right := wide(w.Title)+2*badgeEdge, wide(word)+2*badgeEdge
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" viewBox="0 0 %[1]d 20" role="img" aria-label="%[6]s: %[7]s">
<title>%[6]s: %[7]s</title>
<rect width="%[2]d" height="20" fill="#14252b"/><rect x="%[2]d" width="%[3]d" height="20" fill="%[8]s"/>
<g fill="#fff" font-family="ui-sans-serif,system-ui,sans-serif" font-size="12"><text x="%[9]d" y="14" textLength="%[4]d" lengthAdjust="spacingAndGlyphs">%[6]s</text><text x="%[10]d" y="14" textLength="%[5]d" lengthAdjust="spacingAndGlyphs">%[7]s</text></g>
</svg>
`, left+right, left, right, left-2*badgeEdge, right-2*badgeEdge, w.Title, word, badgeColours[state], badgeEdge, left+badgeEdge)
}

const (
	badgeRune = 7 // pixels that a letter takes, about
	badgeEdge = 8
)

// worst is how the component does that does worst, of those that are the
// platform itself.
func (d *Document) worst() State {
	worst := Up
	for _, c := range d.Components {
		if !c.Needed && (c.State == Down || worst == Up) {
			worst = c.State
		}
	}
	return worst
}

// missing names what the platform needs and does not answer.
func (d *Document) missing() (names []string) {
	for _, c := range d.Components {
		if c.Needed && c.State == Down {
			names = append(names, c.Name)
		}
	}
	return names
}

// hurts says whether users are affected by something that goes on.
func (d *Document) hurts() bool {
	for _, i := range d.Current {
		if i.Hurt && i.Restored.IsZero() {
			return true
		}
	}
	return false
}

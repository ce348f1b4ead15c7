// Package alert tells people what needs them: a page at night, a ticket for the
// morning. A Book says what is news, without clock or network; a Sender tells it
// to webhooks and Alertmanagers, grouped and not too often.
package alert

import (
	"cmp"
	"slices"
	"time"
)

// Severity is whom an alert needs.
type Severity string

const (
	Page   Severity = "page"   // somebody, now
	Ticket Severity = "ticket" // somebody, tomorrow
)

// Alert is one thing that needs a person.
type Alert struct {
	Name     string    `json:"name"`
	Origin   string    `json:"origin,omitempty"`
	Severity Severity  `json:"severity"`
	Text     string    `json:"text"` // one sentence
	German   string    `json:"de,omitempty"`
	Since    time.Time `json:"since"`
	Ended    time.Time `json:"ended,omitzero"`
	TakenBy  string    `json:"taken_by,omitempty"` // who takes care of it

	// For is how long it must be so until it is told.
	For time.Duration `json:"-"`
}

// Key tells alerts apart.
func (a *Alert) Key() string {
	if a.Origin == "" {
		return a.Name
	}
	return a.Name + " " + a.Origin
}

// known is an alert and when what was so and told.
type known struct {
	Alert
	seen time.Time // when it was so last
	told time.Time // zero: not yet
}

// Book knows what is so. It is not safe for concurrent use.
type Book struct{ all map[string]*known }

// See takes in what is so now, and gives what is news: what has been so for
// long enough, what ended, and pages that nobody took on for repeatEvery.
func (b *Book) See(now time.Time, is []Alert) (news []Alert) {
	if b.all == nil {
		b.all = make(map[string]*known)
	}
	for _, a := range is {
		k := b.all[a.Key()]
		if k == nil {
			if len(b.all) >= activeMax {
				continue
			}
			a.Since = now
			k = &known{Alert: a}
			b.all[a.Key()] = k
		}
		k.seen, k.Text, k.German = now, a.Text, a.German
		repeats := k.Severity == Page && k.TakenBy == "" && now.Sub(k.told) >= repeatEvery
		if now.Sub(k.Since) >= k.For && (k.told.IsZero() || repeats) {
			k.told = now
			news = append(news, k.Alert)
		}
	}
	for key, k := range b.all {
		switch {
		case k.told.IsZero() && k.seen.Before(now): // it was not so for long enough
			delete(b.all, key)
		case now.Sub(k.seen) >= endsAfter:
			k.Ended = k.seen
			news = append(news, k.Alert)
			delete(b.all, key)
		}
	}
	slices.SortFunc(news, func(a, b Alert) int { return cmp.Compare(a.Key(), b.Key()) })
	return news
}

// Active gives what was told and has not ended, the oldest first.
func (b *Book) Active() []Alert {
	all := []Alert{}
	for _, k := range b.all {
		if !k.told.IsZero() {
			all = append(all, k.Alert)
		}
	}
	slices.SortFunc(all, func(a, b Alert) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Key(), b.Key())) })
	return all
}

// Take notes who takes care of an alert, so that it is not told again; false
// where there is none of that name.
func (b *Book) Take(key, by string) bool {
	k := b.all[key]
	if k == nil || k.told.IsZero() {
		return false
	}
	k.TakenBy = by
	return true
}

package status

import (
	"bytes"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/deichproject/deich/desk/incident"
)

// Plan is what the public may know of one.
type Plan struct {
	ID    string            `json:"id"`
	UID   string            `json:"uid"`
	Kind  incident.PlanKind `json:"kind"`
	Title incident.Text     `json:"title"`
	From  time.Time         `json:"from"`
	To    time.Time         `json:"to"`
	Said  time.Time         `json:"said"`
	Off   bool              `json:"cancelled,omitempty"`
}

// plansOf takes those that lie ahead, and those that were lately.
func plansOf(b *incident.Book, now time.Time) (all []Plan) {
	for _, p := range b.Plans() {
		if p.To.After(now.Add(-plansFor)) {
			all = append(all, Plan{p.ID, p.UID, p.Kind, p.Title, p.From, p.To, p.Said, p.Off})
		}
	}
	for len(all) > plansMax {
		if all[0].Off || all[0].To.Before(now) {
			all = all[1:]
		} else {
			all = all[:len(all)-1]
		}
	}
	return all
}

func (p *Plan) runs(now time.Time) bool { return !p.Off && !now.Before(p.From) && now.Before(p.To) }

// planned tells what runs and what begins soon.
func (d *Document) planned(w words, lang string, now time.Time, zone *time.Location) (all []plan) {
	for i := range d.Plans {
		p := &d.Plans[i]
		if p.Off || !now.Before(p.To) || p.From.Sub(now) > plansAhead || len(all) >= plansShown {
			continue
		}
		from, to := incident.DayClock(p.From, zone).In(lang), incident.DayClock(p.To, zone).In(lang)
		if incident.Day(p.From, zone) == incident.Day(p.To, zone) {
			to = incident.Clock(p.To, zone).In(lang)
		}
		all = append(all, plan{p.Title.In(lang), w.Plans[p.Kind], from, to, p.From, p.To, p.runs(now)})
	}
	return all
}

// working gives until when something is worked on that is worked on now.
func (d *Document) working(now time.Time) (until time.Time) {
	for i := range d.Plans {
		if p := &d.Plans[i]; p.Kind == incident.Maintenance && p.runs(now) && p.To.After(until) {
			until = p.To
		}
	}
	return until
}

// calendar gives all plans by RFC 5545. Those that were called off say so, lest
// they stay in the calendars of those who follow.
func (d *Document) calendar(lang, home string) []byte {
	w := wordsIn(lang)
	var b bytes.Buffer
	line := func(name, value string) { fold(&b, name+":"+value) }
	stamp := func(name string, t time.Time) { line(name, t.UTC().Format("20060102T150405Z")) }
	line("BEGIN", "VCALENDAR")
	line("VERSION", "2.0")
	line("PRODID", "-//Deich//Status//EN")
	line("NAME", escape(w.Title)) // RFC 7986, as the next
	line("REFRESH-INTERVAL;VALUE=DURATION", "PT1H")
	for i := range d.Plans {
		p := &d.Plans[i]
		line("BEGIN", "VEVENT")
		line("UID", escape(p.UID))
		stamp("DTSTAMP", p.Said)
		stamp("DTSTART", p.From)
		stamp("DTEND", p.To)
		line("SUMMARY", escape(p.Title.In(lang)))
		line("DESCRIPTION", escape(w.Plans[p.Kind]))
		if u, err := url.Parse(home); err == nil && home != "" {
			line("URL", u.String())
		}
		line("TRANSP", "TRANSPARENT") // nobody is busy for it
		if p.Off {
			line("SEQUENCE", "1")
			line("STATUS", "CANCELLED")
		} else {
			line("SEQUENCE", "0")
			line("STATUS", "CONFIRMED")
		}
		line("END", "VEVENT")
	}
	line("END", "VCALENDAR")
	return b.Bytes()
}

// escape writes a text value (RFC 5545, 3.3.11).
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(s)
}

// fold writes a line in pieces of 75 bytes at most, and cuts no letter (3.1).
func fold(b *bytes.Buffer, s string) {
	const most = 75
	for room := most; len(s) > room; room = most - 1 {
		cut := room
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		b.WriteString(s[:cut])
		b.WriteString("\r\n ")
		s = s[cut:]
	}
	b.WriteString(s + "\r\n")
}

package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// File is the name of the file in the data folder that feeds the page.
const File = "status.json"

// State is how a component does.
type State string

const (
	Up   State = "up"   // it answers
	Slow State = "slow" // it answers, and newcomers or everybody may have to wait
	Down State = "down" // it does not answer
	// Unknown: nobody looked lately.
	Unknown State = "unknown"
)

// Component is one thing that users know by a name; where it has none, it is
// "the website".
type Component struct {
	Name   string `json:"name,omitempty"`
	State  State  `json:"state"`
	Needed bool   `json:"needed,omitempty"` // the platform depends on it, and others run it
}

// Day is one day of the history.
type Day struct {
	Day      string `json:"day"`
	Measured int    `json:"measured"`      // seconds
	Hurt     int    `json:"hurt"`          // seconds in which users were affected
	Off      int    `json:"off"`           // seconds in which something was off
	Out      int    `json:"out,omitempty"` // of them, seconds in which something was not reached from outside
}

// Update is a word to the public.
type Update struct {
	At    time.Time     `json:"at"`
	Life  incident.Life `json:"life"`
	Text  incident.Text `json:"text"`
	Also  incident.Also `json:"also,omitempty"`
	Draft bool          `json:"draft,omitempty"` // by itself, from measurements
}

// Incident is what the public may know of one.
type Incident struct {
	ID        string        `json:"id"`
	Title     incident.Text `json:"title,omitzero"`
	Life      incident.Life `json:"life"`
	Begin     time.Time     `json:"begin"`
	Mitigated time.Time     `json:"mitigated,omitzero"`
	Restored  time.Time     `json:"restored,omitzero"`
	End       time.Time     `json:"end,omitzero"`
	Hurt      bool          `json:"hurt"`
	Outside   bool          `json:"outside,omitempty"` // only probes elsewhere found something wrong
	// Missed is how many different people could not read or send, about.
	Missed  incident.Missed `json:"missed,omitzero"`
	Updates []Update        `json:"updates"` // newest first
}

// Document is all that the page tells.
type Document struct {
	Heard      time.Time   `json:"heard"`           // when Deich said this
	Ended      bool        `json:"ended,omitempty"` // it was ended in peace then
	Components []Component `json:"components"`
	Days       []Day       `json:"days"` // oldest first, today last
	Plans      []Plan      `json:"plans,omitempty"`
	Current    []Incident  `json:"current"`
	Past       []Incident  `json:"past"` // newest first
}

// From takes out of a book what the public may know.
func From(b *incident.Book, components []Component, now time.Time, zone *time.Location) *Document {
	d := &Document{Heard: now, Components: components, Plans: plansOf(b, now), Days: make([]Day, 0, days), Current: []Incident{}, Past: []Incident{}}
	measured := map[string]incident.DayLine{}
	for _, l := range b.Days() {
		measured[l.Day] = l
	}
	for i := days - 1; i >= 0; i-- {
		day := now.In(zone).AddDate(0, 0, -i).Format(time.DateOnly)
		l := measured[day]
		d.Days = append(d.Days, Day{day, l.Measured, l.Hurt, l.Off, l.Out})
	}
	oldest := now.AddDate(0, 0, -days)
	for _, i := range b.Incidents() {
		if i.Into != "" || !i.Measured() || len(i.Updates) == 0 {
			continue
		}
		p := public(i)
		switch {
		case i.Life != incident.Resolved:
			d.Current = append(d.Current, p)
		case len(d.Past) < pastMax && i.Begin.After(oldest):
			d.Past = append(d.Past, p)
		}
	}
	return d
}

func public(i *incident.Incident) Incident {
	p := Incident{ID: i.ID, Title: i.Title, Life: i.Life, Begin: i.Begin, Mitigated: i.Mitigated, Restored: i.Restored, End: i.End, Hurt: i.Hurt, Outside: i.FromOutside()}
	if m := i.Toll.Missed; i.Hurt {
		p.Missed = incident.Missed{Read: incident.About(m.Read), Send: incident.About(m.Send), All: incident.About(m.All), Least: m.Least}
	}
	// That a cause was found is a word on the cause: a person says it.
	stage := func(l incident.Life) incident.Life {
		if l == incident.Identified && i.Approval == nil {
			return incident.Investigating
		}
		return l
	}
	p.Life = stage(p.Life)
	for k := len(i.Updates) - 1; k >= 0 && len(p.Updates) < updatesMax; k-- {
		u := i.Updates[k]
		life := u.Life
		if u.By == "" {
			life = stage(life)
		}
		p.Updates = append(p.Updates, Update{u.At, life, u.Text, u.Also, u.By == ""})
	}
	return p
}

// languages gives those beside English and German that something is said in, sorted.
func (d *Document) languages() (all []string) {
	for _, group := range [][]Incident{d.Current, d.Past} {
		for i := range group {
			for k := range group[i].Updates {
				for _, tag := range group[i].Updates[k].Also.Tags() {
					if len(all) < languagesMax && !slices.Contains(all, tag) {
						all = append(all, tag)
					}
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// Read reads the file in a data folder.
func Read(dir string) (*Document, error) {
	f, err := os.Open(filepath.Join(dir, File))
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err == nil && len(b) > fileBytesMax {
		err = errors.New("it is too long")
	}
	d := new(Document)
	if err == nil {
		err = json.Unmarshal(b, d)
	}
	if err == nil && d.Heard.IsZero() {
		err = errors.New("it does not say when it was written")
	}
	if err != nil {
		return nil, fmt.Errorf("status: %s: %w", f.Name(), err)
	}
	return d, nil
}

package incident

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// DayLine is one day of the history.
type DayLine struct {
	Day      string `json:"day"`           // 2006-01-02, in the book's zone
	Measured int    `json:"measured"`      // seconds
	Hurt     int    `json:"hurt"`          // seconds in which known users were affected
	Off      int    `json:"off"`           // seconds in which anything was off
	Out      int    `json:"out,omitempty"` // of them, seconds in which probes elsewhere agreed that something is down
	Asked    uint64 `json:"asked"`         // by known users
	Lost     uint64 `json:"lost"`
}

// Book is all incidents. It is not safe for concurrent use.
type Book struct {
	zone *time.Location
	all  map[string]*Incident
	days []DayLine
	plan []Plan
	// Said is when the last fact was said.
	said time.Time
}

// NewBook makes an empty one; days begin in zone.
func NewBook(zone *time.Location) *Book {
	return &Book{zone: zone, all: map[string]*Incident{}}
}

// Get gives an incident, or nil.
func (b *Book) Get(id string) *Incident { return b.all[id] }

// Incidents gives all, the newest first.
func (b *Book) Incidents() []*Incident {
	all := make([]*Incident, 0, len(b.all))
	for _, i := range b.all {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, c *Incident) int { return cmp.Or(c.Begin.Compare(a.Begin), cmp.Compare(c.ID, a.ID)) })
	return all
}

// Open gives the one that is going on, the newest if there are several; nil.
func (b *Book) Open() *Incident {
	for _, i := range b.Incidents() {
		if i.Life != Resolved && i.Into == "" {
			return i
		}
	}
	return nil
}

// Days gives the history, oldest first.
func (b *Book) Days() []DayLine { return b.days }

// Said is when the last fact was said.
func (b *Book) Said() time.Time { return b.said }

type bookForm struct {
	Incidents []*Incident          `json:"incidents"`
	OffAt     map[string]time.Time `json:"off_at"`
	Seconds   map[string]seconds   `json:"seconds,omitempty"`
	Watched   []string             `json:"watched,omitempty"` // of those that people opened
	Days      []DayLine            `json:"days"`
	Plans     []Plan               `json:"plans,omitempty"`
	Said      time.Time            `json:"said"`
}

// MarshalJSON gives everything, for a snapshot.
func (b *Book) MarshalJSON() ([]byte, error) {
	form := bookForm{Incidents: b.Incidents(), OffAt: map[string]time.Time{}, Seconds: map[string]seconds{}, Days: b.days, Plans: b.plan, Said: b.said}
	for _, i := range form.Incidents {
		if !i.offAt.IsZero() {
			form.OffAt[i.ID] = i.offAt
		}
		if i.seconds.N > 0 {
			form.Seconds[i.ID] = i.seconds
		}
		if i.watched && i.By != "" {
			form.Watched = append(form.Watched, i.ID)
		}
	}
	return json.Marshal(form)
}

// UnmarshalJSON takes a snapshot in the place of everything.
func (b *Book) UnmarshalJSON(text []byte) error {
	var form bookForm
	if err := json.Unmarshal(text, &form); err != nil {
		return err
	}
	b.all, b.days, b.plan, b.said = map[string]*Incident{}, form.Days, form.Plans, form.Said
	for _, i := range form.Incidents {
		if i == nil || i.ID == "" {
			return fmt.Errorf("incident: an incident without a name")
		}
		i.offAt, i.seconds = form.OffAt[i.ID], form.Seconds[i.ID]
		i.watched = i.By == "" && i.Measured() || slices.Contains(form.Watched, i.ID)
		b.all[i.ID] = i
	}
	return nil
}

// Apply takes in a fact. What does not fit (an incident that is not known) is
// left out: a record that was damaged is still read.
func (b *Book) Apply(f Fact) {
	if f.At.After(b.said) {
		b.said = f.At
	}
	if f.Kind == Minute && f.Row != nil {
		b.count(f.Row)
	}
	if f.Kind == Planned || f.Kind == Cancelled {
		b.takePlan(f)
		return
	}
	if f.Kind == Opened || f.Kind == Imported {
		if f.Incident != "" && b.all[f.Incident] == nil {
			b.add(f)
		}
		return
	}
	i := b.all[f.Incident]
	if i == nil {
		return
	}
	if f.Kind == Second || f.Kind == Minute {
		i.measure(f)
		return
	}
	if f.Kind == Counted {
		if f.Missed != nil {
			i.Toll.Missed.join(*f.Missed)
		}
		return
	}
	i.note(f)
	switch f.Kind {
	case Merged:
		b.merge(i, f)
	case Split:
		b.split(i, f)
	default:
		i.apply(f)
	}
}

func (b *Book) add(f Fact) {
	i := &Incident{ID: f.Incident, Life: Investigating, By: f.By, Opened: f.At, Begin: f.Time, Title: f.Text, Newcomer: f.Newcomer, Case: f.Case,
		watched: f.By == "" && f.Case == nil}
	if f.Case != nil {
		i.Begin, i.End, i.Restored = f.Case.Begin.Time, f.Case.End.Time, f.Case.End.Time
		i.Title, i.Life, i.Closed = f.Case.Title, Resolved, f.Case.End.Time
	}
	i.note(f)
	b.all[i.ID] = i
	for len(b.all) > IncidentsMax {
		old := b.Incidents()
		for k := len(old) - 1; k >= 0; k-- {
			if old[k].Life == Resolved || k == 0 {
				delete(b.all, old[k].ID)
				break
			}
		}
	}
}

// count adds a minute to its day.
func (b *Book) count(r *Row) {
	day := dayOf(r.From(), b.zone)
	if n := len(b.days); n == 0 || b.days[n-1].Day < day {
		b.days = append(b.days, DayLine{Day: day})
		if len(b.days) > daysMax {
			b.days = slices.Delete(b.days, 0, 1)
		}
	}
	d := &b.days[len(b.days)-1]
	d.Measured += r.Span
	d.Off += r.Off
	d.Out += r.Out
	d.Hurt += r.Hurt
	k := r.Users()
	d.Asked += uint64(k.Asked)
	d.Lost += uint64(k.Lost())
}

// merge puts one into another: the same outage, seen twice.
func (b *Book) merge(i *Incident, f Fact) {
	to := b.all[f.Other]
	if to == nil || to == i || to.Into != "" || i.Into != "" {
		return
	}
	to.watched = to.watched || i.goesOn() && to.Measured()
	to.offAt = latest(to.offAt, i.offAt)
	to.seconds = seconds{to.seconds.N + i.seconds.N, latest(to.seconds.Last, i.seconds.Last)}
	i.Into = to.ID
	to.Parts = append(to.Parts, i.ID)
	if i.Begin.Before(to.Begin) {
		to.Begin = i.Begin
	}
	if i.Hurt && (to.Affected.IsZero() || i.Affected.Before(to.Affected)) {
		to.Affected = i.Affected
	}
	to.Hurt = to.Hurt || i.Hurt
	open := i.Life != Resolved || to.Life != Resolved
	for _, t := range []struct{ to, from *time.Time }{{&to.Mitigated, &i.Mitigated}, {&to.Restored, &i.Restored}, {&to.End, &i.End}} {
		switch {
		case open && (t.from.IsZero() != t.to.IsZero()): // one of them is not there yet
			*t.to = time.Time{}
		default:
			*t.to = latest(*t.to, *t.from)
		}
	}
	if open && to.Life == Resolved {
		to.Life, to.Closed = i.Life, time.Time{}
	}
	to.Toll.add(i.Toll)
	to.Verdicts = append(to.Verdicts, i.Verdicts...)
	slices.SortStableFunc(to.Verdicts, func(a, c Verdict) int { return a.From.Compare(c.From) })
	to.Rules = append(to.Rules, i.Rules...)
	for _, c := range i.Claims {
		c.ID = to.NewClaimID() // its own is another's there
		to.Claims = append(to.Claims, c)
	}
	to.Outside = append(to.Outside, i.Outside...)
	for _, o := range i.Origins {
		to.suffers(o)
	}
	to.Timeline = append(to.Timeline, i.Timeline...)
	slices.SortStableFunc(to.Timeline, func(a, c Moment) int { return a.At.Compare(c.At) })
	to.note(Fact{At: f.At, Kind: Merged, By: f.By, Other: i.ID})
	i.Life, i.Closed = Resolved, f.At
}

// split lets what began at a time be an incident of its own. f.Tolls are what
// was counted before and after it.
func (b *Book) split(i *Incident, f Fact) {
	if f.Other == "" || b.all[f.Other] != nil || len(f.Tolls) != 2 {
		return
	}
	n := &Incident{
		ID: f.Other, Life: i.Life, By: f.By, Opened: f.At, Begin: f.Time, Hurt: f.Tolls[1].Seconds > 0,
		Restored: i.Restored, End: i.End, Closed: i.Closed, Promised: i.Promised, Toll: f.Tolls[1], Origins: slices.Clone(i.Origins),
		offAt: i.offAt, seconds: seconds{Last: i.seconds.Last}, watched: i.watched,
	}
	if n.Hurt {
		n.Affected, n.Mitigated = f.Time, i.Mitigated
	}
	cut := func(t time.Time) bool { return !t.Before(f.Time) }
	for _, v := range i.Verdicts {
		if v.To.IsZero() || v.To.After(f.Time) {
			n.Verdicts = append(n.Verdicts, v)
		}
	}
	for _, r := range i.Rules {
		if r.To.IsZero() || r.To.After(f.Time) {
			n.Rules = append(n.Rules, r)
		}
	}
	for _, o := range i.Outside {
		if o.To.IsZero() || o.To.After(f.Time) {
			n.Outside = append(n.Outside, o)
		}
	}
	for _, m := range i.Timeline {
		if cut(m.At) && m.Kind != Split {
			n.Timeline = append(n.Timeline, m)
		}
	}
	n.note(Fact{At: f.At, Kind: Split, By: f.By, Time: f.Time, Other: i.ID})
	i.Toll, i.Hurt = f.Tolls[0], f.Tolls[0].Seconds > 0
	i.Life, i.Closed, i.Promised = Resolved, f.At, time.Time{}
	i.End = f.Time
	if cut(i.Restored) || i.Restored.IsZero() {
		i.Restored = f.Time
	}
	if i.Hurt && (cut(i.Mitigated) || i.Mitigated.IsZero()) {
		i.Mitigated = f.Time
	}
	i.Verdicts = slices.DeleteFunc(i.Verdicts, func(v Verdict) bool { return cut(v.From) })
	i.Rules = slices.DeleteFunc(i.Rules, func(r Acting) bool { return cut(r.From) })
	i.Outside = slices.DeleteFunc(i.Outside, func(o Unreach) bool { return cut(o.From) })
	i.settle(f.Time)
	b.all[n.ID] = n
}

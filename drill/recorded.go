package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Recorded is an incident as the Deich under test recorded it, to be held against
// what the drill did. Times are seconds since the flood phase began; nil: not yet.
type Recorded struct {
	ID        string   `json:"id"`
	Begin     float64  `json:"begin_s"`
	Mitigated *float64 `json:"mitigated_s,omitempty"` // known users were served again
	Restored  *float64 `json:"restored_s,omitempty"`  // newcomers, too
	Hurt      bool     `json:"hurt"`                  // known users were affected
	Asked     int      `json:"asked"`                 // by users, while something was off
	Lost      int      `json:"lost"`                  // of that, what was not served
	Users     int      `json:"users"`                 // different ones who could not read or send, about
	Cause     string   `json:"cause"`
	Sure      float64  `json:"sure"`
}

// Happened is what the drill did and what its users met, as they saw it: what a
// record of it should say. Times are seconds since the flood phase began.
//
// A user is one, whatever address or pass it had. A request is what was sent and
// came back, or did not: where a user is told to wait and does, that is more than one.
type Happened struct {
	Begin float64 `json:"begin_s"` // of the attack, of the origin's being away, or of users' missing something: the first
	End   float64 `json:"end_s"`   // of these, the last
	All   Met     `json:"all"`
	// Known are the requests of those who were given content before the flood began, and
	// Served of those who were at any time before: whom of them a shield may know, it alone can tell.
	Known  Met `json:"known"`
	Served Met `json:"served"`
}

// Met is what users were not given.
type Met struct {
	Users int `json:"users"` // different ones, who were not given something at least once
	Lost  int `json:"lost"`  // requests
}

// truth counts that.
type truth struct {
	span               [2]time.Duration // of what was missed
	all, known, served map[uint16]int   // how many requests of whom
}

// meet takes in one request of a user, from the flood's begin on.
func (t *tally) meet(asked time.Duration, u *user, well bool) {
	if well || asked < 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	m := &t.truth
	if m.all == nil {
		m.all, m.known, m.served = map[uint16]int{}, map[uint16]int{}, map[uint16]int{}
		m.span[0] = asked
	}
	m.span = [2]time.Duration{min(m.span[0], asked), max(m.span[1], asked)}
	m.all[uint16(u.number)]++
	if u.known {
		m.known[uint16(u.number)]++
	}
	if u.served {
		m.served[uint16(u.number)]++
	}
}

// happened tells it.
func (r *rehearsal) happened(a *Attack) *Happened {
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	m := &r.tally.truth
	h := &Happened{All: met(m.all), Known: met(m.known), Served: met(m.served)}
	spans := [][2]float64{{m.span[0].Seconds(), m.span[1].Seconds()}, {r.away[0].Seconds(), r.away[1].Seconds()}, {a.First, a.Last}}
	begun := false
	for _, s := range spans {
		if s[1] <= 0 {
			continue // there was none
		}
		if !begun || s[0] < h.Begin {
			h.Begin = s[0]
		}
		begun, h.End = true, max(h.End, s[1])
	}
	if !begun {
		return nil
	}
	return h
}

func met(by map[uint16]int) (m Met) {
	for _, lost := range by {
		m.Users++
		m.Lost += lost
	}
	return m
}

// recordedMost bounds what is read of the console's answer, in bytes; more is an error.
const recordedMost = 1 << 20

// askDeich reads what Deich's console says at a path.
func (r *rehearsal) askDeich(ctx context.Context, path string, into any) error {
	c := r.get(&r.shield)
	if c == nil {
		return errors.New("it does not run")
	}
	link, err := url.Parse(c.out.link())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.console.String()+path, nil)
	if err != nil {
		return err
	}
	ask.Header.Set("Authorization", "Bearer "+link.Query().Get("token"))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the console says %s", answer.Status)
	}
	return json.NewDecoder(io.LimitReader(answer.Body, recordedMost)).Decode(into)
}

// gateSays gives what Deich says of its gate.
func (r *rehearsal) gateSays(ctx context.Context) (string, error) {
	var g struct{ Backend, Why string }
	if err := r.askDeich(ctx, "/api/v1/gate", &g); err != nil {
		return "", err
	}
	if g.Backend == "none" {
		return g.Backend + ": " + g.Why, nil
	}
	return g.Backend, nil
}

// recorded asks Deich what it recorded.
func (r *rehearsal) recorded(ctx context.Context) ([]Recorded, error) {
	var all []struct {
		ID                         string
		Begin, Mitigated, Restored time.Time
		Hurt                       bool
		Asked, Lost                int
		Missed                     struct{ All int }
		Cause                      string
		Sure                       float64
	}
	if err := r.askDeich(ctx, "/api/v1/incidents", &all); err != nil {
		return nil, err
	}
	since := func(t time.Time) *float64 {
		if t.IsZero() {
			return nil
		}
		s := t.Sub(r.clock.zero).Seconds()
		return &s
	}
	var found []Recorded
	for _, i := range all {
		found = append(found, Recorded{i.ID, i.Begin.Sub(r.clock.zero).Seconds(), since(i.Mitigated), since(i.Restored), i.Hurt, i.Asked, i.Lost, i.Missed.All, i.Cause, i.Sure})
	}
	return found, nil
}

// writeRecorded writes them below the rest.
func writeRecorded(out io.Writer, all []Recorded, was *Happened) {
	for _, i := range all {
		times := []string{fmt.Sprintf("began at %+.1f s", i.Begin)}
		for _, t := range []struct {
			at   *float64
			word string
		}{{i.Mitigated, "users served again at"}, {i.Restored, "everybody at"}} {
			if t.at != nil {
				times = append(times, fmt.Sprintf("%s %+.1f s", t.word, *t.at))
			}
		}
		fmt.Fprintf(out, "Deich recorded an incident: %s; %d of %d requests of users lost, about %d users; cause: %s, %.0f %%.\n",
			strings.Join(times, ", "), i.Lost, i.Asked, i.Users, i.Cause, 100*i.Sure)
	}
	if was != nil {
		fmt.Fprintf(out, "So it was: from %+.1f to %+.1f s %d users were not given %d requests; of them, %d users and %d requests of those who were given content before the flood.\n",
			was.Begin, was.End, was.All.Users, was.All.Lost, was.Known.Users, was.Known.Lost)
	}
}

package drill

import (
	"context"
	"encoding/json"
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

// recordedMost bounds what is read of the console's answer, in bytes; more is an error.
const recordedMost = 1 << 20

// recorded asks Deich what it recorded.
func (r *rehearsal) recorded(ctx context.Context) ([]Recorded, error) {
	link, err := url.Parse(r.get(&r.shield).out.link())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.console.String()+"/api/v1/incidents", nil)
	if err != nil {
		return nil, err
	}
	ask.Header.Set("Authorization", "Bearer "+link.Query().Get("token"))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(ask)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the console says %s", answer.Status)
	}
	var all []struct {
		ID                         string
		Begin, Mitigated, Restored time.Time
		Hurt                       bool
		Asked, Lost                int
		Missed                     struct{ All int }
		Cause                      string
		Sure                       float64
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, recordedMost)).Decode(&all); err != nil {
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
func writeRecorded(out io.Writer, all []Recorded) {
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
}

package incident

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Case is an incident as others told it: nothing in it was measured here. It is
// what deich incident import reads.
type Case struct {
	Title   Text     `json:"title"`
	Subject string   `json:"subject"` // whose incident it was
	Begin   Stamp    `json:"begin"`
	End     Stamp    `json:"end"`  // largely fixed
	Zone    string   `json:"zone"` // the name of the begin's zone, such as CEST
	Summary Text     `json:"summary"`
	Effects []Text   `json:"effects,omitempty"`
	Told    []Report `json:"told"` // who said what, in order of time
	Claims  []Claim  `json:"claims,omitempty"`
	Lessons []Text   `json:"lessons,omitempty"`
	Notes   []Text   `json:"notes,omitempty"` // what the file itself leaves open
}

// Report is a piece of news.
type Report struct {
	At   Stamp `json:"at,omitzero"`
	When Text  `json:"when,omitzero"` // in words, where no time is known
	Who  Text  `json:"who"`
	Text Text  `json:"text"`
}

// caseBytesMax bounds the file of a case.
const caseBytesMax = 256 << 10

// ReadCase reads a case and says all that is wrong with it.
func ReadCase(from io.Reader) (*Case, error) {
	d := json.NewDecoder(io.LimitReader(from, caseBytesMax))
	d.DisallowUnknownFields()
	c := new(Case)
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("incident: case: %w", err)
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("incident: case: %w", err)
	}
	return c, nil
}

// Check says what is wrong with a case, and completes its claims.
func (c *Case) Check() error {
	var wrong []error
	if c.Title == (Text{}) || c.Begin.Time.IsZero() {
		wrong = append(wrong, errors.New("title and begin are needed"))
	}
	if !c.End.Time.IsZero() && c.End.Time.Before(c.Begin.Time) {
		wrong = append(wrong, errors.New("it ends before it begins"))
	}
	if len(c.Zone) > 16 {
		wrong = append(wrong, errors.New("zone: a short name as in CEST is wanted"))
	}
	if len(c.Told) > momentsMax || len(c.Claims) > ClaimsMax {
		wrong = append(wrong, fmt.Errorf("at most %d reports and %d claims", momentsMax, ClaimsMax))
	}
	for k := range c.Claims {
		c.Claims[k].ID = fmt.Sprintf("c%d", k+1) // whatever it says: a finding is of one claim
		if err := c.Claims[k].Check(); err != nil {
			wrong = append(wrong, fmt.Errorf("claim %d: %w", k+1, err))
		}
	}
	return errors.Join(wrong...)
}

// Location is the zone in which the case is told: its begin's.
func (c *Case) Location() *time.Location {
	if c.Zone == "" {
		return time.UTC
	}
	_, offset := c.Begin.Time.Zone()
	return time.FixedZone(c.Zone, offset)
}

//go:embed example
var examples embed.FS

// Example gives a case that Deich ships: x-2025-05-24. All gives their names.
func Example(name string) (*Case, error) {
	f, err := examples.Open("example/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("incident: no example %q: there are %s", name, strings.Join(Examples(), ", "))
	}
	defer f.Close()
	return ReadCase(f)
}

// Examples gives the names of the cases that Deich ships.
func Examples() (names []string) {
	entries, err := examples.ReadDir("example")
	if err != nil {
		panic(err) // a broken build
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	return names
}

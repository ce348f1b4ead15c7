package scenarios

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"time"
)

//go:embed *.json
var files embed.FS

// List gives every scenario that comes with Deich, by name.
func List() ([]Scenario, error) {
	names := known()
	all := make([]Scenario, 0, len(names))
	for _, name := range names {
		s, err := Find(name)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func known() []string {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		panic(err) // the pattern above is wrong
	}
	for i, file := range names {
		names[i] = strings.TrimSuffix(file, ".json")
	}
	sort.Strings(names)
	return names
}

// Find gives the scenario of this name; unknown names are an error that lists the known.
func Find(name string) (Scenario, error) {
	text, err := files.ReadFile(name + ".json")
	if err != nil {
		return Scenario{}, fmt.Errorf("scenarios: there is no %q; there are %s", name, strings.Join(known(), ", "))
	}
	s, err := Parse(text)
	if err == nil && s.Name != name {
		err = fmt.Errorf("scenarios: %s.json: name: %q, not the file's", name, s.Name)
	}
	return s, err
}

// Parse reads a scenario: strictly (an unknown field is an error), with all
// errors at once. A base is one of the scenarios that come with Deich.
func Parse(text []byte) (Scenario, error) {
	s, err := decode(text)
	if err != nil {
		return Scenario{}, err
	}
	if s.Base != "" {
		below, err := files.ReadFile(s.Base + ".json")
		if err != nil {
			return Scenario{}, fmt.Errorf("scenarios: base: there is no %q", s.Base)
		}
		base, err := decode(below)
		if err != nil {
			return Scenario{}, err
		}
		if base.Base != "" {
			return Scenario{}, fmt.Errorf("scenarios: base: %q has a base itself; one step is the most", s.Base)
		}
		s = s.over(base)
	}
	s = s.defaults()
	if err := s.Validate(); err != nil {
		return Scenario{}, err
	}
	return s, nil
}

func decode(text []byte) (Scenario, error) {
	var s Scenario
	if len(text) > FileBytesMax {
		return s, fmt.Errorf("scenarios: %d bytes: at most %d", len(text), FileBytesMax)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("scenarios: line %d: %w", lineOf(text, err, d.InputOffset()), err)
	}
	if d.More() {
		return s, fmt.Errorf("scenarios: line %d: more than one value", 1+bytes.Count(text[:d.InputOffset()], []byte("\n")))
	}
	return s, nil
}

func lineOf(text []byte, err error, offset int64) int {
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &typed):
		offset = typed.Offset
	}
	offset = min(max(offset, 0), int64(len(text)))
	return 1 + bytes.Count(text[:offset], []byte("\n"))
}

// over gives base with what s sets put in its place.
func (s Scenario) over(base Scenario) Scenario {
	out := base
	out.Name, out.Title, out.Base = s.Name, s.Title, s.Base
	set(&out.Seed, s.Seed)
	set(&out.Phases.Peace, s.Phases.Peace)
	set(&out.Phases.Flood, s.Phases.Flood)
	set(&out.Phases.After, s.Phases.After)
	set(&out.Origin.Searches, s.Origin.Searches)
	set(&out.Origin.Stall, s.Origin.Stall)
	set(&out.Origin.Fresh, s.Origin.Fresh)
	set(&out.Origin.Down, s.Origin.Down)
	set(&out.Shield.Start, s.Shield.Start)
	set(&out.Shield.TLS, s.Shield.TLS)
	set(&out.Goodput, s.Goodput)
	if s.Pin.Origin != nil {
		out.Pin.Origin = s.Pin.Origin
	}
	if s.Pin.Shield != nil {
		out.Pin.Shield = s.Pin.Shield
	}
	if s.Groups != nil {
		out.Groups = s.Groups
	}
	if s.Attacks != nil {
		out.Attacks = s.Attacks
	}
	return out
}

func set[T comparable](to *T, v T) {
	var zero T
	if v != zero {
		*to = v
	}
}

func (s Scenario) defaults() Scenario {
	if s.Seed == 0 {
		s.Seed = 1
	}
	if s.Origin.Searches == 0 {
		s.Origin.Searches = 300
	}
	groups := append([]Group(nil), s.Groups...)
	for i := range groups {
		if groups[i].Gap == 0 {
			groups[i].Gap = Duration(1500 * time.Millisecond)
		}
		if groups[i].In == 0 {
			groups[i].In = Duration(3 * time.Second)
		}
	}
	attacks := append([]Attack(nil), s.Attacks...)
	for i := range attacks {
		if attacks[i].Manner == "" {
			attacks[i].Manner = Each
		}
		if attacks[i].Request == "" {
			attacks[i].Request = Page
		}
	}
	s.Groups, s.Attacks = groups, attacks
	return s
}

package desk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/deichproject/deich/desk/incident"
)

const (
	whenceLeast = 100 // refused requests, before it is said where they came from
	whencePart  = .05 // of them, at least, for each that is named
	whenceMost  = 3
)

// whence says from whose networks, and which countries, most of what was refused
// lately came; empty where little was, or no file tells.
func whence(s *State) incident.Text {
	operators, countries := most(s.Operators), most(s.Countries)
	if operators == (incident.Text{}) && countries == (incident.Text{}) {
		return incident.Text{}
	}
	t := incident.Text{English: "The largest shares of what was refused came", German: "Am meisten von dem, was abgewiesen wurde, kam"}
	if operators != (incident.Text{}) {
		t.English += " from the networks of " + operators.English
		t.German += " aus den Netzen von " + operators.German
	}
	switch {
	case countries == (incident.Text{}):
	case operators == (incident.Text{}):
		t.English += " from these countries: " + countries.English
		t.German += " aus diesen Ländern: " + countries.German
	default:
		t.English += "; by country: " + countries.English
		t.German += "; nach Ländern: " + countries.German
	}
	t.English += ". Users live there, too."
	t.German += ". Auch Nutzer leben dort."
	return t
}

// most names those of which most was refused, with their shares.
func most(all []Part) incident.Text {
	sum := uint64(0)
	for _, p := range all {
		sum += p.Refused()
	}
	if sum < whenceLeast {
		return incident.Text{}
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Part) int { return cmp.Compare(b.Refused(), a.Refused()) })
	var english, german []string
	for _, p := range all[:min(len(all), whenceMost)] {
		part := float64(p.Refused()) / float64(sum)
		if part < whencePart {
			break
		}
		english = append(english, fmt.Sprintf("%s (%.0f %%)", p.Name, 100*part))
		german = append(german, fmt.Sprintf("%s (%.0f %%)", cmp.Or(p.German, p.Name), 100*part))
	}
	return incident.Text{English: strings.Join(english, ", "), German: strings.Join(german, ", ")}
}

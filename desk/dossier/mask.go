package dossier

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/deichproject/deich/desk/incident"
)

// mask gives persons and platforms pseudonyms, the same one for the same name.
type mask struct {
	people, origins map[string]string
	platform        string
}

func newMask(lang string) *mask {
	return &mask{map[string]string{}, map[string]string{}, wordsIn(lang).Platform}
}

func (m *mask) person(name string) string { return alias(m.people, name, "Person") }
func (m *mask) origin(name string) string { return alias(m.origins, name, m.platform) }

func alias(all map[string]string, name, kind string) string {
	if name == "" {
		return ""
	}
	if _, known := all[name]; !known {
		all[name] = fmt.Sprintf("%s %d", kind, len(all)+1)
	}
	return all[name]
}

// cover changes i in place. What others told in public stays as they told it.
func (m *mask) cover(i *incident.Incident) {
	i.By = m.person(i.By)
	for k, o := range i.Origins {
		i.Origins[k] = m.origin(o)
	}
	for k := range i.Verdicts {
		i.Verdicts[k].Origin = m.origin(i.Verdicts[k].Origin)
	}
	for k := range i.Outside {
		i.Outside[k].Name = m.origin(i.Outside[k].Name)
	}
	for k := range i.Timeline {
		t := &i.Timeline[k]
		t.By, t.Origin = m.person(t.By), m.origin(t.Origin)
	}
	for k := range i.Updates {
		i.Updates[k].By = m.person(i.Updates[k].By)
	}
	if i.Approval != nil {
		i.Approval.By = m.person(i.Approval.By)
	}
	for k := range i.Claims {
		i.Claims[k].By = m.person(i.Claims[k].By)
	}
	// Once all names are known, texts that people wrote are gone through.
	for k := range i.Timeline {
		if t := &i.Timeline[k]; t.Kind != incident.Claimed {
			m.text(&t.Text)
		}
	}
	for k := range i.Updates {
		u := &i.Updates[k]
		m.text(&u.Text)
		u.Also = maps.Clone(u.Also) // the record's own stays
		for tag, text := range u.Also {
			u.Also[tag] = m.plain(text)
		}
	}
	for k := range i.Rules {
		m.text(&i.Rules[k].Text)
	}
	for k := range i.Verdicts {
		m.text(&i.Verdicts[k].Why)
	}
	for k := range i.Outside {
		m.text(&i.Outside[k].Text)
	}
	if i.Approval != nil {
		m.text(&i.Approval.Text)
	}
	m.text(&i.Whence)
	m.text(&i.Title)
}

func (m *mask) text(t *incident.Text) {
	t.English, t.German = m.plain(t.English), m.plain(t.German)
}

var (
	addressLike = regexp.MustCompile(`[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]*[0-9A-Fa-f:](?:/\d{1,3})?`)
	mailLike    = regexp.MustCompile(`[^\s@<>()]+@[^\s@<>()]+\.[^\s@<>().,;]+`)
)

// plain leaves out addresses and puts pseudonyms in the place of names.
func (m *mask) plain(s string) string {
	s = mailLike.ReplaceAllString(s, "[e-mail]")
	s = addressLike.ReplaceAllStringFunc(s, func(a string) string {
		bare, tail := strings.TrimRight(a, ".:"), a[len(strings.TrimRight(a, ".:")):]
		host, _, _ := strings.Cut(bare, "/")
		if _, err := netip.ParseAddr(host); err == nil {
			return "[address]" + tail
		}
		if _, err := netip.ParseAddrPort(host); err == nil {
			return "[address]" + tail
		}
		return a
	})
	for _, name := range longestFirst(m.origins) {
		s = replaceWord(s, name, m.origins[name])
	}
	for _, name := range longestFirst(m.people) {
		if len(name) > 2 {
			s = strings.ReplaceAll(s, name, m.people[name]) // also within a word: Annas
		}
	}
	return s
}

// longestFirst gives names in the order in which they are replaced: one may stand
// within another.
func longestFirst(all map[string]string) []string {
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
}

// replaceWord replaces a name where it does not stand within a longer word: what
// probes call "pay" is no part of "payment".
func replaceWord(s, name, with string) string {
	var b strings.Builder
	for {
		at := strings.Index(s, name)
		if at < 0 {
			return b.String() + s
		}
		before, _ := utf8.DecodeLastRuneInString(b.String() + s[:at])
		after, _ := utf8.DecodeRuneInString(s[at+len(name):])
		b.WriteString(s[:at])
		if partOfWord(before) || partOfWord(after) {
			b.WriteString(name)
		} else {
			b.WriteString(with)
		}
		s = s[at+len(name):]
	}
}

func partOfWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

package incident

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Also is a word to the public in further languages, by their tag: fr, pt-br. It is
// replaced as a whole and never changed.
type Also map[string]string

var tagForm = regexp.MustCompile(`^[a-z]{2,3}(-[a-z0-9]{2,8})?$`)

// Check says what is wrong with it.
func (a Also) Check() error {
	if len(a) > AlsoMax {
		return fmt.Errorf("also: %d languages: at most %d", len(a), AlsoMax)
	}
	for tag, text := range a {
		switch {
		case !tagForm.MatchString(tag):
			return fmt.Errorf("also: %.20q is no language: write it as in fr or pt-br", tag)
		case tag == "en" || tag == "de":
			return fmt.Errorf("also: %s has a place of its own", tag)
		case strings.TrimSpace(text) == "":
			return fmt.Errorf("also: the text in %s is missing", tag)
		case len(text) > TextMax:
			return fmt.Errorf("also: the text in %s has %d bytes: at most %d", tag, len(text), TextMax)
		}
	}
	return nil
}

// Tags gives the languages, sorted.
func (a Also) Tags() []string { return slices.Sorted(maps.Keys(a)) }

// with gives both; where both have a language, a's stands.
func (a Also) with(b Also) Also {
	all := maps.Clone(b)
	if all == nil {
		return a
	}
	maps.Copy(all, a)
	return all
}

// In gives what is said in a language, or else t, which is the same in English and
// German; is says in which language it came.
func (a Also) In(lang string, t Text) (text, is string) {
	if text, ok := a[lang]; ok {
		return text, lang
	}
	if lacks := t.Lacks(); lacks == "en" || lang == "de" && lacks == "" {
		return t.German, "de"
	}
	return t.English, "en"
}

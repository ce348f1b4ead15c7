package incident

import (
	"errors"
	"fmt"
	"slices"
)

// wrong is what is wrong with something that a person wrote, in both languages;
// as an error it is English.
type wrong Text

func (w wrong) Error() string { return w.English }

// Wrongf makes an error that AllWrong can say in both languages. Of arguments that
// are a Text each language has its own.
func Wrongf(english, german string, args ...any) error {
	in := func(lang string) []any {
		said := slices.Clone(args)
		for i := range said {
			if t, ok := said[i].(Text); ok {
				said[i] = t.In(lang)
			}
		}
		return said
	}
	return wrong{fmt.Sprintf(english, in("en")...), fmt.Sprintf(german, in("de")...)}
}

// AllWrong gives all that errors.Join joined, in a language where it can be said in
// that.
func AllWrong(err error, lang string) (all []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			all = append(all, AllWrong(e, lang)...)
		}
		return all
	}
	var w wrong
	switch {
	case err == nil:
	case errors.As(err, &w):
		all = append(all, Text(w).In(lang))
	default:
		all = append(all, err.Error())
	}
	return all
}

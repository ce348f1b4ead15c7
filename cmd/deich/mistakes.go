package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/deichproject/deich"
)

// A mistake is one thing that is wrong in a configuration file, where, and
// what to write instead.
type mistake struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Path   string `json:"path,omitempty"` // of the field, as in sites[0].name; may be empty
	Text   string `json:"text"`
}

// mistakes are all of a file's, as one error.
type mistakes struct {
	File string
	All  []mistake
}

func (m *mistakes) Error() string {
	var b strings.Builder
	for i, one := range m.All {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d:%d: ", m.File, one.Line, one.Column)
		if one.Path != "" {
			b.WriteString(one.Path + ": ")
		}
		b.WriteString(one.Text)
	}
	return b.String()
}

func (m *mistakes) sort() {
	slices.SortStableFunc(m.All, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	m.All = slices.Compact(m.All)
}

// policyErrors opens a joined error into its parts. What is no PolicyError
// stands with an empty path.
func policyErrors(err error) []*deich.PolicyError {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*deich.PolicyError
		for _, one := range many.Unwrap() {
			all = append(all, policyErrors(one)...)
		}
		return all
	}
	var one *deich.PolicyError
	if errors.As(err, &one) {
		return []*deich.PolicyError{one}
	}
	return []*deich.PolicyError{{Text: err.Error()}}
}

// nearest gives the known word that was probably meant, or "".
func nearest(word string, known []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, k := range known {
		if d := edits(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance, in bytes.
func edits(a, b string) int {
	if len(a) > 64 { // no known word is that long
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

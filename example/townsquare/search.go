package townsquare

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// hit is a message found, with how well it fits.
type hit struct {
	message
	Score int `json:"score"`
}

// found is what a search gives: the best hits and how many messages were read.
type found struct {
	Hits    []hit
	Scanned int
}

// search reads the latest scan messages and gives the best fitting ones, best
// first. There is no index: it is the search that a small platform starts with,
// and what it costs grows with what it reads.
func (s *store) search(ctx context.Context, query string, scan int) (found, error) {
	terms := words(query)
	if len(terms) > termsMax {
		terms = terms[:termsMax]
	}
	rows, err := s.db.QueryContext(ctx, `SELECT id, text FROM messages ORDER BY id DESC LIMIT ?`, scan)
	if err != nil {
		return found{}, fmt.Errorf("townsquare: search: %w", err)
	}
	defer rows.Close()
	var result found
	for rows.Next() {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return found{}, fmt.Errorf("townsquare: search: %w", err)
		}
		result.Scanned++
		if n := score(words(text), terms); n > 0 {
			result.Hits = best(result.Hits, hit{message{ID: id}, n})
		}
	}
	if err := rows.Err(); err != nil {
		return found{}, fmt.Errorf("townsquare: search: %w", err)
	}
	if err := rows.Close(); err != nil { // gives the connection back; the hits are read with it
		return found{}, fmt.Errorf("townsquare: search: %w", err)
	}
	for i := range result.Hits {
		if result.Hits[i].message, err = s.message(ctx, result.Hits[i].ID); err != nil {
			return found{}, err
		}
	}
	return result, nil
}

// best puts h into the hits, which are sorted and at most hitsMax.
func best(hits []hit, h hit) []hit {
	at, _ := slices.BinarySearchFunc(hits, h, func(a, b hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.ID, a.ID))
	})
	if at == hitsMax {
		return hits
	}
	if len(hits) == hitsMax {
		hits = hits[:hitsMax-1]
	}
	return slices.Insert(hits, at, h)
}

// words gives the words of a text in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// score tells how well a text fits: for each term 4 for a word that is the
// same, 2 for one that begins with it, 1 for one with a typo. All terms must
// fit somewhere, else it is 0.
func score(text, terms []string) int {
	sum := 0
	for _, term := range terms {
		points := 0
		for _, word := range text {
			switch {
			case word == term:
				points += 4
			case strings.HasPrefix(word, term):
				points += 2
			case oneTypo(word, term):
				points++
			}
		}
		if points == 0 {
			return 0
		}
		sum += points
	}
	return sum
}

// oneTypo tells whether two words of five bytes or more differ by one byte
// that is changed, missing or too many. The first byte must be the same.
func oneTypo(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(b) < 5 || len(a)-len(b) > 1 || a[0] != b[0] {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	if i == len(b) {
		return true
	}
	if len(a) == len(b) {
		return a[i+1:] == b[i+1:]
	}
	return a[i+1:] == b[i:]
}

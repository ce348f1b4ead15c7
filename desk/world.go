package desk

import "strings"

// shadesFrom are the refused requests per second from which on a country has
// each shade: always the same, so that one look can be held against another.
var shadesFrom = [...]float64{.1, 1, 10, 100, 1000}

// shades are those of the countries that have one.
func shades(all []Part, seconds float64) map[string]int {
	of := make(map[string]int)
	for _, p := range all {
		for i, from := range shadesFrom {
			if seconds > 0 && float64(p.Refused())/seconds >= from {
				of[p.Code] = i + 1
			}
		}
	}
	return of
}

// world is the map as the page draws it.
type world struct {
	Box   string // the drawing's viewBox
	Lands []land
}

// land is a country's outline.
type land struct {
	Code  string // its letters; "-" for land that has none
	Path  string
	Shade int // of shadesFrom, from 1; 0: none
}

// worldOf gives the function that shades the map: outlines is page/world.txt,
// which desk/derive makes. Its first line is the box of the drawing, each other
// one a country's letters and its path.
func worldOf(outlines []byte) func(shades map[string]int) world {
	lines := strings.Split(strings.TrimSpace(string(outlines)), "\n")
	return func(shades map[string]int) world {
		w := world{Box: lines[0]}
		for _, line := range lines[1:] {
			code, path, _ := strings.Cut(line, " ")
			w.Lands = append(w.Lands, land{code, path, shades[code]})
		}
		return w
	}
}

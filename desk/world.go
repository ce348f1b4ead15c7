package desk

import (
	"fmt"
	"html/template"
	"strings"
)

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

// drawWorld gives the function that draws the map: outlines is page/world.txt,
// which desk/derive makes. Its first line is the box of the drawing, each other
// one a country's letters ("-" for land that has none) and its path.
func drawWorld(outlines []byte) func(shades map[string]int) template.HTML {
	lines := strings.Split(strings.TrimSpace(string(outlines)), "\n")
	return func(shades map[string]int) template.HTML {
		var b strings.Builder
		fmt.Fprintf(&b, `<svg id="map" viewBox="%s" aria-hidden="true">`, lines[0])
		for _, line := range lines[1:] {
			code, path, _ := strings.Cut(line, " ")
			b.WriteString(`<path data-c="` + code + `"`)
			if n := shades[code]; n > 0 {
				fmt.Fprintf(&b, ` class="w%d"`, n)
			}
			b.WriteString(` d="` + path + `"/>`)
		}
		b.WriteString("</svg>")
		return template.HTML(b.String()) // of our own file and numbers alone
	}
}

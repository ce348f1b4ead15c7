package main

import (
	"bufio"
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"slices"
	"strings"
	"unicode"
)

//go:embed flame.svg.tmpl
var flameText string

var flameTemplate = template.Must(template.New("flame").Parse(flameText))

// The graph's measures, in units of its view box.
const (
	flameWidth  = 1200.0
	flameTop    = 54.0
	flameRow    = 16.0
	flameLetter = 6.7
)

var errNoStacks = errors.New("no stacks: perf sampled nothing")

// call is a function in a tree of stacks, the root being all of them.
type call struct {
	name  string
	n     int // samples in it or below
	below map[string]*call
}

func (c *call) to(name string) *call {
	if c.below == nil {
		c.below = make(map[string]*call)
	}
	next := c.below[name]
	if next == nil {
		next = &call{name: name}
		c.below[name] = next
	}
	return next
}

// add counts a stack, innermost first, as deep as is drawn.
func (c *call) add(stack []string) {
	c.n++
	for _, name := range slices.Backward(stack[max(0, len(stack)-flameDeep):]) {
		c = c.to(name)
		c.n++
	}
}

// readStacks reads what "perf script -F comm,ip,sym" prints: for each sample a
// line, then the stack, innermost first, and an empty line.
func readStacks(r io.Reader) (*call, error) {
	root := &call{name: "all"}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, flameLineMax)
	var stack []string
	inside := false
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.TrimSpace(line) == "":
			if inside && len(stack) > 0 {
				root.add(stack)
			}
			stack, inside = stack[:0], false
		case !inside:
			inside = true
		case len(stack) < flameStackMax:
			_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			stack = append(stack, nameOf(name))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("perf's stacks: %w", err)
	}
	if inside && len(stack) > 0 {
		root.add(stack)
	}
	if root.n == 0 {
		return nil, errNoStacks
	}
	return root, nil
}

// box is one call as it is drawn.
type box struct {
	X, Y, Width, TextX, TextY float64
	Class, Name, Label        string
	Share                     string
}

// nameOf is a symbol as it can stand in a drawing.
func nameOf(symbol string) string {
	symbol = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, symbol)
	if symbol = strings.TrimSpace(symbol); symbol == "" {
		return "[unknown]"
	}
	return symbol
}

// draw gives the graph: outermost on top, width by samples. What is narrower
// than flameNarrow of all is left out.
func (c *call) draw(title string) ([]byte, error) {
	var boxes []box
	deep := 0
	c.lay(0, 0, c.n, &boxes, &deep)
	var b bytes.Buffer
	err := flameTemplate.Execute(&b, map[string]any{
		"Title": title, "Width": flameWidth, "Height": flameTop + float64(deep+1)*flameRow + 8, "Samples": c.n,
		"Row": flameRow - 1, "Boxes": boxes,
	})
	return b.Bytes(), err
}

func (c *call) lay(x float64, depth, all int, boxes *[]box, deep *int) {
	share := float64(c.n) / float64(all)
	if share < flameNarrow {
		return
	}
	*deep = max(*deep, depth)
	b := box{
		X: x, Y: flameTop + float64(depth)*flameRow, Width: share*flameWidth - .4,
		Name: c.name, Class: classOf(c.name), Share: fmt.Sprintf("%.1f %%", 100*share),
	}
	b.TextX, b.TextY = b.X+3, b.Y+flameRow-5
	if room := int((b.Width - 6) / flameLetter); room >= 3 {
		b.Label = shorten(c.name, room)
	}
	*boxes = append(*boxes, b)
	for _, next := range c.sorted() {
		next.lay(x, depth+1, all, boxes, deep)
		x += float64(next.n) / float64(all) * flameWidth
	}
}

func (c *call) sorted() []*call {
	var list []*call
	for _, next := range c.below {
		list = append(list, next)
	}
	slices.SortFunc(list, func(a, b *call) int { return cmp.Compare(a.name, b.name) })
	return list
}

// shorten keeps the end of a name, which says most.
func shorten(name string, room int) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	letters := []rune(name)
	if len(letters) > room {
		return string(letters[:room-1]) + "…"
	}
	return name
}

// classOf tells Deich's own code, the standard library, the runtime and the
// kernel apart; within each, neighbours differ a little.
func classOf(name string) string {
	kind := "k"
	switch {
	case strings.Contains(name, "deichproject"):
		kind = "d"
	case strings.HasPrefix(name, "runtime."):
		kind = "r"
	case strings.ContainsAny(name, "./"):
		kind = "l"
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("%s%d", kind, h.Sum32()%2)
}

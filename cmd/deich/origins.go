package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/deichproject/deich/edge"
)

// nameOrigins gives the engine's numbers of origins names for people. It
// follows the edge: sites with the same origins share a number, what stays
// keeps its own at a reload, and what is new takes the lowest free one.
func nameOrigins(old []string, sites []edge.Site, room int) []string {
	var wanted []string
	for _, s := range sites {
		if name := originsName(s); !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	names := make([]string, room)
	for i, name := range old {
		if slices.Contains(wanted, name) {
			names[i] = name
		}
	}
	for _, name := range wanted {
		if slices.Contains(names, name) {
			continue
		}
		if free := slices.Index(names, ""); free >= 0 {
			names[free] = name
		}
	}
	return names
}

func originsName(s edge.Site) string {
	name := strings.Join(slices.Sorted(slices.Values(s.Origins)), ", ")
	if s.OriginCA != "" {
		name += " (" + s.OriginCA + ")"
	}
	return name
}

// originsMark begins the line in front of what was learned that says of which
// platforms: their numbers follow the configuration, which may have changed.
const originsMark = "origins "

// headOrigins gives that line, to be followed by what was learned.
func headOrigins(names []string) []byte {
	b, err := json.Marshal(names)
	if err != nil {
		return nil // unreachable: they are strings
	}
	return append(append([]byte(originsMark), b...), '\n')
}

// cutOrigins takes that line off; without one, as before there was such a line,
// it gives no names.
func cutOrigins(b []byte) (names []string, learned []byte) {
	line, learned, found := bytes.Cut(b, []byte{'\n'})
	line, marked := bytes.CutPrefix(line, []byte(originsMark))
	if !found || !marked || json.Unmarshal(line, &names) != nil {
		return nil, b
	}
	return names, learned
}

// placesOf gives for each of the platforms now which number it had before, -1 for
// one that is new; nothing where it is not known.
func placesOf(now, before []string) []int {
	if before == nil {
		return nil
	}
	was := make([]int, len(now))
	for i, name := range now {
		was[i] = -1
		if name != "" {
			was[i] = slices.Index(before, name)
		}
	}
	return was
}

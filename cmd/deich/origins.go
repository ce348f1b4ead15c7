package main

import (
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

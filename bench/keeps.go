package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/deichproject/deich/drill/scenarios"
)

// keptResult is all rehearsals of one scenario.
type keptResult struct {
	Scenario string       `json:"scenario"`
	Title    string       `json:"title"`
	Flood    float64      `json:"flood_s"`
	Attacked bool         `json:"attacked"`
	Machine  machined     `json:"machine"`
	LeftOut  []string     `json:"left_out,omitempty"`
	Trials   []*keptTrial `json:"trials"`
}

// of gives the trials of one peer.
func (r *keptResult) of(peer string) (list []*keptTrial) {
	for _, t := range r.Trials {
		if t.Peer == peer {
			list = append(list, t)
		}
	}
	return list
}

// peers gives who was asked, in the tables' order.
func (r *keptResult) peers(order []string) (names []string) {
	for _, t := range r.Trials {
		if !slices.Contains(names, t.Peer) {
			names = append(names, t.Peer)
		}
	}
	slices.SortStableFunc(names, byOrder(order))
	return names
}

// groups gives the names of the users' groups.
func (r *keptResult) groups() (names []string) {
	for _, g := range r.Trials[0].Groups {
		names = append(names, g.Name)
	}
	return names
}

// keeps are the results of all scenarios that were ever rehearsed here.
type keeps struct {
	dir   string
	order []string      // of peers
	List  []*keptResult `json:"scenarios"`
}

const keepsFile = "users.json"

func openKeeps(dir string, order []string) (*keeps, error) {
	ks := &keeps{dir: dir, order: order}
	return ks, readBack(filepath.Join(dir, keepsFile), ks)
}

// result gives the scenario's, made if missing. The trials of peers that are
// asked anew are taken out; none are asked anew: all stay.
func (ks *keeps) result(s *scenarios.Scenario, m machined, anew []string) *keptResult {
	i := slices.IndexFunc(ks.List, func(r *keptResult) bool { return r.Scenario == s.Name })
	if i < 0 {
		i = len(ks.List)
		ks.List = append(ks.List, &keptResult{Scenario: s.Name})
	}
	r := ks.List[i]
	r.Title, r.Flood, r.Attacked, r.Machine = s.Title, s.Phases.Flood.D().Seconds(), len(s.Attacks) > 0, m
	r.Trials = slices.DeleteFunc(r.Trials, func(t *keptTrial) bool { return slices.Contains(anew, t.Peer) })
	return r
}

// write writes the trials, the tables and the plot. Scenarios without a trial
// are left out.
func (ks *keeps) write() error {
	ks.List = slices.DeleteFunc(ks.List, func(r *keptResult) bool { return len(r.Trials) == 0 })
	b, err := json.MarshalIndent(ks, "", "  ")
	if err != nil {
		return err
	}
	plot, err := ks.plot()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(ks.dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(ks.dir, keepsFile), append(b, '\n'), 0o644),
		os.WriteFile(filepath.Join(ks.dir, "users.md"), ks.table(), 0o644),
		os.WriteFile(filepath.Join(ks.dir, "users.svg"), plot, 0o644),
	)
}

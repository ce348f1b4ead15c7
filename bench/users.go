//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/drill/scenarios"
)

// usersContest is the contest's name on the command line; usersTrial is one
// rehearsal of it, in a process of its own: the drill runs that command again in
// its namespace.
const (
	usersContest = "users"
	usersTrial   = "users-trial"
)

// usersDefault are the scenarios of a run without names: floods that limits by
// source are made for and floods that they are not, and crowds.
var usersDefault = []string{"botnet", "nat-mixed", "get-flood", "flash-crowd", "flash-read"}

func usersCommand(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("bench users", flag.ExitOnError)
	deich := set.String("deich", "bin/deich", "the built binary")
	out := set.String("out", "bench/results", "where results are written")
	asked := set.String("peers", "", "only these, with semicolons between them")
	add := set.Bool("add", false, "run each once and add it to the results that are there, instead of beginning anew")
	table := set.Bool("table", false, "rehearse nothing: write the tables and the plot anew from the results that are there")
	set.Usage = func() {
		w := set.Output()
		fmt.Fprintln(w, "Usage: bench users [flags] [SCENARIO…]")
		fmt.Fprintln(w, "\nRehearses the drill's scenarios behind every peer, in rounds, until two runs of each")
		fmt.Fprintf(w, "agree or there are %d. Without names, in about forty minutes: %v.\n\nPeers:\n", keptRunsMax, usersDefault)
		for _, g := range guardians() {
			fmt.Fprintf(w, "  %s\n", g.name)
		}
		fmt.Fprintln(w, "\nFlags:")
		set.PrintDefaults()
	}
	if err := set.Parse(args); err != nil {
		return err
	}
	only, err := guardianNames(*asked)
	if err != nil {
		return err
	}
	names := set.Args()
	if len(names) == 0 {
		names = usersDefault
	}
	var order []string
	for _, g := range guardians() {
		order = append(order, g.name)
	}
	ks, err := openKeeps(*out, order)
	if err != nil {
		return err
	}
	if *table {
		return ks.write()
	}
	b, err := newBench(*deich, 1)
	if err != nil {
		return err
	}
	u := &usersRun{bench: b, keeps: ks, only: only, add: *add}
	return u.run(ctx, names)
}

// usersRun is one run of the contest.
type usersRun struct {
	*bench
	keeps *keeps
	only  []string // names of peers; none are all
	add   bool
}

// turn is a scenario with who is to be asked.
type turn struct {
	spec   scenarios.Scenario
	peers  []guardian
	result *keptResult
}

func (u *usersRun) run(ctx context.Context, names []string) error {
	m := machine(u.deich)
	var turns []*turn
	for _, name := range names {
		s, err := shortened(name)
		if err != nil {
			return err
		}
		t := &turn{spec: s}
		var missing, anew []string
		for _, g := range guardians() {
			switch lacks := g.missing(); {
			case !g.fits(&s) || len(u.only) > 0 && !slices.Contains(u.only, g.name):
			case lacks != "":
				missing = append(missing, fmt.Sprintf("%s, since there is no %s here", g.name, lacks))
				fmt.Printf("%s: %s is left out: there is no %s here\n", name, g.name, lacks)
			default:
				t.peers = append(t.peers, g)
				anew = append(anew, g.name)
			}
		}
		if u.add {
			anew = nil
		}
		t.result = u.keeps.result(&s, m, anew)
		if len(u.only) == 0 {
			t.result.LeftOut = missing
		}
		turns = append(turns, t)
	}
	return u.rounds(ctx, turns)
}

// rounds interleaves: what disturbs the machine for a while disturbs all peers.
func (u *usersRun) rounds(ctx context.Context, turns []*turn) error {
	most := keptRunsMax
	if u.add {
		most = 1
	}
	for round := 1; round <= most; round++ {
		for _, t := range turns {
			for _, g := range t.peers {
				if _, _, ok := agreed(t.result.of(g.name)); ok && !u.add {
					continue
				}
				one, err := u.trial(ctx, t.spec.Name, g)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", t.spec.Name, g.name, err)
				}
				t.result.Trials = append(t.result.Trials, one)
				if err := u.keeps.write(); err != nil { // an interruption loses one run at most
					return err
				}
				fmt.Printf("%-12s %d  %-24s kept %5.1f %%  served %6.1f/s  shield %.2f cores  others %.2f  host %.2f\n",
					t.spec.Name, round, g.name, 100*one.Kept, one.Goodput, one.Cores, one.Others, one.Stolen)
			}
		}
	}
	for _, t := range turns {
		for _, g := range t.peers {
			if _, _, ok := agreed(t.result.of(g.name)); !ok {
				fmt.Printf("%s, %s: no two of %d runs agree\n", t.spec.Name, g.name, len(t.result.of(g.name)))
			}
		}
	}
	text := u.keeps.table()
	_, err := os.Stdout.Write(text[bytes.Index(text, []byte("| users kept")):])
	return err
}

// trial has one rehearsal run, in a process of its own.
func (u *usersRun) trial(ctx context.Context, scenario string, g guardian) (*keptTrial, error) {
	dir, err := os.MkdirTemp("", "deich-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "report.json")
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, u.self, usersTrial, scenario, g.name, file, u.deich)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = trialEndWithin
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, tailOf(said.Bytes()))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rep drill.Report
	if err := json.Unmarshal(text, &rep); err != nil {
		return nil, err
	}
	if len(rep.Runs) != 1 {
		return nil, fmt.Errorf("%d rehearsals in a report of one", len(rep.Runs))
	}
	t := newKeptTrial(g.name, &rep, &rep.Runs[0])
	return &t, nil
}

// tailOf keeps the end of what a trial said.
func tailOf(said []byte) []byte { return said[max(0, len(said)-saidBytes):] }

// usersTrialCommand is one rehearsal: SCENARIO PEER FILE DEICH.
func usersTrialCommand(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) != 4 {
		return errors.New("users-trial: SCENARIO PEER FILE DEICH")
	}
	s, err := shortened(args[0])
	if err != nil {
		return err
	}
	g, err := findGuardian(args[1])
	if err != nil {
		return err
	}
	_, err = drill.Behind(ctx, drill.Options{
		Binary: args[3], Without: g.name == nobody, JSON: args[2], Out: os.Stdout,
	}, s, g.shield(args[3]))
	return err
}

// shortened gives a scenario with the contest's shorter phases.
func shortened(name string) (scenarios.Scenario, error) {
	s, err := scenarios.Find(name)
	if err != nil {
		return s, err
	}
	s.Phases.Flood = min(s.Phases.Flood, scenarios.Duration(keptFlood))
	s.Phases.After = min(s.Phases.After, scenarios.Duration(keptAfter))
	s.Groups = slices.Clone(s.Groups)
	for i := range s.Groups {
		if g := &s.Groups[i]; g.From >= 0 { // who comes during the flood still does
			g.Over = min(g.Over, s.Phases.Flood*2/3)
		}
	}
	return s, s.Validate()
}

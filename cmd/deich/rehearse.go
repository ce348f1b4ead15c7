package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/drill/sim"
)

// untilSignal ends with the first Ctrl-C; the second one ends the process.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

type demoCommand struct {
	Exit     bool          `help:"End after the two halves, instead of staying up."`
	Duration time.Duration `help:"Length of each flood." placeholder:"SPAN"`
	Console  string        `help:"Where the console is to be seen." placeholder:"ADDR"`
	Seed     uint64        `help:"Seed of all that is drawn." placeholder:"N"`
	JSON     string        `name:"json" help:"Write the report here." type:"path" placeholder:"FILE"`
	HTML     string        `name:"html" help:"Write the report with its plots here." type:"path" placeholder:"FILE"`
	Loopback bool          `help:"Use 127.0.0.0/8 even where a network namespace is to be had."`
}

func (demoCommand) Help() string {
	return "Examples:\n  deich demo\n  deich demo --exit --json demo.json\n\n" +
		"Everything runs on this machine: a small platform, its users, and a bounded flood against it; first without Deich, then with it."
}

func (c *demoCommand) Run(t *terminal) error {
	ctx, stop := untilSignal()
	defer stop()
	_, err := drill.Demo(ctx, drill.DemoOptions{
		Console: c.Console, Exit: c.Exit, Duration: c.Duration, Seed: c.Seed,
		JSON: c.JSON, HTML: c.HTML, Loopback: c.Loopback, Out: t.out,
	})
	return interrupted(ctx, err)
}

// interrupted is no error: the operator asked for it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type drillCommand struct {
	Scenarios []string      `arg:"" optional:"" name:"scenario" help:"Scenarios, one after the other; if none is named botnet, and with --sim the whole exam, a line each."`
	List      bool          `help:"List the scenarios."`
	Sim       bool          `help:"Rehearse in virtual time, with a model around the real engine."`
	Without   bool          `help:"Leave Deich out."`
	Gate      string        `help:"Give Deich a gate, in the drill's own network namespace: auto, xdp or nft." enum:",off,auto,xdp,nft" default:"" placeholder:"MODE"`
	Seed      uint64        `help:"Seed of all that is drawn." placeholder:"N"`
	Duration  time.Duration `help:"Length of the flood." placeholder:"SPAN"`
	JSON      string        `name:"json" help:"Write the report here." type:"path" placeholder:"FILE"`
	HTML      string        `name:"html" help:"Write the report with its plots here." type:"path" placeholder:"FILE"`
	Loopback  bool          `help:"Use 127.0.0.0/8 even where a network namespace is to be had."`
}

func (drillCommand) Help() string {
	return "Examples:\n  deich drill --list\n  deich drill botnet nat-mixed --json report.json --html report.html\n  deich drill --sim --seed 7\n  deich drill --sim botnet --seed 7\n\n" +
		"A drill takes no address: it starts the platform and Deich itself, on loopback or in a network namespace without a way out, and floods only those."
}

func (c *drillCommand) Run(t *terminal) error {
	switch {
	case c.List && c.Sim:
		for _, s := range sim.Scenarios() {
			t.say("%-18s %s", s.Name, s.Title)
		}
		return nil
	case c.List:
		all, err := drill.List()
		for _, s := range all {
			t.say("%-18s %s", s.Name, s.Title)
		}
		return err
	case c.Sim:
		return c.simulate(t)
	}
	ctx, stop := untilSignal()
	defer stop()
	_, err := drill.Run(ctx, drill.Options{
		Scenarios: c.Scenarios, Without: c.Without, Gate: c.Gate, Seed: c.Seed, Duration: c.Duration,
		JSON: c.JSON, HTML: c.HTML, Loopback: c.Loopback, Out: t.out,
	})
	return interrupted(ctx, err)
}

// simulate runs scenarios in virtual time; the same seed gives the same trace.
func (c *drillCommand) simulate(t *terminal) error {
	if c.HTML != "" || c.Without || c.Gate != "" || c.Duration != 0 {
		return errors.New("drill: --html, --without, --gate and --duration are for real drills: leave them out with --sim")
	}
	all := sim.Strategies()
	if len(c.Scenarios) > 0 {
		all = nil
	}
	for _, name := range c.Scenarios {
		s, ok := sim.Find(name)
		if !ok {
			return hint(fmt.Errorf("drill: no scenario %q", name), "deich drill --list --sim shows those that there are")
		}
		all = append(all, s)
	}
	var reports []sim.Report
	for _, s := range all {
		report, err := sim.Run(s, max(c.Seed, 1))
		if err == nil && len(c.Scenarios) > 0 {
			err = report.Print(t.out)
		}
		if err != nil {
			return fmt.Errorf("drill: %s: %w", s.Name, err)
		}
		reports = append(reports, report)
	}
	if len(c.Scenarios) == 0 {
		if err := sim.PrintTable(t.out, reports); err != nil {
			return fmt.Errorf("drill: table: %w", err)
		}
	}
	if c.JSON == "" {
		return nil
	}
	b, err := json.MarshalIndent(reports, "", "\t")
	if err == nil {
		err = os.WriteFile(c.JSON, append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("drill: report: %w", err)
	}
	return nil
}

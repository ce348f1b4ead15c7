//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	// Children end when the thread that started them does.
	runtime.LockOSThread()
	if len(os.Args) == 4 && os.Args[1] == "origin" {
		rate, err := strconv.Atoi(os.Args[3])
		if err == nil {
			err = serveOrigin(os.Args[2], rate)
		}
		fail(err)
	}
	if len(os.Args) > 1 && os.Args[1] == usersTrial {
		fail(usersTrialCommand(os.Args[2:]))
		return
	}
	if len(os.Args) > 1 && os.Args[1] == usersContest {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		fail(usersCommand(ctx, os.Args[2:]))
		return
	}
	deich := flag.String("deich", "bin/deich", "the built binary")
	out := flag.String("out", "bench/results", "where results are written; those of contests that are not asked for stay as they are")
	rounds := flag.Int("rounds", roundsDefault, "how often each contender is measured; medians are taken")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if flag.Arg(0) == "flame" {
		fail(flame(ctx, flag.Args()[1:]))
		return
	}
	if *rounds < 1 || *rounds > roundsMax {
		fail(fmt.Errorf("-rounds %d: between 1 and %d", *rounds, roundsMax))
	}
	fail(run(ctx, *deich, *out, *rounds, flag.Args()))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func usage() {
	w := flag.CommandLine.Output()
	fmt.Fprintln(w, "Usage: bench [flags] [CONTEST…]")
	fmt.Fprintln(w, "\nHolds Deich against its peers, side by side on this machine, and writes the")
	fmt.Fprintln(w, "table, the plot and every trial. Without names: all contests, about five minutes.")
	fmt.Fprintln(w, "\nContests:")
	for _, c := range contests() {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.title)
	}
	fmt.Fprintf(w, "  %-9s %s\n", engineName, engineTitle)
	fmt.Fprintln(w, "\n"+flameUsage)
	fmt.Fprintln(w, "\nbench users [flags] [SCENARIO…] is a contest of another kind: what users keep while the")
	fmt.Fprintln(w, "drill floods; bench users -h says more.")
	fmt.Fprintln(w, "\nFlags:")
	flag.PrintDefaults()
	fmt.Fprintln(w, "\nIt needs two cores, and of the system's packages nginx, haproxy and varnish; h2load")
	fmt.Fprintln(w, "(nghttp2-client) and the go command are used where they are there. What is")
	fmt.Fprintln(w, "missing is left out and said. It needs no rights: all of it runs on loopback.")
	fmt.Fprintln(w, "Run nothing else meanwhile: the table says how much else ran.")
}

// bench is one run.
type bench struct {
	self, deich string
	rounds      int
}

func run(ctx context.Context, deich, out string, rounds int, names []string) error {
	all := contests()
	for _, n := range names {
		if n != engineName && !slices.ContainsFunc(all, func(c *contest) bool { return c.name == n }) {
			return fmt.Errorf("no contest %q: bench -h lists them", n)
		}
	}
	if runtime.NumCPU() < 2 {
		return errors.New("two cores are needed: one for proxy and origin, one for the load")
	}
	b, err := newBench(deich, rounds)
	if err != nil {
		return err
	}
	results, err := openResults(filepath.Join(out, "bench.json"))
	if err != nil {
		return err
	}
	if err := pin(loadCore); err != nil {
		return err
	}
	m := machine(b.deich)
	for _, c := range all {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		r, err := b.hold(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.Machine = m
		results.put(r)
	}
	if len(names) == 0 || slices.Contains(names, engineName) {
		r, err := engineResult(ctx, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", engineName, err)
		}
		r.Machine = m
		results.put(r)
	}
	return results.write(out)
}

func newBench(deich string, rounds int) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if deich, err = filepath.Abs(deich); err != nil {
		return nil, err
	}
	if _, err := os.Stat(deich); err != nil {
		return nil, fmt.Errorf("%w\nbuild it first: make build", err)
	}
	return &bench{self: self, deich: deich, rounds: rounds}, nil
}

// hold puts one contest to its contenders, in interleaved rounds, so that what
// disturbs the machine for a while disturbs them all.
func (b *bench) hold(ctx context.Context, c *contest) (*result, error) {
	r := newResult(c)
	for round := 1; round <= b.rounds; round++ {
		for _, each := range c.contenders {
			if _, err := exec.LookPath(each.peer); each.peer != peerDeich && err != nil {
				if round == 1 {
					r.LeftOut = append(r.LeftOut, each.name+" is not installed")
					fmt.Printf("%-9s %s is not installed: left out\n", c.name, each.name)
				}
				continue
			}
			t, err := c.trial(ctx, b, each)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", each.name, round, err)
			}
			t.Round = round
			r.Trials = append(r.Trials, t)
			fmt.Printf("%-9s %d  %-16s %8.2f %-22s %8.0f/s  others %3.0f %%  %s\n",
				c.name, round, each.name, t.Figure, c.figure, t.Rate, 100*t.OtherCPU, outcomesText(t.Outcomes))
		}
	}
	return r, nil
}

func outcomesText(outcomes map[string]int) string {
	var parts []string
	for what, n := range outcomes {
		parts = append(parts, fmt.Sprintf("%s: %d", what, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the engine adds cannot be asked of the binary, which never runs without
// it: in the edge's own benchmark one server asks its guard or passes it by, in
// turns that are compared in pairs, client and origin in one process. It is built
// with the binary's profile. How a process happens to lie in memory moves its figures
// by a percent or two, so that many are asked.
const (
	engineName  = "engine"
	engineTitle = "What guard and engine add to a proxied request"
	engineWith  = "with both"
	engineNone  = "without"
	engineTimes = 3     // as many rounds as elsewhere: what is looked for is small
	enginePairs = "40x" // of turns, in a round
	engineTurn  = 1000  // requests, in edge's BenchmarkEngine
	engineSpan  = 5 * time.Minute
	profileFile = "cmd/deich/default.pgo"
)

var (
	engineLine   = regexp.MustCompile(`(?m)^BenchmarkEngine\S*\s+(\d+)\s.*$`)
	engineMetric = regexp.MustCompile(`(-?[\d.]+) ([a-z]+)-(?:ns|%)`)
)

// engineResult runs the benchmark, where the go command and the sources are there.
func engineResult(ctx context.Context, rounds int) (*result, error) {
	r := &result{
		Name: engineName, Title: engineTitle, Figure: "CPU µs a request, client and origin included",
		Asks: "one kept connection with a pass asks as soon as it is answered; one core for proxy, client and origin, so that the " +
			"proxy's own share is larger than the ratio says: the difference over Deich's figure for HTTP/1.1. One server, which asks " +
			"its guard or passes it by in turns; a trial is the median of pairs of turns",
		Over: engineNone, Target: 1.05,
	}
	if _, err := exec.LookPath("go"); err != nil {
		r.LeftOut = []string{"the go command is not here"}
		return r, nil
	}
	ctx, cancel := context.WithTimeout(ctx, engineSpan)
	defer cancel()
	dir, err := os.MkdirTemp("", "deich-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	test := filepath.Join(dir, "edge.test")
	profile, err := filepath.Abs(profileFile)
	if err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-pgo="+profile, "-o", test, "./edge").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	var parts []float64
	for round := 1; round <= engineTimes*rounds; round++ {
		cmd := exec.CommandContext(ctx, test, "-test.run", "^$", "-test.bench", "^BenchmarkEngine$", "-test.cpu", "1", "-test.benchtime", enginePairs)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		p, err := readEngine(out)
		if err != nil {
			return nil, err
		}
		fmt.Printf("%-9s %d  without %.1f, added %.2f µs a request: %.1f %%, half of all pairs %.1f to %.1f %%; %.2f µs of it due at ticks\n", engineName,
			round, p.without/1000, p.added/1000, p.part(), p.low, p.high, p.ticks/1000)
		r.Trials = append(r.Trials, p.trial(round, engineWith, p.without+p.added), p.trial(round, engineNone, p.without))
		parts = append(parts, p.part())
	}
	fmt.Printf("%-9s    added %.1f %%, by round %.1f to %.1f %%\n", engineName, median(parts), slices.Min(parts), slices.Max(parts))
	return r, nil
}

// paired is what a round's pairs of turns came to: medians in nanoseconds a request,
// and between what percentages half of the pairs lie.
type paired struct {
	pairs                            int
	without, added, ticks, low, high float64
}

func (p paired) part() float64 { return 100 * p.added / p.without }

func (p paired) trial(round int, name string, ns float64) trial {
	n := p.pairs * engineTurn
	return trial{
		Contender: name, Round: round, Figure: ns / 1000, Outcomes: map[string]int{"200": n},
		Seconds: ns * float64(n) / 1e9, Rate: 1e9 / ns,
	}
}

func readEngine(out []byte) (p paired, err error) {
	line := engineLine.FindStringSubmatch(string(out))
	if line == nil {
		return p, fmt.Errorf("the benchmark said something new:\n%s", strings.TrimSpace(string(out)))
	}
	if p.pairs, err = strconv.Atoi(line[1]); err != nil {
		return p, err
	}
	metrics := map[string]*float64{"without": &p.without, "added": &p.added, "ticks": &p.ticks, "low": &p.low, "high": &p.high}
	for _, f := range engineMetric.FindAllStringSubmatch(line[0], -1) {
		if into := metrics[f[2]]; into != nil {
			if *into, err = strconv.ParseFloat(f[1], 64); err != nil {
				return p, err
			}
			delete(metrics, f[2])
		}
	}
	if len(metrics) > 0 || p.without <= 0 {
		return p, fmt.Errorf("the benchmark did not say all:\n%s", line[0])
	}
	return p, nil
}

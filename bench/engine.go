//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// What the engine adds cannot be asked of the binary, which never runs without
// it: the edge's own benchmark holds a server with guard and engine against the
// same server without, client and origin in one process.
const (
	engineName  = "engine"
	engineTitle = "What guard and engine add to a proxied request"
	engineWith  = "edge with guard and engine"
	engineNone  = "the same edge without"
	engineCount = 7
	engineSpan  = 70 * time.Second
)

var engineLine = regexp.MustCompile(`(?m)^BenchmarkEngine/(with|without)\S*\s+(\d+)\s.*?([\d.]+) cpu-ns/op`)

// engineResult runs the benchmark, where the go command and the sources are there.
func engineResult(ctx context.Context) (*result, error) {
	r := &result{
		Name: engineName, Title: engineTitle, Figure: "CPU µs a request, client and origin included",
		Asks: "one kept connection with a pass asks as soon as it is answered; one core for all",
		Over: engineNone, Target: 1.05,
	}
	if _, err := exec.LookPath("go"); err != nil {
		r.LeftOut = []string{"the go command is not here"}
		return r, nil
	}
	ctx, cancel := context.WithTimeout(ctx, engineSpan)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "./edge", "-run", "^$", "-bench", "^BenchmarkEngine$",
		"-cpu", "1", "-benchtime", "20000x", "-count", strconv.Itoa(engineCount))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	if r.Trials, err = readEngine(out); err != nil {
		return nil, err
	}
	for _, name := range r.names() {
		fmt.Printf("%-9s    %-28s %8.2f %s\n", engineName, name, r.median(name, figureOf), r.Figure)
	}
	return r, nil
}

func readEngine(out []byte) ([]trial, error) {
	var list []trial
	round := map[string]int{}
	for _, f := range engineLine.FindAllStringSubmatch(string(out), -1) {
		name := engineWith
		if f[1] == "without" {
			name = engineNone
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return nil, err
		}
		ns, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			return nil, err
		}
		round[name]++
		list = append(list, trial{
			Contender: name, Round: round[name], Figure: ns / 1000, Outcomes: map[string]int{"200": n},
			Seconds: ns * float64(n) / 1e9, Rate: 1e9 / ns,
		})
	}
	if round[engineWith] == 0 || round[engineNone] == 0 {
		return nil, fmt.Errorf("the benchmark said something new:\n%s", strings.TrimSpace(string(out)))
	}
	return list, nil
}

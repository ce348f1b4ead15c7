//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	engineWith  = "with both"
	engineNone  = "without"
	engineTimes = 3 // as many rounds as elsewhere: what is looked for is small
	engineSpan  = 70 * time.Second
)

var engineLine = regexp.MustCompile(`(?m)^BenchmarkEngine/(without|with)\b\S*\s+(\d+)\s.*?([\d.]+) cpu-ns/op`)

// engineResult runs the benchmark, where the go command and the sources are there.
func engineResult(ctx context.Context, rounds int) (*result, error) {
	r := &result{
		Name: engineName, Title: engineTitle, Figure: "CPU µs a request, client and origin included",
		Asks: "one kept connection with a pass asks as soon as it is answered; one core for proxy, client and origin, so that the " +
			"proxy's own share is larger than the ratio says: the difference over Deich's figure for HTTP/1.1",
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
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", test, "./edge").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	for round := 1; round <= engineTimes*rounds; round++ {
		cmd := exec.CommandContext(ctx, test, "-test.run", "^$", "-test.bench", "^BenchmarkEngine$", "-test.cpu", "1", "-test.benchtime", "20000x")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		trials, err := readEngine(out)
		if err != nil {
			return nil, err
		}
		for _, t := range trials {
			t.Round = round
			r.Trials = append(r.Trials, t)
		}
	}
	for _, name := range r.names() {
		fmt.Printf("%-9s    %-28s %8.2f %s\n", engineName, name, r.median(name, figureOf), r.Figure)
	}
	return r, nil
}

func readEngine(out []byte) ([]trial, error) {
	var list []trial
	seen := map[string]bool{}
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
		seen[name] = true
		list = append(list, trial{
			Contender: name, Figure: ns / 1000, Outcomes: map[string]int{"200": n},
			Seconds: ns * float64(n) / 1e9, Rate: 1e9 / ns,
		})
	}
	if !seen[engineWith] || !seen[engineNone] {
		return nil, fmt.Errorf("the benchmark said something new:\n%s", strings.TrimSpace(string(out)))
	}
	return list, nil
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const flameUsage = `bench flame BINARY CONTEST FILE.svg
samples BINARY (with its symbols: go build ./cmd/deich) by perf while it answers
the contest http1, h2 or answered, and draws where its CPU went`

var flameTitles = map[string]string{
	"http1": "Where the CPU of a proxied request goes, HTTP/1.1", "h2": "Where the CPU of a proxied request goes, TLS and HTTP/2",
	"answered": "Where the CPU of a refusal with an answer goes, a connection each",
}

// flame samples one binary under one contest's load and writes a flame graph.
func flame(ctx context.Context, args []string) error {
	if len(args) != 3 || flameTitles[args[1]] == "" {
		return errors.New(flameUsage)
	}
	b, err := newBench(args[0], 1)
	if err != nil {
		return err
	}
	if err := pin(loadCore); err != nil {
		return err
	}
	said, err := b.sample(ctx, args[1])
	if err != nil {
		return err
	}
	root, err := readStacks(bytes.NewReader(said))
	if err != nil {
		return err
	}
	svg, err := root.draw(flameTitles[args[1]])
	if err != nil {
		return err
	}
	return os.WriteFile(args[2], svg, 0o644)
}

// sample gives perf's stacks of the proxy.
func (b *bench) sample(ctx context.Context, name string) (said []byte, err error) {
	rate := 0
	if name == "answered" {
		rate = originRate
	}
	s, err := b.open(ctx, contender{name: "Deich", peer: peerDeich, tls: name == "h2"}, rate)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	data := filepath.Join(s.dir, "perf.data")
	record := exec.CommandContext(ctx, "perf", "record", "-q", "-F", strconv.Itoa(flameHertz), "-g",
		"-p", strconv.Itoa(s.proxy.cmd.Process.Pid), "-o", data, "--", "sleep", strconv.Itoa(int(flameFor/time.Second)))
	begin := func() error { return record.Start() }
	end := func() error { return record.Wait() }
	switch name {
	case "h2":
		err = flameH2(s, begin, end)
	case "answered":
		var p plan
		if p, err = eachPlan(s, answeredSources, true, answeredLeast, answered); err == nil {
			err = flameLoop(ctx, p, begin, end)
		}
	default:
		var p plan
		if p, err = peacePlan(s); err == nil {
			err = flameLoop(ctx, p, begin, end)
		}
	}
	if err != nil {
		return nil, err
	}
	said, err = exec.CommandContext(ctx, "perf", "script", "-i", data, "-F", "comm,ip,sym").Output()
	if err != nil {
		return nil, fmt.Errorf("perf script: %w", err)
	}
	return said, nil
}

func flameLoop(ctx context.Context, p plan, begin, end func() error) error {
	p.ctx, p.begin, p.end, p.measure = ctx, begin, end, flameFor
	_, err := p.run()
	return err
}

func flameH2(s *stand, begin, end func() error) error {
	cookie, err := s.visit(peaceSources[0])
	if err != nil {
		return err
	}
	load := h2Library
	if _, err := exec.LookPath("h2load"); err == nil {
		load = h2Load
	}
	if _, err := load(s, cookie, warmFor); err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	_, err = load(s, cookie, flameFor)
	return errors.Join(err, end())
}

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
the contest http1 or h2, and draws where its CPU went`

// flame samples one binary under one contest's load and writes a flame graph.
func flame(ctx context.Context, args []string) error {
	if len(args) != 3 || args[1] != "http1" && args[1] != "h2" {
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
	title := "Where the CPU of a proxied request goes, " + map[string]string{"http1": "HTTP/1.1", "h2": "TLS and HTTP/2"}[args[1]]
	svg, err := root.draw(title)
	if err != nil {
		return err
	}
	return os.WriteFile(args[2], svg, 0o644)
}

// sample gives perf's stacks of the proxy.
func (b *bench) sample(ctx context.Context, name string) (said []byte, err error) {
	s, err := b.open(ctx, contender{name: "Deich", peer: peerDeich, tls: name == "h2"}, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	data := filepath.Join(s.dir, "perf.data")
	record := exec.CommandContext(ctx, "perf", "record", "-q", "-F", strconv.Itoa(flameHertz), "-g",
		"-p", strconv.Itoa(s.proxy.cmd.Process.Pid), "-o", data, "--", "sleep", strconv.Itoa(int(flameFor/time.Second)))
	begin := func() error { return record.Start() }
	end := func() error { return record.Wait() }
	if name == "http1" {
		err = flameHTTP1(ctx, s, begin, end)
	} else {
		err = flameH2(s, begin, end)
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

func flameHTTP1(ctx context.Context, s *stand, begin, end func() error) error {
	p, err := peacePlan(s)
	if err != nil {
		return err
	}
	p.ctx, p.begin, p.end, p.measure = ctx, begin, end, flameFor
	_, err = p.run()
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

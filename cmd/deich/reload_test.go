package main

import (
	"bytes"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A reload names everything that it refuses, whoever's part it is, changes nothing, and is told
// of to others than who asked until one is taken.
func TestReloadNamesAllThatItRefuses(t *testing.T) {
	data := t.TempDir()
	s := standing(t, data)
	first := *s.inForce.Load()
	s.read = func() (settings, error) {
		next := first
		next.Console, next.StatusURL, next.Limits.Connections = "127.0.0.1:1", "https://status.example.org/", first.Limits.Connections+1
		next.Policy.Streams, next.Policy.NoRules = first.Policy.Streams+1, true
		return next, nil
	}
	refused := func(want string) {
		t.Helper()
		if text := call(s, "GET", "/metrics", "").Body.String(); !strings.Contains(text, "\ndeich_reload_refused "+want+"\n") {
			t.Errorf("deich_reload_refused is not %s", want)
		}
	}
	refused("0")
	var out, errs bytes.Buffer
	if code := command([]string{"reload", "--data", data}, &out, &errs); code != 1 {
		t.Errorf("exit %d: %s", code, out.String())
	}
	for _, path := range []string{"console: ", "status_url: ", "limits: ", "policy.streams: "} {
		if !strings.Contains(errs.String(), path) {
			t.Errorf("no word on %s in: %s", path, errs.String())
		}
	}
	for _, path := range []string{"data: ", "gate: ", "policy.sources: ", "spool.", "alerts."} {
		if strings.Contains(errs.String(), path) {
			t.Errorf("a word on %s in: %s", path, errs.String())
		}
	}
	refused("1")
	if s.inForce.Load().Policy.NoRules {
		t.Error("a part of it is in force")
	}
	s.read = func() (settings, error) { return first, nil }
	errs.Reset()
	if code := command([]string{"reload", "--data", data}, &out, &errs); code != 0 {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	refused("0")
}

// A Deich without a console is sent a signal by those who know its process.
func TestReloadWithoutAConsole(t *testing.T) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGHUP)
	defer signal.Stop(got)
	data := t.TempDir()
	var out, errs bytes.Buffer
	if code := command([]string{"reload", "--data", data}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "no Deich with a console") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	if code := command([]string{"reload", "--data", data, "--pid", strconv.Itoa(os.Getpid())}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	<-got
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/status"
)

// A command gets the folder, by its place or as the last argument, without a
// shell; how it failed is told, and one that does not end is ended with all that it
// started.
func TestHandOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder; with $signs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		command []string
		want    []string // of the error; none: it goes well
	}{
		{"nothing to do", nil, nil},
		{"last", []string{"test", "-d"}, nil},
		{"by its place", []string{"test", "-d", "{}/.", "-a", "-d", "{}"}, nil},
		{"no shell", []string{"test", "-n", "$DEICH_HAS_NO_SUCH_VARIABLE", "-a", "-d", "{}"}, nil},
		{"a shell that is named", []string{"sh", "-c", `cd "$0" && touch here`}, nil},
		{"it fails", []string{"sh", "-c", `printf "no way\033[31m there" >&2; exit 23`}, []string{"publish: sh: exit code 23: no way", "there"}},
		{"there is none", []string{"deich-has-no-such-command", "{}"}, []string{"deich-has-no-such-command", "not found"}},
		{"it says much", []string{"sh", "-c", "yes error | head -c 100000 >&2; exit 1"}, []string{"exit code 1: error"}},
	} {
		err := handOver(t.Context(), c.command, dir, time.Minute)
		if (err != nil) != (c.want != nil) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, want := range c.want {
			if text := err.Error(); !strings.Contains(text, want) || strings.Contains(text, "\033") || len(text) > 2*handOverSaid {
				t.Errorf("%s: %.300q, want %q", c.name, text, want)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "here")); err != nil {
		t.Error(err)
	}
	began := time.Now()
	err := handOver(t.Context(), []string{"sh", "-c", `(sleep 1; touch "$0/late") & wait`}, dir, 100*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "longer than 100ms") || time.Since(began) > 30*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	time.Sleep(1500 * time.Millisecond)
	if _, err := os.Stat(filepath.Join(dir, "late")); err == nil {
		t.Error("what it had started went on")
	}
}

// The page is written and handed over again and again, also after the command failed.
func TestPublishHandsOver(t *testing.T) {
	data, dir, out := t.TempDir(), t.TempDir(), t.TempDir()
	b, err := json.Marshal(status.Document{Heard: time.Now(), Days: []status.Day{{Day: "2026-03-07"}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(data, status.File), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	script := `cp "$1/index.html" "$0/" && echo again >>"$0/count" && test "$(wc -l <"$0/count")" -ne 1` // the first fails
	var said, errs bytes.Buffer
	publish := func(args ...string) int {
		said.Reset()
		errs.Reset()
		return command(append([]string{"status", "publish", dir, "--data", data}, args...), &said, &errs)
	}
	via := []string{"--", "sh", "-c", script, out}
	if code := publish(via...); code != 1 || !strings.Contains(errs.String(), "exit code 1") {
		t.Errorf("a command that fails: exit %d, %s", code, errs.String())
	}
	if code := publish(via...); code != 0 || !strings.Contains(said.String(), "index.html") {
		t.Errorf("exit %d, %s%s", code, said.String(), errs.String())
	}
	if _, err := os.Stat(filepath.Join(out, "index.html")); err != nil {
		t.Error(err)
	}
	if code := publish("--evry", "1s", "true"); code != 2 {
		t.Errorf("a flag that there is not: exit %d, %s", code, errs.String())
	}
	if code := publish("--every", "10ms"); code != 1 {
		t.Errorf("far too often: exit %d", code)
	}
	if err := os.Remove(filepath.Join(out, "count")); err != nil {
		t.Fatal(err)
	}
	c := statusPublishCommand{Dir: dir, Command: via, Every: time.Second}
	c.Data = data
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	errs.Reset()
	go func() { ended <- c.publish(ctx, &terminal{&said, &errs}) }()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if b, _ := os.ReadFile(filepath.Join(out, "count")); bytes.Count(b, []byte("\n")) >= 2 {
			break
		}
		if time.Now().After(end) {
			t.Error("it is not tried again after a failure")
			break
		}
	}
	stop()
	if err := <-ended; err != nil || !strings.Contains(errs.String(), "exit code 1") {
		t.Errorf("%v, %s", err, errs.String())
	}
}

//go:build linux

package main

import (
	"os"
	"testing"
	"time"
)

var statSeeds = []string{
	"42 (nginx: worker) S 41 42 42 0 -1 4194624 120 0 0 0 7 5 0 0 20 0 1 0 100 1000 100",
	"7 (a) b) (c) R 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0",
	"7 (short) R 1",
	"",
}

func TestParseStat(t *testing.T) {
	want := []stat{{41, 120 * time.Millisecond, 0}, {1, 30 * time.Millisecond, 70 * time.Millisecond}}
	for i, text := range statSeeds {
		got, err := parseStat([]byte(text))
		if i < len(want) && (err != nil || got != want[i]) || i >= len(want) && err == nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	for _, text := range statSeeds {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseStat(b); err != nil && s != (stat{}) || s.cpu < 0 || s.parent < 0 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestUsageOfThisProcess(t *testing.T) {
	before, err := readProcesses()
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 100*time.Millisecond; {
	}
	after, err := readProcesses()
	if err != nil {
		t.Fatal(err)
	}
	own := os.Getpid()
	was, err1 := before.of(own)
	is, err2 := after.of(own)
	if err1 != nil || err2 != nil || is <= was || is-was > 10*time.Second {
		t.Errorf("from %v to %v: %v, %v", was, is, err1, err2)
	}
	if _, err := after.of(1 << 30); err == nil {
		t.Error("a process that is none has used something")
	}
}

func TestOthers(t *testing.T) {
	before := processes{1: {0, 1, 0}, 7: {1, 10, 0}, 8: {7, 10, 0}, 9: {1, 10, 5}}
	after := processes{1: {0, 1, 0}, 7: {1, 20, 0}, 8: {7, 30, 0}, 9: {1, 11, 7}, 10: {9, 4, 0}}
	if got := after.others(before, 7); got != 1+2+4 {
		t.Errorf("%d", got)
	}
	if got, err := after.of(7); err != nil || got != 50 {
		t.Errorf("%d, %v", got, err)
	}
}

//go:build linux

package main

import (
	"os"
	"testing"
	"time"
)

var statSeeds = []string{
	"42 (nginx: worker) S 41 42 42 0 -1 4194624 120 0 0 0 7 5 0 0 20 0 1 0 100 1000 100",
	"7 (a) b) (c) R 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0",
	"7 (short) R 1",
	"",
}

func TestParseStat(t *testing.T) {
	want := []stat{{41, 120 * time.Millisecond}, {1, 30 * time.Millisecond}}
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

const machineStat = "cpu  3 0 3 9 0 0 0 0 0 0\ncpu0 1 0 2 3 4 5 6 7 0 0\ncpu1 2 0 1 6 0 0 0 0 0 0\nintr 1\n"

func TestParseBusy(t *testing.T) {
	got, err := parseBusy([]byte(machineStat))
	if err != nil || len(got) != 2 || got[0] != 210*time.Millisecond || got[1] != 30*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzParseBusy(f *testing.F) {
	for _, text := range []string{machineStat, "cpu0 x", "", "cpu0 1 2 3 4 5 6 7 -8\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if cores, err := parseBusy(b); (err == nil) != (len(cores) > 0) {
			t.Errorf("%v, %v", cores, err)
		}
	})
}

func TestCPUOfThisProcess(t *testing.T) {
	before, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 100*time.Millisecond; {
	}
	after, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after <= before || after-before > 10*time.Second {
		t.Errorf("from %v to %v", before, after)
	}
	if _, err := cpuOf(1 << 30); err == nil {
		t.Error("a process that is none has used something")
	}
}

//go:build linux

package main

import "testing"

func TestReadEngine(t *testing.T) {
	got, err := readEngine([]byte("goos: linux\nBenchmarkEngine-2 \t      50\t 121475771 ns/op\t      5330 added-ns\t        12.76 high-%\t" +
		"        -5.265 low-%\t       231.2 ticks-ns\t     55478 without-ns\nPASS\n"))
	if want := (paired{50, 55478, 5330, 231.2, -5.265, 12.76}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, out := range []string{"PASS\n", "BenchmarkEngine \t 50\t 12 ns/op\t 5330 added-ns\n"} {
		if _, err := readEngine([]byte(out)); err == nil {
			t.Errorf("%q: not all was measured, and no error", out)
		}
	}
}

func TestReadH2Load(t *testing.T) {
	got, err := readH2Load([]byte("requests: 10 total, 10 started, 9 done, 8 succeeded, 2 failed, 1 errored, 0 timeout\n" +
		"status codes: 8 2xx, 0 3xx, 0 4xx, 1 5xx\n"))
	if err != nil || got.outcomes["200"] != 8 || got.outcomes["5xx"] != 1 || got.outcomes[outcomeBroken] != 1 || got.total() != 10 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := readH2Load([]byte("-D: value error")); err == nil {
		t.Error("no counts, and no error")
	}
}

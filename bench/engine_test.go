//go:build linux

package main

import "testing"

func TestReadEngine(t *testing.T) {
	got, err := readEngine([]byte("goos: linux\nBenchmarkEngine/with    \t   20000\t     48318 ns/op\t     48309 cpu-ns/op\t    6248 B/op\n" +
		"BenchmarkEngine/without-2 \t   20000\t     45084 ns/op\t     45076 cpu-ns/op\nPASS\n"))
	if err != nil || len(got) != 2 || got[0].Contender != engineWith || got[1].Contender != engineNone || got[1].Figure != 45.076 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := readEngine([]byte("PASS\n")); err == nil {
		t.Error("nothing was measured, and no error")
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

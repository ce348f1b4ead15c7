package main

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/deichproject/deich/spool"
)

// A process that keeps messages leaves no core file; one that keeps none is left alone.
func TestNoCoreFileOfKeptMessages(t *testing.T) {
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(before), 0, 0, 0); err != nil {
			t.Error(err)
		}
	}()
	for _, test := range []struct {
		name   string
		config spool.Config
		want   int
	}{
		{"nothing is kept", spool.Config{}, before},
		{"a route is kept", spool.Config{Keep: []spool.Route{{Route: "POST /messages"}}}, 0},
	} {
		k, err := openKeeping(t.TempDir()+"/spool", test.config, [32]byte{}, func() bool { return false }, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || got != test.want {
			t.Errorf("%s: dumpable %d, %v: want %d", test.name, got, err, test.want)
		}
		if err := k.close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.ReadDir("/proc/self/fd"); err != nil { // the metrics look there
		t.Error(err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A page's process is found by the lock that it holds, not by what a file says.
func TestSurvivorHoldsItsLock(t *testing.T) {
	data := t.TempDir()
	name := filepath.Join(data, statusPidFile)
	if p, _ := survivor(data); p != nil {
		t.Error("without a file there is one")
	}
	lock, err := takePidFile(name, ":2021", "[::]:2021")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takePidFile(name, ":2022", "[::]:2022"); err == nil {
		t.Error("two serve one data folder")
	}
	p, listen := survivor(data)
	if p == nil || p.process.Pid != os.Getpid() || listen != ":2021" || p.address != "[::]:2021" || !p.before {
		t.Errorf("%+v, %q", p, listen)
	}
	lock.Close()
	if p, _ := survivor(data); p != nil {
		t.Error("a file that nobody locks names a living process")
	}
}

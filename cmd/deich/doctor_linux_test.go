package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The rights and limits that count are those of the Deich that runs, not of the
// shell of whoever asks.
func TestDoctorLooksAtTheRunningProcess(t *testing.T) {
	const few = 1000
	start := func(as *syscall.Credential) *patient {
		c := exec.Command("sleep", "60")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill(); c.Wait() })
		if as != nil {
			return &patient{running: true, pid: c.Process.Pid}
		}
		if err := unix.Prlimit(c.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: few}, nil); err != nil {
			t.Fatal(err)
		}
		return &patient{running: true, pid: c.Process.Pid}
	}
	mine := start(nil)
	if all := lookFiles(t.Context(), mine); len(all) != 1 || all[0].State != stateWeak || !strings.HasPrefix(all[0].Found, "1000 files may be open in the Deich that runs") {
		t.Errorf("%+v", all)
	}
	if all := lookFiles(t.Context(), &patient{}); len(all) != 1 || strings.HasPrefix(all[0].Found, "1000 ") || !strings.Contains(all[0].Found, "started from here") {
		t.Errorf("where none runs: %+v", all)
	}
	for what, look := range map[string][]finding{
		"rights": lookCapabilities(t.Context(), &patient{running: true, pid: -1}), "files": lookFiles(t.Context(), &patient{running: true, pid: -1}),
	} {
		if len(look) != 1 || look[0].State != stateWeak || !strings.Contains(look[0].Found, "cannot be read") {
			t.Errorf("%s of one that does not say its process: %+v", what, look)
		}
	}
	if os.Geteuid() != 0 {
		t.Log("only root can start another user's")
		return
	}
	if all := lookCapabilities(t.Context(), mine); len(all) != 1 || all[0].State != stateWeak || !strings.Contains(all[0].Found, "Deich runs as root") {
		t.Errorf("root's: %+v", all)
	}
	if all := lookCapabilities(t.Context(), start(&syscall.Credential{Uid: 65534, Gid: 65534})); len(all) != 1 || all[0].State != stateGood || all[0].Found != "none, and none is needed." {
		t.Errorf("another user's: %+v", all)
	}
	if all := lookCapabilities(t.Context(), &patient{}); len(all) != 1 || all[0].State != stateGood || strings.Contains(all[0].Found, "Deich runs") {
		t.Errorf("root asks, and none runs: %+v", all)
	}
}

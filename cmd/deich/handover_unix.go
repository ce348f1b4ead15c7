//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// endsWhole has a command that is ended take those with it that it started, as
// rsync does its ssh.
func endsWhole(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}

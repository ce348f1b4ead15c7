//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is a process that a trial started. It ends with the trial, and with
// this process.
type child struct {
	cmd  *exec.Cmd
	log  string
	done chan error
}

// start runs a program on one core, with what it says in a file of dir. It must
// be called on a thread that lives as long as this process.
func start(dir string, core int, name string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(name, args...), log: filepath.Join(dir, filepath.Base(name)+".out"), done: make(chan error, 1)}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.Dir = out, out, dir
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}

	var own, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		return nil, fmt.Errorf("affinity: %w", err)
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("bind to core %d: %w", core, err)
	}
	err = c.cmd.Start()
	if err := unix.SchedSetaffinity(0, &own); err != nil {
		return nil, fmt.Errorf("affinity: %w", err)
	}
	if err != nil {
		return nil, err
	}
	go func() { c.done <- c.cmd.Wait() }()
	return c, nil
}

// listens waits until somebody listens at addr, or the process has ended.
func (c *child) listens(ctx context.Context, addr netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
		if err == nil {
			return nc.Close()
		}
		select {
		case err := <-c.done:
			c.done <- err
			said, _ := os.ReadFile(c.log)
			return fmt.Errorf("%s ended (%v):\n%s", c.cmd.Path, err, said)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen at %s after %s", c.cmd.Path, addr, startWithin)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end asks the process to end, and sees to it.
func (c *child) end() error {
	if c == nil {
		return nil
	}
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
		return nil
	case <-time.After(endWithin):
	}
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.done
	return nil
}

// freePort gives an address of loopback that nobody listens at.
func freePort() (netip.AddrPort, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}

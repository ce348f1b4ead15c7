//go:build !linux

package drill

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"

	"github.com/deichproject/deich/drill/scenarios"
)

// The rehearsal on real sockets is for Linux: elsewhere it says so, and the
// simulator stays.
var errNotLinux = errors.New("drill: real sockets need Linux; the simulator runs everywhere (deich drill --sim)")

func runOwn(_ *exec.Cmd, during func()) error { return errNotLinux }

func furnish() error { return errNotLinux }

func startOn(*exec.Cmd, []int) error { return errNotLinux }

func halt(*os.Process) {}

func resume(*os.Process) {}

func bindLate(int) {}

func usageOf(int) (usage, error) { return usage{}, errNotLinux }

func usageOfGroups([]int) (usage, error) { return usage{}, errNotLinux }

func awaitEnd(int) {}

func endGroup(int) {}

func busyOf() (busy, error) { return busy{}, errNotLinux }

type flood struct{}

func newFlood(clock, *scenarios.Scenario, *sandbox, netip.AddrPort, []string, string, *strikes) (*flood, error) {
	return nil, errNotLinux
}

func (*flood) run(context.Context) {}

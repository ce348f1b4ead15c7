package drill

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// runOwn runs cmd in a network namespace of its own; as another user than root
// also in a user namespace. during is called while it runs. It has its own
// process group: an interrupt at the terminal reaches it through this process,
// once.
func runOwn(cmd *exec.Cmd, during func()) error {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if uid := os.Geteuid(); uid != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
	// The signal at our death goes out when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		during()
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EUSERS) {
			return fmt.Errorf("%w: %w", errNoNamespace, err)
		}
		return fmt.Errorf("drill: %w", err)
	}
	during()
	return cmd.Wait()
}

// furnish makes the namespace that this process is in ready: loopback up, and
// all of 10.0.0.0/8 and fd00::/16 local to it. It refuses to where any other
// interface is up, for then this is no namespace of its own.
func furnish() error {
	if err := alone(); err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("drill: socket: %w", err)
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("drill: lo: %w", err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("drill: bring lo up: %w", err)
	}
	routes, err := openRoutes()
	if err != nil {
		return err
	}
	defer routes.close()
	if err := routes.local(netip.MustParsePrefix("10.0.0.0/8"), loopbackIndex); err != nil {
		return err
	}
	// Without IPv6 only the scenarios that need it cannot run.
	_ = routes.local(netip.MustParsePrefix("fd00::/16"), loopbackIndex)
	return nil
}

// raiseFiles allows this process as many open files as the system lets it, and says how many.
func raiseFiles() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	if l.Cur < l.Max {
		l.Cur = l.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
		}
	}
	return int(min(l.Cur, 1<<20))
}

package drill

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// startOn starts cmd on the given cores; none are all. The calling goroutine
// must stay until cmd has ended: its thread is the one whose end would end cmd.
func startOn(cmd *exec.Cmd, cores []int) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// Never unlocked: the thread stays this goroutine's until both end.
	runtime.LockOSThread()
	if len(cores) == 0 {
		return cmd.Start()
	}
	// A process begins on the cores of the thread that starts it.
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("cores %v: %w", cores, err)
	}
	return cmd.Start()
}

// halt lets a process stand still; resume lets it go on. One that is gone needs neither.
func halt(p *os.Process)   { _ = p.Signal(unix.SIGSTOP) }
func resume(p *os.Process) { _ = p.Signal(unix.SIGCONT) }

// awaitEnd waits until a process of this one has ended, and leaves it to Wait.
func awaitEnd(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// endGroup ends what is left of the group that a process led; mostly nothing is.
func endGroup(leader int) { _ = unix.Kill(-leader, unix.SIGKILL) }

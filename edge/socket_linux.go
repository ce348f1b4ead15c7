package edge

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filesLimit is how many files this process may have open. The Go runtime has
// raised the soft limit to the hard one at start.
func filesLimit() int {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil || r.Cur == 0 {
		return filesDefault
	}
	return int(min(r.Cur, filesMax))
}

// unsent is how many bytes the kernel holds that the other end has not taken
// (SIOCOUTQ, tcp(7)).
func (a *accepted) unsent() int {
	n := 0
	a.control(func(fd uintptr) {
		if v, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = v
		}
	})
	return n
}

// hungUp says that the other end has closed.
func (a *accepted) hungUp() bool {
	n := 0
	if a.control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 0)
	}) != nil {
		return true
	}
	return n > 0
}

// wakeAt has the kernel tell of a connection once so many bytes are there to be read
// (SO_RCVLOWAT, tcp(7)): until then what comes wakes nobody.
func (a *accepted) wakeAt(bytes int) {
	a.control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes) })
}

// probe asks whether an idle connection is as it was left, without an
// allocation and without waiting.
type probe struct {
	raw  syscall.RawConn
	ask  func(fd uintptr)
	poll [1]unix.PollFd
	wait unix.Timespec // not at all
	ok   bool
}

func newProbe(raw syscall.RawConn) *probe {
	p := &probe{raw: raw}
	p.ask = func(fd uintptr) {
		p.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}
		n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p.poll[0])), 1, uintptr(unsafe.Pointer(&p.wait)), 0, 0, 0)
		p.ok = n == 0 && errno == 0
	}
	return p
}

// quiet says whether the connection is open and has nothing to read: data that
// nobody asked for would be taken for the next request's answer.
func (p *probe) quiet() bool {
	p.ok = false
	return p.raw.Control(p.ask) == nil && p.ok
}

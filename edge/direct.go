//go:build linux && !race

package edge

import (
	"io"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direct reads and writes a socket by system calls that the runtime is not told
// of. On a socket that does not block they are nothing but work, of 1 to 10 µs. Told of
// each, the runtime wakes its monitor thread whenever the process had been idle, which
// then looks after the processors fifty thousand times a second: a tenth of the CPU
// of a proxied request went there (docs/internals/performance.md). One goroutine reads
// and one writes at a time.
type direct struct {
	*net.TCPConn
	raw syscall.RawConn
	err error // there is no raw
	in  way
	out way
}

func newDirect(tcp *net.TCPConn) *direct {
	d := &direct{TCPConn: tcp}
	d.raw, d.err = tcp.SyscallConn()
	d.out.sends = true
	d.in.step, d.out.step = d.in.try, d.out.try
	return d
}

// Read is tcp.Read.
func (d *direct) Read(p []byte) (int, error) {
	if d.err != nil || len(p) == 0 {
		return 0, d.err
	}
	return d.in.take(p, d.raw.Read)
}

// Write is tcp.Write.
func (d *direct) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	return d.out.take(p, d.raw.Write)
}

// way is one direction.
type way struct {
	sends bool
	more  bool                         // what is sent may leave with what follows
	step  func(fd uintptr) (done bool) // try, made once: it would be an allocation a call
	p     []byte
	n     int
	err   error
}

// take goes p's way, waiting where there is nothing to read, or no room, until the
// deadline in force.
func (w *way) take(p []byte, wait func(func(uintptr) bool) error) (int, error) {
	w.p, w.n, w.err = p, 0, nil
	err := wait(w.step)
	if w.p = nil; err == nil {
		err = w.err
	}
	return w.n, err
}

// try goes as far as it can at present; false says that it has to wait.
func (w *way) try(fd uintptr) bool {
	if w.sends {
		return w.send(fd)
	}
	return w.receive(fd)
}

// receive reads once; false says that nothing has come.
func (w *way) receive(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&w.p[0])), uintptr(len(w.p)), 0, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return false
		case errno != 0:
			w.err = &net.OpError{Op: "read", Net: "tcp", Err: errno}
		case n == 0:
			w.err = io.EOF
		default:
			w.n = int(n)
		}
		return true
	}
}

// send writes as much as there is room for; false says that some is left.
func (w *way) send(fd uintptr) bool {
	flags := uintptr(unix.MSG_NOSIGNAL)
	if w.more {
		flags |= unix.MSG_MORE
	}
	for w.n < len(w.p) {
		rest := w.p[w.n:min(len(w.p), w.n+directBytes)]
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&rest[0])), uintptr(len(rest)), flags, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return false
		case errno != 0:
			w.err = &net.OpError{Op: "write", Net: "tcp", Err: errno}
			return true
		default:
			w.n += int(n)
		}
	}
	return true
}

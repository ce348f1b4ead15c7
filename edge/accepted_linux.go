//go:build linux && !race

package edge

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// accepted is a client's socket as accept(2) gave it. Until it has to wait it is a mere
// descriptor: the runtime hears of it with the first read that finds nothing, or the
// first write that finds no room. To make an object of a connection, and to have it watched and
// then not any more, is a sixth of what it costs to answer it once and close it
// (docs/internals/performance.md). One goroutine reads and one writes at a time;
// everything else may be called by any.
type accepted struct {
	remote netip.AddrPort
	in     way
	out    way
	polled atomic.Pointer[polled] // nil: it has not had to wait

	mu      sync.Mutex // over what follows, which polled has once it is there
	fd      int        // -1: closed, or polled's
	readBy  time.Time
	writeBy time.Time
}

// polled is a socket that the runtime waits for.
type polled struct {
	file *os.File
	raw  syscall.RawConn
}

// accept makes it of a descriptor that does not block.
func (a *accepted) accept(fd int, remote netip.AddrPort) error {
	a.fd, a.remote, a.out.sends = fd, remote, true
	return nil
}

// Read is net.Conn's.
func (a *accepted) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return a.move(&a.in, b, &a.readBy)
}

// send writes. What is the last before Close may leave together with the end.
func (a *accepted) send(b []byte, last bool) (int, error) {
	a.out.more = last
	return a.move(&a.out, b, &a.writeBy)
}

// move goes b's way, waiting where it must until the deadline in force.
func (a *accepted) move(w *way, b []byte, by *time.Time) (int, error) {
	w.p, w.n, w.err = b, 0, nil
	p, done := a.first(w, by)
	if done {
		w.p = nil
		return w.n, w.err
	}
	var err error
	if w.sends {
		err = p.raw.Write(w.step)
	} else {
		err = p.raw.Read(w.step)
	}
	w.p = nil
	switch {
	case err == nil:
		return w.n, w.err
	case os.IsTimeout(err):
		return w.n, os.ErrDeadlineExceeded
	}
	return w.n, net.ErrClosed
}

// lock gives what waits; nil: nothing does yet, and a.mu is held.
func (a *accepted) lock() *polled {
	if p := a.polled.Load(); p != nil {
		return p
	}
	a.mu.Lock()
	p := a.polled.Load()
	if p != nil {
		a.mu.Unlock()
	}
	return p
}

// first tries without the runtime; where that is not enough it gives what waits.
func (a *accepted) first(w *way, by *time.Time) (p *polled, done bool) {
	if p = a.lock(); p != nil {
		return p, false
	}
	defer a.mu.Unlock()
	switch {
	case a.fd < 0:
		w.err = net.ErrClosed
	case !by.IsZero() && !time.Now().Before(*by):
		w.err = os.ErrDeadlineExceeded
	case !w.try(uintptr(a.fd)):
		return a.poll(), false
	}
	return nil, true
}

// poll hands the descriptor to the runtime. a.mu is held.
func (a *accepted) poll() *polled {
	p := &polled{file: os.NewFile(uintptr(a.fd), "")}
	p.raw, _ = p.file.SyscallConn() // fails of no file that is there
	a.fd = -1
	if !a.readBy.IsZero() {
		p.file.SetReadDeadline(a.readBy)
	}
	if !a.writeBy.IsZero() {
		p.file.SetWriteDeadline(a.writeBy)
	}
	a.in.step, a.out.step = a.in.try, a.out.try
	a.polled.Store(p)
	return p
}

// Close is net.Conn's.
func (a *accepted) Close() error {
	if p := a.lock(); p != nil {
		return p.file.Close()
	}
	defer a.mu.Unlock()
	if a.fd < 0 {
		return net.ErrClosed
	}
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(a.fd), 0, 0)
	a.fd = -1
	return nil
}

// control has f do something with the descriptor, unless it is closed.
func (a *accepted) control(f func(fd uintptr)) error {
	if p := a.lock(); p != nil {
		return p.raw.Control(f)
	}
	defer a.mu.Unlock()
	if a.fd < 0 {
		return net.ErrClosed
	}
	f(uintptr(a.fd))
	return nil
}

// reset closes so that the other end is told that nothing more is taken or given.
func (a *accepted) reset() error {
	a.control(func(fd uintptr) {
		unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
	return a.Close()
}

// CloseWrite ends what is sent.
func (a *accepted) CloseWrite() error {
	var err error
	if failed := a.control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) }); failed != nil {
		return failed
	}
	return err
}

// SetReadBuffer is net.TCPConn's.
func (a *accepted) SetReadBuffer(bytes int) error {
	var err error
	if failed := a.control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes) }); failed != nil {
		return failed
	}
	return err
}

// SetReadDeadline is net.Conn's.
func (a *accepted) SetReadDeadline(t time.Time) error {
	return a.until(&a.readBy, t, (*os.File).SetReadDeadline)
}

// SetWriteDeadline is net.Conn's.
func (a *accepted) SetWriteDeadline(t time.Time) error {
	return a.until(&a.writeBy, t, (*os.File).SetWriteDeadline)
}

func (a *accepted) until(by *time.Time, t time.Time, set func(*os.File, time.Time) error) error {
	if p := a.lock(); p != nil {
		return set(p.file, t)
	}
	defer a.mu.Unlock()
	*by = t
	return nil
}

// RemoteAddr is net.Conn's.
func (a *accepted) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(a.remote) }

// LocalAddr is net.Conn's. The kernel is asked each time.
func (a *accepted) LocalAddr() net.Addr {
	var at netip.AddrPort
	a.control(func(fd uintptr) {
		switch sa, _ := unix.Getsockname(int(fd)); sa := sa.(type) {
		case *unix.SockaddrInet4:
			at = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
		case *unix.SockaddrInet6:
			at = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
		}
	})
	return net.TCPAddrFromAddrPort(at)
}

// SyscallConn gives the socket, to ask the kernel about it.
func (a *accepted) SyscallConn() (syscall.RawConn, error) {
	if p := a.lock(); p != nil {
		return p.raw, nil
	}
	defer a.mu.Unlock()
	if a.fd < 0 {
		return nil, net.ErrClosed
	}
	return a.poll().raw, nil
}

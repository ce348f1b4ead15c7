package edge

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sieve accepts while orders are in force, or accepts are short. The standard library makes an
// object of every connection, asks the kernel for its ends and has it watched
// before anyone can say from whom it is. Here what is refused costs an accept,
// an option and a close; what stays costs a little more than usual. One
// goroutine accepts; close may come from any.
type sieve struct {
	tcp *net.TCPListener

	mu     sync.Mutex
	file   *os.File // the listening socket under a descriptor of its own; nil: at rest
	raw    syscall.RawConn
	closed bool
}

// begin makes ready to accept; false says that the usual way is to be taken.
func (s *sieve) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil || s.closed {
		return !s.closed
	}
	f, err := s.tcp.File()
	if err != nil {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return false
	}
	s.file, s.raw = f, raw
	return true
}

// rest gives the descriptor back once there are no orders any more.
func (s *sieve) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
		s.file, s.raw = nil, nil
	}
}

// close ends an accept that waits, and every later one.
func (s *sieve) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.rest()
}

// accept gives the next connection that is not refused.
func (s *sieve) accept(l *listener) (*net.TCPConn, error) {
	s.mu.Lock()
	raw := s.raw
	s.mu.Unlock()
	if raw == nil {
		return nil, net.ErrClosed
	}
	fd, failed := -1, error(nil)
	if err := raw.Read(func(from uintptr) (done bool) {
		fd, done, failed = sift(int(from), l)
		return done
	}); err != nil {
		return nil, net.ErrClosed
	}
	if failed != nil {
		return nil, failed
	}
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	tcp.SetKeepAlive(false) // as for all others
	return tcp, nil
}

// sift accepts until one may stay. Done is false when there is none at present.
func sift(from int, l *listener) (fd int, done bool, err error) {
	for {
		fd, addr, err := acceptOne(from)
		switch err {
		case 0:
		case unix.EAGAIN:
			return -1, false, nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		default:
			return -1, true, err
		}
		if !l.refuses(addr) {
			if !goneFrom(fd, l.secured) {
				return fd, true, nil
			}
			l.left(addr)
		}
		resetOne(fd)
	}
}

// acceptOne and resetOne ask the kernel without telling Go's scheduler, which holds for
// what never waits: a socket that does not block, and a close that throws away. Told, its
// monitor looked every 20 µs whether the call still took, and handed the processor on,
// for a quarter of what a refusal cost; and unix.Accept4 asks the kernel for each
// connection's protocol.
func acceptOne(from int) (fd int, peer netip.Addr, err unix.Errno) {
	var a unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(a))
	r, _, err := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(from), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if err != 0 {
		return -1, peer, err
	}
	switch a.Addr.Family {
	case unix.AF_INET:
		peer = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&a)).Addr)
	case unix.AF_INET6:
		peer = netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&a)).Addr).Unmap()
	}
	return int(r), peer, 0
}

func resetOne(fd int) {
	at := unix.Linger{Onoff: 1}
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&at)), unsafe.Sizeof(at), 0)
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// goneFrom says that the other end has closed, and there is nothing to answer. Without TLS
// that is whoever sent nothing; with it also who said something, since no handshake is
// over before the client has answered in turn.
func goneFrom(fd int, secured bool) bool {
	if secured {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 0)
		return n > 0
	}
	var one [1]byte
	n, _, err := unix.Recvfrom(fd, one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n == 0 && err == nil || err == unix.ECONNRESET
}

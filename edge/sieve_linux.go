package edge

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sieve accepts. The standard library makes an object of every connection, asks the
// kernel for its ends and has it watched before anyone can say from whom it is.
// Here what is refused costs an accept, an option and a close, and what stays is
// watched once it has to wait. One goroutine accepts; close may come from any.
type sieve struct {
	file *os.File // the listening socket under a descriptor of its own
	raw  syscall.RawConn
}

func newSieve(tcp *net.TCPListener) (sieve, error) {
	f, err := tcp.File()
	if err != nil {
		return sieve{}, err
	}
	raw, err := f.SyscallConn()
	if err == nil {
		// Every connection inherits it (tcp(7)): small answers are not to wait for larger ones.
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) })
		err = errors.Join(failed, err)
	}
	if err != nil {
		f.Close()
		return sieve{}, err
	}
	return sieve{f, raw}, nil
}

// close ends an accept that waits, and every later one.
func (s sieve) close() { s.file.Close() }

// accept gives the next connection that is not refused, in a.
func (s sieve) accept(l *listener, a *accepted) error {
	fd, from, failed := -1, netip.AddrPort{}, error(nil)
	if err := s.raw.Read(func(at uintptr) (done bool) {
		fd, from, done, failed = sift(int(at), l)
		return done
	}); err != nil {
		return net.ErrClosed
	}
	if failed != nil {
		return failed
	}
	return a.accept(fd, from)
}

// sift accepts until one may stay. Done is false when there is none at present.
func sift(at int, l *listener) (fd int, from netip.AddrPort, done bool, err error) {
	for {
		fd, from, err := acceptOne(at)
		switch err {
		case 0:
		case unix.EAGAIN:
			return -1, from, false, nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		default:
			return -1, from, true, err
		}
		if peer := from.Addr(); !l.refuses(peer) {
			if !l.conns.wary() || !goneFrom(fd, l.secured) {
				return fd, from, true, nil
			}
			l.left(peer)
		}
		resetOne(fd)
	}
}

// acceptOne and resetOne ask the kernel without telling Go's scheduler, which holds for
// what never waits: a socket that does not block, and a close that throws away. Told, its
// monitor looked every 20 µs whether the call still took, and handed the processor on,
// for a quarter of what a refusal cost; and unix.Accept4 asks the kernel for each
// connection's protocol.
func acceptOne(at int) (fd int, from netip.AddrPort, err unix.Errno) {
	var a unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(a))
	r, _, err := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(at), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if err != 0 {
		return -1, from, err
	}
	switch a.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a))
		from = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), hostOrder(sa.Port))
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a))
		from = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), hostOrder(sa.Port))
	}
	return int(r), from, 0
}

// hostOrder reads a port as the kernel writes it, its higher byte first.
func hostOrder(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
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

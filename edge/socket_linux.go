package edge

import (
	"net"
	"syscall"

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
func unsent(tcp *net.TCPConn) int {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	raw.Control(func(fd uintptr) {
		if v, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = v
		}
	})
	return n
}

// quiet says whether an idle connection is as it was left: open, and with
// nothing to read. raw is the connection's.
func quiet(raw syscall.RawConn) bool {
	ok := false
	err := raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ok = err == unix.EAGAIN
		return true
	})
	return err == nil && ok
}

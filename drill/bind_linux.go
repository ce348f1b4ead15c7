package drill

import "golang.org/x/sys/unix"

// bindLate sets what newFetcher's sockets want before they are bound. Without
// it fewer clients fit behind one address; that is all.
func bindLate(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}

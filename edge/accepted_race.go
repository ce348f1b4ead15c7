//go:build linux && race

package edge

import (
	"net"
	"net/netip"
	"os"
)

// accept makes it of a descriptor that does not block.
func (a *accepted) accept(fd int, _ netip.AddrPort) error {
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return err
	}
	tcp := c.(*net.TCPConn)
	tcp.SetKeepAlive(false) // every wait has a bound of its own
	a.of(tcp)
	return nil
}

//go:build !linux || race

package edge

import (
	"net"
	"net/netip"
)

// accepted is a client's socket, as the runtime has it: see direct.
type accepted struct {
	*net.TCPConn
	remote netip.AddrPort
}

// of takes it as the runtime has it.
func (a *accepted) of(tcp *net.TCPConn) {
	addr, _ := tcp.RemoteAddr().(*net.TCPAddr)
	at := addr.AddrPort()
	a.TCPConn, a.remote = tcp, netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

// send writes.
func (a *accepted) send(b []byte, _ bool) (int, error) { return a.Write(b) }

func (a *accepted) control(f func(fd uintptr)) error {
	raw, err := a.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(f)
}

// reset closes so that the other end is told that nothing more is taken or given.
func (a *accepted) reset() error {
	a.SetLinger(0)
	return a.Close()
}

package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// listener hands accepted connections to the standard server. A source under
// an order is refused here, before anything is read of it.
type listener struct {
	tcp     *net.TCPListener
	conns   *conns
	trusted func(netip.Addr) bool
	secured bool
	sieve   sieve
}

func listen(ctx context.Context, a listenAddr, set *conns, trusted func(netip.Addr) bool) (*listener, error) {
	// Keep-alive probes cost system calls at every accept; every wait has a
	// bound of its own here.
	c := net.ListenConfig{KeepAlive: -1}
	c.SetMultipathTCP(false) // clients of a site hardly speak it, and every accept would pay for it
	l, err := c.Listen(ctx, "tcp", a.addr)
	if err != nil {
		return nil, fmt.Errorf("edge: listen: %w", err)
	}
	tcp := l.(*net.TCPListener)
	return &listener{tcp: tcp, conns: set, trusted: trusted, secured: a.scheme == "https", sieve: sieve{tcp: tcp}}, nil
}

// Accept gives the next connection that may stay.
func (l *listener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.next()
		if err != nil {
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				l.conns.exhausted()
			}
			return nil, err
		}
		if c := l.admit(tcp); c != nil {
			return c, nil
		}
	}
}

// next accepts one; while orders are in force, through the sieve.
func (l *listener) next() (*net.TCPConn, error) {
	if l.conns.orders.held.Load() > 0 && l.sieve.begin() {
		return l.sieve.accept(l.refuses)
	}
	l.sieve.rest()
	return l.tcp.AcceptTCP()
}

// refuses says whether a source is under an order, and counts that it came.
func (l *listener) refuses(peer netip.Addr) bool {
	if l.trusted(peer) || !l.conns.orders.refuses(l.conns.now(), peer) {
		return false
	}
	l.conns.refused.Add(1)
	return true
}

func (l *listener) admit(tcp *net.TCPConn) *conn {
	addr, _ := tcp.RemoteAddr().(*net.TCPAddr)
	peer := addr.AddrPort().Addr().Unmap().WithZone("")
	if l.refuses(peer) {
		reset(tcp)
		return nil
	}
	c := newConn(tcp, l.conns, peer, l.trusted(peer))
	if !l.conns.add(c) {
		reset(tcp)
		return nil
	}
	return c
}

// Close stops accepting.
func (l *listener) Close() error {
	l.sieve.close()
	return l.tcp.Close()
}

// Addr is where it listens.
func (l *listener) Addr() net.Addr { return l.tcp.Addr() }

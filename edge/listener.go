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
}

func listen(ctx context.Context, a listenAddr, set *conns, trusted func(netip.Addr) bool) (*listener, error) {
	// Keep-alive probes cost system calls at every accept; every wait has a
	// bound of its own here.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", a.addr)
	if err != nil {
		return nil, fmt.Errorf("edge: listen: %w", err)
	}
	return &listener{tcp: l.(*net.TCPListener), conns: set, trusted: trusted, secured: a.scheme == "https"}, nil
}

// Accept gives the next connection that may stay.
func (l *listener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.tcp.AcceptTCP()
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

func (l *listener) admit(tcp *net.TCPConn) *conn {
	addr, _ := tcp.RemoteAddr().(*net.TCPAddr)
	peer := addr.AddrPort().Addr().Unmap().WithZone("")
	trusted := l.trusted(peer)
	if !trusted && l.conns.orders.refuses(l.conns.now(), peer) {
		l.conns.refused.Add(1)
		reset(tcp)
		return nil
	}
	c := newConn(tcp, l.conns, peer, trusted)
	if !l.conns.add(c) {
		reset(tcp)
		return nil
	}
	return c
}

// Close stops accepting.
func (l *listener) Close() error { return l.tcp.Close() }

// Addr is where it listens.
func (l *listener) Addr() net.Addr { return l.tcp.Addr() }

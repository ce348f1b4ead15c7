package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// listener gives accepted connections. A source under
// an order is refused here, before anything is read of it.
type listener struct {
	tcp     *net.TCPListener
	conns   *conns
	trusted func(netip.Addr) bool
	secured bool
	sieve   sieve

	malformed func(netip.Addr) // tells the engine
}

func listen(ctx context.Context, a listenAddr, set *conns, trusted func(netip.Addr) bool, malformed func(netip.Addr)) (*listener, error) {
	// Keep-alive probes cost system calls at every accept; every wait has a
	// bound of its own here.
	c := net.ListenConfig{KeepAlive: -1}
	c.SetMultipathTCP(false) // clients of a site hardly speak it, and every accept would pay for it
	l, err := c.Listen(ctx, "tcp", a.addr)
	if err != nil {
		return nil, fmt.Errorf("edge: listen: %w", err)
	}
	tcp := l.(*net.TCPListener)
	return &listener{tcp: tcp, conns: set, trusted: trusted, secured: a.scheme == "https", sieve: sieve{tcp: tcp}, malformed: malformed}, nil
}

// Accept gives the next connection that may stay.
func (l *listener) Accept() (net.Conn, error) {
	for {
		tcp, sifted, err := l.next()
		if err != nil {
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				l.conns.exhausted()
			}
			return nil, err
		}
		if c := l.admit(tcp, sifted); c != nil {
			return c, nil
		}
	}
}

// next accepts one; while orders are in force, or accepts are short, through the sieve.
func (l *listener) next() (tcp *net.TCPConn, sifted bool, err error) {
	if (l.conns.orders.held.Load() > 0 || l.conns.short(l.conns.now())) && l.sieve.begin() {
		tcp, err = l.sieve.accept(l)
		return tcp, true, err
	}
	l.sieve.rest()
	tcp, err = l.tcp.AcceptTCP()
	return tcp, false, err
}

// refuses says whether a source may not come in now, and counts that it came.
func (l *listener) refuses(peer netip.Addr) bool {
	now := l.conns.now()
	switch {
	case l.trusted(peer):
		return false
	case l.conns.orders.refuses(now, peer):
		l.conns.refused.Add(1)
	case l.conns.short(now) && l.conns.overdrawn(now, peer):
		l.conns.full.Add(1)
		l.conns.empties.refused.Add(1)
	default:
		return false
	}
	return true
}

// left notes that somebody connected and was gone before it was looked at.
func (l *listener) left(peer netip.Addr) {
	if l.trusted(peer) {
		return
	}
	l.conns.leftEmpty(peer, false)
	if l.conns.empty(peer) {
		l.malformed(peer)
	}
}

func (l *listener) admit(tcp *net.TCPConn, sifted bool) *conn {
	addr, _ := tcp.RemoteAddr().(*net.TCPAddr)
	peer := addr.AddrPort().Addr().Unmap().WithZone("")
	if !sifted && l.refuses(peer) {
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

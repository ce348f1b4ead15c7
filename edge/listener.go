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
	s, err := newSieve(tcp)
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("edge: listen: %w", err)
	}
	return &listener{tcp: tcp, conns: set, trusted: trusted, secured: a.scheme == "https", sieve: s, malformed: malformed}, nil
}

// Accept gives the next connection that may stay.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c := newConn(l.conns)
		if err := l.sieve.accept(l, &c.sock); err != nil {
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				l.conns.exhausted()
			}
			return nil, err
		}
		if c.from(c.sock.remote.Addr(), l.trusted); l.conns.add(c) {
			return c, nil
		}
		c.sock.reset()
	}
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

// Close stops accepting.
func (l *listener) Close() error {
	l.sieve.close()
	return l.tcp.Close()
}

// Addr is where it listens.
func (l *listener) Addr() net.Addr { return l.tcp.Addr() }

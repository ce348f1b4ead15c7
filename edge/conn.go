package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/deichproject/deich"
)

var errJudged = errors.New("edge: connection of a judged source")

// conn is a client's connection. It reads as its server expects and
// adds what that server has no word for: the stalling of judged sources, and a
// deadline for writes that moves with progress.
type conn struct {
	sock  accepted // what it is read from and written to
	set   *conns
	index int // in set.open, under set.mu; -1: not in it

	peer    netip.Addr // the other end
	trusted bool       // a configured proxy

	debtor uint64                 // it, to conns.debts
	framed atomic.Pointer[framed] // over it, where HTTP/2 is spoken; its frames

	fingerprint string // of its TLS client: written during the handshake, read after it

	announce *announced // what a PROXY protocol header said; nil where none is due

	greeted bool         // it was active before; of the server's goroutine
	owes    atomic.Bool  // a request began that has not come yet
	heard   atomic.Bool  // it sent anything
	left    atomic.Bool  // the other end ended it
	ended   atomic.Bool  // this end did, or time was up
	brought atomic.Bool  // a request
	turned  atomic.Bool  // its handshake was computed
	sentOn  atomic.Int32 // how often it was answered with the way to https

	waiting atomic.Int64 // deich.Time since which it waits for a request; 0: it has one
	judged  atomic.Bool
	closed  atomic.Bool

	shaking atomic.Bool // its handshake has its turn
	opening opening     // of its TLS client; of the goroutine that shakes hands

	outer   atomic.Int64 // a write deadline set from outside, Unix ns; 0: none
	stale   atomic.Bool  // the window's deadline was overwritten from outside
	window  time.Time    // until when the present write window lasts
	written atomic.Int64 // bytes handed to the kernel
	acked   int64        // of them, taken by the client when the window began

	look    deich.Time // when it was last looked at whether the answer before is taken; of conns.tick
	lookFor int64      // waiting, then
	held    int        // what the kernel held, then
}

func newConn(set *conns) *conn { return &conn{set: set, index: -1} }

// from says who the other end is, once it is accepted.
func (c *conn) from(peer netip.Addr, trusted func(netip.Addr) bool) {
	c.peer, c.trusted, c.debtor = peer, trusted(peer), c.set.debts.debtor(peer)
	if c.trusted && c.set.proxy {
		c.announce = new(announced)
	}
	c.waited(c.set.now())
}

// connKey finds the conn in a request's context.
type connKey struct{}

// connOf gives the connection that r came by; nil where it came by none of ours.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

func withConn(ctx context.Context, c *conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// unwrap finds the conn below TLS.
func unwrap(nc net.Conn) *conn {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

// Read gives what the client sent. For a judged source it ends: what is then
// closed is left open and unread for a while, see Close.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.receive(p)
	if n > 0 && !c.opening.over {
		if err := c.opens(p[:n]); err != nil {
			return 0, err
		}
	}
	return n, err
}

func (c *conn) receive(p []byte) (int, error) {
	if c.announce != nil {
		n, err := c.announce.read(&c.sock, p)
		if errors.Is(err, errProxyHeader) {
			c.set.silentBy.Store(&c.peer)
			c.set.silent.Add(1)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	n, err := c.sock.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	c.notice(err)
	if c.judged.Load() {
		return 0, io.EOF
	}
	if n > 0 && !c.trusted && c.set.orders.refuses(c.set.now(), c.peer) {
		c.judged.Store(true)
		return 0, io.EOF
	}
	return n, err
}

// Write hands p to the client. It may take as long as it takes, as long as the
// client takes writeLeast in every writeWindow.
func (c *conn) Write(p []byte) (int, error) { return c.write(p, false) }

// WriteLast is Write for what is followed by Close: its end may leave with that of the
// connection, in one segment.
func (c *conn) WriteLast(p []byte) (int, error) { return c.write(p, true) }

func (c *conn) write(p []byte, last bool) (int, error) {
	if c.judged.Load() {
		return 0, errJudged
	}
	if c.shaking.Load() {
		if err := c.asked(p); err != nil {
			return 0, err
		}
		c.shaken()
	}
	if now := time.Now(); c.window.Sub(now) < writeWindow || c.stale.Load() {
		c.stale.Store(false)
		c.openWindow(now)
	}
	n, err := c.sock.send(p, last)
	for n < len(p) && errors.Is(err, os.ErrDeadlineExceeded) && c.progressed(n) {
		var m int
		m, err = c.sock.send(p[n:], last)
		n += m
	}
	c.written.Add(int64(n))
	c.notice(err)
	return n, err
}

// notice takes from an error which end has ended the connection.
func (c *conn) notice(err error) {
	switch {
	case err == nil:
	case err == io.EOF, errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		c.left.Store(true)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
		c.ended.Store(true)
	}
}

// leftBy says, once nc over c is closed, whether the client has left it: below TLS, or
// after the handshake with a word of its own. One that did not like the certificate has none.
func (c *conn) leftBy(nc net.Conn) bool {
	if c.left.Load() {
		return true
	}
	t, secured := nc.(interface{ ConnectionState() tls.ConnectionState })
	return secured && !c.ended.Load() && t.ConnectionState().HandshakeComplete
}

func (c *conn) openWindow(now time.Time) {
	c.window = now.Add(writeWindow + writeSlack)
	deadline := c.window
	if outer := c.outer.Load(); outer != 0 && outer < deadline.UnixNano() {
		deadline = time.Unix(0, outer)
	}
	c.sock.SetWriteDeadline(deadline)
}

// progressed says, at the end of a window in the middle of a write, whether the
// client took enough to be given another one. What the kernel still holds was
// not taken: its buffer can be larger than what a slow client reads in minutes.
func (c *conn) progressed(n int) bool {
	now := time.Now()
	if outer := c.outer.Load(); outer != 0 && outer <= now.UnixNano() {
		return false
	}
	acked := c.moved() + int64(n)
	if acked-c.acked < writeLeast {
		c.set.slow.Add(1)
		return false
	}
	c.acked = acked
	c.openWindow(now)
	return true
}

// moved is how much the client has taken of what was handed to the kernel.
func (c *conn) moved() int64 { return c.written.Load() - int64(c.sock.unsent()) }

// lookDue says whether it is time to look at whether a connection that waits for
// its next request has taken the answer to the last one. One that has is not looked
// at again until it had another.
func (c *conn) lookDue(now deich.Time) bool {
	since := c.waiting.Load()
	if since == 0 {
		return false
	}
	if since != c.lookFor {
		return now.Sub(deich.Time(since)) >= lookAfter
	}
	return c.held > 0 && now.Sub(c.look) >= writeWindow
}

// leavesIt looks; true says that the client takes less of the answer than it must.
func (c *conn) leavesIt(now deich.Time) bool {
	since, before := c.waiting.Load(), c.held
	first := since != c.lookFor
	c.look, c.lookFor, c.held = now, since, c.sock.unsent()
	return !first && c.held > 0 && before-c.held < writeLeast
}

// Close closes; a judged source's connection is left open and unread until its
// time is up, where there is room for it.
func (c *conn) Close() error {
	c.shaken()
	if !c.closed.CompareAndSwap(false, true) {
		return nil
	}
	if !c.judged.Load() {
		c.set.remove(c)
		return c.sock.Close()
	}
	c.sock.SetReadDeadline(time.Unix(1, 0)) // ends the server's own read
	c.sock.SetReadBuffer(stalledBuffer)
	c.working()
	if c.set.stalled.park(c.set.now(), c) {
		return nil
	}
	c.set.remove(c)
	return c.sock.reset()
}

// judge ends the connection from within: nothing more is read or written, and
// closing it stalls it.
func (c *conn) judge() {
	c.judged.Store(true)
	c.sock.SetReadDeadline(time.Unix(1, 0))
}

// source is who the connection is from, as far as the connection itself tells.
func (c *conn) source() netip.Addr {
	if c.announce != nil && c.announce.client.IsValid() {
		return c.announce.client
	}
	return c.peer
}

// abort resets the connection at once, from any goroutine.
func (c *conn) abort() {
	c.closed.Store(true)
	c.sock.reset()
}

// CloseWrite ends what is sent, and leaves reading open.
func (c *conn) CloseWrite() error { return c.sock.CloseWrite() }

// LocalAddr gives this end.
func (c *conn) LocalAddr() net.Addr { return c.sock.LocalAddr() }

// RemoteAddr gives the other end, which may be a proxy.
func (c *conn) RemoteAddr() net.Addr { return c.sock.RemoteAddr() }

// SyscallConn gives the socket, to ask the kernel about it.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return c.sock.SyscallConn() }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline for reads. On a stalled connection none is lifted.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.judged.Load() && c.closed.Load() {
		return nil
	}
	return c.sock.SetReadDeadline(t)
}

// SetWriteDeadline sets a deadline beside the one that moves with progress; the
// earlier one counts.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.outer.Store(0)
		return nil
	}
	c.outer.Store(t.UnixNano())
	c.stale.Store(true)
	return c.sock.SetWriteDeadline(t)
}

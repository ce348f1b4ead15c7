//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// plan is what a loop of clients does.
type plan struct {
	ctx         context.Context // ends it early
	to          netip.AddrPort
	sources     []netip.Addr // connection i comes from sources[i % len]
	request     []byte
	connections int
	rate        float64 // requests a second; 0: each connection asks as soon as it was answered
	each        bool    // a connection for each request; else connections are kept
	warm        time.Duration
	measure     time.Duration
	// beside is asked meanwhile, paced, by the same thread; nil: nothing is. Of it,
	// only whom, what and how often is looked at.
	beside *plan
	// warmUntil may end the warming later than warm says; nil: it does not.
	warmUntil func(*tally) bool
	// begin and end are called when what counts begins and ends.
	begin, end func() error
}

// loop is one thread of clients over epoll. It counts what they really got.
type loop struct {
	plan
	epoll   int
	clients []*client
	idle    []*client
	beside  *loop // nil: nothing is asked beside
	asked   int   // what was due since it began to ask
	swept   time.Time
	tally   tally
	total   int
	scratch []byte
}

// run does what the plan says, and ends when its time is over.
func (p plan) run() (*tally, error) {
	l, err := newLoop(p)
	if err != nil {
		return nil, err
	}
	defer l.close()
	if p.beside != nil {
		other := *p.beside
		other.ctx = p.ctx
		if l.beside, err = newLoop(other); err != nil {
			return nil, err
		}
		defer l.beside.close()
		l.tally.beside = &l.beside.tally
	}
	if err := l.spend(p.warm, p.warmUntil); err != nil {
		return nil, err
	}
	l.tally.reset()
	if l.beside != nil {
		l.beside.tally.reset()
	}
	if err := p.begin(); err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := l.spend(p.measure, nil); err != nil {
		return nil, err
	}
	l.tally.took = time.Since(begun)
	return &l.tally, p.end()
}

func newLoop(p plan) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l := &loop{plan: p, epoll: epoll, scratch: make([]byte, answerMax)}
	l.tally.reset()
	for i := range p.connections {
		c := &client{loop: l, fd: -1, source: p.sources[i%len(p.sources)], index: i}
		l.clients = append(l.clients, c)
		l.idle = append(l.idle, c)
	}
	return l, nil
}

func (l *loop) close() {
	for _, c := range l.clients {
		c.hangUp()
	}
	unix.Close(l.epoll)
}

// spend runs for the given time, and until the condition holds.
func (l *loop) spend(d time.Duration, until func(*tally) bool) error {
	events := make([]unix.EpollEvent, 256)
	begun := time.Now()
	l.from(begun)
	if l.beside != nil {
		l.beside.from(begun)
	}
	for {
		now := time.Now()
		spent := now.Sub(begun)
		if spent >= d && (until == nil || until(&l.tally)) {
			return nil
		}
		if err := l.ctx.Err(); err != nil {
			return err
		}
		if spent > d+orderWithin {
			return fmt.Errorf("after %s what was to be measured had not begun: %v", spent.Round(time.Second), l.tally.outcomes)
		}
		if err := l.turn(now, begun, events); err != nil {
			return err
		}
		if l.beside != nil {
			if err := l.beside.turn(time.Now(), begun, events); err != nil {
				return err
			}
		}
	}
}

// from begins to ask anew.
func (l *loop) from(begun time.Time) { l.asked, l.swept = 0, begun }

// turn asks what is due and takes what was answered.
func (l *loop) turn(now, begun time.Time, events []unix.EpollEvent) error {
	if l.total > requestsMax {
		return errors.New("more requests than requestsMax")
	}
	if l.rate == 0 {
		for len(l.idle) > 0 {
			l.ask(now)
		}
	} else {
		for due := int(l.rate * now.Sub(begun).Seconds()); l.asked < due; l.asked++ {
			l.askPaced(begun.Add(time.Duration(float64(l.asked) / l.rate * float64(time.Second))))
		}
	}
	if now.Sub(l.swept) > 50*time.Millisecond {
		l.sweep(now)
		l.swept = now
	}
	wait := 0 // paced: the next request is due in no time, and this core is ours
	if l.rate == 0 && l.beside == nil {
		wait = 10
	}
	n, err := unix.EpollWait(l.epoll, events, wait)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range events[:max(n, 0)] {
		l.clients[e.Fd].ready()
	}
	return nil
}

// askPaced sends what is due, or counts that all connections were busy.
func (l *loop) askPaced(due time.Time) {
	if len(l.idle) == 0 {
		l.tally.held++
		return
	}
	l.ask(due)
}

func (l *loop) ask(due time.Time) {
	last := len(l.idle) - 1
	c := l.idle[0]
	copy(l.idle, l.idle[1:]) // in turn, so that every connection is used
	l.idle = l.idle[:last]
	l.total++
	c.ask(due)
}

// sweep ends what has waited too long.
func (l *loop) sweep(now time.Time) {
	for _, c := range l.clients {
		if c.busy && now.Sub(c.asked) > patience {
			c.over(outcomeLate)
		}
	}
}

// client is one connection at a time.
type client struct {
	loop   *loop
	index  int
	source netip.Addr
	fd     int // -1: none
	open   bool
	fresh  bool // this request is the connection's first
	sent   int
	busy   bool
	asked  time.Time // when it was due
	buf    []byte
}

func (c *client) ask(due time.Time) {
	c.busy, c.asked, c.sent, c.buf = true, due, 0, c.buf[:0]
	if c.fd < 0 {
		if err := c.dial(); err != nil {
			c.over(outcomeOf(err))
			return
		}
	}
	c.send()
}

func (c *client) dial() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: c.source.As4()})
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: c.loop.to.Addr().As4(), Port: int(c.loop.to.Port())})
	}
	if err == nil || err == unix.EINPROGRESS {
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(c.index)}
		err = unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_ADD, fd, &e)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	c.fd, c.open, c.fresh = fd, false, true
	return nil
}

// send writes what is left of the request, as far as the kernel takes it.
func (c *client) send() {
	for c.sent < len(c.loop.request) {
		n, err := unix.Write(c.fd, c.loop.request[c.sent:])
		if err == unix.EAGAIN || err == unix.ENOTCONN {
			return
		}
		if err != nil {
			c.over(outcomeOf(err))
			return
		}
		c.open = true
		c.sent += n
	}
}

// ready goes on after the kernel had news of the connection.
func (c *client) ready() {
	if c.fd < 0 {
		return
	}
	if c.busy && c.sent < len(c.loop.request) {
		if c.send(); c.fd < 0 {
			return
		}
	}
	for {
		n, err := unix.Read(c.fd, c.loop.scratch)
		if err == unix.EAGAIN || err == unix.ENOTCONN {
			return
		}
		if err != nil {
			c.over(outcomeOf(err))
			return
		}
		if n == 0 {
			c.ended()
			return
		}
		c.buf = append(c.buf, c.loop.scratch[:n]...)
		if c.look(); c.fd < 0 || !c.busy {
			return
		}
	}
}

// look asks whether the answer is whole.
func (c *client) look() {
	a, err := readAnswer(c.buf)
	if err != nil || !c.busy {
		c.over(outcomeBroken)
		return
	}
	if a.size == 0 {
		return
	}
	if c.loop.each || a.closes {
		c.hangUp()
	}
	c.finished(statusText(a.status))
}

// ended is told that the other end closed.
func (c *client) ended() {
	a, err := readAnswer(c.buf)
	switch {
	case !c.busy:
		c.hangUp()
	case err == nil && a.toEnd:
		c.hangUp()
		c.finished(statusText(a.status))
	default:
		c.over(outcomeClosed)
	}
}

// over ends the request without an answer, and the connection with it.
func (c *client) over(what string) {
	c.hangUp()
	if c.busy {
		c.finished(what)
	}
}

func (c *client) finished(what string) {
	c.busy, c.fresh = false, false
	l := c.loop
	l.tally.count(what, time.Since(c.asked))
	l.idle = append(l.idle, c)
}

func (c *client) hangUp() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

func outcomeOf(err error) string {
	switch err {
	case unix.ECONNRESET, unix.EPIPE, unix.ECONNABORTED:
		return outcomeReset
	case unix.ECONNREFUSED:
		return outcomeRefused
	}
	return "error: " + err.Error()
}

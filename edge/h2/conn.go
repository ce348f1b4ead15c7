package h2

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
)

var (
	errReset = errors.New("h2: the client reset the stream")
	errGone  = errors.New("h2: the client's connection is gone")
	errEnded = errors.New("h2: the stream has ended")
)

// broken is an error of the whole connection, as the client is told it.
type broken struct {
	code Code
	why  string
}

func (e *broken) Error() string { return fmt.Sprintf("h2: %s (code %d)", e.why, e.code) }

// conn is a client's connection. What stands above mu is its reader's alone.
type conn struct {
	server *Server
	nc     net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	tls    *tls.ConnectionState
	remote string
	hook   func(http.ConnState)

	in    *bufio.Reader
	dec   *hpack.Decoder
	block block // the header block that is being read
	names map[string]string

	mu      sync.Mutex
	err     error // it is over
	failed  bool  // nothing can be written any more
	streams map[uint32]*stream
	last    uint32    // the highest stream the client opened
	running int       // handlers
	waiting []*stream // for a handler
	resets  [resetsKept]uint32
	reset   int // the next place there

	out     []byte    // to be written
	replied int       // of that, what the client's own frames called for
	spare   []byte    // was
	writing bool      // somebody writes, and takes what comes along
	sized   bool      // the client was told that no table is used
	acked   bool      // it has seen the SETTINGS
	window  int64     // what it takes of all bodies
	initial int64     // of one, at first
	line    []*stream // have something to send, and wait for a window or for room
	full    []*stream // have a header, and wait for room
	recv    int64     // what it may still send
	credit  int64     // beyond it, and not told yet
	parting bool      // it was asked to open nothing more
	deaf    bool      // what it opens is not looked at any more
	closing bool      // it is to close once nothing is open

	idle      *time.Timer // nil: no limit
	idleSince time.Time
	idleSet   bool
}

func newConn(s *Server, ctx context.Context, nc net.Conn, state *tls.ConnectionState, hook func(http.ConnState)) *conn {
	c := &conn{
		server: s, nc: nc, tls: state, hook: hook, remote: nc.RemoteAddr().String(),
		in: bufio.NewReaderSize(nc, readBuffer), names: make(map[string]string),
		streams: make(map[uint32]*stream), window: windowFirst, initial: windowFirst,
		recv: windowBytes,
	}
	c.ctx, c.cancel = context.WithCancel(context.WithValue(ctx, http.LocalAddrContextKey, nc.LocalAddr()))
	c.dec = hpack.NewDecoder(4096, c.field)
	c.dec.SetMaxStringLength(c.stringMost())
	c.grow() // whatever is said comes after this
	c.out = appendHead(c.out, 3*6, FrameSettings, 0, 0)
	c.out = appendSetting(c.out, settingStreams, uint32(s.StreamsMax))
	c.out = appendSetting(c.out, settingHeaderList, uint32(c.headerMost()))
	c.out = appendSetting(c.out, settingWindow, windowBytes)
	c.out = appendHead(c.out, 4, FrameWindowUpdate, 0, 0)
	c.out = appendU32(c.out, windowBytes-windowFirst)
	return c
}

// headerMost is how large a header may be, counted as RFC 9113, 6.5.2 does.
func (c *conn) headerMost() int { return c.server.HeaderBytes + 10*32 }

// stringMost is how long a name or a value can be that a header block has room for, as
// a character takes five bits at least (RFC 7541, B): such a one makes its header too
// long, and nothing else. One that is announced as longer ends the connection unread.
func (c *conn) stringMost() int { return blockMost * c.headerMost() * 8 / 5 }

func (c *conn) serve() {
	err := c.greet()
	for err == nil {
		err = c.next()
	}
	c.mu.Lock()
	over := c.over()
	c.mu.Unlock()
	c.end(errGone)
	if told := (*broken)(nil); errors.As(err, &told) {
		c.sayError(told.code)
	} else if over {
		c.linger()
	}
	c.nc.Close()
}

// greet exchanges what a connection begins with.
func (c *conn) greet() error {
	if s := c.tls; s != nil && s.Version < tls.VersionTLS13 && !adequate(s) {
		return &broken{CodeInadequate, "TLS is too weak (RFC 9113, 9.2)"}
	}
	late := time.AfterFunc(greetWithin, func() { c.nc.Close() })
	defer late.Stop()
	c.mu.Lock()
	c.push(false)
	c.mu.Unlock()

	b, err := c.in.Peek(len(Preface))
	if err != nil {
		return err
	}
	if string(b) != Preface {
		return &broken{CodeProtocol, "no preface"}
	}
	c.in.Discard(len(Preface))
	if b, err = c.in.Peek(HeadBytes); err != nil {
		return err
	}
	if h := parseHead(b); h.kind != FrameSettings || h.has(FlagAck) {
		return &broken{CodeProtocol, "no SETTINGS at first"}
	}
	if err := c.next(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hook(http.StateActive) // the greeting, which is no request
	c.rests()
	return nil
}

// adequate says whether a connection of TLS 1.2 has forward secrecy and an AEAD.
func adequate(s *tls.ConnectionState) bool {
	switch s.CipherSuite {
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return s.Version == tls.VersionTLS12
	}
	return false
}

// rests notes that no stream is open. c.mu is held.
func (c *conn) rests() {
	c.hook(http.StateIdle)
	if c.deaf {
		c.bye()
		return
	}
	if c.server.Idle <= 0 || c.err != nil {
		return
	}
	c.idleSince = time.Now()
	switch {
	case c.idle == nil:
		c.idle = time.AfterFunc(c.server.Idle, c.idled)
	case !c.idleSet:
		c.idle.Reset(c.server.Idle)
	}
	c.idleSet = true
}

// idled ends the connection if it has had no stream for as long as it may.
func (c *conn) idled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idleSet = false
	if len(c.streams) > 0 || c.err != nil {
		return
	}
	if left := c.server.Idle - time.Since(c.idleSince); left > 0 {
		c.idle.Reset(left)
		c.idleSet = true
		return
	}
	c.bye()
}

// part asks the client to open nothing more. c.mu is held.
func (c *conn) part() {
	if c.parting || c.err != nil {
		return
	}
	c.parting = true
	c.sayGoAway(1<<31-1, CodeNone) // what is under way is still looked at (RFC 9113, 6.8)
	c.aside()
	time.AfterFunc(partFor, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bye()
	})
}

// bye takes no more streams, and has the connection closed once none is open and
// all is written. c.mu is held.
func (c *conn) bye() {
	if c.err != nil {
		return
	}
	if !c.deaf {
		c.deaf = true
		c.sayGoAway(c.last, CodeNone)
	}
	c.closing = true
	c.aside()
	c.closed()
}

// over says that the connection is to close, and everything is answered and
// written. c.mu is held.
func (c *conn) over() bool {
	return c.err == nil && c.closing && len(c.streams) == 0 && len(c.out) == 0 && !c.writing
}

// closed ends the reader, and with it the connection, if it is to close and can.
// c.mu is held.
func (c *conn) closed() {
	if c.over() {
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// sayGoAway appends a GOAWAY. c.mu is held.
func (c *conn) sayGoAway(last uint32, code Code) {
	c.reply(8, FrameGoAway, 0, 0)
	c.out = appendU32(c.out, last)
	c.out = appendU32(c.out, uint32(code))
}

// sayError tells the client of an error of the connection, which has ended for
// everybody else. Where somebody writes already it is they who do.
func (c *conn) sayError(code Code) {
	c.mu.Lock()
	c.sayGoAway(c.last, code)
	c.nc.SetWriteDeadline(time.Now().Add(lingerFor))
	c.push(false)
	c.mu.Unlock()
	c.linger()
}

// linger reads on until the client has closed, for a moment: what is unread as a
// connection closes, and what comes afterwards, takes back what the client has not
// read yet.
func (c *conn) linger() {
	c.mu.Lock()
	writing := c.writing
	c.mu.Unlock()
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && !writing {
		half.CloseWrite()
	}
	end := time.Now().Add(lingerMost)
	for b, n := make([]byte, readBuffer), 0; n < lingerBytes; {
		until := time.Now().Add(lingerFor)
		if until.After(end) {
			until = end
		}
		c.nc.SetReadDeadline(until)
		m, err := c.nc.Read(b)
		if err != nil {
			return
		}
		n += m
	}
}

// end takes everything off the connection. Handlers that run are told.
func (c *conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	if c.idle != nil {
		c.idle.Stop()
	}
	for _, st := range c.streams {
		st.lose(c.err)
	}
	clear(c.streams)
	c.waiting = nil
	c.line = nil
	c.cancel()
}

// grow readies c.out. c.mu is held.
func (c *conn) grow() {
	if c.out == nil {
		c.out = *outPool.Get().(*[]byte)
	}
}

var outPool = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

func recycle(b []byte) {
	if b != nil && cap(b) <= outKept {
		b = b[:0]
		outPool.Put(&b)
	}
}

// reply appends the head of a frame that a client's own called for; n bytes
// follow. c.mu is held.
func (c *conn) reply(n int, kind, flags byte, id uint32) {
	c.grow()
	c.replied += HeadBytes + n
	c.out = appendHead(c.out, n, kind, flags, id)
}

// writes says whether its caller is to write what is ready, and not somebody who
// does so already. c.mu is held.
func (c *conn) writes() bool {
	if c.writing && c.replied > replyMost {
		c.fails(errGone) // it sends what has to be answered and does not read
	}
	if c.writing || len(c.out) == 0 {
		return false
	}
	c.writing = true
	return true
}

// push writes what is ready, and what others have ready by then: at once, or
// soon, once the goroutines that are ready have run. Where somebody writes already it
// leaves that to them. c.mu is held, and let go meanwhile.
func (c *conn) push(soon bool) {
	if !c.writes() {
		return
	}
	if soon {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.write(writesMost)
}

// write writes until nothing is ready, or so often; then a goroutine goes on, as who
// called has something else to do. c.writing is set. c.mu is held, and let go meanwhile.
func (c *conn) write(times int) {
	for len(c.out) > 0 && !c.failed {
		if times == 0 {
			go c.writeOn()
			return
		}
		times--
		b := c.out
		c.out, c.spare, c.replied = c.spare, nil, 0
		c.ahead()
		for _, st := range c.full {
			signal(st.wake)
		}
		c.mu.Unlock()
		_, err := c.nc.Write(b)
		c.mu.Lock()
		if c.spare == nil && cap(b) <= outKept {
			c.spare = b[:0]
		}
		if err != nil {
			c.fails(err)
		}
	}
	recycle(c.out)
	recycle(c.spare)
	c.out, c.spare, c.replied = nil, nil, 0
	c.writing = false
	c.closed()
}

// writeOn is write for a goroutine that does nothing else.
func (c *conn) writeOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(-1)
}

// fails notes that nothing can be written any more: the reader ends, and all with
// it. c.mu is held.
func (c *conn) fails(err error) {
	c.failed = true
	if c.err == nil {
		c.err = err
		for _, st := range c.streams {
			st.lose(err)
		}
		c.line = nil
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// aside has what is ready written by somebody else: its caller must not wait for
// the client. c.mu is held.
func (c *conn) aside() {
	if c.writes() {
		go c.writeOn()
	}
}

// ahead lets the first that waits in line go on, where there is room for it.
// Whoever went on calls it again. c.mu is held.
func (c *conn) ahead() {
	if len(c.line) > 0 && c.window > 0 && len(c.out) < outMost {
		st := c.line[0]
		c.line = slices.Delete(c.line, 0, 1)
		st.turn = true
		signal(st.wake)
	}
}

// read notes that a handler has read so much of a body. c.mu is held.
func (c *conn) read(st *stream, n int) {
	told := false
	if c.credit += int64(n); c.credit >= creditBytes {
		c.sayWindow(0, &c.recv, &c.credit)
		told = true
	}
	if st != nil && !st.remote && st.err == nil {
		if st.credit += int64(n); st.credit >= creditBytes {
			c.sayWindow(st.id, &st.recv, &st.credit)
			told = true
		}
	}
	if told {
		c.aside()
	}
}

func (c *conn) sayWindow(id uint32, recv, credit *int64) {
	c.reply(4, FrameWindowUpdate, 0, id)
	c.out = appendU32(c.out, uint32(*credit))
	*recv += *credit
	*credit = 0
}

// sayReset appends a RST_STREAM and remembers it. c.mu is held.
func (c *conn) sayReset(id uint32, code Code) {
	c.reply(4, FrameRSTStream, 0, id)
	c.out = appendU32(c.out, uint32(code))
	c.resets[c.reset] = id
	c.reset = (c.reset + 1) % resetsKept
}

// remove forgets a stream. c.mu is held.
func (c *conn) remove(st *stream) {
	if c.streams[st.id] != st {
		return
	}
	delete(c.streams, st.id)
	c.line = without(c.line, st)
	c.waiting = without(c.waiting, st)
	if n := len(st.data) - st.from; n > 0 {
		st.data, st.from, st.cut = nil, 0, true
		c.read(nil, n)
	}
	if len(c.streams) == 0 && c.err == nil {
		c.rests()
	}
}

// without takes a stream out of several.
func without(all []*stream, st *stream) []*stream {
	if i := slices.Index(all, st); i >= 0 {
		return slices.Delete(all, i, i+1)
	}
	return all
}

// signal wakes who waits, now or next.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// wait waits for a signal, or until a time; zero: for ever. c.mu is held, and let
// go meanwhile.
func (c *conn) wait(wake chan struct{}, until time.Time) {
	c.mu.Unlock()
	defer c.mu.Lock()
	if until.IsZero() {
		<-wake
		return
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-wake:
	case <-t.C:
	}
}

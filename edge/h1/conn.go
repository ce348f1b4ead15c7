package h1

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What a connection is at.
const (
	stateFresh  int32 = iota // nothing has come yet
	stateIdle                // it waits for its next request
	stateActive              // it has one
	stateClosed              // it was closed by Drain
)

// conn is a client's connection. What stands above mu is its goroutine's, unless said.
type conn struct {
	server *Server
	nc     net.Conn
	ctx    context.Context
	tls    *tls.ConnectionState
	remote string
	hook   func(http.ConnState)
	begun  time.Time

	in     *bufio.Reader
	room   int64       // how much may be read
	keeps  bool        // what is read goes to header, too
	header []byte      // of the present request, where it did not come at once
	posted bool        // the request before was a POST
	spare  http.Header // of the answer before, empty; nil: none
	taken  bool        // by a handler

	state atomic.Int32
	due   atomic.Int64 // until when reads may wait, Unix ns; 0: for ever; dueUnknown: a handler has set it
	late  atomic.Bool  // a handler has set a deadline for writes
	armed atomic.Bool  // the kernel is asked about it, or cannot tell
	raw   syscall.RawConn
	watch uint64 // its number at the watcher, under server.mu

	mu      sync.Mutex
	serving *exchange
	hup     bool // the client will send nothing more
	broken  bool // nor take anything
}

const dueUnknown = -1

// Read reads for in. Whoever waits for an answer has left where it fails.
func (c *conn) Read(p []byte) (int, error) {
	if c.room <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > c.room {
		p = p[:c.room]
	}
	n, err := c.nc.Read(p)
	c.room -= int64(n)
	if c.keeps {
		c.header = append(c.header, p[:n]...)
	}
	if err != nil {
		c.mu.Lock()
		x := c.serving
		c.mu.Unlock()
		if x != nil {
			x.end()
		}
	}
	return n, err
}

// Write writes to the client.
func (c *conn) Write(p []byte) (int, error) { return c.nc.Write(p) }

// serve answers one request after the other.
func (c *conn) serve() {
	s := c.server
	var ok bool
	if c.in, ok = s.readers.Get().(*bufio.Reader); !ok {
		c.in = bufio.NewReaderSize(nil, readBuffer)
	}
	c.in.Reset(c)
	if c.ctx.Done() != nil {
		defer context.AfterFunc(c.ctx, func() { c.gone(true) })()
	}
	linger := false
	defer func() { c.close(linger) }() // a handler may end its goroutine
	for {
		r, err := c.next()
		if err == errGone {
			return
		}
		if err != nil {
			linger = c.refuse(err)
			return
		}
		var again bool
		if again, linger = c.answer(r); !again || !c.rests() {
			return
		}
	}
}

// close ends the connection, unless a handler has it.
func (c *conn) close(linger bool) {
	if c.taken {
		return
	}
	c.in.Reset(nil)
	c.server.readers.Put(c.in)
	c.in = nil
	if linger {
		c.linger()
	}
	c.server.leave(c)
	c.nc.Close()
}

// answer has a request answered. again says that there may be another, linger that the
// client may still be sending what nobody will read.
func (c *conn) answer(r *http.Request) (again, linger bool) {
	x := newExchange(c, r)
	c.mu.Lock()
	c.serving = x
	c.mu.Unlock()
	whole := c.handle(x)
	c.mu.Lock()
	c.serving = nil
	c.mu.Unlock()
	if c.taken {
		return false, false
	}
	if whole {
		x.body.spare()
		again = x.finish()
		linger = !again && x.failed == nil && !x.body.whole()
	} else {
		c.nc.SetReadDeadline(time.Unix(1, 0)) // for who still reads its body
	}
	x.body.Close()
	x.release()
	if again && c.server.LetsGo {
		if len(x.header) <= fieldsKept {
			c.spare = x.header
			clear(c.spare)
		}
		x.header = nil
	}
	if c.late.Swap(false) {
		c.nc.SetWriteDeadline(time.Time{})
	}
	return again, linger
}

// handle calls the handler; false says that it panicked.
func (c *conn) handle(x *exchange) (whole bool) {
	defer func() {
		if !whole {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				c.server.logf("h1: a handler's panic, for %s: %v\n%s", c.remote, p, debug.Stack())
			}
		}
		x.life.end()
	}()
	if x.unmet {
		x.header["Connection"] = []string{"close"}
		x.WriteHeader(http.StatusExpectationFailed)
	} else {
		c.server.Handler.ServeHTTP(x, x.r)
	}
	return true
}

// rests waits for the next request; false says that there is none.
func (c *conn) rests() bool {
	c.state.Store(stateIdle)
	c.hook(http.StateIdle)
	if c.server.draining.Load() {
		return false
	}
	c.room = math.MaxInt64
	if c.in.Buffered() < 4 {
		c.idles()
	}
	// Four bytes, as an empty line may stand between two requests and is none.
	_, err := c.in.Peek(4)
	return err == nil
}

// idles has reads end once the connection has rested for as long as it may.
func (c *conn) idles() {
	d := c.server.Idle
	if d <= 0 {
		c.waits(time.Time{})
		return
	}
	least := time.Now().Add(d)
	if due := c.due.Load() - least.UnixNano(); due >= 0 && due <= int64(d/idleSlack) {
		return
	}
	c.waits(least.Add(d / idleSlack))
}

// waits has reads end at a time; zero: never.
func (c *conn) waits(until time.Time) {
	due := int64(0)
	if !until.IsZero() {
		due = until.UnixNano()
	}
	if c.due.Swap(due) != due {
		c.nc.SetReadDeadline(until)
	}
}

// linger reads on until the client has closed, for a moment: what is unread as a
// connection closes, and what comes afterwards, takes back what the client has not read yet.
func (c *conn) linger() {
	s := c.server
	if s.lingering.Add(1) > lingersMax {
		s.lingering.Add(-1)
		return
	}
	defer s.lingering.Add(-1)
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	p := s.scratch()
	defer s.recycle(p)
	b := p.body[:cap(p.body)]
	end := time.Now().Add(lingerMost)
	for n := 0; n < lingerBytes; {
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

package h2

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"runtime/debug"
	"time"
)

// stream is one request and its answer. What stands below answer is under the
// connection's mu.
type stream struct {
	c      *conn
	id     uint32
	ctx    context.Context
	cancel context.CancelFunc
	r      *http.Request
	long   bool // its header is too large
	answer response

	err    error // why nothing more can be sent or read
	remote bool  // the client has sent everything
	local  bool  // the answer has been sent, or the stream reset

	window  int64         // what the client takes of the answer
	wake    chan struct{} // who writes
	turn    bool          // it was let ahead in the line
	writeBy time.Time     // zero: no limit

	recv     int64  // what the client may still send
	credit   int64  // beyond it, and not told yet
	data     []byte // that came, and was not read
	from     int    // in data
	cut      bool   // something that came was not read, and is gone
	declared int64  // by Content-Length; -1: not
	came     int64
	trailer  http.Header   // that came
	readable chan struct{} // who reads
	readBy   time.Time     // zero: no limit
	expects  bool          // it waits for 100 (Continue)
	done     bool          // its handler has ended
}

// lose ends it from without. c.mu is held.
func (st *stream) lose(err error) {
	if st.err == nil {
		st.err = err
	}
	signal(st.wake)
	signal(st.readable)
	st.cancel()
}

// resets tells the client that the stream is over. c.mu is held.
func (st *stream) resets(code Code) {
	if st.c.streams[st.id] != st {
		return
	}
	st.c.sayReset(st.id, code)
	st.local = true
	st.lose(errEnded)
	st.c.remove(st)
}

// handle has the request answered.
func (st *stream) handle(k *handler) {
	c := st.c
	c.mu.Lock()
	if st.err != nil { // reset before anybody looked at it
		st.done = true
		c.handled()
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	w := &st.answer
	w.begin(st, k)
	whole := false
	defer func() {
		p := any(nil)
		if !whole {
			p = recover()
			if p != nil && p != http.ErrAbortHandler {
				c.server.logf("h2: a handler's panic, for %s: %v\n%s", c.remote, p, debug.Stack())
			}
		}
		w.end(k)
		c.mu.Lock()
		defer c.mu.Unlock()
		st.done = true
		switch {
		case !whole:
			st.resets(CodeInternal)
		case st.err == nil && !st.remote:
			st.resets(CodeNone) // the rest of the request is not wanted (RFC 9113, 8.1)
		}
		st.cancel()
		c.handled()
		c.push(true)
	}()
	h := c.server.Handler
	if st.long {
		h = tooLong
	}
	h.ServeHTTP(w, st.r)
	w.finish()
	whole = true
}

// tooLong answers by the header alone: a body would wait for the client's windows, and
// nobody watches how long.
var tooLong = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
})

// handled notes that a handler has ended, and lets the next begin. c.mu is held.
func (c *conn) handled() {
	c.running--
	for len(c.waiting) > 0 {
		st := c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		if st.err == nil {
			c.running++
			c.server.handlers.run(st)
			return
		}
	}
}

func (s *Server) logf(format string, args ...any) {
	if s.Log == nil {
		log.Printf(format, args...)
		return
	}
	s.Log.Printf(format, args...)
}

// body reads what the client sends.
type body struct{ st *stream }

// Close is for io.ReadCloser: what is not read is let go when the handler ends.
func (body) Close() error { return nil }

// Read gives what has come, and waits for it.
func (b body) Read(p []byte) (int, error) {
	st := b.st
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case st.done:
			return 0, http.ErrBodyReadAfterClose
		case len(st.data) > st.from:
			n := copy(p, st.data[st.from:])
			st.from += n
			st.shrink()
			c.read(st, n)
			return n, nil
		case st.cut:
			return 0, errEnded
		case st.remote && (st.err == nil || st.err == errEnded):
			st.takeTrailer()
			return 0, io.EOF
		case st.err != nil:
			return 0, st.err
		case len(p) == 0:
			return 0, nil
		case !st.readBy.IsZero() && !time.Now().Before(st.readBy):
			return 0, os.ErrDeadlineExceeded
		}
		if st.expects {
			st.expects = false
			c.sayContinue(st)
			c.push(true)
			continue
		}
		c.wait(st.readable, st.readBy)
	}
}

// shrink lets go of room that data had need of, and has not any more. c.mu is held.
func (st *stream) shrink() {
	left := len(st.data) - st.from
	switch {
	case cap(st.data) > creditBytes && left < cap(st.data)/4:
		st.data, st.from = append([]byte(nil), st.data[st.from:]...), 0
	case left == 0:
		st.data, st.from = st.data[:0], 0
	}
}

// keep takes what came. c.mu is held.
func (st *stream) keep(b []byte) {
	if st.from > len(st.data)/2 {
		st.data = st.data[:copy(st.data, st.data[st.from:])]
		st.from = 0
	}
	st.data = append(st.data, b...)
	signal(st.readable)
}

// takeTrailer hands on what was announced of it.
func (st *stream) takeTrailer() {
	for name, values := range st.trailer {
		if _, ok := st.r.Trailer[name]; ok {
			st.r.Trailer[name] = values
		}
	}
	st.trailer = nil
}

var errLonger = errors.New("h2: more was written than Content-Length says")

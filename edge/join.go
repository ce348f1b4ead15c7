package edge

import (
	"io"
	"runtime"
	"sync"
)

// joint holds back, for a moment, what is written over HTTP/2, so that what
// follows leaves with it. The server writes an answer's header, and its body
// once the handler has come round with it: two writes, two records, two
// segments, two wake-ups of the client, and as many more as answers are ready
// at once. It is held above TLS, so that it is sealed once.
//
// What is held always has a goroutine behind it that writes it out once those
// that were ready have run. Nothing waits for time, or for more to come.
// Safe for concurrent use.
type joint struct {
	conn *conn     // that it is written by in the end
	to   io.Writer // TLS over it

	mu     sync.Mutex // over writes, too: they stay in order
	held   *[]byte    // of joinPool; nil: nothing is held
	long   bool       // the last write was
	failed error      // of a write whose caller had been told that it was done
}

var joinPool = sync.Pool{New: func() any { b := make([]byte, 0, joinBytes); return &b }}

// Write takes p to be written soon. What is long is written at once, with what
// is held: a body that flows has nothing to wait for. So is what follows it, as
// the longest frame is by its head longer than a record; and what is written
// under a deadline from outside, as at the end of a connection.
func (j *joint) Write(p []byte) (int, error) {
	if j.conn.judged.Load() {
		return 0, errJudged
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	long := len(p) > joinLong
	atOnce := long || j.long || j.conn.outer.Load() != 0
	j.long = long
	if j.held != nil && len(*j.held)+len(p) > joinBytes {
		j.writeHeld()
	}
	switch {
	case j.failed != nil:
		return 0, j.failed
	case j.held == nil && atOnce:
		return j.to.Write(p)
	case j.held == nil:
		j.held = joinPool.Get().(*[]byte)
		go j.writeSoon()
	}
	*j.held = append(*j.held, p...)
	if atOnce {
		if j.writeHeld(); j.failed != nil {
			return 0, j.failed
		}
	}
	return len(p), nil
}

// writeSoon writes what is held, once the goroutines that are ready have run:
// among them, where there is one, that which has the rest of the answer.
func (j *joint) writeSoon() {
	runtime.Gosched()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writeHeld()
}

// writeHeld writes what is held. j.mu is held.
func (j *joint) writeHeld() {
	if j.held == nil {
		return
	}
	b := j.held
	j.held = nil
	if !j.conn.judged.Load() && j.failed == nil {
		if _, j.failed = j.to.Write(*b); j.failed != nil {
			j.conn.tcp.CloseRead() // the server, which may have nothing more to write, hears of it there
		}
	}
	*b = (*b)[:0]
	joinPool.Put(b)
}

// writeLast writes what is held before the connection is closed. Where a write
// is under way it is not waited for: closing is to end it.
func (j *joint) writeLast() {
	if j.mu.TryLock() {
		defer j.mu.Unlock()
		j.writeHeld()
	}
}

package h1

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// body reads what the client sends behind a request's header.
type body struct {
	x   *exchange
	src io.Reader // nil: nothing is sent

	by      atomic.Int64 // until when a handler has reads wait, Unix ns; 0: it has not said
	expects atomic.Bool  // the client waits for 100 (Continue)
	asks    sync.Mutex   // over saying it

	mu     sync.Mutex
	closed bool
	ended  bool  // it has come whole
	left   int64 // of its declared length; negative: not declared
	err    error // why no more can be read
}

// Read gives what has come, and waits for it.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.expects.Load() {
		b.ask()
	}
	return b.read(p)
}

// read is Read. b.mu is held.
func (b *body) read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.ended:
		return 0, io.EOF
	}
	n, err := b.src.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	switch {
	case err == io.EOF:
		b.ended = true
		b.x.took()
	case err != nil:
		b.err = err
	}
	return n, err
}

// Close lets it go unread.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// ask has the client send it.
func (b *body) ask() {
	b.asks.Lock()
	defer b.asks.Unlock()
	if b.expects.Swap(false) {
		io.WriteString(b.x.c, "HTTP/1.1 100 Continue\r\n\r\n")
	}
}

// spare sees to it that the client is not asked any more.
func (b *body) spare() {
	if b.expects.Load() {
		b.asks.Lock()
		b.expects.Store(false)
		b.asks.Unlock()
	}
}

// whole says whether it has come to its end.
func (b *body) whole() bool {
	if b.src == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

var errTooMuch = errors.New("h1: more of a body is left than is worth reading")

// discard reads what is left of it, where that is little; then the next request may
// follow. After an error it must not.
func (b *body) discard() error {
	if b.src == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return nil
	case b.left >= discardMost:
		return errTooMuch
	}
	// Nobody works on it any more: who sends slowly holds nobody up. A handler may want it sooner.
	if until, by := time.Now().Add(discardFor), b.by.Load(); by == 0 || until.UnixNano() < by {
		b.x.c.waits(until)
	}
	p := b.x.c.server.scratch()
	defer b.x.c.server.recycle(p)
	buf := p.body[:cap(p.body)]
	for n := 0; n <= discardMost; {
		m, err := b.read(buf)
		n += m
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errTooMuch
}

package h1

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// life is a request's context. What it takes to learn that the client has left is
// begun when somebody first asks, and so costs those nothing whom nobody asks about.
type life struct {
	context.Context // of the connection
	c               *conn
	x               *exchange

	over atomic.Bool

	mu    sync.Mutex
	done  chan struct{} // nil: nobody asked
	after []*after
}

// after is what is to be called when a request has ended.
type after struct{ f func() }

// Done gives what is closed when the client has left or the request has been answered.
func (l *life) Done() <-chan struct{} {
	l.mu.Lock()
	first := l.done == nil
	if first {
		l.done = make(chan struct{})
		if l.over.Load() {
			close(l.done)
			first = false
		}
	}
	done := l.done
	l.mu.Unlock()
	if first {
		l.watch()
	}
	return done
}

// Err says whether that has happened.
func (l *life) Err() error {
	if l.over.Load() {
		return context.Canceled
	}
	return nil
}

// Value gives what the connection's context has, and its own address.
func (l *life) Value(key any) any {
	if key == http.LocalAddrContextKey {
		return l.c.nc.LocalAddr()
	}
	return l.Context.Value(key)
}

// AfterFunc is context.AfterFunc, which finds it here.
func (l *life) AfterFunc(f func()) (stop func() bool) {
	a := &after{f}
	l.mu.Lock()
	over := l.over.Load()
	if !over {
		l.after = append(l.after, a)
	}
	l.mu.Unlock()
	if over {
		go f()
		return func() bool { return false }
	}
	l.watch()
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		i := slices.Index(l.after, a)
		if i < 0 {
			return false
		}
		l.after = slices.Delete(l.after, i, i+1)
		return true
	}
}

// watch has it noticed when the client leaves.
func (l *life) watch() {
	if l.c.armed.CompareAndSwap(false, true) {
		l.c.server.watched(l.c)
	}
	l.c.looks(l.x) // it may have left while another request was answered
}

// end ends it.
func (l *life) end() {
	if l.over.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over.Swap(true) {
		return
	}
	if l.done != nil {
		close(l.done)
	}
	for _, a := range l.after {
		go a.f()
	}
	l.after = nil
}

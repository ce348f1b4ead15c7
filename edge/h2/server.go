package h2

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves HTTP/2. Its fields are set before its first connection and not
// changed afterwards. All methods are safe for concurrent use.
type Server struct {
	// Handler answers requests.
	Handler http.Handler
	// StreamsMax is how many requests a connection may have open.
	StreamsMax int
	// HeaderBytes bounds a request's header; a longer one is answered with 431.
	HeaderBytes int
	// Idle is how long a connection may have no request; 0: for ever.
	Idle time.Duration
	// Log is told of handlers that panicked; nil: the log package's.
	Log *log.Logger

	handlers handlers

	mu       sync.Mutex
	open     map[*conn]struct{}
	draining bool
}

// Serve serves one connection until it ends. Its handshake is over; state is of
// TLS. Every request's context comes from ctx. hook is told when it has requests
// (http.StateActive) and when it has none (http.StateIdle); it must not call back.
func (s *Server) Serve(ctx context.Context, nc net.Conn, state *tls.ConnectionState, hook func(http.ConnState)) {
	c := newConn(s, ctx, nc, state, hook)
	if !s.enter(c) {
		c.cancel()
		nc.Close()
		return
	}
	defer s.leave(c)
	c.serve()
}

func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	if s.open == nil {
		s.open = make(map[*conn]struct{})
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
}

// Drain asks every client to open nothing more; each connection closes once its
// requests are answered. It does not wait for that. What comes afterwards is closed.
func (s *Server) Drain() {
	s.mu.Lock()
	s.draining = true
	all := make([]*conn, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.mu.Lock()
		c.part()
		c.mu.Unlock()
	}
	s.handlers.end()
}

// Tick lets goroutines go that had nothing to do since the last one. Call it each second.
func (s *Server) Tick() { s.handlers.tick() }

// handlers are goroutines that answer requests: the one that was idle last comes
// first, so that few do the work and the others may go. Safe for concurrent use.
type handlers struct {
	mu    sync.Mutex
	idle  []*handler
	least int // that were idle at any time since the last tick
	ended bool
}

// handler is one, with what it needs for each request.
type handler struct {
	next chan *stream // nil: end

	body   []byte  // gathers an answer's
	fields []field // of its header
	block  []byte  // as it is written
}

// run has st's request answered.
func (h *handlers) run(st *stream) {
	h.mu.Lock()
	if n := len(h.idle); n > 0 {
		k := h.idle[n-1]
		h.idle[n-1] = nil
		h.idle = h.idle[:n-1]
		h.least = min(h.least, n-1)
		h.mu.Unlock()
		k.next <- st
		return
	}
	h.mu.Unlock()
	k := &handler{next: make(chan *stream, 1)}
	go h.loop(k, st)
}

func (h *handlers) loop(k *handler, st *stream) {
	for st != nil {
		st.handle(k)
		h.mu.Lock()
		stays := !h.ended && len(h.idle) < idleHandlers
		if stays {
			h.idle = append(h.idle, k)
		}
		h.mu.Unlock()
		if !stays {
			return
		}
		st = <-k.next
	}
}

func (h *handlers) tick() {
	h.mu.Lock()
	spare := min(h.least, len(h.idle))
	gone := append([]*handler(nil), h.idle[:spare]...)
	h.idle = append(h.idle[:0], h.idle[spare:]...)
	clear(h.idle[len(h.idle):cap(h.idle)])
	h.least = len(h.idle)
	h.mu.Unlock()
	for _, k := range gone {
		k.next <- nil
	}
}

// end lets those go that are idle, and those that run once they are done.
func (h *handlers) end() {
	h.mu.Lock()
	h.ended = true
	gone := h.idle
	h.idle = nil
	h.mu.Unlock()
	for _, k := range gone {
		k.next <- nil
	}
}

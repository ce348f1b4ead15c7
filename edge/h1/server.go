package h1

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves HTTP/1. Its fields are set before its first connection and not changed
// afterwards. All methods are safe for concurrent use.
//
// A request's context ends when the client has left and everything it sent has been
// read. For this the kernel is asked about a connection from the moment that a
// handler first asks its request's context, by Done or AfterFunc. Only Linux
// can tell; elsewhere a client's leaving shows when it is read from or written to.
type Server struct {
	// Handler answers requests.
	Handler http.Handler
	// LetsGo says that nothing behind Handler touches the header of its answer once it
	// has returned, on no goroutine: then the connection's next answer has the same map.
	LetsGo bool
	// HeaderBytes bounds a request's header; a longer one is answered with 431.
	HeaderBytes int
	// ReadHeader is how long a request's header may take to come; 0: for ever.
	ReadHeader time.Duration
	// Idle is how long a connection may have no request; 0: for ever.
	Idle time.Duration
	// Log is told of handlers that panicked, or misuse their answer; nil: the log package's.
	Log *log.Logger

	readers   sync.Pool // *bufio.Reader
	scratches sync.Pool // *scratch
	stamp     atomic.Pointer[stamp]
	lingering atomic.Int32
	draining  atomic.Bool

	mu      sync.Mutex
	open    map[*conn]struct{}
	watcher *watcher // nil: not needed yet, or not any more
}

// stamp is the time as an answer's header tells it.
type stamp struct {
	second int64
	text   string
}

// Serve serves one connection until it ends, and closes it unless a handler
// took it over. A TLS handshake is over; state is of it, or nil. Every request's
// context comes from ctx. hook is told when a request has come (http.StateActive), when
// it is answered (http.StateIdle), and when a handler took the connection over
// (http.StateHijacked).
func (s *Server) Serve(ctx context.Context, nc net.Conn, state *tls.ConnectionState, hook func(http.ConnState)) {
	c := &conn{server: s, nc: nc, ctx: ctx, tls: state, hook: hook, remote: nc.RemoteAddr().String(), begun: time.Now()}
	if !s.enter(c) {
		nc.Close()
		return
	}
	c.serve()
}

func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
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
	defer s.mu.Unlock()
	delete(s.open, c)
	s.watcher.remove(c.watch)
	s.rest()
}

// rest ends the watcher when nobody needs it any more. s.mu is held.
func (s *Server) rest() {
	if s.draining.Load() && len(s.open) == 0 && s.watcher != nil {
		s.watcher.close()
		s.watcher = nil
	}
}

// Drain closes every connection without a request, and has the others close once
// theirs is answered. What comes afterwards is closed. One that has not asked yet
// is given freshFor since it came: call it again. It gives how many are left.
func (s *Server) Drain() int {
	s.mu.Lock()
	s.draining.Store(true)
	var out []*conn
	for c := range s.open {
		if c.state.CompareAndSwap(stateIdle, stateClosed) ||
			time.Since(c.begun) >= freshFor && c.state.CompareAndSwap(stateFresh, stateClosed) {
			out = append(out, c)
		}
	}
	left := len(s.open)
	s.rest()
	s.mu.Unlock()
	for _, c := range out {
		c.nc.Close() // its goroutine does the rest
	}
	return left
}

// watched has the kernel asked about c. Where it cannot tell, nothing happens.
func (s *Server) watched(c *conn) {
	raw := rawOf(c.nc)
	if raw == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.open[c]; !open || c.watch != 0 {
		return
	}
	if s.watcher == nil {
		w, err := newWatcher()
		if err != nil {
			return
		}
		s.watcher = w
	}
	c.raw = raw
	c.watch = s.watcher.add(c)
}

// date gives the time as "Date" has it.
func (s *Server) date() string {
	now := time.Now()
	if d := s.stamp.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &stamp{now.Unix(), now.UTC().Format(http.TimeFormat)}
	s.stamp.Store(d)
	return d.text
}

func (s *Server) logf(format string, args ...any) {
	if s.Log == nil {
		log.Printf(format, args...)
		return
	}
	s.Log.Printf(format, args...)
}

package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/deichproject/deich/guard"
)

// serveOn takes connections until l is closed.
func (s *Server) serveOn(ctx context.Context, l *listener) {
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.serving.Add(1)
			each := handed{nc.(*conn), l.secured}
			select {
			case s.handed <- each: // somebody rests
			default:
				go s.serveEach(ctx, each)
			}
			continue
		}
		if s.ending.Load() || errors.Is(err, net.ErrClosed) {
			return
		}
		pause = min(max(2*pause, acceptPause), acceptPauseMost)
		s.h1.Log.Printf("edge: accept: %v; again in %v", err, pause)
		time.Sleep(pause)
	}
}

// handed is a connection that somebody is to serve.
type handed struct {
	c      *conn
	secure bool
}

// serveEach serves one connection after the other: a goroutine that has served one has a
// stack that is large enough for the next. At most restingMax wait for one, until dismiss
// or ctx ends them.
func (s *Server) serveEach(ctx context.Context, next handed) {
	for more := true; more; {
		s.serveConn(next.c, next.secure)
		if more = s.resting.Add(1) <= restingMax; more {
			select {
			case next = <-s.handed:
				more = next.c != nil
			case <-ctx.Done():
				more = false
			}
		}
		s.resting.Add(-1)
	}
}

// dismiss ends the goroutines that rest: once a second, so that none is left after a flood.
func (s *Server) dismiss() {
	for range s.resting.Load() {
		select {
		case s.handed <- handed{}:
		default:
			return
		}
	}
}

// serveConn serves one connection until it ends, or is a tunnel's.
func (s *Server) serveConn(c *conn, secure bool) {
	ctx := guard.ConnContext(withConn(context.Background(), c), c)
	nc, taken := net.Conn(c), false
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			s.h1.Log.Printf("edge: a panic, for %s: %v\n%s", c.RemoteAddr(), p, debug.Stack())
		}
		if !taken {
			nc.Close()
			s.connState(nc, http.StateClosed)
			s.serving.Add(-1)
		}
	}()
	var state *tls.ConnectionState
	if secure {
		t := tls.Server(c, s.tls)
		nc = t
		if state = s.handshake(ctx, t, c); state == nil {
			return
		}
	}
	switch {
	case state == nil, state.NegotiatedProtocol == "", state.NegotiatedProtocol == alpnH1:
		s.h1.Serve(ctx, nc, state, func(to http.ConnState) {
			s.connState(nc, to)
			if to == http.StateHijacked {
				taken = true
				s.serving.Add(-1)
			}
		})
	case state.NegotiatedProtocol == alpnH2:
		s.serveH2(ctx, nc.(*tls.Conn), c, state)
	}
}

// handshake shakes hands, and gives what came of it; nil: nothing.
func (s *Server) handshake(ctx context.Context, t *tls.Conn, c *conn) *tls.ConnectionState {
	within := s.options.Config.Timeouts.ReadHeader.Duration
	if within > 0 {
		t.SetDeadline(time.Now().Add(within))
	}
	if err := t.HandshakeContext(ctx); err != nil {
		why := err.Error()
		if plain := (tls.RecordHeaderError{}); errors.As(err, &plain) && plain.Conn != nil && likeHTTP(plain.RecordHeader) {
			io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
			plain.Conn.Close()
			why = "client sent an HTTP request to an HTTPS server"
		}
		s.h1.Log.Printf("http: TLS handshake error from %s: %s", c.RemoteAddr(), why)
		return nil
	}
	if within > 0 {
		t.SetDeadline(time.Time{})
	}
	state := t.ConnectionState()
	return &state
}

// likeHTTP says whether what came instead of a TLS record begins a request.
func likeHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// drain stops listening and waits until every connection's requests are answered.
func (s *Server) drain(ctx context.Context) error {
	s.ending.Store(true)
	for _, l := range s.listeners {
		l.Close()
	}
	s.accepting.Wait()
	s.h2.Drain()
	ticker := time.NewTicker(shutdownPoll)
	defer ticker.Stop()
	for {
		s.h1.Drain()
		s.conns.unasked()
		if s.serving.Load() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

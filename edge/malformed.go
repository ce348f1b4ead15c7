package edge

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
)

// The servers of HTTP/1 and HTTP/2 answer what is no request by themselves.
// What it does tell is when a connection becomes active: a request began. One
// that never came here before the connection rested or ended was malformed, or
// cut off. So the engine hears of it, and a source that sends nothing else is
// refused at accept. It does not hear of what follows a good request, which is
// counted as such, of HTTP/2 below its requests, nor of QUIC below HTTP/3.

// began notes that a connection became active.
func (c *conn) began(nc net.Conn) {
	c.working()
	if !c.greeted {
		c.greeted = true
		if _, ok := nc.(*framed); ok {
			return // HTTP/2 begins by a greeting, which is no request
		}
	}
	c.owes.Store(true)
}

// came notes that a request did come.
func (c *conn) came() {
	if !c.brought.Load() && c.brought.CompareAndSwap(false, true) && !c.trusted {
		c.set.empties.asked.Add(1)
	}
	if c.owes.Load() {
		c.owes.Store(false)
	}
}

// settle says what becomes of a connection that rests, or is closed, without
// the request that began.
func (s *Server) settle(c *conn, nc net.Conn, closed bool) {
	wasted := c.owes.Swap(false)
	if closed && !c.trusted && !c.brought.Load() && c.leftBy(nc) {
		s.conns.leftEmpty(c.peer, c.turned.Load())
	}
	if _, secured := nc.(*tls.Conn); secured && closed && c.fingerprint == "" && c.heard.Load() {
		wasted = true // no ClientHello, but something
	}
	switch {
	case c.judged.Load():
	case wasted, closed && !c.greeted && !c.trusted && s.conns.empty(c.peer):
		s.malformed(c)
	}
}

// malformed tells the engine of something by c that is no request.
func (s *Server) malformed(c *conn) {
	if c.trusted {
		return // others stand behind it
	}
	s.malformedBy(c.peer)
}

func (s *Server) malformedBy(peer netip.Addr) {
	s.conns.malformed.Add(1)
	s.options.Engine.Malformed(s.now(), peer)
}

// refuse answers what came as a request and has no place at a reverse proxy.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int) {
	if c := connOf(r); c != nil {
		s.malformed(c)
	}
	if c := quicOf(r); c != nil && !s.quic.conns.trusted(c.peer()) {
		s.malformedBy(c.peer())
	}
	reject(w, status)
}

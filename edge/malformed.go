package edge

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"

	"github.com/deichproject/deich"
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
	if peer, ok := s.sender(r); ok {
		s.malformedBy(peer)
	}
	reject(w, status, deich.BadRequest)
	s.guard.Aside(r, status, deich.BadRequest)
}

// refuseName answers a request for a name that is not served here.
func (s *Server) refuseName(w http.ResponseWriter, r *http.Request) {
	status := http.StatusNotFound
	if r.TLS != nil {
		status = http.StatusMisdirectedRequest
	}
	s.conns.unnamed.Add(1)
	if peer, ok := s.sender(r); ok {
		s.strayed(peer)
	}
	reject(w, status, deich.NoSite)
	s.guard.Aside(r, status, deich.NoSite)
}

// sentOn notes that a request by c is answered with the way to https. A browser follows it,
// and behind a carrier's address hundreds a second may begin so: whoever asks
// again and again on the same connection does not follow.
func (s *Server) sentOn(c *conn, r *http.Request) {
	s.conns.sentOn.Add(1)
	if c.sentOn.Add(1) > sentOnFirst {
		s.strayed(c.peer)
	}
	s.guard.Aside(r, http.StatusPermanentRedirect, deich.NoReason)
}

// strayed notes what brings its sender nothing, and as little to anybody as an empty
// connection: so much of it is forgiven, and more counts as what is no request.
func (s *Server) strayed(peer netip.Addr) {
	if s.conns.debts.charge(s.conns.debts.debtor(peer)^saltStrays, s.now(), emptyEvery) > emptyFirst {
		s.malformedBy(peer)
	}
}

// sender gives the other end of a request's connection; false for a trusted proxy, since
// others stand behind it, and where it is not known.
func (s *Server) sender(r *http.Request) (peer netip.Addr, ok bool) {
	if c := connOf(r); c != nil {
		return c.peer, !c.trusted
	}
	if c := quicOf(r); c != nil {
		peer = c.peer()
		return peer, !s.quic.conns.trusted(peer)
	}
	return peer, false
}

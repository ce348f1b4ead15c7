package h1

import (
	"net"
	"syscall"
)

// rawOf finds the socket below nc; nil: there is none.
func rawOf(nc net.Conn) syscall.RawConn {
	for {
		if s, ok := nc.(syscall.Conn); ok {
			raw, err := s.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		}
		above, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		nc = above.NetConn()
	}
}

// gone is told by the watcher that the client will send nothing more, or that the
// connection is broken.
func (c *conn) gone(broken bool) {
	c.mu.Lock()
	c.hup = true
	c.broken = c.broken || broken
	x := c.serving
	c.mu.Unlock()
	if x != nil {
		c.looks(x)
	}
}

// looks ends x's context if its client has left and nothing of what it sent is unread:
// who sends requests ahead and then ends its side still gets their answers, all but the last.
func (c *conn) looks(x *exchange) {
	c.mu.Lock()
	hup, broken := c.hup, c.broken
	c.mu.Unlock()
	if broken || hup && x.taken.Load() && !c.unread() {
		x.end()
	}
}

// unread says whether the kernel holds something that the client sent. A TLS record
// too short for a request is the client's word that it has ended.
func (c *conn) unread() bool {
	n := pending(c.raw)
	return n > 0 && (c.tls == nil || n > alertMost)
}

package status

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// conns is a listener that never has more than max connections open, and always
// room for one more: it closes another. That is one of the address that has most, so
// whoever takes all the places loses their own; of these the one that waits longest
// for a request, which a proxy with many readers behind it opens again. It is safe for
// concurrent use.
type conns struct {
	net.Listener
	max int

	mu      sync.Mutex
	change  uint64  // counts what happens to connections: their order in time
	open    []*conn // in no order; conn.index is its place
	sources map[netip.Addr]*source
}

// source is an address that has connections open.
type source struct {
	address netip.Addr
	open    int
}

type conn struct {
	net.Conn
	in    *conns
	from  *source
	index int    // -1: it has no place any more
	busy  bool   // its request is being answered
	since uint64 // the change that made it so
}

func newConns(l net.Listener, most int) *conns {
	return &conns{Listener: l, max: most, sources: make(map[netip.Addr]*source)}
}

// Accept gives the next connection.
func (s *conns) Accept() (net.Conn, error) {
	accepted, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c, out := s.add(accepted)
	if out != nil {
		out.Conn.Close()
	}
	return c, nil
}

// peer gives the address that connections are counted by: IPv6 by /64.
func peer(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	is := tcp.AddrPort().Addr().Unmap()
	if is.Is4() {
		return is
	}
	p, _ := is.Prefix(64)
	return p.Addr()
}

// add takes one in, and gives the one that makes room for it, or nil.
func (s *conns) add(accepted net.Conn) (c, out *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.max {
		for _, one := range s.open {
			if out == nil || one.sooner(out) {
				out = one
			}
		}
		s.drop(out)
	}
	address := peer(accepted.RemoteAddr())
	from := s.sources[address]
	if from == nil {
		from = &source{address: address}
		s.sources[address] = from
	}
	from.open++
	s.change++
	c = &conn{Conn: accepted, in: s, from: from, index: len(s.open), since: s.change}
	s.open = append(s.open, c)
	return c, out
}

// sooner says whether it is rather closed than another one.
func (c *conn) sooner(other *conn) bool {
	switch {
	case c.from.open != other.from.open:
		return c.from.open > other.from.open
	case c.busy != other.busy:
		return other.busy
	}
	return c.since < other.since
}

// state is told by the server what becomes of a connection. One that has not sent
// its whole headers is not busy.
func (s *conns) state(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change++
	c.busy, c.since = state == http.StateActive, s.change
}

func (s *conns) drop(c *conn) {
	if c.index < 0 {
		return
	}
	last := len(s.open) - 1
	s.open[c.index] = s.open[last]
	s.open[c.index].index = c.index
	s.open[last] = nil
	s.open = s.open[:last]
	c.index = -1
	if c.from.open--; c.from.open == 0 {
		delete(s.sources, c.from.address)
	}
}

// Close closes it, and gives its place back. It may be called again.
func (c *conn) Close() error {
	c.in.mu.Lock()
	c.in.drop(c)
	c.in.mu.Unlock()
	return c.Conn.Close()
}

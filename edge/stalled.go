package edge

import (
	"net/netip"
	"sync"

	"github.com/deichproject/deich"
)

// stalled holds judged connections that are left open and unread: closing one
// would cost a handshake as soon as its owner comes back, leaving it costs
// nothing but its file. All stay equally long, so a ring is in order of time.
type stalled struct {
	mu   sync.Mutex
	ring []stalledConn
	head int // the oldest
	n    int
}

type stalledConn struct {
	c   *conn
	due deich.Time
}

func newStalled() *stalled { return &stalled{ring: make([]stalledConn, stalledMax)} }

// park takes a connection whose reader is done with it; false says there is no room.
func (s *stalled) park(now deich.Time, c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == len(s.ring) {
		return false
	}
	s.ring[(s.head+s.n)%len(s.ring)] = stalledConn{c, now.Add(stallFor)}
	s.n++
	return true
}

// due takes out those whose time is up at now; at least the oldest
// atLeast, whether due or not.
func (s *stalled) due(now deich.Time, atLeast int) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*conn
	for s.n > 0 && (s.ring[s.head].due <= now || len(out) < atLeast) {
		if c := s.ring[s.head].c; c != nil {
			out = append(out, c)
		}
		s.ring[s.head] = stalledConn{}
		s.head = (s.head + 1) % len(s.ring)
		s.n--
	}
	return out
}

// within takes out those whose peer lies in one of the prefixes.
func (s *stalled) within(prefixes []netip.Prefix) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*conn
	for i := range s.n {
		at := &s.ring[(s.head+i)%len(s.ring)]
		if at.c == nil || !containsAny(prefixes, at.c.peer) {
			continue
		}
		out = append(out, at.c)
		at.c = nil // its place in the ring ends when it is due
	}
	return out
}

func (s *stalled) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func containsAny(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

package edge

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// conns knows every open connection of a client, so that the oldest waiting
// ones make room when connections are short. Safe for concurrent use.
type conns struct {
	max     int // above it nothing is accepted
	peerMax int // of one address, when short
	now     func() deich.Time
	orders  *orders
	stalled *stalled
	debts   *debts
	known   func(netip.Addr) bool // somebody there was served before
	proxy   bool                  // trusted peers begin with a PROXY protocol header

	refused atomic.Uint64 // at accept, under an order
	evicted atomic.Uint64 // to make room
	full    atomic.Uint64 // at accept, no room or too many of one address
	slow    atomic.Uint64 // did not take their answer

	malformed atomic.Uint64 // what was sent and is no request
	sentOn    atomic.Uint64 // answered with the way to https
	unnamed   atomic.Uint64 // for a name that is not served
	abusive   atomic.Uint64 // ended for what it sent below its requests

	empties    empties
	handshakes *handshakes

	silent   atomic.Uint64 // of trusted proxies, without the header that is due, since the operator was last told
	silentBy atomic.Pointer[netip.Addr]

	mu    sync.Mutex
	open  []*conn // in no order; conn.index is its place
	peers map[netip.Addr]int32
}

func newConns(l Limits, now func() deich.Time, proxy bool) *conns {
	return &conns{
		max: l.Connections, peerMax: l.PeerConnections, now: now, proxy: proxy,
		orders: newOrders(), stalled: newStalled(), debts: newDebts(), handshakes: newHandshakes(),
		known: func(netip.Addr) bool { return false }, peers: make(map[netip.Addr]int32),
	}
}

// ConnCounters say what became of clients' connections since the start, QUIC's
// included.
type ConnCounters struct {
	Open    int
	Refused uint64 // at accept, under an order
	Full    uint64 // no room, or too many of one address
	Evicted uint64 // waiting ones that made room
	Slow    uint64 // did not take their answer
	Abusive uint64 // ended for what they sent below their requests

	Malformed  uint64 // what was sent and is no request
	Empty      uint64 // that ended without a request
	Handshakes uint64 // for which there was no turn

	SentOn  uint64 // requests that were answered with the way to https
	Unnamed uint64 // requests for a name that is not served
}

// Connections takes a snapshot.
func (s *Server) Connections() ConnCounters {
	c := s.conns
	c.mu.Lock()
	out := ConnCounters{Open: len(c.open)}
	c.mu.Unlock()
	out.Refused, out.Full, out.Evicted, out.Slow = c.refused.Load(), c.full.Load(), c.evicted.Load(), c.slow.Load()
	out.Malformed, out.Abusive = c.malformed.Load(), c.abusive.Load()
	out.SentOn, out.Unnamed = c.sentOn.Load(), c.unnamed.Load()
	out.Empty, out.Handshakes = c.empties.all.Load(), c.handshakes.refused.Load()
	if s.quic != nil {
		q := s.quic.conns
		q.mu.Lock()
		out.Open += len(q.open)
		q.mu.Unlock()
		out.Refused += q.refused.Load()
		out.Full += q.full.Load()
	}
	return out
}

// peerOf gives the address that connections are counted by: IPv6 by /64.
func peerOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}

// add takes a new connection; false says that it must not stay.
func (s *conns) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.max*shortAt/100 {
		if !c.trusted && int(s.peers[peerOf(c.peer)]) >= s.peerMax {
			s.full.Add(1)
			return false
		}
		s.makeRoom()
		if len(s.open) >= s.max {
			s.full.Add(1)
			return false
		}
	}
	c.index = len(s.open)
	s.open = append(s.open, c)
	s.peers[peerOf(c.peer)]++
	return true
}

// remove forgets a connection that is closed. It may be called again.
func (s *conns) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c)
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
	peer := peerOf(c.peer)
	if s.peers[peer]--; s.peers[peer] <= 0 {
		delete(s.peers, peer)
	}
}

// makeRoom closes the stalled connections first, then those that have waited
// longest for a request (or to complete one): at first of addresses that have
// more than their share, then of all. s.mu is held.
func (s *conns) makeRoom() {
	want := max(s.max/evictShare, 1)
	out := s.stalled.due(s.now(), want)
	if len(out) < want {
		out = append(out, s.longestWaiting(want-len(out))...)
	}
	for _, c := range out {
		s.drop(c)
		c.abort()
	}
	s.evicted.Add(uint64(len(out)))
}

func (s *conns) longestWaiting(n int) []*conn {
	type waiting struct {
		c      *conn
		greedy bool
		since  int64
	}
	var all []waiting
	for _, c := range s.open {
		if since := c.waiting.Load(); since > 0 && !c.closed.Load() {
			all = append(all, waiting{c, !c.trusted && int(s.peers[peerOf(c.peer)]) > s.peerMax, since})
		}
	}
	slices.SortFunc(all, func(a, b waiting) int {
		if a.greedy != b.greedy {
			if a.greedy {
				return -1
			}
			return 1
		}
		return int(min(max(a.since-b.since, -1), 1))
	})
	out := make([]*conn, 0, n)
	for _, w := range all[:min(n, len(all))] {
		out = append(out, w.c)
	}
	return out
}

// tick closes stalled connections whose time is up, and those that are slow where
// their servers do not see it.
func (s *conns) tick(header time.Duration) {
	s.empties.second()
	for _, c := range s.slowest(header) {
		s.slow.Add(1)
		c.abort()
		s.remove(c)
	}
	for _, c := range s.stalled.due(s.now(), 0) {
		c.abort()
		s.remove(c)
	}
}

// slowest gives connections that are to be closed: of HTTP/2 where a header
// takes longer than it may to come, and those whose last answer the kernel still
// holds, as the client does not take it.
func (s *conns) slowest(header time.Duration) (out []*conn) {
	now := s.now()
	var unsure []*conn
	s.mu.Lock()
	for _, c := range s.open {
		switch f := c.framed.Load(); {
		case c.closed.Load():
		case f != nil && f.stuck(now, header):
			out = append(out, c)
		case c.lookDue(now):
			unsure = append(unsure, c)
		}
	}
	s.mu.Unlock()
	for _, c := range unsure {
		if c.leavesIt(now) {
			out = append(out, c)
		}
	}
	return out
}

// refuse carries orders out: new connections of their sources are reset at
// accept, open ones are stalled as soon as they send something.
func (s *conns) refuse(list []deich.Order) {
	revoked := s.orders.apply(s.now(), list)
	if len(revoked) == 0 {
		return
	}
	for _, c := range s.stalled.within(revoked) {
		c.abort()
		s.remove(c)
	}
}

func (s *conns) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// unasked closes connections that have had no request for longer than a draining
// server waits. Those of HTTP/2 are told first, by it.
func (s *conns) unasked() {
	now := s.now()
	var out []*conn
	s.mu.Lock()
	for _, c := range s.open {
		if since := c.waiting.Load(); since > 0 && now.Sub(deich.Time(since)) >= askWithin && c.framed.Load() == nil && !c.closed.Load() {
			out = append(out, c)
		}
	}
	s.mu.Unlock()
	for _, c := range out {
		c.abort()
		s.remove(c)
	}
}

// abortAll closes whatever is left.
func (s *conns) abortAll() {
	s.mu.Lock()
	open := slices.Clone(s.open)
	s.mu.Unlock()
	for _, c := range open {
		c.abort()
		s.remove(c)
	}
}

// waited marks c as waiting for a request since now; working as having one.
func (c *conn) waited(now deich.Time) { c.waiting.Store(int64(now)) }
func (c *conn) working()              { c.waiting.Store(0) }

// seconds between two rounds of the server's housekeeping.
const houseEvery = time.Second

// exhausted makes room when the process has no file left.
func (s *conns) exhausted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
}

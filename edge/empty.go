package edge

import (
	"net/netip"
	"runtime"
	"sync/atomic"

	"github.com/deichproject/deich"
)

// A connection that ends without a request is empty: browsers open some ahead, and
// so do checks of whether a port is open. A flood of them costs more than it
// brings its sender. What one address (IPv6: a /64) brings beyond emptyEvery is told to
// the engine as no request; and while there are very many, whoever accepts looks first
// whether the other end is still there.

// empties counts them. Safe for concurrent use.
type empties struct {
	all   atomic.Uint64
	now   atomic.Int64 // in the present second
	until atomic.Int64 // deich.Time until which there are very many

	// For the engine:
	asked, left, shaken, refused atomic.Uint64
}

// leftEmpty notes for the engine that a client left without a request. Whom somebody knows
// may be a program that has lost its line, or one of very many who come back at once
// after an outage; of them none is counted, nor whoever was sent away.
func (s *conns) leftEmpty(peer netip.Addr, shaken bool) {
	if s.known(peer) {
		return
	}
	s.empties.left.Add(1)
	if shaken {
		s.empties.shaken.Add(1)
	}
}

// tell gives what the engine is to know.
func (e *empties) tell() deich.Connections {
	return deich.Connections{
		Asked: e.asked.Load(), Empty: e.left.Load(), Shaken: e.shaken.Load(), Refused: e.refused.Load(),
		Processors: runtime.GOMAXPROCS(0),
	}
}

// empty notes one from peer; true says that it is one too many.
func (s *conns) empty(peer netip.Addr) bool {
	s.empties.all.Add(1)
	now := s.now()
	if s.empties.now.Add(1) >= emptiesMany {
		s.empties.until.Store(int64(now.Add(emptiesLast)))
	}
	return s.debts.charge(s.debts.debtor(peer)^saltEmpty, now, emptyEvery) > emptyFirst
}

// short says that handshakes or accepts run short.
func (s *conns) short(now deich.Time) bool {
	return s.empties.until.Load() > int64(now) || s.handshakes.short()
}

// wary says that it is worth looking, before anything else, whether who connects is still there.
func (s *conns) wary() bool { return s.orders.held.Load() > 0 || s.short(s.now()) }

// overdrawn says, while accepts are short, whether a source has had its share of them:
// one address a little, its network (IPv4: a /24; IPv6: a /48) sixteen times that. From
// where somebody was served before there may come eight times as many.
func (s *conns) overdrawn(now deich.Time, peer netip.Addr) bool {
	cost := acceptEvery
	if s.known(peer) {
		cost /= acceptKnown
	}
	return !s.debts.take(s.debts.debtor(peer)^saltAccepts, now, cost, acceptBurst) ||
		!s.debts.take(s.debts.network(peer)^saltAccepts, now, cost/acceptNetwork, acceptBurst)
}

// second ends a second.
func (e *empties) second() { e.now.Store(0) }

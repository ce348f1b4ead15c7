package edge

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// debts is what clients owe for what costs Deich something and brings nobody
// anything, below what the engine hears of: a client is an address (IPv6: a /64),
// however many connections it has. A debt leaks by itself, a second per second, in
// a table of fixed size. Safe for concurrent use.
type debts struct {
	key   sketch.Key
	table *sketch.Buckets
	swept deich.Time
	turns atomic.Int64 // deich.Time of the latest turn given
}

// Kinds of debts, which do not add up.
const (
	saltFrames  = 0
	saltEmpty   = 0x9e3779b97f4a7c15
	saltAccepts = 0xc2b2ae3d27d4eb4f
	saltNets    = 0x165667b19e3779f9
	saltTurns   = 0x27d4eb2f85ebca77
	saltStrays  = 0x85ebca77c2b2ae63
)

func newDebts() *debts {
	return &debts{
		key:   sketch.Key{rand.Uint64(), rand.Uint64()},
		table: sketch.NewBuckets(debtorsMax),
	}
}

// debtor gives the client behind an address.
func (d *debts) debtor(a netip.Addr) uint64 {
	if a.Is4() {
		return d.key.Addr(a, 32)
	}
	return d.key.Addr(a, 64)
}

// network gives what a client's prefix owes: a /24, or a /48.
func (d *debts) network(a netip.Addr) uint64 {
	if a.Is4() {
		return d.key.Addr(a, networkBits4) ^ saltNets
	}
	return d.key.Addr(a, networkBits6) ^ saltNets
}

// charge adds cost to a debt, up to debtMost, and gives its level.
func (d *debts) charge(debtor uint64, now deich.Time, cost time.Duration) time.Duration {
	return d.table.Charge(debtor, int64(now), cost, debtMost)
}

// take adds cost unless the debt is then above burst; false says that it is.
func (d *debts) take(debtor uint64, now deich.Time, cost, burst time.Duration) bool {
	return d.table.Take(debtor, int64(now), cost, burst) == 0
}

// turn gives how long what a connection sent whose client owes waits before it is looked
// at: turns are waitEvery apart, of all such connections, so that what many of them send
// at once is not answered at once.
func (d *debts) turn(now deich.Time) time.Duration {
	for {
		last := d.turns.Load()
		at := max(now, deich.Time(last).Add(waitEvery))
		if wait := at.Sub(now); wait > waitMost {
			return waitMost
		} else if d.turns.CompareAndSwap(last, int64(at)) {
			return wait
		}
	}
}

// sweep keeps the table's time from wrapping. One goroutine calls it.
func (d *debts) sweep(now deich.Time) {
	if now.Sub(d.swept) > debtSweep {
		d.swept = now
		d.table.Sweep(int64(now))
	}
}

// tab is what one connection has for what it costs: each answer that was given
// whole repays one. What it cannot repay its client owes. Safe for concurrent use.
type tab struct {
	debts  *debts
	debtor uint64
	repaid atomic.Int32 // answers given whole that have not paid for anything yet
	owed   atomic.Int32 // by this connection
}

// What a debt calls for.
const (
	debtBorne = iota // nothing
	debtWaits        // what it sends is to wait for its turn
	debtTells        // the connection is to be asked to open nothing more
	debtEnds         // it is to be closed
)

// repay notes an answer given whole.
func (t *tab) repay() { raise(&t.repaid, 1, repaidMost) }

// charge has the client owe n, as far as the connection cannot repay it, and says
// what that calls for.
func (t *tab) charge(n int32, now deich.Time) int {
	if n -= pay(&t.repaid, n); n == 0 {
		return debtBorne
	}
	owed := t.owed.Add(n)
	level := t.debts.charge(t.debtor^saltFrames, now, time.Duration(n)*frameEvery)
	switch {
	case level < framesWait:
		return debtBorne
	case owed < frameFirst: // others of the same address owe it, so no more than this
		return debtWaits
	case level >= framesEnded:
		return debtEnds
	case level >= framesToldOf:
		return debtTells
	}
	return debtWaits
}

// raise adds n up to most.
func raise(v *atomic.Int32, n, most int32) {
	for {
		old := v.Load()
		if old >= most || v.CompareAndSwap(old, min(old+n, most)) {
			return
		}
	}
}

// pay takes up to n, and gives how much there was.
func pay(v *atomic.Int32, n int32) int32 {
	for {
		old := v.Load()
		paid := min(old, n)
		if paid == 0 || v.CompareAndSwap(old, old-paid) {
			return paid
		}
	}
}

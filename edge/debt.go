package edge

import (
	"math/rand/v2"
	"net/netip"
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
}

// Kinds of debts, which do not add up.
const (
	saltFrames  = 0
	saltEmpty   = 0x9e3779b97f4a7c15
	saltAccepts = 0xc2b2ae3d27d4eb4f
	saltNets    = 0x165667b19e3779f9
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

// sweep keeps the table's time from wrapping. One goroutine calls it.
func (d *debts) sweep(now deich.Time) {
	if now.Sub(d.swept) > debtSweep {
		d.swept = now
		d.table.Sweep(int64(now))
	}
}

package edge

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/deichproject/deich"
)

// Widths of the prefixes an order may name. A wider one would reach too many
// who did nothing, a narrower one of IPv6 nobody for long.
const (
	bits4Min, bits4Max = 24, 32
	bits6Min, bits6Max = 48, 64
)

// orderKey is a prefix; the widths of the two families do not overlap, so that
// bits tells them apart.
type orderKey struct {
	net  uint64
	bits uint8
}

// order is one source to be refused.
type order struct {
	prefix netip.Prefix
	until  atomic.Int64
	seen   atomic.Uint64 // refused since the last collect
}

// orders is the table of sources to be refused. Its size is bounded by
// ordersMax. Safe for concurrent use.
type orders struct {
	held   atomic.Int32 // len(table), so that peace costs one load
	missed atomic.Uint64

	mu    sync.RWMutex
	table map[orderKey]*order
	// widths counts the prefixes of each width, so that a lookup tries only
	// those that are there.
	widths [bits6Max + 1]int
}

func newOrders() *orders { return &orders{table: make(map[orderKey]*order)} }

// keyOf gives the key of the prefix of the given width that holds a; a is unmapped.
func keyOf(a netip.Addr, bits int) orderKey {
	if a.Is4() {
		b := a.As4()
		v := uint64(binary.BigEndian.Uint32(b[:]))
		return orderKey{v >> (32 - bits) << (32 - bits), uint8(bits)}
	}
	b := a.As16()
	v := binary.BigEndian.Uint64(b[:8])
	return orderKey{v >> (64 - bits) << (64 - bits), uint8(bits)}
}

// widthsOf gives the widths that an order for an address of a's family may have.
func widthsOf(a netip.Addr) (low, top int) {
	if a.Is4() {
		return bits4Min, bits4Max
	}
	return bits6Min, bits6Max
}

// apply takes orders over: new ones, longer ones, and revocations. One whose
// prefix it cannot carry out, or for which there is no room, counts as missed.
func (o *orders) apply(now deich.Time, list []deich.Order) (revoked []netip.Prefix) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, each := range list {
		addr := each.Prefix.Addr().Unmap().WithZone("")
		bits := each.Prefix.Bits()
		if each.Prefix.Addr().Is4In6() {
			bits -= 96
		}
		low, top := widthsOf(addr)
		if !addr.IsValid() || bits < low || bits > top {
			o.missed.Add(1)
			continue
		}
		key, prefix := keyOf(addr, bits), netip.PrefixFrom(addr, bits).Masked()
		if each.Until <= now {
			if o.remove(key) {
				revoked = append(revoked, prefix)
			}
			continue
		}
		o.put(key, prefix, each.Until)
	}
	o.held.Store(int32(len(o.table)))
	return revoked
}

func (o *orders) put(key orderKey, prefix netip.Prefix, until deich.Time) {
	held := o.table[key]
	if held == nil {
		if len(o.table) >= ordersMax {
			o.missed.Add(1)
			return
		}
		held = &order{prefix: prefix}
		o.table[key] = held
		o.widths[key.bits]++
	}
	held.until.Store(int64(until))
}

func (o *orders) remove(key orderKey) bool {
	if o.table[key] == nil {
		return false
	}
	delete(o.table, key)
	o.widths[key.bits]--
	return true
}

// refuses says whether an order is in force for a, and counts that it was.
func (o *orders) refuses(now deich.Time, a netip.Addr) bool {
	if o.held.Load() == 0 {
		return false
	}
	low, top := widthsOf(a)
	o.mu.RLock()
	defer o.mu.RUnlock()
	for bits := low; bits <= top; bits++ {
		if o.widths[bits] == 0 {
			continue
		}
		if held := o.table[keyOf(a, bits)]; held != nil && held.until.Load() > int64(now) {
			held.seen.Add(1)
			return true
		}
	}
	return false
}

// collect gives what was refused since the last collect, and forgets the
// orders that have ended.
func (o *orders) collect(now deich.Time, counts []deich.Count) []deich.Count {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, held := range o.table {
		if n := held.seen.Swap(0); n > 0 {
			counts = append(counts, deich.Count{Prefix: held.prefix, N: n})
		}
		if held.until.Load() <= int64(now) {
			o.remove(key)
		}
	}
	o.held.Store(int32(len(o.table)))
	return counts
}

package sim

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/deichproject/deich"
)

// refused carries out orders as a listener would: what comes from a source
// under one costs nothing, and how often it came is told to the engine.
type refused struct {
	by     map[uint64]int // key of a prefix → index in all
	all    []refusal
	hits   []int // indices of those hit since they were last told of
	told   []deich.Count
	orders int
}

type refusal struct {
	prefix netip.Prefix
	until  deich.Time
	n      uint64
}

// sourceKey is an IPv4 address or the /64 of an IPv6 address: what one source is.
func sourceKey(a netip.Addr) uint64 {
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8])
}

func (x *refused) take(o deich.Order) error {
	a := o.Prefix.Addr()
	if o.Prefix.Bits() != 64 && !(a.Is4() && o.Prefix.Bits() == 32) {
		return fmt.Errorf("sim: an order for %v, which is not one source", o.Prefix)
	}
	key := sourceKey(o.Prefix.Addr())
	i, ok := x.by[key]
	if !ok {
		i = len(x.all)
		x.by[key] = i
		x.all = append(x.all, refusal{prefix: o.Prefix})
	}
	x.all[i].until = o.Until
	if o.Until != 0 {
		x.orders++
	}
	return nil
}

// hit says whether a source is under an order, and counts it if so.
func (x *refused) hit(a netip.Addr, at deich.Time) bool {
	if len(x.all) == 0 {
		return false
	}
	i, ok := x.by[sourceKey(a)]
	if !ok || x.all[i].until <= at {
		return false
	}
	if x.all[i].n++; x.all[i].n == 1 {
		x.hits = append(x.hits, i)
	}
	return true
}

// counts gives what was refused since the last call.
func (x *refused) counts() []deich.Count {
	x.told = x.told[:0]
	for _, i := range x.hits {
		x.told = append(x.told, deich.Count{Prefix: x.all[i].prefix, N: x.all[i].n})
		x.all[i].n = 0
	}
	x.hits = x.hits[:0]
	return x.told
}

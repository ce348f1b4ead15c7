package atlas

import (
	"encoding/binary"
	"net/netip"
	"sort"
)

// key is as much of an address as tells networks apart: all of IPv4, and the
// first half of IPv6, since nobody's network ends within a /64.
type key interface{ uint32 | uint64 }

// spans say what holds from each start to the next one. The first starts at zero.
type spans[K key] struct {
	starts []K
	values []uint32
	index  []uint32 // by an address' leading 16 bits: how many spans start before them
}

func key4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func key6(a netip.Addr) uint64 {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8])
}

// width is how many bits a key has.
func width[K key]() int {
	if ^K(0) == K(1<<32-1) {
		return 32
	}
	return 64
}

func (s *spans[K]) empty() bool { return len(s.starts) == 0 }

// find gives what holds at k; 0 where nothing does.
func (s *spans[K]) find(k K) uint32 {
	if len(s.starts) == 0 {
		return 0
	}
	top := int(k >> (width[K]() - indexBits))
	low, high := s.index[top], s.index[top+1]
	for low < high { // the first that starts after k
		middle := (low + high) / 2
		if s.starts[middle] <= k {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return s.values[low-1]
}

const indexBits = 16

// seal makes the index; nothing is added afterwards. Spans of which none says
// anything are no spans.
func (s *spans[K]) seal() {
	some := false
	for _, v := range s.values {
		some = some || v != 0
	}
	if !some {
		*s = spans[K]{}
		return
	}
	s.starts, s.values = append([]K(nil), s.starts...), append([]uint32(nil), s.values...)
	s.index = make([]uint32, 1<<indexBits+1)
	shift := width[K]() - indexBits
	for top := range s.index {
		s.index[top] = uint32(sort.Search(len(s.starts), func(i int) bool { return int(s.starts[i]>>shift) >= top }))
	}
}

// filler adds networks to spans, in the order of their addresses.
type filler[K key] struct {
	spans[K]
	next K    // where nothing has been said yet
	full bool // next would be beyond the last address
}

// add says what holds from first to last; false where that is not in order. What
// begins where something was said already is finer than a key, and left out.
func (f *filler[K]) add(first, last K, value uint32) bool {
	if f.full || first < f.next {
		return f.full && first == ^K(0) || !f.full && first == f.next-1
	}
	if first > f.next {
		f.put(f.next, 0)
	}
	f.put(first, value)
	f.next = last + 1
	f.full = f.next == 0
	return true
}

func (f *filler[K]) put(start K, value uint32) {
	if n := len(f.values); n > 0 && f.values[n-1] == value {
		return
	}
	f.starts, f.values = append(f.starts, start), append(f.values, value)
}

// done gives the spans.
func (f *filler[K]) done() spans[K] {
	if !f.full && len(f.starts) > 0 {
		f.put(f.next, 0)
	}
	f.seal()
	return f.spans
}

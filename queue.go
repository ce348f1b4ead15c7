package deich

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// slab holds one origin's places, queued requests and streams in fixed slots.
// Everything in it is guarded by its origin's lock.
type slab struct {
	slots []slot
	free  int32 // head of the list of free slots, -1 when none is left

	buckets [RanksMax]int32 // newest queued of each rank
	tails   [RanksMax]int32 // oldest of each, where there is one
	filled  [RanksMax / 64]uint64
	oldest  int32 // ends of the list by age
	newest  int32
	queued  int
	due     atomic.Int64 // when the oldest has waited too long; 0 for none
}

type slotState uint8

const (
	slotFree slotState = iota
	slotQueued
	slotPlaced // at the origin, counted against the limit
	slotStream // at the origin, counted against the streams
)

// slot is one request between Enter and its end.
type slot struct {
	gen       uint32
	state     slotState
	rank      uint8
	stranger  bool
	crowded   bool   // the limit was nearly reached when it got its place
	trial     bool   // it was placed during a trial
	known     bool   // of a client that was served before the pressure
	trusted   bool   // of one that has been known for a part of the time the engine runs
	cost      uint16 // in sixteenths of an average request
	route     uint16
	principal uint16 // whose it is, for fairness inside a class
	up, down  int32  // in the bucket: towards newer, towards older
	next      int32  // by age: towards newer; in the free list: the next free
	prev      int32
	at        Time // when it was queued, then when it got its place
	until     Time // when it has waited too long
	addr      uint64
	cred      uint64
	asking    uint64 // who asked for what
	pass      uint64
	sight     int16 // its place among the sightings that wait for an answer, +1; 0: none
}

func (s *slab) init(n int) {
	s.slots, s.oldest, s.newest = make([]slot, n), -1, -1
	for i := range s.slots {
		s.slots[i].next = int32(i) + 1
	}
	s.slots[n-1].next = -1
	for i := range s.buckets {
		s.buckets[i] = -1
	}
}

// take gives a free slot, or -1.
func (s *slab) take() int32 {
	i := s.free
	if i >= 0 {
		s.free = s.slots[i].next
	}
	return i
}

// give frees a slot; its ticket means nothing any more.
func (s *slab) give(i int32) {
	sl := &s.slots[i]
	sl.state = slotFree
	sl.gen++
	sl.next = s.free
	s.free = i
}

// push queues the slot as the newest of its rank.
func (s *slab) push(i int32) {
	sl := &s.slots[i]
	sl.state = slotQueued
	sl.up, sl.down = -1, s.buckets[sl.rank]
	if sl.down >= 0 {
		s.slots[sl.down].up = i
	} else {
		s.tails[sl.rank] = i
	}
	s.buckets[sl.rank] = i
	s.filled[sl.rank/64] |= 1 << (sl.rank % 64)

	sl.next, sl.prev = -1, s.newest
	if s.newest >= 0 {
		s.slots[s.newest].next = i
	} else {
		s.oldest = i
		s.due.Store(int64(sl.until))
	}
	s.newest = i
	s.queued++
}

// unlink takes a queued slot out of the queue, wherever it stands.
func (s *slab) unlink(i int32) {
	sl := &s.slots[i]
	if sl.up >= 0 {
		s.slots[sl.up].down = sl.down
	} else {
		s.buckets[sl.rank] = sl.down
		if sl.down < 0 {
			s.filled[sl.rank/64] &^= 1 << (sl.rank % 64)
		}
	}
	if sl.down >= 0 {
		s.slots[sl.down].up = sl.up
	} else {
		s.tails[sl.rank] = sl.up
	}
	if sl.next >= 0 {
		s.slots[sl.next].prev = sl.prev
	} else {
		s.newest = sl.prev
	}
	if sl.prev >= 0 {
		s.slots[sl.prev].next = sl.next
	} else {
		s.oldest = sl.next
		due := int64(0)
		if sl.next >= 0 {
			due = int64(s.slots[sl.next].until)
		}
		s.due.Store(due)
	}
	s.queued--
}

// best gives a queued slot of the highest rank, the newest or the oldest of
// it, or -1.
func (s *slab) best(oldest bool) int32 {
	for w := len(s.filled) - 1; w >= 0; w-- {
		if f := s.filled[w]; f != 0 {
			r := w*64 + 63 - bits.LeadingZeros64(f)
			if oldest {
				return s.tails[r]
			}
			return s.buckets[r]
		}
	}
	return -1
}

// hurry lets nobody wait longer than wait who is queued already.
func (s *slab) hurry(wait time.Duration) {
	for i := s.oldest; i >= 0; i = s.slots[i].next {
		sl := &s.slots[i]
		sl.until = min(sl.until, sl.at.Add(wait))
	}
	if s.oldest >= 0 {
		s.due.Store(int64(s.slots[s.oldest].until))
	}
}

// worst gives the oldest queued slot of the lowest rank, or -1.
func (s *slab) worst() int32 {
	for w, f := range s.filled {
		if f != 0 {
			return s.tails[w*64+bits.TrailingZeros64(f)]
		}
	}
	return -1
}

package deich

import (
	"sync/atomic"
	"time"
)

// failed remembers which sources were just turned away or failed, to tell who
// asks again: a small table of times by source and path, the latest wins.
type failed struct {
	at [failedMax]atomic.Uint64 // hash in the upper half, seconds in the lower
}

const (
	againWithin = 8 // seconds
)

// askingHash names who asks for what.
func askingHash(addr uint64, r *Request) uint64 {
	return addr ^ uint64(r.Traits[TraitPath])<<16 ^ uint64(r.Traits[TraitAsked])
}

func (f *failed) note(hash uint64, at Time) {
	f.at[hash%failedMax].Store(hash&^0xffffffff | uint64(uint32(at/Time(time.Second))))
}

func (f *failed) lately(hash uint64, at Time) bool {
	w := f.at[hash%failedMax].Load()
	return w>>32 == hash>>32 && uint32(at/Time(time.Second))-uint32(w) <= againWithin
}

// returned remembers who came back to the waiting room: a ticket may be shown
// more than once while it is due, and speaks for one person.
type returned struct {
	at [returnedMax]atomic.Uint64 // hash in the upper half, seconds in the lower
}

const returnedFor = 8 // seconds

// first says that a hash was not met lately, and notes it.
func (t *returned) first(hash uint64, at Time) bool {
	w := &t.at[hash%returnedMax]
	old, now := w.Load(), uint32(at/Time(time.Second))
	if old>>32 == hash>>32 && now-uint32(old) <= returnedFor {
		return false
	}
	return w.CompareAndSwap(old, hash&^0xffffffff|uint64(now))
}

// told watches strangers that no page can be shown to: they were told to come
// back after retrySoon, each for one thing. A table by source; while one is
// watched no other takes its place.
type told struct {
	at [toldMax]atomic.Uint64 // source 24 bits, what was asked 14, busy 1, time 25 in units of 1/64 s
}

const (
	toldFor  = 4500 * time.Millisecond // then it is watched no longer
	toldUnit = time.Second / 64
	toldTime = 1<<25 - 1
	toldBusy = 1 << 25
	toldAsk  = 1<<40 - 1<<26
)

func toldWord(addr, asking uint64, at Time) uint64 {
	return addr&^(1<<40-1) | (asking*0x9e3779b97f4a7c15>>50)<<26 | max(uint64(at/Time(toldUnit))&toldTime, 1)
}

// age is how long ago a word was written.
func (t *told) age(w uint64, at Time) time.Duration {
	return time.Duration((uint64(at/Time(toldUnit))-w)&toldTime) * toldUnit
}

func (t *told) note(s *signs, addr, asking uint64, at Time) {
	w := &t.at[addr%toldMax]
	if old := w.Load(); (old == 0 || t.age(old, at) > toldFor) && w.CompareAndSwap(old, toldWord(addr, asking, at)) {
		s.told.Add(1)
	}
}

// came looks whether somebody who was told to come back is here. Who is given other
// things from a cache meanwhile may well be waiting.
func (t *told) came(s *signs, addr, asking uint64, at Time, kept bool) {
	w := &t.at[addr%toldMax]
	old := w.Load()
	if old == 0 || (old^addr)>>40 != 0 {
		return
	}
	age := t.age(old, at)
	switch soon := age < retrySoon-returnSlack; {
	case age > toldFor:
	case (old^toldWord(addr, asking, at))&toldAsk == 0:
		if w.CompareAndSwap(old, 0) {
			if soon {
				s.hasty.Add(1)
			} else {
				s.heeded.Add(1)
			}
		}
	case soon && !kept && old&toldBusy == 0:
		if w.CompareAndSwap(old, old|toldBusy) {
			s.busy.Add(1)
		}
	}
}

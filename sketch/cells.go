package sketch

import (
	"runtime"
	"sync/atomic"
)

// Cells keeps one word of state, of the caller's meaning, for each of many
// sources in 16 bytes a source. Eight cells are a set; a newcomer to a full set
// takes the cell of the smallest worth, as the caller judges worth.
//
// A cell is two words, changed one after the other, and a [Cell] handed out
// stays where it is when another source takes its place. So, rarely:
//
//   - a caller that holds a cell across its eviction reads or writes the state
//     of the newcomer: one update goes to the wrong source. [Cell.CompareAndSwap]
//     from a value seen before narrows this to newcomers with that very value;
//   - two first sightings of one source at the same time may claim two cells;
//     [Cells.Find] then returns always the same one of them, and the other
//     stays unused until it is evicted;
//   - two sources that share set and tag (8·2⁻³² per look-up of a full set)
//     share a cell.
//
// Each costs a wrong estimate about one source and no more: the state must be
// something for which that is harmless, a habit or a count and not a permit.
// All methods are safe for concurrent use.
type Cells struct {
	sets []cellSet
	mask uint64
}

// Cell is the state kept for one source: a value and when it was born, in units
// of the caller's choice.
type Cell struct {
	// head is tag32 ‖ born32; tag 0 is an unused cell, or one being taken.
	head  atomic.Uint64
	value atomic.Uint64
}

type cellSet [ways]Cell

// taking is the head of a cell while its value is being reset. No source has
// tag 0, so nobody finds it and the newcomer never starts with the state of who
// was there before.
const taking = 1

// NewCells returns an empty table of that many cells, rounded up to a power of
// two between [CellsMin] and [CellsMax].
func NewCells(entries int) *Cells {
	n := powerOfTwo(entries, CellsMin, CellsMax) / ways
	return &Cells{sets: make([]cellSet, n), mask: uint64(n - 1)}
}

// Find returns the source's cell, nil when there is none.
func (c *Cells) Find(hash uint64) *Cell {
	return c.sets[hash&c.mask].find(tagOf(hash))
}

// Claim returns the source's cell, and where there is none takes one for it:
// an unused cell of its set, or else the one of the smallest worth. A cell
// taken has the given birth and value 0. worth must be a plain function, not a
// closure, for the call not to allocate; it may be called with a birth and a
// value that do not belong together.
func (c *Cells) Claim(hash uint64, born uint32, worth func(born uint32, value uint64) uint64) *Cell {
	set, tag := &c.sets[hash&c.mask], tagOf(hash)
	for {
		if cell := set.find(tag); cell != nil {
			return cell
		}
		if cell, old := set.least(worth); cell != nil && cell.take(old, tag, born, 0) {
			return cell
		}
		// Somebody else took it first, or all eight are just being taken.
		runtime.Gosched()
	}
}

// Each calls f with every cell in use, set by set, until f returns false.
// Cells that change meanwhile are told as before or as after.
func (c *Cells) Each(f func(set int, tag, born uint32, value uint64) bool) {
	for s := range c.sets {
		for i := range c.sets[s] {
			cell := &c.sets[s][i]
			head := cell.head.Load()
			if head>>32 == 0 {
				continue
			}
			if !f(s, uint32(head>>32), uint32(head), cell.value.Load()) {
				return
			}
		}
	}
}

// Put brings back a cell that [Cells.Each] told of a table of as many sets,
// hashed with the same key. It reports whether there was room: it overwrites
// the same tag but evicts nobody, and refuses a set or a tag no table of this
// size has.
func (c *Cells) Put(set int, tag, born uint32, value uint64) bool {
	if set < 0 || set >= len(c.sets) || tag == 0 {
		return false
	}
	s := &c.sets[set]
	if cell := s.find(tag); cell != nil {
		return cell.take(cell.head.Load(), tag, born, value)
	}
	for i := range s {
		if s[i].head.Load() == 0 && s[i].take(0, tag, born, value) {
			return true
		}
	}
	return false
}

// Sets returns the number of sets; a saved table fits one of as many.
func (c *Cells) Sets() int { return len(c.sets) }

// Bytes returns how much memory the table takes.
func (c *Cells) Bytes() int { return len(c.sets) * ways * 16 }

func (s *cellSet) find(tag uint32) *Cell {
	for i := range s {
		if uint32(s[i].head.Load()>>32) == tag {
			return &s[i]
		}
	}
	return nil
}

// least returns the cell to take, with the head it had: the first unused one,
// or else the one of the smallest worth; nil when all are just being taken.
func (s *cellSet) least(worth func(uint32, uint64) uint64) (cell *Cell, old uint64) {
	var smallest uint64
	for i := range s {
		head := s[i].head.Load()
		switch {
		case head == 0:
			return &s[i], 0
		case head == taking:
			continue
		}
		if w := worth(uint32(head), s[i].value.Load()); cell == nil || w < smallest {
			cell, old, smallest = &s[i], head, w
		}
	}
	return cell, old
}

// take makes the cell that of tag, unless its head is no longer old.
func (c *Cell) take(old uint64, tag, born uint32, value uint64) bool {
	if old == taking || !c.head.CompareAndSwap(old, taking) {
		return false
	}
	c.value.Store(value)
	c.head.Store(uint64(tag)<<32 | uint64(born))
	return true
}

// Born returns the birth given when the cell was taken; 0 or 1 while another
// source takes it.
func (c *Cell) Born() uint32 { return uint32(c.head.Load()) }

// Load returns the value.
func (c *Cell) Load() uint64 { return c.value.Load() }

// Store sets the value.
func (c *Cell) Store(v uint64) { c.value.Store(v) }

// CompareAndSwap sets the value to new if it is old, and reports whether it was.
func (c *Cell) CompareAndSwap(old, new uint64) bool { return c.value.CompareAndSwap(old, new) }

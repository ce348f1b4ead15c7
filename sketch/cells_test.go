package sketch

import (
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// byValue is worth as large as the value.
func byValue(_ uint32, value uint64) uint64 { return value }

// byBirth is worth as late as the birth.
func byBirth(born uint32, _ uint64) uint64 { return uint64(born) }

func TestCellsFindWhatWasClaimed(t *testing.T) {
	c := NewCells(64)
	h := hashOf(5, 77)
	if c.Find(h) != nil {
		t.Fatal("found in an empty table")
	}
	cell := c.Claim(h, 1234, byValue)
	if cell.Born() != 1234 || cell.Load() != 0 {
		t.Errorf("claimed: born %d with %d, want 1234 with 0", cell.Born(), cell.Load())
	}
	cell.Store(9)
	if !cell.CompareAndSwap(9, 10) || cell.CompareAndSwap(9, 11) {
		t.Error("swap of the value seen failed, or of another did not")
	}
	if again := c.Claim(h, 5678, byValue); again != cell || again.Born() != 1234 || again.Load() != 10 {
		t.Error("a second claim did not give the cell as it was")
	}
	if c.Find(h) != cell || c.Find(hashOf(5, 78)) != nil || c.Find(hashOf(6, 77)) != nil {
		t.Error("found under another tag or set, or not under its own")
	}
}

func TestCellsTagZeroIsATag(t *testing.T) {
	c := NewCells(8)
	c.Claim(hashOf(0, 0), 7, byValue).Store(3)
	if cell := c.Find(hashOf(0, 0)); cell == nil || cell.Load() != 3 || cell.Born() != 7 {
		t.Errorf("hash with tag 0: %v, want value 3", cell)
	}
}

func TestCellsEvictTheLeastWorth(t *testing.T) {
	c := NewCells(8)
	for i := range uint32(ways) {
		c.Claim(hashOf(0, i+1), 50-i, byValue).Store(uint64(10 + (i+5)%ways))
	}
	// Values are 15 16 17 10 11 …, births 50 49 … 43.
	if got := c.Claim(hashOf(0, 100), 9, byValue); got.Load() != 0 || got.Born() != 9 {
		t.Errorf("newcomer with %d born %d, want 0 born 9", got.Load(), got.Born())
	}
	if c.Find(hashOf(0, 4)) != nil {
		t.Error("the smallest value stayed")
	}
	c.Find(hashOf(0, 100)).Store(99)
	c.Claim(hashOf(0, 101), 99, byBirth)
	if c.Find(hashOf(0, 100)) != nil {
		t.Error("the earliest birth stayed")
	}
	for _, tag := range []uint32{1, 2, 3, 5, 6, 7, 8, 101} {
		if c.Find(hashOf(0, tag)) == nil {
			t.Errorf("%d evicted, though worth more", tag)
		}
	}
}

// TestCellsAsModel drives one set by chance and holds it against a map with the
// same rule of eviction. Values are made distinct, so that the rule is exact.
func TestCellsAsModel(t *testing.T) {
	type state struct {
		born  uint32
		value uint64
	}
	rapid.Check(t, func(t *rapid.T) {
		c, model := NewCells(8), map[uint32]state{}
		for step := range rapid.IntRange(1, 200).Draw(t, "steps") {
			tag := uint32(rapid.IntRange(1, 12).Draw(t, "tag"))
			born := uint32(step)
			if _, known := model[tag]; !known {
				if len(model) == ways {
					least := uint32(0)
					for tag, s := range model {
						if least == 0 || s.value < model[least].value {
							least = tag
						}
					}
					delete(model, least)
				}
				model[tag] = state{born: born}
			}
			value := uint64(rapid.IntRange(0, 1000).Draw(t, "value"))<<32 | uint64(step)
			c.Claim(hashOf(0, tag), born, byValue).Store(value)
			model[tag] = state{model[tag].born, value}
			for tag := uint32(1); tag <= 12; tag++ {
				cell := c.Find(hashOf(0, tag))
				want, known := model[tag]
				if known != (cell != nil) || known && (cell.Born() != want.born || cell.Load() != want.value) {
					t.Fatalf("step %d: tag %d is %v, want %v %v", step, tag, cell, known, want)
				}
			}
		}
	})
}

func TestCellsSaveAndLoad(t *testing.T) {
	saved, loaded := NewCells(256), NewCells(256)
	r := rand.New(rand.NewPCG(1, 1))
	hashes := make([]uint64, 200)
	for i := range hashes {
		hashes[i] = r.Uint64()
		saved.Claim(hashes[i], uint32(i), byBirth).Store(uint64(i) * 3)
	}
	told := 0
	saved.Each(func(set int, tag, born uint32, value uint64) bool {
		told++
		return loaded.Put(set, tag, born, value)
	})
	kept := 0
	for i, h := range hashes {
		a, b := saved.Find(h), loaded.Find(h)
		if a == nil {
			continue
		}
		kept++
		if b == nil || b.Born() != uint32(i) || b.Load() != uint64(i)*3 {
			t.Errorf("%d was lost or changed on the way: %v", i, b)
		}
	}
	if kept < 150 || told != kept {
		t.Errorf("told %d of %d kept, want all, and most of 200", told, kept)
	}
	calls := 0
	saved.Each(func(int, uint32, uint32, uint64) bool { calls++; return false })
	if calls != 1 {
		t.Errorf("after false called %d times, want 1", calls)
	}
}

func TestPutRefuses(t *testing.T) {
	c := NewCells(16)
	if c.Sets() != 2 {
		t.Fatalf("%d sets, want 2", c.Sets())
	}
	for _, bad := range []struct {
		set int
		tag uint32
	}{{-1, 1}, {2, 1}, {1 << 30, 1}, {0, 0}} {
		if c.Put(bad.set, bad.tag, 0, 0) {
			t.Errorf("set %d, tag %d put", bad.set, bad.tag)
		}
	}
	for tag := uint32(1); tag <= ways; tag++ {
		if !c.Put(1, tag, tag, 1) {
			t.Errorf("tag %d refused, though there was room", tag)
		}
	}
	if c.Put(1, 100, 0, 0) {
		t.Error("put into a full set")
	}
	if !c.Put(1, 3, 30, 300) {
		t.Error("the same tag refused")
	}
	if cell := c.Find(hashOf(1, 3)); cell.Born() != 30 || cell.Load() != 300 {
		t.Errorf("put over the same tag: born %d with %d, want 30 with 300", cell.Born(), cell.Load())
	}
}

// TestCellsConcurrently lets goroutines claim, change, find and save in two
// sets with more sources than cells. Each value names its source, so that a
// newcomer's state can be told from what was there before.
func TestCellsConcurrently(t *testing.T) {
	const callers, steps, tags = 8, 3000, 40
	c := NewCells(16)
	var wg sync.WaitGroup
	for g := range callers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 9))
			for range steps {
				h := hashOf(r.Uint32N(2), 1+r.Uint32N(tags))
				cell := c.Claim(h, uint32(h>>32), byBirth)
				if old := cell.Load(); !cell.CompareAndSwap(old, old+1) {
					cell.Store(1)
				}
				if cell := c.Find(hashOf(r.Uint32N(2), 1+r.Uint32N(tags))); cell != nil {
					cell.Born()
				}
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			c.Each(func(set int, tag, born uint32, value uint64) bool {
				if set > 1 || tag == 0 || tag > tags || born != tag {
					t.Errorf("told set %d, tag %d, born %d", set, tag, born)
				}
				return true
			})
		}
	})
	wg.Wait()
	for s := range c.sets {
		for i := range c.sets[s] {
			if head := c.sets[s][i].head.Load(); head == 0 || head == taking {
				t.Errorf("set %d, way %d left with head %d", s, i, head)
			}
		}
	}
}

// TestNewcomerStartsAtZero has one goroutine after another take over one cell
// and wants none to find the state of those before.
func TestNewcomerStartsAtZero(t *testing.T) {
	c := NewCells(8)
	for tag := uint32(1); tag < ways; tag++ {
		c.Claim(hashOf(0, tag), 1<<31, byBirth)
	}
	for tag := uint32(100); tag < 1000; tag++ {
		cell := c.Claim(hashOf(0, tag), tag, byBirth)
		if got := cell.Load(); got != 0 {
			t.Fatalf("newcomer %d starts with %d", tag, got)
		}
		cell.Store(uint64(tag))
	}
}

// TestCellBeingTaken stops a set in the midst of a claim, then with every
// way but one being taken, and wants all others to work around it.
func TestCellBeingTaken(t *testing.T) {
	c := NewCells(8)
	for i := range ways {
		c.sets[0][i].head.Store(taking)
	}
	c.Each(func(_ int, tag, born uint32, value uint64) bool {
		t.Errorf("told tag %d, born %d, value %d of a cell being taken", tag, born, value)
		return true
	})
	if c.Find(hashOf(0, 0)) != nil || c.Find(hashOf(0, taking)) != nil {
		t.Error("found a cell being taken")
	}
	if c.Put(0, 5, 5, 5) {
		t.Error("put into a cell being taken")
	}
	c.sets[0][3].head.Store(1<<32 | 1)
	if cell := c.Claim(hashOf(0, 2), 2, byValue); cell != &c.sets[0][3] {
		t.Error("claimed another cell than the one not being taken")
	}
	if c.sets[0][4].take(taking, 7, 7, 7) {
		t.Error("took a cell being taken")
	}
}

// TestClaimLooksAgain has another source take the very cell that a claim is
// about to evict: worth is called just then.
func TestClaimLooksAgain(t *testing.T) {
	c := NewCells(8)
	for tag := uint32(1); tag <= ways; tag++ {
		c.Claim(hashOf(0, tag), tag, byBirth)
	}
	raced := false
	cell := c.Claim(hashOf(0, 100), 100, func(born uint32, _ uint64) uint64 {
		if born == 5 && !raced { // Tag 1 has been judged the least by now.
			raced = true
			c.sets[0][0].take(1<<32|1, 200, 200, 7)
		}
		return uint64(born)
	})
	if !raced || cell != c.Find(hashOf(0, 100)) || cell == &c.sets[0][0] {
		t.Error("took the cell that another source had taken before")
	}
	if got := c.Find(hashOf(0, 200)); got == nil || got.Load() != 7 {
		t.Error("who took the cell first lost it")
	}
}

func TestCellsAllocateNothing(t *testing.T) {
	c := NewCells(1 << 10)
	h := uint64(0)
	if n := testing.AllocsPerRun(5000, func() {
		h += 0x9e3779b97f4a7c15
		if c.Find(h) == nil {
			c.Claim(h, 1, byValue).Store(h)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkCells(b *testing.B) {
	for _, size := range sizes {
		c := NewCells(size.entries)
		r := rand.New(rand.NewPCG(5, 6))
		for range 2 * size.entries {
			c.Claim(r.Uint64(), 1, byValue)
		}
		b.Run("Find/"+size.name, func(b *testing.B) {
			for b.Loop() {
				c.Find(r.Uint64())
			}
		})
		b.Run("Claim/"+size.name, func(b *testing.B) {
			for b.Loop() {
				c.Claim(r.Uint64(), 1, byValue)
			}
		})
	}
}

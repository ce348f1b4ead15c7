package deich

import (
	"math/bits"
	"time"

	"github.com/deichproject/deich/sketch"
)

// past remembers, in a fixed table, who was served well in peace: addresses
// and credentials, by keyed hash. A cell is born with the first good answer;
// its value packs
//
//	last  24 bits  when it was last good, in units of 16 s
//	now   12 bits  passes seen from here in this epoch, one bit by hash
//	prev  12 bits  the same for the epoch before
//	epoch 16 bits  number of the epoch, mod 2^16
type past struct {
	cells *sketch.Cells
}

const (
	pastUnit   = 16 * time.Second
	pastEpoch  = 10 * time.Minute
	pastKeep   = 7 * 24 * time.Hour // older than this since the last good answer counts as unknown
	pastLast   = 24
	pastMap    = 12
	passesMany = 32 // what a full bitmap is taken for
)

// passesOf estimates how many passes set n of twelve bits (linear counting).
var passesOf = [pastMap + 1]uint8{0, 1, 2, 3, 5, 6, 8, 11, 13, 17, 22, 29, passesMany}

func pastSeconds(t Time) uint32 { return uint32(t / Time(time.Second)) }

func pastLastOf(t Time) uint64 { return uint64(t/Time(pastUnit)) & (1<<pastLast - 1) }

func pastEpochOf(t Time) uint64 { return uint64(t/Time(pastEpoch)) & 0xffff }

// pastWorth orders cells for eviction: recently good is worth most, and whoever
// was good over a long time is worth as much more as that time was, up to
// pastKeep. So a million sources served once each push out each other, not the
// acquaintances of last week.
func pastWorth(born uint32, value uint64) uint64 {
	last := value & (1<<pastLast - 1)
	span := (last - uint64(born)/uint64(pastUnit/time.Second)) & (1<<pastLast - 1)
	return last + min(span, uint64(pastKeep/pastUnit))
}

// age gives how long before the pressure began (or before now) the hash was
// first good; zero or less if not known.
func (p past) age(hash uint64, at, since Time) time.Duration {
	c := p.cells.Find(hash)
	if c == nil {
		return 0
	}
	last := c.Load() & (1<<pastLast - 1)
	idle := (pastLastOf(at) - last) & (1<<pastLast - 1)
	if time.Duration(idle)*pastUnit > pastKeep && idle < 1<<(pastLast-1) {
		return 0
	}
	return before(at, since, Time(c.Born())*Time(time.Second))
}

// good notes a good answer, and a pass seen with it (0 for none).
func (p past) good(hash uint64, at Time, pass uint64) {
	c := p.cells.Claim(hash, pastSeconds(at), pastWorth)
	for {
		old := c.Load()
		next := pastNoted(old, at, pass)
		if next == old || c.CompareAndSwap(old, next) {
			return
		}
	}
}

func pastNoted(v uint64, at Time, pass uint64) uint64 {
	epoch := pastEpochOf(at)
	now, prev := v>>pastLast&(1<<pastMap-1), v>>(pastLast+pastMap)&(1<<pastMap-1)
	switch had := v >> (pastLast + 2*pastMap); {
	case had == epoch:
	case (had+1)&0xffff == epoch:
		now, prev = 0, now
	default:
		now, prev = 0, 0
	}
	if pass != 0 {
		now |= 1 << (pass % pastMap)
	}
	return pastLastOf(at) | now<<pastLast | prev<<(pastLast+pastMap) | epoch<<(pastLast+2*pastMap)
}

// passes estimates how many different passes were served from here lately.
func (p past) passes(hash uint64, at Time) int {
	c := p.cells.Find(hash)
	if c == nil {
		return 0
	}
	v := c.Load()
	epoch, had := pastEpochOf(at), v>>(pastLast+2*pastMap)
	now, prev := v>>pastLast&(1<<pastMap-1), v>>(pastLast+pastMap)&(1<<pastMap-1)
	switch {
	case had == epoch:
		return int(passesOf[bits.OnesCount64(now|prev)])
	case (had+1)&0xffff == epoch:
		return int(passesOf[bits.OnesCount64(now)])
	}
	return 0
}

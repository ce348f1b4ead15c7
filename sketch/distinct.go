package sketch

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// Distinct counts how many different hashes it was handed, in 16 KiB whatever
// their number, and keeps none of them. It is HyperLogLog (Flajolet, Fusy,
// Gandouet, Meunier, AofA 2007): a hash's first 14 bits choose one of m = 16,384
// registers, which keeps the longest run of zeros, and one, that the other 50
// began with. [Count] says how many hashes that stands for.
//
// Who cannot choose hashes cannot steer it. It is safe for concurrent use.
type Distinct struct {
	words [DistinctRegisters / 4]atomic.Uint32 // four registers of a byte each
}

// Mark is a register that is not empty, and what it holds.
type Mark uint32

const (
	distinctBits = 14
	// longest is the highest value of a register: none of the other bits is set.
	longest = 64 - distinctBits + 1
)

// markOf is what a hash leaves.
func markOf(hash uint64) Mark {
	run := bits.LeadingZeros64(hash<<distinctBits|1<<(distinctBits-1)) + 1
	return Mark(hash>>(64-distinctBits)<<8) | Mark(run)
}

// Add takes in a hash. It allocates nothing.
func (d *Distinct) Add(hash uint64) {
	m := markOf(hash)
	word, shift, run := &d.words[m>>8/4], m>>8%4*8, uint32(m&0xff)
	for {
		old := word.Load()
		if old>>shift&0xff >= run || word.CompareAndSwap(old, old&^(0xff<<shift)|run<<shift) {
			return
		}
	}
}

// Take gives what was added since the last call, and begins anew; nil where
// nothing was. What is added meanwhile is in this call's marks or in the next's.
func (d *Distinct) Take() (marks []Mark) {
	for i := range d.words {
		if d.words[i].Load() == 0 {
			continue
		}
		word := d.words[i].Swap(0)
		for k := range Mark(4) {
			if run := Mark(word >> (8 * k) & 0xff); run != 0 {
				marks = append(marks, (4*Mark(i)+k)<<8|run)
			}
		}
	}
	return marks
}

// Count sums up marks: of several times, or of several groups. It is not safe
// for concurrent use.
type Count struct {
	registers [DistinctRegisters]uint8
}

// Add takes in marks; what was marked before counts once.
func (c *Count) Add(marks []Mark) {
	for _, m := range marks {
		if i, run := m>>8, uint8(m); int(i) < len(c.registers) && run <= longest {
			c.registers[i] = max(c.registers[i], run)
		}
	}
}

// N estimates how many different hashes that stands for. The standard error is
// 1.04/√m = 0.8 % for many, and 1/√(2m) = 0.6 % while they are few beside m. It is
// Ertl's estimator (New cardinality estimation algorithms for HyperLogLog
// sketches, arXiv:1702.01284, algorithm 6), which has no ranges where it is
// biased and needs no tables:
//
//	α m² / (m σ(C₀/m) + Σ Cₖ 2⁻ᵏ + m τ(1−C_q₊₁/m) 2⁻q),  α = 1 / (2 ln 2)
//
// where Cₖ of the m registers hold k, and q = 50.
func (c *Count) N() int {
	var holding [longest + 1]int
	for _, run := range c.registers {
		holding[run]++
	}
	const m = DistinctRegisters
	if holding[0] == m {
		return 0
	}
	z := m * tau(1-float64(holding[longest])/m)
	for k := longest - 1; k >= 1; k-- {
		z = .5 * (z + float64(holding[k]))
	}
	z += m * sigma(float64(holding[0])/m)
	return int(m*m/(2*math.Ln2*z) + .5)
}

// sigma is x + Σ x^2ᵏ 2ᵏ⁻¹ over k from 1, for x below 1.
func sigma(x float64) float64 {
	y, z, was := 1., x, -1.
	for z != was {
		x *= x
		was = z
		z += x * y
		y += y
	}
	return z
}

// tau is (1 − x − Σ (1−x^2⁻ᵏ)² 2⁻ᵏ) / 3 over k from 1.
func tau(x float64) float64 {
	if x <= 0 || x >= 1 {
		return 0
	}
	y, z, was := 1., 1-x, -1.
	for z != was {
		x = math.Sqrt(x)
		was = z
		y *= .5
		z -= (1 - x) * (1 - x) * y
	}
	return z / 3
}

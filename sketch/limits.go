package sketch

import "time"

const (
	// BucketsMin and BucketsMax bound the entries of [Buckets]; what is asked
	// for outside them is taken as the bound. A full set forgets the source
	// nearest to its full allowance.
	BucketsMin = 8
	BucketsMax = 1 << 28

	// CellsMin and CellsMax bound the cells of [Cells]; what is asked for
	// outside them is taken as the bound. A full set forgets the cell of the
	// smallest worth.
	CellsMin = 8
	CellsMax = 1 << 27

	// BloomMin and BloomMax bound the bits of one half of a [Bloom]; what is
	// asked for outside them is taken as the bound. An overfull filter calls
	// fresh hashes spent, never spent ones fresh.
	BloomMin = 1 << 9
	BloomMax = 1 << 30

	// DistinctRegisters is how many registers a [Distinct] and a [Count] have, a byte each.
	// It is never full: more hashes than it can tell apart are counted less surely.
	DistinctRegisters = 1 << 14

	// LevelMax is the highest level a bucket can hold; more is cut to it.
	LevelMax = 24 * time.Hour

	// StaleAfter is how long a bucket must have been empty for a sweep to
	// clear it. It only has to be far below SweepWithin.
	StaleAfter = 24 * time.Hour

	// SweepWithin is the longest time between two sweeps of the same bucket.
	// Later than that, the 32 bits of time kept (wrapping after 12.1 days) may
	// take a bucket that emptied long ago for a full one.
	SweepWithin = 9 * 24 * time.Hour
)

// ways is how many entries share a set: eight words fill one cache line.
const ways = 8

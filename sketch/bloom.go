package sketch

import (
	"sync"
	"time"
)

// Bloom remembers, in fixed memory, which hashes it has seen within the last
// span: a Bloom filter in two halves, of which the older is forgotten every
// span. What was added is remembered for at least one span and at most two.
//
// It never takes a hash it remembers for fresh. It takes a fresh one for seen
// with a probability set by how many hashes n came within one span and the
// bits m of one half, (1−e^(−8n/m))⁸ for each half (Bloom, CACM 1970), so for
// both halves equally filled:
//
//	m/n    64        32        16        8
//	wrong  3.7e-7    1.1e-5    1.1e-3    5.0e-2
//
// Who overfills it makes it refuse what is fresh; nobody can make it accept
// what is spent. It is safe for concurrent use: of two equal hashes added at
// the same time one is fresh, for which a filter needs a lock.
type Bloom struct {
	mu    sync.Mutex
	span  int64
	epoch int64 // now / span of the newest addition
	mask  uint64
	young []uint64
	old   []uint64
}

// probes is the number of bits set for a hash.
const probes = 8

// NewBloom returns an empty filter. bits is the size of one half, rounded up to
// a power of two between [BloomMin] and [BloomMax]; both halves take bits/4
// bytes. A span below a second is taken as one.
func NewBloom(bits int, span time.Duration) *Bloom {
	n := powerOfTwo(bits, BloomMin, BloomMax)
	return &Bloom{
		span:  int64(max(span, time.Second)),
		mask:  uint64(n - 1),
		young: make([]uint64, n/64),
		old:   make([]uint64, n/64),
	}
}

// Add remembers hash and reports whether it was fresh: false when it was, or
// may have been, added within the last span. A now before that of an earlier
// call counts as that one.
func (b *Bloom) Add(now int64, hash uint64) (fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rotate(now / b.span)
	inYoung, inOld := true, true
	// Two halves of one hash make all probes (Kirsch, Mitzenmacher, ESA 2006).
	// The step is odd so that the probes differ.
	at, step := hash, hash>>32|hash<<32|1
	for range probes {
		word, bit := at&b.mask>>6, uint64(1)<<(at&63)
		inYoung = inYoung && b.young[word]&bit != 0
		inOld = inOld && b.old[word]&bit != 0
		b.young[word] |= bit
		at += step
	}
	return !inYoung && !inOld
}

// Bytes returns how much memory the filter takes.
func (b *Bloom) Bytes() int { return (len(b.young) + len(b.old)) * 8 }

// rotate makes epoch the current one. The lock must be held.
func (b *Bloom) rotate(epoch int64) {
	switch ahead := epoch - b.epoch; {
	case ahead <= 0:
		return
	case ahead == 1:
		b.young, b.old = b.old, b.young
	default:
		clear(b.old)
	}
	clear(b.young)
	b.epoch = epoch
}

package edge

import (
	"hash/maphash"
	"net/http"
	"slices"
	"sync"

	"github.com/deichproject/deich"
)

// store holds answers, bounded by bytes, by S3-FIFO (Yang et al., SOSP 2023):
// what comes stands in a small queue and moves into the main one only if it is
// asked for again, so that a flood of pages asked for once pushes nothing out.
// It is cut into shards, each with its own lock and bound. Safe for concurrent use.
type store struct {
	seed   maphash.Seed
	shards [storeShards]shard
}

type shard struct {
	mu      sync.Mutex
	limit   int64
	bytes   int64
	table   map[string]*resource
	small   fifo
	main    fifo
	ghosts  [storeGhosts]uint64 // hashes of what left the small queue last
	flights map[string]*flight
}

// resource is one key with its variants. Its shard's lock guards it.
type resource struct {
	key      string
	hash     uint64
	names    []string // the headers that select, as the latest answer said; nil: it is not known
	known    bool     // names are
	variants []*entry // the newest first
	bytes    int64
	hits     uint8
	inMain   bool
	alone    deich.Time // until then its answers are not for all, and nobody waits for one
	copied   deich.Time // when a copy was last asked for

	versions []*version // what readers were seen to get, where that is watched
	sights   []sight    // which kinds of requests got which of them
	changes  uint8      // how many answers in a row were none of the versions
	rest     deich.Time // until then its answers are not looked at, unless some are agreed on

	older, newer *resource
}

// resourceOverhead is about what a resource takes beside its key and entries.
const resourceOverhead = 320

func newStore(bytes int64) *store {
	s := &store{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i] = shard{limit: bytes / storeShards, table: make(map[string]*resource), flights: make(map[string]*flight)}
	}
	return s
}

// limit is how many bytes are held at most.
func (s *store) limit() int64 { return s.shards[0].limit * storeShards }

// entryMax is the longest body kept.
func (s *store) entryMax() int64 { return min(entryBytesMax, s.shards[0].limit/4) }

func (s *store) shard(key []byte) (*shard, uint64) {
	hash := maphash.Bytes(s.seed, key)
	return &s.shards[hash%storeShards], hash
}

// find gives the newest answer that a request with these headers selects, nil
// if there is none, and the headers that are known to select.
func (s *store) find(key []byte, h http.Header) (e *entry, names []string, alone deich.Time) {
	sh, _ := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.table[string(key)]
	if r == nil {
		return nil, unknownVary, 0
	}
	r.hits = min(r.hits+1, 3)
	names = unknownVary
	if r.known {
		names = r.names
	}
	return r.variant(h), names, r.alone
}

// knows says whether anything was noted of what a key stands for.
func (s *store) knows(key []byte) bool {
	sh, _ := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.table[string(key)] != nil
}

func (r *resource) variant(h http.Header) *entry {
	var buf [256]byte
	for _, e := range r.variants {
		if e.selects == "" || string(appendSelection(buf[:0], e.names, h)) == e.selects {
			return e
		}
	}
	return nil
}

// put keeps an answer, in the place of the one with the same selection.
func (s *store) put(key []byte, e *entry) {
	sh, hash := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.resource(key, hash)
	vary, _ := varyOf(e.header)
	r.names, r.known, r.alone = vary, true, 0
	r.variants = slices.DeleteFunc(r.variants, func(old *entry) bool { return old.selects == e.selects })
	r.variants = slices.Insert(r.variants, 0, e)
	if len(r.variants) > variantsMax {
		r.variants = r.variants[:variantsMax]
	}
	sh.resize(r)
}

// lonely notes that answers to a key are not for all.
func (s *store) lonely(key []byte, until deich.Time) {
	sh, hash := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.resource(key, hash)
	r.alone = until
	sh.resize(r)
}

// wantsCopy says whether no copy of a key was asked for lately, and that one is now.
func (s *store) wantsCopy(key []byte, now deich.Time) bool {
	sh, hash := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.resource(key, hash)
	r.hits = min(r.hits+1, 3)
	if r.copied != 0 && now.Sub(r.copied) < copyEvery || now < r.alone {
		return false
	}
	r.copied = now
	sh.resize(r)
	return true
}

// drop forgets all answers to a key.
func (s *store) drop(key []byte) {
	sh, _ := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if r := sh.table[string(key)]; r != nil {
		r.variants, r.copied, r.versions, r.sights = nil, 0, nil, nil
		sh.resize(r)
	}
}

// size gives how many bytes and keys are held.
func (s *store) size() (bytes int64, keys int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		bytes += sh.bytes
		keys += len(sh.table)
		sh.mu.Unlock()
	}
	return bytes, keys
}

func (sh *shard) resource(key []byte, hash uint64) *resource {
	if r := sh.table[string(key)]; r != nil {
		return r
	}
	r := &resource{key: string(key), hash: hash}
	sh.table[r.key] = r
	ghost := &sh.ghosts[hash>>32%storeGhosts]
	if r.inMain = *ghost == hash; r.inMain {
		*ghost = 0
	}
	sh.queue(r).push(r)
	return r
}

func (sh *shard) queue(r *resource) *fifo {
	if r.inMain {
		return &sh.main
	}
	return &sh.small
}

// resize counts a resource anew and makes room.
func (sh *shard) resize(r *resource) {
	size := int64(resourceOverhead + len(r.key))
	for _, e := range r.variants {
		size += e.size
	}
	for _, v := range r.versions {
		size += versionOverhead
		if v.entry != nil {
			size += v.entry.size
		}
	}
	size += int64(len(r.sights)) * sightBytes
	sh.bytes += size - r.bytes
	sh.queue(r).bytes += size - r.bytes
	r.bytes = size
	for sh.bytes > sh.limit {
		sh.evict()
	}
}

// evict takes the oldest of the small queue where that is above its share, or
// moves it on if it was asked for again; else the oldest of the main queue that
// was not asked for since it was last looked at.
func (sh *shard) evict() {
	if r := sh.small.oldest; r != nil && (sh.small.bytes > sh.limit/smallShare || sh.main.oldest == nil) {
		sh.small.remove(r)
		if r.hits > 1 {
			r.hits, r.inMain = 0, true
			sh.main.push(r)
			return
		}
		sh.ghosts[r.hash>>32%storeGhosts] = r.hash
		sh.forget(r)
		return
	}
	r := sh.main.oldest
	sh.main.remove(r)
	if r.hits > 0 {
		r.hits--
		sh.main.push(r)
		return
	}
	sh.forget(r)
}

func (sh *shard) forget(r *resource) {
	delete(sh.table, r.key)
	sh.bytes -= r.bytes
	r.bytes = 0
}

// fifo is a queue of resources.
type fifo struct {
	oldest, newest *resource
	bytes          int64
}

func (f *fifo) push(r *resource) {
	r.older, r.newer = f.newest, nil
	if f.newest != nil {
		f.newest.newer = r
	} else {
		f.oldest = r
	}
	f.newest = r
	f.bytes += r.bytes
}

func (f *fifo) remove(r *resource) {
	if r.older != nil {
		r.older.newer = r.newer
	} else {
		f.oldest = r.newer
	}
	if r.newer != nil {
		r.newer.older = r.older
	} else {
		f.newest = r.older
	}
	r.older, r.newer = nil, nil
	f.bytes -= r.bytes
}

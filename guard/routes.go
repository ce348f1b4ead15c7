package guard

import (
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// routes tells one origin's paths apart by small numbers, so that the engine
// can learn what each costs. A path gets a number only after two good answers,
// and only so many under one parent: a flood of random paths fills nothing. A
// path without a number of its own shares its parent's; else it is 0.
type routes struct {
	key sketch.Key
	// table is an open-addressed hash table, twice as large as it can fill:
	// 54 bits of hash and 10 of number. Read without a lock, never cleared.
	table [2 * deich.RoutesMax]atomic.Uint64

	// streams marks the numbers of paths that have answered long-lived.
	streams [deich.RoutesMax]atomic.Bool

	// names holds what a number stands for, for people: 's' (safe) or 'u', and the
	// path's shape. Not kept over a restart: the next good answer tells it again.
	names [deich.RoutesMax]atomic.Pointer[string]

	mu         sync.Mutex
	next       uint16
	order      [deich.RoutesMax]uint64 // by number, the hash; for save
	children   [deich.RoutesMax]uint8  // by a parent's number
	candidates [routeCandidates]uint64
}

const routeNumberMask = 1<<10 - 1

func newRoutes(key sketch.Key) *routes { return &routes{key: key, next: 1} }

// of gives a request's route.
func (t *routes) of(path string, safe bool) uint16 {
	n, _ := t.look(path, safe)
	return n
}

// look gives a request's route too, and whether a good answer would teach nothing
// more of it.
func (t *routes) look(path string, safe bool) (n uint16, learnt bool) {
	own, parent := t.hashes(path, safe)
	if n := t.find(own); n != 0 {
		return n, t.names[n].Load() != nil
	}
	return t.find(parent), false
}

// learn counts a good answer.
func (t *routes) learn(path string, safe bool) {
	own, parent := t.hashes(path, safe)
	if own == 0 {
		return
	}
	if n := t.find(own); n != 0 {
		t.name(n, path, safe, false)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(own) != 0 {
		return
	}
	if above := t.find(parent); above != 0 {
		t.name(above, path, safe, true)
	}
	if !t.seenBefore(own) {
		return
	}
	above := t.intern(parent)
	if above == 0 {
		return
	}
	t.name(above, path, safe, true)
	if t.children[above] >= routeChildrenMax {
		return
	}
	if n := t.intern(own); n != 0 {
		t.children[above]++
		t.name(n, path, safe, false)
	}
}

// name notes what a number stands for: the path's shape, or its parent's.
func (t *routes) name(n uint16, path string, safe, parent bool) {
	if t.names[n].Load() != nil {
		return
	}
	var buf [routePathMax + 2]byte
	shape, last := pathShape(buf[:0], path, safe)
	if parent {
		shape = append(shape[:last], "/*"...)
	}
	name := string(shape)
	t.names[n].CompareAndSwap(nil, &name)
}

// named gives a number's shape of path, and whether it is read or may change
// something; empty where it is not known.
func (t *routes) named(n uint16) (shape string, safe bool) {
	if int(n) >= len(t.names) {
		return "", false
	}
	if name := t.names[n].Load(); name != nil {
		return (*name)[1:], (*name)[0] == 's'
	}
	return "", false
}

// learnStream marks a path that answered with a stream: such answers are few
// and cannot be had for random paths, so the first is enough.
func (t *routes) learnStream(path string, safe bool) {
	own, parent := t.hashes(path, safe)
	if own == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(own) == 0 && (t.intern(parent) == 0 || t.intern(own) == 0) {
		return
	}
	t.streams[t.find(own)].Store(true)
}

// seenBefore is true from the second time on, while nothing else took the place.
func (t *routes) seenBefore(hash uint64) bool {
	c := &t.candidates[hash>>32%routeCandidates]
	if *c == hash {
		return true
	}
	*c = hash
	return false
}

// intern gives hash a number; 0 when all are given. The lock is held.
func (t *routes) intern(hash uint64) uint16 {
	if n := t.find(hash); n != 0 {
		return n
	}
	if t.next >= deich.RoutesMax {
		return 0
	}
	n := t.next
	t.next++
	t.order[n] = hash
	for i := hash; ; i++ {
		e := &t.table[i%uint64(len(t.table))]
		if e.Load() == 0 {
			e.Store(hash&^routeNumberMask | uint64(n))
			return n
		}
	}
}

func (t *routes) find(hash uint64) uint16 {
	for i := hash; ; i++ {
		e := t.table[i%uint64(len(t.table))].Load()
		if e == 0 {
			return 0
		}
		if (e^hash)&^routeNumberMask == 0 {
			return uint16(e & routeNumberMask)
		}
	}
}

// hashes gives those of the path's shape, in which segments that are numbers
// or ids are all one, and of its parent with any child.
func (t *routes) hashes(path string, safe bool) (own, parent uint64) {
	if len(path) > routePathMax {
		return 0, 0
	}
	var buf [routePathMax + 2]byte
	shape, last := pathShape(buf[:0], path, safe)
	own = t.key.Bytes(shape)
	parent = t.key.Bytes(append(shape[:last], "/*"...))
	return own, parent
}

// pathShape appends a path's shape; last is where its last segment begins.
func pathShape(shape []byte, path string, safe bool) (_ []byte, last int) {
	kind := byte('u')
	if safe {
		kind = 's'
	}
	shape = append(shape, kind)
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		last = len(shape)
		shape = append(shape, '/')
		if isID(segment) {
			segment = "*"
		}
		shape = append(shape, segment...)
	}
	return shape, last
}

// isID says whether a segment looks like a number, a UUID or a hash: digits
// only, or at least eight hex digits and dashes with a digit among them.
func isID(s string) bool {
	digits, hex := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'f', 'A' <= c && c <= 'F', c == '-':
			hex++
		default:
			return false
		}
	}
	return digits > 0 && (hex == 0 || digits+hex >= 8)
}

// save appends the numbers given, so that what the engine learned of a route
// finds it again after a restart.
func (t *routes) save(b []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b = binary.BigEndian.AppendUint16(b, t.next)
	for n := uint16(1); n < t.next; n++ {
		b = binary.BigEndian.AppendUint64(b, t.order[n])
		stream := byte(0)
		if t.streams[n].Load() {
			stream = 1
		}
		b = append(b, t.children[n], stream)
	}
	return b
}

const routeLineBytes = 10

var errRoutes = errors.New("guard: load: not what Save gave")

// loadRoutes reads what save gave into a fresh table, and gives what follows it.
func loadRoutes(key sketch.Key, b []byte) (*routes, []byte, error) {
	t := newRoutes(key)
	if len(b) < 2 {
		return nil, nil, errRoutes
	}
	next := binary.BigEndian.Uint16(b)
	b = b[2:]
	if next < 1 || next > deich.RoutesMax || len(b) < int(next-1)*routeLineBytes {
		return nil, nil, errRoutes
	}
	for n := uint16(1); n < next; n++ {
		if t.intern(binary.BigEndian.Uint64(b)) != n {
			return nil, nil, errRoutes // one hash twice
		}
		t.children[n] = b[8]
		t.streams[n].Store(b[9] != 0)
		b = b[routeLineBytes:]
	}
	return t, b, nil
}

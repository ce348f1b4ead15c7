package edge

import (
	"cmp"
	"slices"
	"sync"

	"github.com/deichproject/deich"
)

// loans are the bodies that are being given from memory. One stays there until the
// slowest client has taken it, also when the store has let it go meanwhile; so
// beyond a bound no further ones are kept, and those that last longest are called in.
// What is no longer than the buffer of any answer on its way does not count. Safe for
// concurrent use.
type loans struct {
	mu    sync.Mutex
	bytes int64         // of the bodies, each once
	lent  map[*byte]int // to how many clients a body is being given, by its first byte: several entries may have it
	open  map[*loan]struct{}
}

// loan is a body on its way to one client.
type loan struct {
	entry *entry
	since deich.Time
	cut   func() // ends the write that waits for the client
}

// begin is for a body that is not empty.
func (s *loans) begin(e *entry, now deich.Time, cut func()) *loan {
	l := &loan{entry: e, since: now, cut: cut}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open, s.lent = make(map[*loan]struct{}), make(map[*byte]int)
	}
	s.open[l] = struct{}{}
	body := &e.body[0]
	if s.lent[body]++; s.lent[body] == 1 {
		s.bytes += int64(len(e.body))
	}
	return l
}

// end says that a client has the body, or has gone.
func (s *loans) end(l *loan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(l)
}

func (s *loans) forget(l *loan) {
	if _, open := s.open[l]; !open {
		return // it was called in
	}
	delete(s.open, l)
	body := &l.entry.body[0]
	if s.lent[body]--; s.lent[body] == 0 {
		delete(s.lent, body)
		s.bytes -= int64(len(l.entry.body))
	}
}

// room says whether less than most is being given.
func (s *loans) room(most int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes < most
}

// callIn makes room: clients who have not taken a body within lendFor are cut, those
// before others who came first.
func (s *loans) callIn(now deich.Time, most int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes < most {
		return
	}
	var late []*loan
	for l := range s.open {
		if now.Sub(l.since) >= lendFor {
			late = append(late, l)
		}
	}
	slices.SortFunc(late, func(a, b *loan) int { return cmp.Compare(a.since, b.since) })
	for _, l := range late {
		if s.bytes < most {
			return
		}
		l.cut() // under the lock: its answer is not over before end
		s.forget(l)
	}
}

// callIn is for each second.
func (c *cache) callIn() { c.loans.callIn(c.now(), c.store.limit()) }

// keeps says whether a body of this length may be kept.
func (c *cache) keeps(length int64) bool {
	return length <= copyBytes || c.loans.room(c.store.limit())
}

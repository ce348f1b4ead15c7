package drill

import (
	"maps"
	"sync"
	"time"
)

// strike counts what the attackers did: all of it, and second by second.
type strike struct {
	Planned  int64            `json:"planned"`       // requests that the rate asked for
	Sent     int64            `json:"sent"`          // of those begun, written whole: fewer where connections are refused
	Unsent   int64            `json:"unsent"`        // not begun in time: the drill itself could not
	Reached  int64            `json:"reached"`       // answered with the origin's own content
	Opened   int64            `json:"opened"`        // connections opened
	Come     int64            `json:"come_about"`    // of those, the ones whose handshake ended: what is at the other end had them
	Proofs   int64            `json:"proofs_solved"` // by the attackers
	Endings  map[string]int64 `json:"endings"`       // "503 below_cut", "reset", "timeout", …
	Open     int              `json:"open"`          // connections open at the end
	OpenMost int              `json:"open_most"`
}

// strikes is the count shared between the attackers' loop and whoever looks.
// Safe for concurrent use; the loop adds a second's counts at once.
type strikes struct {
	mu      sync.Mutex
	whole   strike
	seconds map[int]strike // by second since the flood began
	first   time.Duration  // of the first attack request, early visits aside
	last    time.Duration
	any     bool
}

func newStrikes() *strikes {
	return &strikes{whole: strike{Endings: map[string]int64{}}, seconds: map[int]strike{}}
}

func (s *strikes) add(second int, d strike) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.seconds[second]
	if before.Endings == nil {
		before.Endings = map[string]int64{}
	}
	before.merge(d)
	s.seconds[second] = before
	s.whole.merge(d)
}

// began notes an attack request's time.
func (s *strikes) began(at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.any {
		s.first, s.any = at, true
	}
	s.last = at
}

func (s *strikes) second(n int) strike {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.seconds[n]
	one.Endings = maps.Clone(one.Endings)
	return one
}

// Begun is how many requests were begun: a connection opened, or used again, for each.
func (s *strike) Begun() int64 { return s.Planned - s.Unsent }

func (s *strike) merge(d strike) {
	s.Planned += d.Planned
	s.Sent += d.Sent
	s.Unsent += d.Unsent
	s.Reached += d.Reached
	s.Opened += d.Opened
	s.Come += d.Come
	s.Proofs += d.Proofs
	s.Open = d.Open
	s.OpenMost = max(s.OpenMost, d.Open)
	for word, n := range d.Endings {
		if _, known := s.Endings[word]; !known && len(s.Endings) >= EndingsMax {
			word = "other"
		}
		s.Endings[word] += n
	}
}

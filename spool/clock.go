package spool

import "encoding/json"

// clock is what a record of the time says. Each file begins with one, and one is written now
// and then. All that lies in the log goes by Store.clock, and so by the wall clock of the moment
// at which the store was opened: as far as that was from the record before, so far is moved what
// was to be until then. Each record of a run says so, lest damage to one be a loss.
type clock struct {
	At    int64 `json:"at"`              // Unix milliseconds
	Run   int64 `json:"run"`             // when the store was opened
	Shift int64 `json:"shift,omitempty"` // how far that was from the last record before
}

// readClock reads a record. Earlier versions wrote a number alone, and no run.
func readClock(text []byte) (c clock) {
	if json.Unmarshal(text, &c) != nil && json.Unmarshal(text, &c.At) != nil {
		return clock{}
	}
	return c
}

// past is what the start learns of the time.
type past struct {
	last int64 // when the last record was written, as far as is known; 0: there is none
	told bool  // by a clock of this version: what other records say may be of a run long before
	run  int64 // that last is of
}

// hears takes over a time that a record of something else names.
func (p *past) hears(at int64) {
	if !p.told {
		p.last = max(p.last, at)
	}
}

// hearsClock takes over a record of the time, and gives by how much what stands before it is
// to be moved.
func (p *past) hearsClock(c clock) (shift int64) {
	if c.Run == 0 {
		p.last = max(p.last, c.At)
		return 0
	}
	if c.Run != p.run {
		shift = c.Shift
	}
	*p = past{last: c.At, told: true, run: c.Run}
	return shift
}

// moveLives moves until when messages wait. Where the clock is behind what it was, it moves
// the ends of all, else what was ended meanwhile would stay for too long.
func (s *Store) moveLives(shift int64) {
	for _, e := range s.entries {
		if e.State.waits() || shift < 0 {
			e.Until += shift
		}
	}
}

// clock gives the time that what lies in the log goes by, in Unix milliseconds: the wall
// clock's at the start, and what has passed since. A clock that is set changes nothing of that
// before the next start.
func (s *Store) clock() int64 { return s.opened + s.passed().Milliseconds() }

// clockOf gives the time that an entry goes by. What several edges share goes by the wall clocks
// that they have in common.
func (s *Store) clockOf(e *entry) int64 {
	if e.far != nil {
		return millis(s.now())
	}
	return s.clock()
}

// clockText is a record of the time.
func (s *Store) clockText() []byte {
	b, err := json.Marshal(clock{At: s.clock(), Run: s.opened, Shift: s.shift})
	if err != nil {
		panic(err) // unreachable: three numbers
	}
	return b
}

package spool

import "encoding/json"

// clock is what a record of the time says. Each file begins with one, and one is written now
// and then. What waits in the log goes by Store.clock, and so by the wall clock of the moment
// at which the store was opened: as far as that was from the record before, so far is moved until
// when it waits. Each record of a run says so, lest damage to one be a loss.
// What is ended, or answered, goes by the wall clock.
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

// hearsClock takes over a record of the time, and says whether it is the first of its run.
func (p *past) hearsClock(c clock) (first bool) {
	if c.Run == 0 {
		p.last = max(p.last, c.At)
		return false
	}
	first = c.Run != p.run
	*p = past{last: c.At, told: true, run: c.Run}
	return first
}

// moveLives begins a run, at a time by the wall: it moves until when messages wait, and notes
// what of the others is of a time to come.
func (s *Store) moveLives(shift, opened int64) {
	for _, e := range s.entries {
		if e.State.waits() {
			e.Until += shift
		} else {
			since(e.Changed, opened, &e.Back)
		}
	}
	for _, t := range s.turns {
		since(t.at, opened, &t.back)
	}
}

// since gives from when on the life of what was ended at a time counts; now is by the wall. Where
// that time is to come, the clock was ahead then, or is behind now, and which of them nobody can
// tell: as long as it is so, the life counts from the earliest that the clock has said since,
// which back notes. Once the clock is past that time, all is as if it had never been behind.
func since(at, now int64, back *int64) int64 {
	switch {
	case at <= now:
		*back = 0
		return at
	case *back == 0 || now < *back:
		*back = now
	}
	return *back
}

// over says whether an entry's time is over, by the clock that it goes by; now is by the wall.
// What several edges share goes by the wall clocks that they have in common. The lock is held.
func (s *Store) over(e *entry, now int64) bool {
	switch {
	case e.far != nil:
		return e.Until <= now
	case e.State.waits():
		return e.Until <= s.clock()
	}
	return e.Until-e.Changed+since(e.Changed, now, &e.Back) <= now
}

// clock gives the time that what waits in the log goes by, in Unix milliseconds: the wall
// clock's at the start, and what has passed since. A clock that is set changes nothing of that
// before the next start.
func (s *Store) clock() int64 { return s.opened + s.passed().Milliseconds() }

// wall gives the time by the wall clock, in Unix milliseconds.
func (s *Store) wall() int64 { return millis(s.now()) }

// clockText is a record of the time.
func (s *Store) clockText() []byte {
	b, err := json.Marshal(clock{At: s.clock(), Run: s.opened, Shift: s.shift})
	if err != nil {
		panic(err) // unreachable: three numbers
	}
	return b
}

package spool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// record is one of the log's as the start reads it. Of one whose text is none there
// is nothing but its kind.
type record struct {
	kind  kind
	place place
	entry *entry // of a message, or what is known of one
	turn  *turn
	clock clock
}

// readRecord reads a record's text. It keeps nothing of it.
func readRecord(k kind, text []byte, p place) record {
	r := record{kind: k, place: p}
	switch k {
	case kindClock:
		r.clock = readClock(text)
	case kindOnce:
		r.turn, _ = readTurn(text, p)
	case kindMessage:
		var err error
		if text, _, err = unpack(text); err != nil {
			return r
		}
		fallthrough
	case kindState:
		e := new(entry)
		if json.Unmarshal(text, &e.Entry) == nil {
			r.entry = e
		}
	}
	return r
}

// replay takes one record over, and what it says of the time.
func (s *Store) replay(r *record, p *past) {
	if r.kind == kindClock {
		if p.hearsClock(r.clock) {
			s.moveLives(r.clock.Shift, r.clock.Run)
		}
		return
	}
	if t := r.turn; t != nil {
		if old := s.turns[t.key]; old != nil {
			s.forget(old)
		}
		s.remember(t)
		p.hears(t.at)
		return
	}
	got := r.entry
	if got == nil {
		return
	}
	e := s.entries[got.ID]
	if e == nil {
		e = got
		s.entries[got.ID] = e
	} else {
		e.Entry = got.Entry
	}
	e.state = r.place
	if r.kind == kindMessage {
		e.message = r.place
	}
	p.hears(max(got.At, got.Changed))
}

// settle makes the index of what was replayed. Lifetimes go on where they
// stood: while nobody could have delivered it, nothing expires, whatever the
// clock says now. left are texts that a crash kept from being erased.
func (s *Store) settle(last int64, bad []damage) (left []place) {
	now := s.opened
	if last != 0 {
		s.shift = now - last
		s.moveLives(s.shift, now)
	}
	s.damaged = bad
	for _, d := range bad {
		s.counts.damaged.Add(1)
		s.alarm(d)
	}
	var order []*entry
	for id, e := range s.entries {
		e.Host, e.Route, e.Language = s.name(e.Host), s.name(e.Route), s.name(e.Language)
		over := !e.State.waits() && s.over(e, now)
		if e.message.seg != nil && (over || e.State == Delivered) {
			left, e.message, e.Size = append(left, e.message), place{}, 0
		}
		if over {
			delete(s.entries, id)
			continue
		}
		s.seq = max(s.seq, e.Seq)
		order = append(order, e)
	}
	slices.SortFunc(order, func(a, b *entry) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, e := range order {
		if e.State == Delivering { // the crash came in between
			e.State, e.Doubt = Kept, true
		}
		if e.State.waits() && e.message.seg == nil {
			e.State, e.Changed, e.Until, e.Size = Damaged, now, now+textLife.Milliseconds(), 0
			s.alarm(fmt.Errorf("spool: message %s of %s is lost: its record is damaged", e.ID, time.UnixMilli(e.At).UTC().Format(time.RFC3339)))
		}
		s.enlist(e)
	}
	return append(left, s.sweepTurns(now)...)
}

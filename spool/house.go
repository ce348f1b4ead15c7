package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Run does what is due each second, until ctx ends: what waited for too long
// expires, what nobody may ask for any more is forgotten, and the log's oldest
// file is written anew where little of it is of use.
func (s *Store) Run(ctx context.Context) {
	each := time.NewTicker(time.Second)
	defer each.Stop()
	for beat := 0; ; beat++ {
		select {
		case <-ctx.Done():
			return
		case <-each.C:
		}
		if beat%sweepEvery == 0 {
			s.sweep()
		}
		if err := s.compact(); err != nil && !errors.Is(err, ErrDisk) { // that is said where it is written
			s.alarm(err)
		}
		if beat%600 == 599 {
			s.beat()
		}
	}
}

// beat notes what time it is, so that lifetimes go on from here after a restart.
func (s *Store) beat() {
	s.mu.Lock()
	n := len(s.entries) + len(s.turns)
	s.mu.Unlock()
	if n == 0 {
		return
	}
	at, err := s.log.append(kindClock, s.clockText())
	switch {
	case err == nil:
		at.counted() // nobody needs it
	case !errors.Is(err, ErrDisk) && !errors.Is(err, errClosed):
		s.alarm(err)
	}
}

// sweep ends what is over.
func (s *Store) sweep() {
	var expired, erase, away []*entry
	leads, settled := false, false
	if s.cluster != nil {
		leads, settled = s.cluster.leads(), s.cluster.ledFor() > farSettled
	}
	s.mu.Lock()
	now := s.wall()
	for _, e := range s.entries {
		switch {
		case e.busy || e.ready != nil || !s.over(e, now):
		case e.far != nil && e.State.waits() && !settled:
		case e.far != nil && !leads && e.Until+farLag.Milliseconds() > now:
		case e.State.waits():
			expired = append(expired, e)
			e.busy = true
		default:
			if e.message.seg != nil {
				erase = append(erase, e)
			}
			if e.far != nil && leads {
				away = append(away, e)
			}
			s.remove(e)
		}
	}
	over := s.sweepTurns(now)
	s.mu.Unlock()
	for _, e := range erase {
		s.log.erase(e.message)
	}
	for _, p := range over {
		s.log.erase(p)
	}
	s.forgetFar(away)
	for _, e := range expired {
		state := Expired
		if e.Doubt {
			state = Unconfirmed
		}
		if e.far != nil || s.log.rests() == 0 { // else with a sweep to come: the disk takes nothing
			s.end(e, state)
		}
		s.mu.Lock()
		e.busy = false
		s.mu.Unlock()
	}
}

// end gives a message that is not delivered its last state; its text stays for
// its sender.
func (s *Store) end(e *entry, state State) {
	until := s.wall() + textLife.Milliseconds()
	if err := s.change(e, func(n *Entry) { n.State, n.Until = state, until }); err != nil {
		s.alarm(fmt.Errorf("spool: message %s is %s, but that is not on disk: %w", e.ID, state, err))
	}
}

// compact makes room: the oldest file goes once nothing in it is needed, and
// what is needed is written anew where too much else lies around, or where the
// file is as old as two keys.
func (s *Store) compact() error {
	for {
		seg := s.log.oldest()
		if seg == nil {
			return nil
		}
		s.mu.Lock()
		refs, live := seg.refs, s.bytes+s.answers+int64(len(s.entries)+len(s.turns))*600
		held := seg.held.Load()
		s.mu.Unlock()
		if held > 0 {
			return nil // who needs it is known in a moment
		}
		if refs == 0 {
			if err := s.log.drop(seg); err != nil {
				return fmt.Errorf("spool: %w", err)
			}
			continue
		}
		if s.log.bytes() < 2*live+slackBytes && s.now().Sub(seg.begun) < 2*keyLife {
			return nil
		}
		if moved, err := s.move(seg); err != nil || !moved {
			return err
		}
	}
}

// move writes anew what is needed of a file. It says false where something in
// it is in use just now.
func (s *Store) move(seg *segment) (all bool, err error) {
	var list []*entry
	s.mu.Lock()
	for _, e := range s.entries {
		if e.message.seg == seg || e.state.seg == seg {
			if e.busy || e.ready != nil {
				s.mu.Unlock()
				return false, nil
			}
			list = append(list, e)
		}
	}
	for _, e := range list {
		e.busy = true
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		for _, e := range list {
			e.busy = false
		}
		s.mu.Unlock()
	}()
	for _, e := range list {
		if err := s.rewrite(e); err != nil {
			return false, err
		}
	}
	return true, s.moveTurns(seg)
}

func (s *Store) rewrite(e *entry) error {
	s.mu.Lock()
	now, old := e.Entry, e.message
	s.mu.Unlock()
	kind, text := kindState, now.marshal()
	if old.seg != nil {
		whole, err := s.log.read(old)
		if err == nil {
			_, rest, uerr := unpack(whole)
			kind, text, err = kindMessage, pack(&now, rest), uerr
		}
		if err != nil {
			s.alarm(fmt.Errorf("spool: message %s cannot be read: %w", e.ID, err))
			s.mu.Lock()
			s.refer(e, -1)
			e.message = place{}
			s.refer(e, +1)
			s.mu.Unlock()
			s.end(e, Damaged)
			return nil
		}
	}
	at, err := s.log.append(kind, text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.refer(e, -1)
	e.state = at
	if kind == kindMessage {
		e.message = at
	}
	s.refer(e, +1)
	at.counted()
	s.mu.Unlock()
	return nil
}

// tidyKeys forgets keys that sealed nothing that is left.
func (s *Store) tidyKeys() error {
	used := make(map[uint32]bool)
	for _, seg := range s.log.segments {
		used[seg.key] = true
	}
	return s.log.keys.retain(used)
}

// Pause stops the delivery until Resume, over restarts too.
func (s *Store) Pause() error {
	s.paused.Store(true)
	f, err := os.OpenFile(filepath.Join(s.dir, pausedName), os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("spool: paused, but not after a restart: %w", err)
	}
	return nil
}

// Resume delivers again, and keeps new messages again after Drain.
func (s *Store) Resume() error {
	s.draining.Store(false)
	s.paused.Store(false)
	if err := os.Remove(filepath.Join(s.dir, pausedName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("spool: resumed, but not after a restart: %w", err)
	}
	return nil
}

// Drain keeps nothing new until Resume, or a restart; what is here is delivered.
func (s *Store) Drain() { s.draining.Store(true) }

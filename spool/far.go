package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// far is what is known of an entry that lies on the cluster. Its message is the record
// of the number Seq there; 0 while that is not known.
type far struct {
	rev uint64 // number of its state's record; 0: there is only the message
	tag string // of the write that made it

	unsent  []string // tags of claims on rev that may come to be there, and under which nothing was sent
	doubted bool     // whether it was in doubt before those
}

// order puts a queue's messages in the order they came: first the log's, then the
// cluster's; of what is not acknowledged yet nobody knows it.
func (q *queue) order() {
	rank := func(e *entry) int {
		switch {
		case e.far == nil:
			return 0
		case e.Seq != 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(q.list, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Seq, b.Seq))
	})
}

// due says whether this Deich may deliver what is at a queue's head. The lock is held.
func (s *Store) due(q *queue) bool {
	return len(q.list) > 0 && (q.list[0].far == nil || s.cluster.leads())
}

// notYet gives how long a message at the head of its queue has to wait. One in the log waits
// until a disk that failed has had time, for nothing is sent that is not noted first; one on the
// cluster until this edge is the courier, has heard of all that came before it, and whoever
// was the courier before has had time to say what became of it. The lock is held.
func (s *Store) notYet(e *entry) time.Duration {
	switch {
	case e.far == nil:
		return s.log.rests()
	case !s.cluster.leads():
		return noPlaceWait
	case e.Seq > s.cluster.applied.Load():
		return followLag
	case s.elsewhere(e):
		return max(0, inheritAfter-s.cluster.ledFor())
	}
	return 0
}

// elsewhere says whether another edge has claimed a message. The lock is held.
func (s *Store) elsewhere(e *entry) bool {
	return e.far != nil && e.State == Delivering && e.By != s.cluster.edge
}

// overtaken says whether a change comes too late for what is known by now: whoever
// decided on it looked before another edge claimed the message or ended it, and
// the number of that record would let it pass. The lock is held.
func (s *Store) overtaken(e *entry, next *Entry) bool {
	switch {
	case !next.State.waits():
		return false // how it ended holds
	case !e.State.waits():
		return true
	}
	return s.elsewhere(e) && (next.State != Kept || !next.Doubt) // to inherit is to doubt
}

// inherit takes over a message that an earlier courier had on its way: nobody knows what
// became of it.
func (s *Store) inherit(e *entry) error {
	return s.change(e, func(n *Entry) { n.State, n.Doubt = Kept, true })
}

// putFar keeps a message on the cluster. It is in the memory already.
func (s *Store) putFar(e *entry, rest []byte) (id ID, again bool, err error) {
	c := s.cluster
	ctx, cancel := context.WithTimeout(c.ctx, putWait)
	defer cancel()
	own, text, keyed := e.ID.String(), pack(&e.Entry, rest), e.Key != (digest{})
	// A key is the name of the write, so that two edges which are sent it at once keep it once.
	tag := own
	if keyed {
		tag = c.vault.name(e.Key)
	}
	seq, dup, err := c.write(ctx, messageSubject+own, tag, text, 0)
	if err == nil && dup && keyed {
		c.reach(ctx, seq)
		s.mu.Lock()
		old := s.numbered(seq)
		freed := old != nil && old != e && old.State.frees()
		s.mu.Unlock()
		if freed { // its key may be used again
			seq, _, err = c.write(ctx, messageSubject+own, own, text, 0)
			dup = false
		}
	}
	s.mu.Lock()
	var old *entry
	ready := e.ready
	e.ready = nil
	switch {
	case e.Seq != 0: // it was heard of, whatever came of the acknowledgement
		err = nil
	case err == nil && (!dup || !keyed):
		if e.Seq = seq; e.queue != nil {
			e.queue.order()
		}
	default: // it is another's, or nobody knows
		old = s.numbered(seq)
		if !keyed { // one with a key its sender finds by that
			s.takeBack(e.ID)
		}
		e.err = ErrDisk
		s.remove(e)
	}
	kept, unconfirmed, q, wake := e.err == nil, e.State == Unconfirmed, e.queue, s.wake
	elsewhere, same := old != nil, old != nil && old.Body == e.Body
	if id = e.ID; elsewhere {
		id = old.ID
	}
	s.mu.Unlock()
	close(ready)
	switch {
	case elsewhere && !same:
		s.counts.other.Add(1)
		return ID{}, false, ErrOtherBody
	case elsewhere:
		return id, true, nil
	case !kept:
		s.counts.refused.Add(1)
		return ID{}, false, errors.Join(ErrDisk, err)
	}
	s.counts.kept.Add(1)
	if unconfirmed {
		s.counts.ended[slices.Index(States(), Unconfirmed)].Add(1)
	}
	if q != nil {
		wake(q)
	}
	return id, false, nil
}

// numbered finds an entry by the number of its message; nil for none. It looks at all, so it
// is for what is rare: a key that two edges were sent at once. The lock is held.
func (s *Store) numbered(seq uint64) *entry {
	if seq == 0 {
		return nil
	}
	for _, e := range s.entries {
		if e.far != nil && e.Seq == seq {
			return e
		}
	}
	return nil
}

// takeBack remembers a message whose sender was told that it is not kept, and that may
// come to be there all the same. The lock is held.
func (s *Store) takeBack(id ID) {
	if len(s.withdrawn) >= withdrawnMax {
		clear(s.withdrawn)
	}
	s.withdrawn[id] = true
}

// withdraw gives up a message whose sender was told that it is not kept, unless the courier
// was quicker.
func (s *Store) withdraw(e *entry) {
	now := s.wall()
	err := s.change(e, func(n *Entry) { n.State, n.Size, n.Until = Expired, 0, now })
	s.mu.Lock()
	e.busy = false
	id, q, wake := e.ID, e.queue, s.wake
	s.mu.Unlock()
	if err != nil {
		s.alarm(fmt.Errorf("spool: message %s is kept, though its sender was told that it is not: %w", id, err))
	}
	if q != nil {
		wake(q)
	}
}

// changeFar writes an entry's next state where it is still as it is known here, and returns
// once the cluster has it. errOvertaken: another edge has changed it; what it is
// now comes by the stream. A claim is tried for a moment only.
func (s *Store) changeFar(e *entry, to func(*Entry)) error {
	c := s.cluster
	s.mu.Lock()
	was, next := e.Entry, e.Entry
	to(&next)
	next.Changed, next.By = s.wall(), c.edge
	subject, last, message := stateSubject+e.ID.String(), e.far.rev, e.Seq
	late := s.overtaken(e, &next)
	s.mu.Unlock()
	if late {
		return errOvertaken
	}
	ctx, claim := c.ctx, next.State == Delivering
	if claim {
		short, cancel := context.WithTimeout(ctx, claimWait)
		defer cancel()
		ctx = short
	}
	tag := newTag()
	rev, _, err := c.write(ctx, subject, tag, next.marshal(), last)

	var hears []chan struct{}
	s.mu.Lock()
	switch {
	case err == nil:
		hears = s.learnState(&next, rev, tag)
	case e.far.tag == tag: // it was heard of, and not acknowledged
		err = nil
	case claim:
		e.far.unsent, e.far.doubted = append(e.far.unsent, tag), was.Doubt
		if n := len(e.far.unsent) - unsentMax; n > 0 {
			e.far.unsent = slices.Delete(e.far.unsent, 0, n)
		}
	}
	if err == nil && next.State != was.State && !next.State.waits() {
		s.counts.ended[slices.Index(States(), next.State)].Add(1)
	}
	s.mu.Unlock()
	hear(hears)
	if err == nil && next.Size == 0 && was.Size != 0 {
		c.erase(message)
	}
	return err
}

// learnAll takes over a record of the stream.
func (s *Store) learnAll(t told) {
	var hears []chan struct{}
	var back bool
	s.mu.Lock()
	if t.kind == kindMessage {
		back = s.learnMessage(&t.entry, t.seq)
	} else {
		hears = s.learnState(&t.entry, t.seq, t.tag)
	}
	e, wake := s.entries[t.entry.ID], s.wake
	var q *queue
	if e != nil {
		q = e.queue
	}
	s.mu.Unlock()
	hear(hears)
	switch {
	case back:
		s.cluster.going.Go(func() { s.withdraw(e) })
	case q != nil:
		wake(q)
	}
}

// learnMessage takes over a message. back says that its sender was told that it is not
// kept. The lock is held.
func (s *Store) learnMessage(got *Entry, seq uint64) (back bool) {
	e := s.entries[got.ID]
	switch {
	case e == nil:
		e = s.welcome(got)
		back = s.withdrawn[e.ID]
		delete(s.withdrawn, e.ID)
		e.Seq, e.busy = seq, back
	case e.far == nil || e.Seq != 0:
		return false // it is known
	default:
		e.Seq = seq // this edge's own, before it was acknowledged
	}
	if e.queue != nil {
		e.queue.order()
	}
	return back
}

// learnState takes over what is known of a message now, and gives who is to hear of it. The
// lock is held.
func (s *Store) learnState(got *Entry, rev uint64, tag string) (hears []chan struct{}) {
	e := s.entries[got.ID]
	switch {
	case e == nil && !got.State.waits() && got.Until <= s.wall():
		return nil
	case e == nil:
		e = s.welcome(got)
		e.far.rev, e.far.tag = rev, tag
		if e.queue != nil {
			e.queue.order()
		}
		return nil
	case e.far == nil || rev <= e.far.rev:
		return nil
	}
	next := *got
	next.Host, next.Route, next.Language = e.Host, e.Route, e.Language
	if next.Seq == 0 {
		next.Seq = e.Seq
	}
	if next.State == Delivering && slices.Contains(e.far.unsent, tag) {
		next.State, next.Doubt = Kept, e.far.doubted
	}
	e.far.rev, e.far.tag, e.far.unsent = rev, tag, nil // a claim on what was before cannot come any more
	return s.become(e, next)
}

// welcome makes an entry of what was heard. The lock is held.
func (s *Store) welcome(got *Entry) *entry {
	e := &entry{Entry: *got, far: new(far)}
	e.Host, e.Route, e.Language = s.name(e.Host), s.name(e.Route), s.name(e.Language)
	s.enlist(e)
	return e
}

// contentFar reads what is kept of a message on the cluster.
func (s *Store) contentFar(id ID, seq uint64) (c content, body []byte, err error) {
	text, err := s.cluster.read(messageSubject+id.String(), seq)
	if err != nil {
		return c, nil, err
	}
	_, rest, err := unpack(text)
	if err != nil {
		return c, nil, err
	}
	return unpackContent(rest)
}

// forgetFar removes from the cluster what nobody may ask for any more.
func (s *Store) forgetFar(over []*entry) {
	for _, e := range over {
		if err := errors.Join(s.cluster.remove(e.Seq, true), s.cluster.remove(e.far.rev, false)); err != nil {
			return // the stream's own bound sees to it
		}
	}
}

// tooLong says whether the cluster's servers take no record of this size.
func (c *cluster) tooLong(size int) bool { return int64(size) > c.recordMax() }

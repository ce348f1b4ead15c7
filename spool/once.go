package spool

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// turn is one request with a key, under way or answered. Its record in the log
// holds the answer; memory holds where that lies.
type turn struct {
	key    digest
	body   digest
	who    principal
	fresh  bool          // its sender was a newcomer
	at     int64         // when it began, by Store.clock, or was answered, by the wall; Unix milliseconds
	back   int64         // see since
	done   chan struct{} // closed once it is answered; nil afterwards
	status int           // of the answer
	answer int           // bytes of the answer in its record
	place  place         // of the record; none where the disk took none
	gone   bool          // it is forgotten
}

// Begun says how a message with a key goes on. Where nothing is set, it passes as
// if it had none: it has none, or there is no room to remember it.
type Begun struct {
	Kept   bool // a message with its key is kept, or was
	ID     ID   // then: its receipt
	Answer *Replay
	// End is set where it is the first with its key. It is to be called with its answer,
	// or nil where nothing is to be remembered, and returns when the answer is on
	// disk, or cannot be, or after onceSync.
	End func(*Replay)
}

// Replay is an answer that is given again. Whole says that its body is there.
type Replay struct {
	Status int
	Header http.Header // Content-Type and Location
	Body   []byte
	Whole  bool
}

func (a *Replay) size() int {
	n := len(a.Body)
	for name, values := range a.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return n
}

// remembered is what a record says of a turn; the answer's body follows it.
type remembered struct {
	Key    digest      `json:"key"`
	Body   digest      `json:"body"`
	By     byte        `json:"by"` // the principal
	Who    uint64      `json:"who"`
	Fresh  bool        `json:"new,omitempty"`
	At     int64       `json:"at"`
	Status int         `json:"st"`
	Header http.Header `json:"h,omitempty"`
	Whole  bool        `json:"w,omitempty"`
}

func (t *turn) text(a *Replay) ([]byte, error) {
	b, err := json.Marshal(remembered{t.key, t.body, t.who.by, t.who.id, t.fresh, t.at, t.status, a.Header, a.Whole})
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)+len(a.Body)), uint32(len(b)))
	return append(append(out, b...), a.Body...), nil
}

// readTurn reads what text gave; nil where that is damaged.
func readTurn(text []byte, p place) (*turn, *Replay) {
	line, body, err := unpack(text)
	var r remembered
	if err != nil || json.Unmarshal(line, &r) != nil {
		return nil, nil
	}
	t := &turn{key: r.Key, body: r.Body, who: principal{r.By, r.Who}, fresh: r.Fresh, at: r.At, status: r.Status, place: p}
	a := &Replay{Status: r.Status, Header: r.Header, Body: body, Whole: r.Whole}
	t.answer = a.size()
	return t, a
}

// Begin says how a message goes on, before it goes to its platform or is kept, so
// that a browser's or an app's own retry, or a second click, gets the answer of
// the first: for onceLife, over restarts too. While the first is under way
// the second waits for it, onceWait at most; then it is told 409. ErrOtherBody says
// that the key was used with another body.
func (s *Store) Begin(ctx context.Context, m *Message) (Begun, error) {
	key := keyDigest(m.Sender, m.Host, m.Route.Route, m.Key)
	if key == (digest{}) {
		return Begun{}, nil
	}
	body := digestOf(m.Body)
	late := time.NewTimer(onceWait)
	defer late.Stop()
	for {
		s.mu.Lock()
		e, t := s.keyed[key], s.turns[key]
		var wait chan struct{}
		switch {
		case e != nil && e.Body != body, t != nil && t.body != body:
			s.mu.Unlock()
			s.counts.other.Add(1)
			return Begun{}, ErrOtherBody
		case e != nil && e.ready == nil:
			s.mu.Unlock()
			return Begun{Kept: true, ID: e.ID}, nil
		case e != nil:
			wait = e.ready
		case t == nil:
			end := s.first(key, body, m)
			s.mu.Unlock()
			return Begun{End: end}, nil
		case t.done == nil:
			s.mu.Unlock()
			return Begun{Answer: s.answerOf(t)}, nil
		default:
			wait = t.done
		}
		s.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return Begun{}, ctx.Err()
		case <-late.C:
			return Begun{Answer: &Replay{Status: http.StatusConflict}}, nil
		}
	}
}

// first takes a new key in, where there is room. The lock is held.
func (s *Store) first(key, body digest, m *Message) (end func(*Replay)) {
	t := &turn{key: key, body: body, who: m.Sender.principal(), fresh: m.Newcomer, at: s.clock(), done: make(chan struct{})}
	if s.noTurn(t.who, t.fresh) != nil {
		return nil
	}
	s.remember(t)
	return func(a *Replay) { s.answered(t, a) }
}

// noTurn says why no more keys of a sender are remembered, aloud where that is
// not the sender's own doing. The lock is held.
func (s *Store) noTurn(who principal, fresh bool) error {
	switch {
	case s.turnsOf[who] >= onceSenderMax:
		return fmt.Errorf("%w: %d keys of this sender are remembered", ErrFull, onceSenderMax)
	case len(s.turns) >= onceMax:
		return s.sayFull(fmt.Sprintf("%d keys are remembered: of messages with a key", onceMax))
	case fresh && s.turnsFresh >= onceMax/2:
		return s.sayFull("newcomers' keys have taken half of the room: of their messages with a key")
	}
	return nil
}

// remember counts a turn in. The lock is held, or nobody else is there yet.
func (s *Store) remember(t *turn) {
	s.turns[t.key] = t
	s.turnsOf[t.who]++
	if t.fresh {
		s.turnsFresh++
	}
	s.referTurn(t, +1)
}

// forget takes a turn out. The lock is held.
func (s *Store) forget(t *turn) {
	if t.gone {
		return
	}
	t.gone = true
	delete(s.turns, t.key)
	if s.turnsOf[t.who]--; s.turnsOf[t.who] <= 0 {
		delete(s.turnsOf, t.who)
	}
	if t.fresh {
		s.turnsFresh--
	}
	s.referTurn(t, -1)
}

// referTurn counts the file that a turn needs, and its answer. The lock is held.
func (s *Store) referTurn(t *turn, n int) {
	s.answers += int64(n * t.answer)
	if t.place.seg != nil {
		t.place.seg.refs += n
	}
}

// answered ends a turn.
func (s *Store) answered(t *turn, a *Replay) {
	s.mu.Lock()
	if a == nil || t.gone { // it took longer than anything is remembered
		s.forget(t)
		close(t.done)
		t.done = nil
		s.mu.Unlock()
		return
	}
	t.at, t.back, t.status = s.wall(), 0, a.Status
	if size := a.size(); !a.Whole || size > onceAnswerMax || s.answers+int64(size) > onceBytesMax {
		a = &Replay{Status: a.Status}
	}
	s.mu.Unlock()

	text, err := t.text(a)
	var at place
	if err == nil {
		at, err = s.log.appendSoon(kindOnce, text, onceSync)
	}
	s.mu.Lock()
	if err == nil {
		if !t.gone {
			s.referTurn(t, -1)
			t.place, t.answer = at, a.size()
			s.referTurn(t, +1)
		}
		at.counted()
	}
	close(t.done)
	t.done = nil
	s.mu.Unlock()
}

// answerOf reads the answer to a turn. Where the disk has none, or has moved it
// too often meanwhile, only how it was answered is known.
func (s *Store) answerOf(t *turn) *Replay {
	for range 3 {
		s.mu.Lock()
		at, status := t.place, t.status
		s.mu.Unlock()
		text, err := s.log.read(at)
		if err == nil {
			if _, a := readTurn(text, at); a != nil {
				return a
			}
		}
		s.mu.Lock()
		moved := t.place != at
		s.mu.Unlock()
		if !moved {
			return &Replay{Status: status}
		}
	}
	return &Replay{Status: t.status}
}

// sweepTurns forgets keys whose time is over, and gives their records. The lock is
// held.
func (s *Store) sweepTurns(now int64) (erase []place) {
	for _, t := range s.turns {
		by := now
		if t.status == 0 { // it is under way
			by = s.clock()
		}
		if since(t.at, by, &t.back)+onceLife.Milliseconds() > by {
			continue
		}
		if s.forget(t); t.place.seg != nil {
			erase = append(erase, t.place)
		}
	}
	return erase
}

// moveTurns writes anew what is remembered by key in a file, many at once.
func (s *Store) moveTurns(seg *segment) error {
	var list []*turn
	s.mu.Lock()
	for _, t := range s.turns {
		if t.place.seg == seg {
			list = append(list, t)
		}
	}
	s.mu.Unlock()
	for len(list) > 0 {
		n := min(len(list), writesMax/2)
		var texts [][]byte
		for _, t := range list[:n] {
			text, err := s.log.read(t.place)
			if err != nil {
				s.alarm(fmt.Errorf("spool: what was answered to a repeated request cannot be read: %w", err))
				if text, err = t.text(&Replay{Status: t.status}); err != nil {
					return err
				}
				s.mu.Lock()
				s.answers -= int64(t.answer)
				t.answer = 0
				s.mu.Unlock()
			}
			texts = append(texts, text)
		}
		places, err := s.log.appendAll(kindOnce, texts)
		if err != nil {
			return err
		}
		s.mu.Lock()
		for i, t := range list[:n] {
			if !t.gone {
				s.referTurn(t, -1)
				t.place = places[i]
				s.referTurn(t, +1)
			}
			places[i].counted()
		}
		s.mu.Unlock()
		list = list[n:]
	}
	return nil
}

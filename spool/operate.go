package spool

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// Stats are what the spool holds and did, for the console and the metrics.
type Stats struct {
	Waiting  int              `json:"waiting"`           // messages that are not delivered yet
	Receipts int              `json:"receipts"`          // all that something is known of
	Bytes    int64            `json:"bytes"`             // of texts, on disk
	Files    int64            `json:"files_bytes"`       // of the log's files
	Oldest   time.Time        `json:"oldest,omitzero"`   // when the oldest that waits was kept
	Keeping  bool             `json:"keeping"`           // the disk, or the cluster, takes messages, the folder was read, and there is room for keys
	Unread   bool             `json:"unread,omitempty"`  // the folder was not: what lies there is not delivered
	Shared   bool             `json:"shared,omitempty"`  // other edges have them, too
	Courier  bool             `json:"courier,omitempty"` // then: this edge delivers them
	Keys     int              `json:"keys"`              // requests to the platform that are remembered by their key
	KeysFull bool             `json:"keys_full,omitempty"`
	Paused   bool             `json:"paused,omitempty"` // nothing is delivered
	Draining bool             `json:"draining,omitempty"`
	Kept     uint64           `json:"kept_total"`
	Refused  uint64           `json:"refused_total"` // full, or the disk failed
	Other    uint64           `json:"other_body_total"`
	Ended    map[State]uint64 `json:"ended_total"`
	Damaged  uint64           `json:"damaged_records"` // found at the start
	Damage   []string         `json:"damage,omitempty"`
}

// Stats takes a snapshot.
func (s *Store) Stats() Stats {
	st := Stats{
		Paused: s.paused.Load(), Draining: s.draining.Load(), Keeping: !s.log.failed.Load(), Unread: s.log.shut, Files: s.log.bytes(),
		Kept: s.counts.kept.Load(), Refused: s.counts.refused.Load(), Other: s.counts.other.Load(),
		Damaged: s.counts.damaged.Load(), Ended: make(map[State]uint64),
	}
	for i, state := range States() {
		if !state.waits() {
			st.Ended[state] = s.counts.ended[i].Load()
		}
	}
	for _, d := range s.damaged[:min(len(s.damaged), 20)] {
		st.Damage = append(st.Damage, d.Error())
	}
	if c := s.cluster; c != nil {
		st.Shared, st.Courier, st.Keeping = true, c.leads(), c.keeps() && !s.log.shut
		st.Damaged += c.damaged.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Keys, st.KeysFull = len(s.turns), len(s.turns) >= onceMax
	st.Keeping = st.Keeping && !st.KeysFull
	st.Waiting, st.Receipts, st.Bytes = s.waiting, len(s.entries), s.bytes
	oldest := int64(0)
	for _, q := range s.queues {
		if at := q.list[0].At; oldest == 0 || at < oldest {
			oldest = at
		}
	}
	if oldest != 0 {
		st.Oldest = time.UnixMilli(oldest).UTC()
	}
	return st
}

// Line is one message as an operator sees it in a list: nothing of what it says.
type Line struct {
	ID      ID        `json:"id"`
	State   State     `json:"state"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"`
	Host    string    `json:"host"`
	Route   string    `json:"route"`
	Bytes   int       `json:"bytes,omitempty"`
	Status  int       `json:"status,omitempty"`
	Tries   int       `json:"tries,omitempty"`
	Sender  string    `json:"sender"` // the same for all of one sender; names nobody
	Doubt   bool      `json:"doubt,omitempty"`
	Ordered uint64    `json:"-"`
}

func (e *entry) line() Line {
	p := e.Sender.principal()
	d := digestOf([]byte("sender"), []byte(fmt.Sprint(p)))
	return Line{
		ID: e.ID, State: e.State, At: time.UnixMilli(e.At).UTC(), Until: time.UnixMilli(e.Until).UTC(),
		Host: e.Host, Route: e.Route, Bytes: e.Size, Status: e.Status, Tries: e.tries,
		Sender: idCodec.EncodeToString(d[:5]), Doubt: e.Doubt, Ordered: e.Seq,
	}
}

// List gives messages in the order they came, at most listMax, and how many
// there are. With all, those that do not wait any more are among them.
func (s *Store) List(all bool) (list []Line, n int) {
	s.mu.Lock()
	list = []Line{}
	for _, e := range s.entries {
		if e.ready == nil && (all || e.State.waits()) {
			list = append(list, e.line())
		}
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b Line) int { return cmp.Compare(a.Ordered, b.Ordered) })
	return list[:min(len(list), listMax)], len(list)
}

// Whole is a message with what it says, for the operator who asked for it.
type Whole struct {
	Line
	Method string      `json:"method,omitempty"`
	URI    string      `json:"uri,omitempty"`
	Client netip.Addr  `json:"client,omitzero"`
	Header http.Header `json:"header,omitempty"` // without what a login is made of
	Key    string      `json:"key,omitempty"`
	Body   []byte      `json:"body,omitempty"`
}

// Show reads a message.
func (s *Store) Show(id ID) (Whole, error) {
	s.mu.Lock()
	e := s.entries[id]
	if e == nil || e.ready != nil {
		s.mu.Unlock()
		return Whole{}, errUnknown
	}
	w, erased := Whole{Line: e.line()}, !e.hasText()
	s.mu.Unlock()
	if erased {
		return w, nil
	}
	c, body, err := s.content(e)
	if err != nil {
		return w, err
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Csrf-Token", "X-Xsrf-Token"} {
		c.Header.Del(name)
	}
	w.Method, w.URI, w.Client, w.Header, w.Key, w.Body = c.Method, c.URI, c.Client, c.Header, c.Key, body
	return w, nil
}

// Drop gives a message up: it is not delivered, and its text stays for its
// sender, whose receipt says that it expired.
func (s *Store) Drop(id ID) error {
	s.mu.Lock()
	e := s.entries[id]
	switch {
	case e == nil || e.ready != nil || !e.State.waits():
		s.mu.Unlock()
		return errUnknown
	case e.busy || s.elsewhere(e):
		s.mu.Unlock()
		return errBusy
	}
	e.busy = true
	state := Expired
	if e.Doubt {
		state = Unconfirmed
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		e.busy = false
		s.mu.Unlock()
	}()
	s.end(e, state)
	return nil
}

// Export writes every message that was not delivered, one JSON value a line,
// with its text. What cannot be read is left out and told at the end.
func (s *Store) Export(w io.Writer) (n int, err error) {
	s.mu.Lock()
	var all []*entry
	for _, e := range s.entries {
		if e.ready == nil && e.hasText() && e.State != Delivered {
			all = append(all, e)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.Seq, b.Seq) })
	out := json.NewEncoder(w)
	var unread []error
	for _, e := range all {
		one, err := s.Show(e.ID)
		if errors.Is(err, errUnknown) || err == nil && one.Method == "" {
			continue // delivered meanwhile
		}
		if err != nil {
			unread = append(unread, fmt.Errorf("%s: %w", e.ID, err))
			continue
		}
		if err := out.Encode(one); err != nil {
			return n, err
		}
		n++
	}
	return n, errors.Join(unread...)
}

// Unknown says whether an error of Show or Drop is that there is no such
// message.
func Unknown(err error) bool { return errors.Is(err, errUnknown) }

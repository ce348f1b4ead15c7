package spool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// begin says that a message goes to its platform; it must be the first with its key.
func begin(t testing.TB, s *Store, m *Message) (end func(*Replay)) {
	t.Helper()
	b, err := s.Begin(t.Context(), m)
	if b.End == nil || b.Answer != nil || b.Kept || err != nil {
		t.Fatalf("%s is not the first with its key: %+v, %v", m.Key, b, err)
	}
	return b.End
}

func made(text string) *Replay {
	return &Replay{Status: 201, Header: http.Header{"Location": {"/p/7"}}, Body: []byte(text), Whole: true}
}

// answeredAs fails unless a message is given this answer.
func answeredAs(t testing.TB, s *Store, m *Message, text string) {
	t.Helper()
	b, err := s.Begin(t.Context(), m)
	if a := b.Answer; err != nil || a == nil || a.Status != 201 || string(a.Body) != text || !a.Whole || a.Header.Get("Location") != "/p/7" {
		t.Fatalf("%s: %+v, %v: want %q", m.Key, b.Answer, err, text)
	}
}

func TestTheSameKeyGetsTheSameAnswer(t *testing.T) {
	s := open(t, t.TempDir(), Options{Alarm: func(err error) { t.Error(err) }})
	end := begin(t, s, letter(1, "key", "a"))
	if _, err := s.Begin(t.Context(), letter(1, "key", "b")); !errors.Is(err, ErrOtherBody) {
		t.Errorf("another body: %v", err)
	}
	waited := make(chan Begun)
	go func() {
		b, err := s.Begin(context.Background(), letter(1, "key", "a"))
		if err != nil {
			t.Error(err)
		}
		waited <- b
	}()
	end(made("made"))
	if b := <-waited; b.Answer == nil || b.Answer.Status != 201 || string(b.Answer.Body) != "made" {
		t.Errorf("the second got %+v", b)
	}
	begin(t, s, letter(2, "key", "b"))(nil)
	begin(t, s, letter(2, "key", "c"))(nil) // what was not answered is not remembered
	if b, err := s.Begin(t.Context(), letter(1, "", "a")); b.End != nil || b.Answer != nil || b.Kept || err != nil {
		t.Error("without a key something is remembered")
	}
	if n := s.Stats().Keys; n != 1 {
		t.Errorf("%d keys are remembered, want one", n)
	}
}

// A message that was kept while a second one waited for it is not sent again.
func TestAKeyThatWasKeptMeanwhile(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	end := begin(t, s, letter(1, "key", "a"))
	waited := make(chan Begun)
	go func() {
		b, err := s.Begin(context.Background(), letter(1, "key", "a"))
		if err != nil {
			t.Error(err)
		}
		waited <- b
	}()
	id := put(t, s, letter(1, "key", "a"))
	end(nil)
	if b := <-waited; !b.Kept || b.ID != id {
		t.Errorf("the second got %+v, want the receipt", b)
	}
}

// What was answered is known after a restart: the answer, another body, and for how long.
func TestKeysSurviveARestart(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	options := Options{Now: func() time.Time { return now }, Alarm: func(err error) { t.Error(err) }}
	s := open(t, dir, options)
	begin(t, s, letter(1, "key", "a"))(made("made"))
	begin(t, s, letter(1, "long", "a"))(&Replay{Status: 201, Body: make([]byte, onceAnswerMax+1), Whole: true})
	begin(t, s, letter(1, "refused", "a"))(nil)
	begin(t, s, letter(1, "under way", "a")) // no end: the crash comes first
	s.log.close()                            // without the last beat, as a kill would

	s = open(t, dir, options)
	answeredAs(t, s, letter(1, "key", "a"), "made")
	if _, err := s.Begin(t.Context(), letter(1, "key", "b")); !errors.Is(err, ErrOtherBody) {
		t.Errorf("another body after a restart: %v", err)
	}
	if b, err := s.Begin(t.Context(), letter(1, "long", "a")); err != nil || b.Answer == nil || b.Answer.Status != 201 || b.Answer.Whole {
		t.Errorf("a long answer: %+v, %v", b.Answer, err)
	}
	begin(t, s, letter(2, "key", "a"))(nil)
	begin(t, s, letter(1, "refused", "a"))(nil)
	begin(t, s, letter(1, "under way", "a"))(nil)
	if n := s.Stats().Keys; n != 2 {
		t.Errorf("%d keys are remembered, want two", n)
	}
	s.Close()
	now = now.Add(onceLife + time.Second)
	s = open(t, dir, options)
	if st := s.Stats(); st.Keys != 0 || s.answers != 0 || len(s.turnsOf) != 0 {
		t.Errorf("after their time: %d keys, %d bytes of answers", st.Keys, s.answers)
	}
	begin(t, s, letter(1, "key", "b"))(nil)
}

// An answer is erased when its time is over, and its file goes.
func TestAnswersAreErased(t *testing.T) {
	now := time.Now()
	s := open(t, t.TempDir(), Options{Now: func() time.Time { return now }, Alarm: func(err error) { t.Error(err) }})
	begin(t, s, letter(1, "key", "a"))(made("made"))
	var at place
	for _, turn := range s.turns {
		at = turn.place
	}
	if at.seg.refs != 1 {
		t.Errorf("its file is needed by %d", at.seg.refs)
	}
	now = now.Add(onceLife + time.Second)
	s.sweep()
	put(t, s, letter(2, "", "so that there is something"))
	erased(s)
	if _, err := s.log.read(at); !errors.Is(err, errDamaged) {
		t.Errorf("it is read again: %v", err)
	}
	if len(s.turns) != 0 || s.answers != 0 || len(s.turnsOf) != 0 {
		t.Error("it is remembered")
	}
}

// What is remembered moves with its file, and is known after a restart.
func TestAnswersMove(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Alarm: func(err error) { t.Error(err) }})
	const n = writesMax + 10
	for i := range n {
		end := begin(t, s, letter(uint64(1+i), "key", "a"))
		if i < 3 {
			end(made(fmt.Sprint("made ", i)))
		} else {
			go end(made(fmt.Sprint("made ", i)))
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		ready := 0
		for _, turn := range s.turns {
			if turn.done == nil && turn.place.seg != nil {
				ready++
			}
		}
		s.mu.Unlock()
		if ready == n {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d are on disk", ready, n)
		}
	}
	c := &Courier{store: s}
	for i := range 800 { // 48 MiB that are of no use
		c.delivered(s.entry(put(t, s, letter(uint64(1+i), "", strings.Repeat("x", 60<<10)))), Answer{Status: 201})
	}
	first := s.log.segments[0]
	if err := s.compact(); err != nil {
		t.Fatal(err)
	}
	if s.log.segments[0] == first {
		t.Fatal("the oldest file is still there: nothing has moved")
	}
	if got := s.log.bytes(); got > 2*slackBytes {
		t.Errorf("%d bytes of files", got)
	}
	for i := range n {
		answeredAs(t, s, letter(uint64(1+i), "key", "a"), fmt.Sprint("made ", i))
	}
	s.Close()
	s = open(t, dir, Options{})
	for i := range n {
		answeredAs(t, s, letter(uint64(1+i), "key", "a"), fmt.Sprint("made ", i))
	}
}

// Where the table is full, requests with a key pass, and none is kept, aloud;
// those without go on. One sender, and newcomers, fill their own share alone.
func TestAFullTableOfKeysStopsTheKeeping(t *testing.T) {
	var alarms []string
	s := open(t, t.TempDir(), Options{Alarm: func(err error) { alarms = append(alarms, err.Error()) }})
	fill := func(n int, who uint64, fresh bool) {
		for range n {
			id := newID()
			s.mu.Lock()
			s.remember(&turn{key: digest(id), who: principal{'p', who}, fresh: fresh, at: millis(s.now()), status: 201})
			s.mu.Unlock()
		}
	}
	passes := func(m *Message) {
		t.Helper()
		if b, err := s.Begin(t.Context(), m); b.End != nil || b.Answer != nil || b.Kept || err != nil {
			t.Errorf("%s of %d: %+v, %v: it should pass", m.Key, m.Sender.Pass, b, err)
		}
		if _, _, err := s.Put(m); !errors.Is(err, ErrFull) {
			t.Errorf("%s of %d is kept: %v", m.Key, m.Sender.Pass, err)
		}
	}
	fill(onceSenderMax, 7, false)
	passes(letter(7, "one more", "a"))
	put(t, s, letter(7, "", "without a key"))
	if len(alarms) != 0 || !s.Stats().Keeping {
		t.Errorf("one sender's doing is an alarm: %v", alarms)
	}
	held := begin(t, s, letter(8, "before", "a"))
	for i := range 8 {
		fill(onceSenderMax, uint64(100+i), true)
	}
	m := letter(9, "a newcomer", "a")
	m.Newcomer = true
	passes(m)
	if len(alarms) != 1 || !strings.Contains(alarms[0], "newcomers") {
		t.Errorf("the newcomers' share is full: %v", alarms)
	}
	begin(t, s, letter(9, "a member", "a"))(nil)

	for i := range 8 {
		fill(onceSenderMax, uint64(200+i), false)
	}
	alarms = nil
	s.lastFull.Store(0)
	passes(letter(10, "key", "a"))
	if st := s.Stats(); len(alarms) != 1 || st.Keeping || !st.KeysFull {
		t.Errorf("the table is full: alarms %v, keeping %v", alarms, st.Keeping)
	}
	put(t, s, letter(10, "", "without a key"))
	put(t, s, letter(8, "before", "a")) // its key has its place
	held(nil)
}

// Where the disk fails or is slow, an answer goes out, and is known until the end of the process.
func TestAnswersWhileTheDiskFails(t *testing.T) {
	disk, alarms := new(failingDisk), atomic.Int32{}
	s := open(t, t.TempDir(), Options{create: disk.open, again: time.Millisecond, Alarm: func(error) { alarms.Add(1) }})
	disk.sync.Store(true)
	begin(t, s, letter(1, "key", "a"))(made("made"))
	if b, err := s.Begin(t.Context(), letter(1, "key", "a")); err != nil || b.Answer == nil || b.Answer.Status != 201 || b.Answer.Whole {
		t.Errorf("%+v, %v: want that it was answered with 201", b.Answer, err)
	}
	if alarms.Load() == 0 {
		t.Error("nobody was told")
	}
}

// A damaged record of an answer is named and costs itself.
func TestADamagedAnswer(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	begin(t, s, letter(1, "key", "a"))(made("made"))
	begin(t, s, letter(2, "key", "a"))(made("other"))
	var at place
	for _, turn := range s.turns {
		if turn.who.id == 1 {
			at = turn.place
		}
	}
	s.Close()
	b, err := os.ReadFile(at.seg.name)
	if err != nil {
		t.Fatal(err)
	}
	b[at.at+headBytes+3] ^= 1
	if err := os.WriteFile(at.seg.name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var told []error
	s = open(t, dir, Options{Alarm: func(err error) { told = append(told, err) }})
	if len(told) != 1 {
		t.Errorf("told: %v", told)
	}
	answeredAs(t, s, letter(2, "key", "a"), "other")
	begin(t, s, letter(1, "key", "a"))(nil)
}

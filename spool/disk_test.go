package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// erased waits until all is erased that was to be: the writer does so behind the batch
// in which it hears of it.
func erased(s *Store) {
	s.beat()
	s.beat()
}

// twoFiles keeps a message in a file of its own disk, and begins the next file, on a sound one.
func twoFiles(t *testing.T, dir string, disk *failingDisk, o Options) (*Store, ID) {
	t.Helper()
	var files atomic.Int32
	o.create = func(name string) (file, error) {
		if files.Add(1) == 1 {
			return disk.open(name)
		}
		return createFile(name)
	}
	s := open(t, dir, o)
	id := put(t, s, letter(1, "", strings.Repeat("x", segmentBytesMax-1<<20)))
	put(t, s, letter(2, "", strings.Repeat("x", 2<<20)))
	put(t, s, letter(3, "", "in the next file"))
	if files.Load() != 2 {
		t.Fatalf("%d files, want two", files.Load())
	}
	return s, id
}

// A text that cannot be erased costs no message: what is put meanwhile is kept. It is
// told once, and tried again.
func TestAnErasureThatFails(t *testing.T) {
	for name, which := range map[string]func(*failingDisk) *atomic.Bool{
		"write": func(d *failingDisk) *atomic.Bool { return &d.write },
		"sync":  func(d *failingDisk) *atomic.Bool { return &d.sync },
	} {
		t.Run(name, func(t *testing.T) {
			dir, disk := t.TempDir(), new(failingDisk)
			const again = 200 * time.Millisecond
			var said heard
			s, id := twoFiles(t, dir, disk, Options{again: again, Alarm: said.alarm})
			at := s.entry(id).message
			which(disk).Store(true)
			(&Courier{store: s}).delivered(s.entry(id), Answer{Status: 201})
			for range 3 {
				erased(s)
				put(t, s, letter(4, "", "kept meanwhile"))
			}
			if !s.Stats().Keeping || len(said.all) != 1 || !said.says("not erased") {
				t.Errorf("keeping %v, told %q: want one alarm, of the erasure", s.Stats().Keeping, said.all)
			}
			which(disk).Store(false)
			time.Sleep(again)
			erased(s)
			b := make([]byte, at.length)
			if _, err := at.seg.f.ReadAt(b, at.at); err != nil || len(bytes.Trim(b[headBytes:], "\x00")) != 0 {
				t.Errorf("it is not erased: %v", err)
			}
			s.Close()
			if n := len(s.log.zeros); n != 0 {
				t.Errorf("%d records are still to be erased", n)
			}
			s = open(t, dir, Options{Alarm: func(err error) { t.Error(err) }})
			if _, n := s.List(false); n != 5 {
				t.Errorf("%d messages wait after the restart, want the five that were promised", n)
			}
		})
	}
}

// A record that is on the disk, while nobody has counted yet that it is needed, keeps its
// file: also where it is alone there, and the next file has begun.
func TestAFileStaysUntilItIsKnownWhoNeedsIt(t *testing.T) {
	s := open(t, t.TempDir(), Options{Alarm: func(err error) { t.Error(err) }})
	add := func(n int) place {
		t.Helper()
		p, err := s.log.append(kindState, make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := add(segmentBytesMax)
	next := add(1)
	if first.seg == next.seg {
		t.Fatal("there is one file alone")
	}
	compact := func() {
		t.Helper()
		if err := s.compact(); err != nil {
			t.Fatal(err)
		}
	}
	compact()
	if s.log.oldest() != first.seg {
		t.Fatal("its file is gone before anybody could count it")
	}
	first.counted()
	compact()
	if s.log.oldest() != nil {
		t.Error("its file stays, though nobody needs it")
	}
	next.counted()
	// Whoever did not wait for it counts nothing, and it is let go all the same.
	for range 20 {
		if p, err := s.log.appendSoon(kindOnce, []byte("answer"), 0); err == nil {
			p.counted()
		}
	}
	until(t, "nothing is held", func() bool { return next.seg.held.Load() == 0 })
}

// While the disk takes nothing, what waits is left alone, and the log is not filled with that; then
// all of it arrives, once.
func TestADiskThatFailsWhileMessagesWait(t *testing.T) {
	disk, p := new(failingDisk), newPlatform(t)
	const again, senders = 200 * time.Millisecond, 50
	var said heard
	s := open(t, t.TempDir(), Options{create: disk.open, again: again, Alarm: said.alarm})
	for i := range senders {
		put(t, s, letter(uint64(1+i), "", fmt.Sprint(i)))
	}
	disk.sync.Store(true)
	var tried atomic.Int32
	way := p.way()
	send := way.Send
	way.Send = func(ctx context.Context, r *Request, ready func() error) Answer {
		if r.Method == http.MethodPost {
			tried.Add(1)
		}
		return send(ctx, r, ready)
	}
	routes, err := NewRoutes(Config{Keep: []Route{*oneRoute()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	c := NewCourier(s, way, func() *Routes { return routes })
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer stop()
	time.Sleep(5 * again)
	said.mu.Lock()
	alarms := len(said.all)
	said.mu.Unlock()
	if n := tried.Load(); n == 0 || n > 40 || alarms > 10 {
		t.Errorf("in five pauses of the disk's %d were tried, and %d alarms raised", n, alarms)
	}
	disk.sync.Store(false)
	until(t, "all are delivered", func() bool { return s.Stats().Waiting == 0 })
	if n := len(p.has()); n != senders {
		t.Errorf("%d arrived, want %d", n, senders)
	}
}

// Where keys that nothing needs cannot be taken out of their file, the store opens, and says so.
func TestKeysThatCannotBeForgotten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	now := time.Now()
	k, _, err := openLog(dir, now, func(*record) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.keys.current(now.Add(keyLife + time.Hour)); err != nil { // a second key, and the first sealed nothing
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, segmentName(1)), make([]byte, 2*fileHeadBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	var said heard
	ended := make(chan error, 1)
	go func() {
		s, err := Open(dir, Options{Alarm: func(err error) {
			said.alarm(err)
			os.Rename(dir, dir+" is away") // at the first, of the damaged file: then nothing can be written
		}})
		if err == nil {
			err = s.Close()
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil || !said.says("spool: keys:") {
			t.Errorf("%v; said %q", err, said.all)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the start hangs")
	}
}

// A folder that the disk does not give, whole or in part, stops the keeping and not the start; what
// lies in it is left alone until it can be read.
func TestAFolderThatCannotBeRead(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "spool")
	s := open(t, dir, Options{})
	id := put(t, s, letter(1, "key", "text"))
	s.Close()
	unread := filepath.Join(dir, segmentName(99)) // a folder is no file that can be read
	if err := os.Mkdir(unread, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{dir, filepath.Join(file, "spool")} {
		var said heard
		s := open(t, bad, Options{Alarm: said.alarm})
		if !said.says("nothing is kept or delivered") || s.Stats().Keeping || !s.Stats().Unread {
			t.Errorf("%s: keeping %v; said %q", bad, s.Stats().Keeping, said.all)
		}
		if _, _, err := s.Put(letter(2, "", "text")); !errors.Is(err, ErrDisk) {
			t.Errorf("%s: put: %v", bad, err)
		}
		begin(t, s, letter(1, "key", "text"))(made("made"))
		if _, n := s.List(true); n != 0 {
			t.Errorf("%s: %d messages are known of what is not all", bad, n)
		}
		s.sweep()
		if err := errors.Join(s.compact(), s.Close()); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(unread); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{Alarm: func(err error) { t.Error(err) }})
	if got := bodyOf(t, s, id); got != "text" {
		t.Errorf("once it can be read, it says %q", got)
	}
	put(t, s, letter(2, "", "text"))
}

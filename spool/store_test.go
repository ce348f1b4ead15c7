package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(writerEnv) != "" {
		os.Exit(writeForever())
	}
	goleak.VerifyTestMain(m)
}

// oneRoute is a route as the configuration would give it.
func oneRoute(change ...func(*Route)) *Route {
	r := Route{Route: "POST /messages"}
	for _, c := range change {
		c(&r)
	}
	return &Config{Keep: []Route{r}}.Defaults().Keep[0]
}

func letter(from uint64, key, body string) *Message {
	return &Message{
		Sender: Sender{Pass: from}, Route: oneRoute(), Method: "POST", URI: "/messages", Host: "example.org",
		Client: netip.MustParseAddr("192.0.2.7"), Header: http.Header{"Cookie": {"session=secret"}}, Key: key, Body: []byte(body),
	}
}

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, m *Message) ID {
	t.Helper()
	id, again, err := s.Put(m)
	if err != nil || again {
		t.Fatalf("put: again %v, %v", again, err)
	}
	return id
}

func bodyOf(t testing.TB, s *Store, id ID) string {
	t.Helper()
	w, err := s.Show(id)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.Body)
}

func TestWhatIsKeptSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	var ids []ID
	for i := range 20 {
		ids = append(ids, put(t, s, letter(uint64(1+i%3), fmt.Sprint("key ", i), fmt.Sprint("text ", i))))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	list, n := s.List(false)
	if n != 20 {
		t.Fatalf("%d messages after the restart, want 20", n)
	}
	for i, l := range list {
		if l.ID != ids[i] {
			t.Fatalf("message %d is another: the order is lost", i)
		}
		if got, want := bodyOf(t, s, l.ID), fmt.Sprint("text ", i); got != want {
			t.Errorf("message %d says %q, want %q", i, got, want)
		}
	}
	if id, again, err := s.Put(letter(1, "key 0", "text 0")); err != nil || !again || id != ids[0] {
		t.Errorf("the same key after the restart: id %v, again %v, %v", id, again, err)
	}
	if _, _, err := s.Put(letter(1, "key 0", "something else")); !errors.Is(err, ErrOtherBody) {
		t.Errorf("the same key with another body: %v", err)
	}
	if _, again, err := s.Put(letter(2, "key 0", "text 0")); err != nil || again {
		t.Errorf("another sender's key of the same name: again %v, %v", again, err)
	}
}

// One key sent by many at once is one message.
func TestOneKeyAtOnceIsOneMessage(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var first atomic.Int32
	var all sync.WaitGroup
	var mu sync.Mutex
	ids := map[ID]bool{}
	for range 32 {
		all.Go(func() {
			id, again, err := s.Put(letter(1, "key", "text"))
			if err != nil {
				t.Error(err)
			}
			if !again {
				first.Add(1)
			}
			mu.Lock()
			ids[id] = true
			mu.Unlock()
		})
	}
	all.Wait()
	if _, n := s.List(false); n != 1 || first.Load() != 1 || len(ids) != 1 {
		t.Errorf("%d messages, %d first ones, %d ids: want one each", n, first.Load(), len(ids))
	}
}

// Nothing of what a message says can be read in the folder.
func TestNothingIsReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	put(t, s, letter(1, "the-key", "the secret text of a person"))
	s.Close()
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(names) < 2 {
		t.Fatalf("only %v in the folder", names)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v: want 0600", name, info.Mode(), err)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"the secret text", "session=", "the-key", "example.org"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s holds %q", name, word)
			}
		}
	}
}

// lastFile gives the newest file of a closed store.
func lastFile(t *testing.T, dir string) string {
	t.Helper()
	names, err := segmentNames(dir)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files: %v", err)
	}
	return filepath.Join(dir, segmentName(names[len(names)-1]))
}

// copyOf gives a store's folder with its newest file changed.
func copyOf(t *testing.T, dir string, change func([]byte) []byte) string {
	t.Helper()
	to := t.TempDir()
	last := lastFile(t, dir)
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == last {
			b = change(bytes.Clone(b))
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// someMessages makes a closed store of a few messages and tells where the first one's record
// begins and where each one's ends.
func someMessages(t *testing.T, n int) (dir string, ids []ID, first int, ends []int) {
	dir = t.TempDir()
	s := open(t, dir, Options{})
	for i := range n {
		ids = append(ids, put(t, s, letter(uint64(i+1), "", fmt.Sprint("text ", i))))
		s.mu.Lock()
		at := s.entries[ids[i]].message
		s.mu.Unlock()
		ends = append(ends, int(at.at)+at.length)
		if i == 0 {
			first = int(at.at)
		}
	}
	if err := s.log.close(); err != nil { // without the last beat: the file ends with a message
		t.Fatal(err)
	}
	return dir, ids, first, ends
}

// Wherever the newest file is cut off, what was whole before the cut is there,
// and nothing else.
func TestCutOffAtEveryByte(t *testing.T) {
	dir, ids, _, ends := someMessages(t, 3)
	size := ends[len(ends)-1]
	for cut := 0; cut <= size; cut++ {
		s, err := Open(copyOf(t, dir, func(b []byte) []byte { return b[:cut] }), Options{})
		if err != nil {
			t.Fatalf("cut at byte %d: %v", cut, err)
		}
		_, n := s.List(true)
		want := 0
		for i, end := range ends {
			if end > cut {
				break
			}
			want++
			if got := bodyOf(t, s, ids[i]); got != fmt.Sprint("text ", i) {
				t.Fatalf("cut at byte %d: message %d says %q", cut, i, got)
			}
		}
		if n != want {
			t.Fatalf("cut at byte %d: %d messages, want %d", cut, n, want)
		}
		if cut%32 == 0 {
			put(t, s, letter(99, "", "one more"))
		}
		s.log.close()
	}
}

// Whatever bit is flipped, the damage is named and costs no other message.
func TestFlippedBits(t *testing.T) {
	dir, ids, first, ends := someMessages(t, 3)
	for at := fileHeadBytes; at < ends[len(ends)-1]; at++ {
		var told []error
		s, err := Open(copyOf(t, dir, func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b }), Options{Alarm: func(err error) { told = append(told, err) }})
		if err != nil {
			t.Fatalf("flipped at byte %d: %v", at, err)
		}
		hit, want := 0, len(ids)-1
		for ends[hit] <= at {
			hit++
		}
		if at < first { // in the record of the time
			hit, want = -1, len(ids)
		}
		for i, id := range ids {
			if i == hit {
				continue
			}
			if got := bodyOf(t, s, id); got != fmt.Sprint("text ", i) {
				t.Fatalf("flipped at byte %d, in message %d: message %d says %q", at, hit, i, got)
			}
		}
		if _, n := s.List(true); n != want {
			t.Fatalf("flipped at byte %d: %d messages, want %d", at, n, want)
		}
		if len(told) == 0 || s.Stats().Damaged == 0 || !strings.Contains(told[0].Error(), segmentSuffix) {
			t.Fatalf("flipped at byte %d: not named: %v", at, told)
		}
		s.log.close()
	}
	// The head of the file: it cannot be opened, is set aside, and said so.
	for at := range fileHeadBytes {
		var told []error
		to := copyOf(t, dir, func(b []byte) []byte { b[at] ^= 0x10; return b })
		s, err := Open(to, Options{Alarm: func(err error) { told = append(told, err) }})
		if err != nil {
			t.Fatalf("flipped at byte %d: %v", at, err)
		}
		if len(told) == 0 {
			t.Fatalf("flipped at byte %d: not named", at)
		}
		if aside, _ := filepath.Glob(filepath.Join(to, "*.damaged")); len(aside) != 1 {
			t.Fatalf("flipped at byte %d: not set aside", at)
		}
		s.log.close()
	}
}

// A message whose text is damaged while its later state is not is named, and
// its sender is told.
func TestALaterStateWithoutItsText(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	id := put(t, s, letter(1, "", "text"))
	e := s.entries[id]
	if err := s.change(e, func(n *Entry) { n.State = Delivering }); err != nil {
		t.Fatal(err)
	}
	at := e.message.at
	s.Close()
	var told []error
	s = open(t, copyOf(t, dir, func(b []byte) []byte { b[at+headBytes+5] ^= 1; return b }), Options{Alarm: func(err error) { told = append(told, err) }})
	if _, now, ok := s.look(id, Sender{Pass: 1}); !ok || now.State != Damaged {
		t.Errorf("state %q, known %v: want damaged", now.State, ok)
	}
	if said := errors.Join(told...); said == nil || !strings.Contains(said.Error(), id.String()) {
		t.Errorf("the message is not named: %v", said)
	}
}

// failing is a file whose disk can be told to fail.
type failing struct {
	file
	disk *failingDisk
}

type failingDisk struct{ write, sync, create atomic.Bool }

func (f failing) WriteAt(b []byte, at int64) (int, error) {
	if f.disk.write.Load() {
		n, _ := f.file.WriteAt(b[:len(b)/2], at) // as a full disk does
		return n, syscall.ENOSPC
	}
	return f.file.WriteAt(b, at)
}

func (f failing) Sync() error {
	if f.disk.sync.Load() {
		return syscall.EIO
	}
	return f.file.Sync()
}

func (d *failingDisk) open(name string) (file, error) {
	if d.create.Load() {
		return nil, syscall.ENOSPC
	}
	f, err := createFile(name)
	return failing{f, d}, err
}

// A disk that fails stops the keeping loudly; what was kept stays, what was
// not is not there after a restart either, and keeping begins again by itself.
func TestADiskThatFails(t *testing.T) {
	for name, which := range map[string]func(*failingDisk) *atomic.Bool{
		"write": func(d *failingDisk) *atomic.Bool { return &d.write },
		"sync":  func(d *failingDisk) *atomic.Bool { return &d.sync },
	} {
		t.Run(name, func(t *testing.T) {
			dir, disk := t.TempDir(), new(failingDisk)
			var alarms atomic.Int32
			s := open(t, dir, Options{create: disk.open, again: time.Millisecond, Alarm: func(error) { alarms.Add(1) }})
			before := put(t, s, letter(1, "", "before"))
			which(disk).Store(true)
			for i := range 5 {
				if _, _, err := s.Put(letter(2, "", fmt.Sprint("lost ", i))); !errors.Is(err, ErrDisk) {
					t.Fatalf("put on a failed disk: %v", err)
				}
				time.Sleep(2 * time.Millisecond) // past the pause: it is tried again each time
			}
			if alarms.Load() == 0 || s.Stats().Keeping {
				t.Error("nobody was told")
			}
			if got := bodyOf(t, s, before); got != "before" {
				t.Errorf("what was kept says %q", got)
			}
			which(disk).Store(false)
			time.Sleep(2 * time.Millisecond)
			after := put(t, s, letter(3, "", "after"))
			s.Close()
			s = open(t, dir, Options{})
			list, n := s.List(true)
			if n != 2 || list[0].ID != before || list[1].ID != after {
				t.Errorf("after the restart: %v: want the two that were promised", list)
			}
		})
	}
}

func TestAFullDiskIsNotWrittenTo(t *testing.T) {
	var free atomic.Int64
	s := open(t, t.TempDir(), Options{free: func(string) (int64, error) { return free.Load(), nil }})
	free.Store(diskFreeMin - 1)
	if _, _, err := s.Put(letter(1, "", "text")); !errors.Is(err, ErrDisk) {
		t.Errorf("put with too little room: %v", err)
	}
	free.Store(diskFreeMin)
	put(t, s, letter(1, "", "text"))
}

func TestBounds(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	s.maxBytes = 1 << 20
	for i := range senderMessagesMax {
		put(t, s, letter(1, "", fmt.Sprint(i)))
	}
	if _, _, err := s.Put(letter(1, "", "one more")); !errors.Is(err, ErrFull) {
		t.Errorf("more than one sender may have: %v", err)
	}
	elsewhere := letter(1, "", "to another host")
	elsewhere.Host = "www.example.org"
	if _, _, err := s.Put(elsewhere); !errors.Is(err, ErrFull) {
		t.Errorf("more than one sender may have, by another host: %v", err)
	}
	put(t, s, letter(2, "", "somebody else"))
	for i := range prefixMessagesMax {
		m := letter(uint64(1000+i), "", "new here")
		m.Newcomer = true
		put(t, s, m)
	}
	m := letter(5000, "", "new here, too")
	m.Newcomer = true
	if _, _, err := s.Put(m); !errors.Is(err, ErrFull) {
		t.Errorf("more than newcomers of one network may have: %v", err)
	}
	// From anywhere, newcomers have half of the room.
	big := strings.Repeat("x", 40<<10)
	for i := 0; ; i++ {
		m := letter(uint64(10_000+i), "", big)
		m.Newcomer, m.Client = true, netip.AddrFrom4([4]byte{10, byte(i), 0, 1})
		if _, _, err := s.Put(m); errors.Is(err, ErrFull) {
			break
		} else if err != nil || i > 100 {
			t.Fatalf("newcomer %d: %v", i, err)
		}
	}
	put(t, s, letter(3, "", big))
	for i := 0; ; i++ {
		if _, _, err := s.Put(letter(uint64(20_000+i), "", big)); errors.Is(err, ErrFull) {
			break
		} else if err != nil || i > 100 {
			t.Fatalf("sender %d: %v", i, err)
		}
	}
}

// Texts that wait no more, and are here for their senders, count for them and for newcomers'
// networks until they are gone.
func TestTextsThatWaitNoMoreCount(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for name, put1 := range map[string]func(*Store, *Message) error{
		"unconfirmed": func(s *Store, m *Message) error {
			m.Sent = true
			_, _, err := s.Put(m)
			return err
		},
		"rejected": func(s *Store, m *Message) error {
			id, _, err := s.Put(m)
			if err == nil {
				(&Courier{store: s}).refused(s.entry(id), Answer{Status: 422}, false)
			}
			return err
		},
		"expired": func(s *Store, m *Message) error {
			id, _, err := s.Put(m)
			if err == nil {
				err = s.Drop(id)
			}
			return err
		},
	} {
		for _, newcomers := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", newcomers ", newcomers), func(t *testing.T) {
				now := time.Now()
				dir, o := t.TempDir(), Options{Now: func() time.Time { return now }}
				s := open(t, dir, o)
				one := func(i int) *Message {
					m := letter(1, "", big)
					if m.Newcomer = newcomers; newcomers {
						m.Sender.Pass = uint64(1 + i) // many, of one network
					}
					return m
				}
				for i := range 15 {
					if err := put1(s, one(i)); err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
				}
				if err := put1(s, one(15)); !errors.Is(err, ErrFull) {
					t.Errorf("more than 16 MiB: %v", err)
				}
				s.Close()
				s = open(t, dir, o)
				if err := put1(s, one(15)); !errors.Is(err, ErrFull) {
					t.Errorf("more than 16 MiB, after a restart: %v", err)
				}
				now = now.Add(textLife + time.Second)
				s.sweep()
				if err := put1(s, one(15)); err != nil {
					t.Errorf("once those are gone: %v", err)
				}
				if n := len(s.senders) + len(s.nets); n > 2 {
					t.Errorf("%d are counted, want nobody who has nothing", n)
				}
			})
		}
	}
}

// A delivered message's text is gone from the disk, its receipt stays.
func TestErasure(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	id := put(t, s, letter(1, "key", "text"))
	e := s.entries[id]
	old := e.message
	c := &Courier{store: s}
	c.delivered(e, Answer{Status: 201, Location: "/p/7"})
	erased(s)
	b := make([]byte, old.length)
	if _, err := old.seg.f.ReadAt(b, old.at); err != nil {
		t.Fatal(err)
	}
	if h, ok := readHead(b); !ok || h.kind != kindErased || !bytes.Equal(b[headBytes:], make([]byte, old.length-headBytes)) {
		t.Errorf("the record is not erased: %x", b[:64])
	}
	s.Close()
	s = open(t, dir, Options{})
	if _, now, ok := s.look(id, Sender{Pass: 1}); !ok || now.State != Delivered || now.Location != "/p/7" {
		t.Errorf("the receipt after a restart: %+v, known %v", now, ok)
	}
	if id2, again, err := s.Put(letter(1, "key", "text")); err != nil || !again || id2 != id {
		t.Errorf("its key after the delivery: again %v, %v", again, err)
	}
}

// Files go when nothing in them is needed, and are written anew when little is.
func TestFilesGo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	c := &Courier{store: s}
	body := strings.Repeat("x", 60<<10)
	var stays ID
	for i := range 900 { // 52 MiB
		id := put(t, s, letter(uint64(1+i), "", body))
		if i == 0 {
			stays = id
			continue
		}
		c.delivered(s.entries[id], Answer{Status: 201})
	}
	if s.log.bytes() < 48<<20 {
		t.Fatalf("only %d bytes were written", s.log.bytes())
	}
	if err := s.compact(); err != nil {
		t.Fatal(err)
	}
	if got := s.log.bytes(); got > 2*slackBytes {
		t.Errorf("%d bytes of files for one message", got)
	}
	if got := bodyOf(t, s, stays); got != body {
		t.Error("what stays has changed")
	}
	s.Close()
	s = open(t, dir, Options{})
	if got := bodyOf(t, s, stays); got != body {
		t.Error("what stays has changed with the restart")
	}
	if _, n := s.List(true); n != 900 {
		t.Errorf("%d receipts, want 900", n)
	}
}

// Time that passed while no Deich ran, or a clock that jumped, expires nothing.
func TestClockJumps(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	clock := func() time.Time { return now }
	s := open(t, dir, Options{Now: clock})
	id := put(t, s, letter(1, "", "text"))
	now = now.Add(23 * time.Hour)
	s.sweep()
	s.Close()
	now = now.Add(300 * 24 * time.Hour)
	s = open(t, dir, Options{Now: clock})
	s.sweep()
	if _, e, _ := s.look(id, Sender{Pass: 1}); e.State != Kept {
		t.Fatalf("after a jump of 300 days: %s", e.State)
	}
	now = now.Add(2 * time.Hour)
	s.sweep()
	if _, e, _ := s.look(id, Sender{Pass: 1}); e.State != Expired {
		t.Errorf("after its 24 hours: %s", e.State)
	}
	s.Close()
	now = now.Add(-400 * 24 * time.Hour) // back
	s = open(t, dir, Options{Now: clock})
	put(t, s, letter(1, "", "another"))
}

func TestKeysRotate(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	s := open(t, dir, Options{Now: func() time.Time { return now }})
	put(t, s, letter(1, "", "text"))
	s.Close()
	k, err := openKeys(dir, true, now)
	if err != nil {
		t.Fatal(err)
	}
	line, err := k.current(now.Add(keyLife + time.Hour))
	if err != nil || line.ID != 2 {
		t.Fatalf("key %d, %v: want the second", line.ID, err)
	}
	s = open(t, dir, Options{Now: func() time.Time { return now }})
	if _, n := s.List(true); n != 1 {
		t.Error("what the first key sealed cannot be read after the rotation")
	}
	if got := len(s.log.keys.Keys); got != 2 {
		t.Errorf("%d keys, want both", got)
	}
	s.Close()
	if err := os.Remove(filepath.Join(dir, keysName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("without its keys: %v", err)
	}
}

func TestKeysReadableByOthers(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{}).Close()
	if err := os.Chmod(filepath.Join(dir, keysName), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("keys that others can read: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	e := Entry{ID: newID(), State: Kept}
	rest, err := packContent(&content{Method: "POST"}, []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pack(&e, rest))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, rest, err := unpack(b); err == nil {
			unpackContent(rest)
		}
	})
}

func FuzzScan(f *testing.F) {
	c, err := (&keys{Keys: []keyLine{{ID: 1, Secret: make([]byte, secretBytes)}}}).sealer(1, nil)
	if err != nil {
		f.Fatal(err)
	}
	whole := make([]byte, fileHeadBytes)
	whole = seal(whole, c, kindState, 1, []byte("one"))
	whole = seal(whole, c, kindMessage, 2, []byte("two"))
	f.Add(whole)
	f.Add(append(whole[:80:80], whole...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &segment{c: c}
		covered := int64(0)
		bad := s.scan(b, true, func(_ kind, _ []byte, p place) { covered += int64(p.length) })
		for _, d := range bad {
			covered += d.Bytes
		}
		if most := int64(max(0, len(b)-fileHeadBytes)); covered > most {
			t.Errorf("%d bytes are told of, %d are there", covered, most)
		}
	})
}

var _ io.WriterAt = failing{}

// Files that are read side by side are taken over in their order: of records about
// one message the newest holds, and damage in one file costs what it hits.
func TestFilesAreTakenOverInOrder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	body := strings.Repeat("x", 60<<10)
	var ids []ID
	for i := range 300 * readersMax { // 72 MiB
		ids = append(ids, put(t, s, letter(uint64(1+i), "", fmt.Sprint(i, " ", body))))
	}
	c := &Courier{store: s}
	for i, id := range ids {
		if i%7 == 0 {
			c.refused(s.entry(id), Answer{Status: 422}, false)
		}
	}
	files, hit := len(s.log.segments), s.entry(ids[200]).message
	if files < 2*readersMax {
		t.Fatalf("%d files: too few to tell anything", files)
	}
	s.Close()
	b, err := os.ReadFile(hit.seg.name)
	if err != nil {
		t.Fatal(err)
	}
	b[hit.at+headBytes+1000] ^= 4
	if err := os.WriteFile(hit.seg.name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var told []error
	s = open(t, dir, Options{Alarm: func(err error) { told = append(told, err) }})
	if len(told) != 1 || !strings.Contains(told[0].Error(), hit.seg.name) {
		t.Errorf("told: %v", told)
	}
	list, n := s.List(true)
	if n != len(ids)-1 {
		t.Fatalf("%d messages, want %d", n, len(ids)-1)
	}
	for i, id := range ids {
		if i == 200 {
			continue
		}
		want := Kept
		if i%7 == 0 {
			want = Rejected
		}
		if e := s.entry(id); e == nil || e.State != want {
			t.Fatalf("message %d: %+v, want %s", i, e, want)
		}
		if i%50 == 0 && bodyOf(t, s, id) != fmt.Sprint(i, " ", body) {
			t.Errorf("message %d says something else", i)
		}
	}
	for i := 1; i < len(list); i++ {
		if list[i-1].Ordered >= list[i].Ordered {
			t.Fatal("the order is lost")
		}
	}
}

// A record to be erased whose file is gone meanwhile is no failure of the disk.
func TestErasureInAFileThatIsGone(t *testing.T) {
	s := open(t, t.TempDir(), Options{Alarm: func(err error) { t.Error(err) }})
	id := put(t, s, letter(1, "", strings.Repeat("x", segmentBytesMax-1<<20)))
	at := s.entry(id).message
	put(t, s, letter(2, "", strings.Repeat("x", 2<<20)))
	put(t, s, letter(3, "", "in the next file"))
	if at.seg == s.log.segments[len(s.log.segments)-1] {
		t.Fatal("there is one file alone")
	}
	if err := s.log.drop(at.seg); err != nil {
		t.Fatal(err)
	}
	s.log.erase(at)
	put(t, s, letter(4, "", "goes on"))
	if !s.Stats().Keeping {
		t.Error("nothing is kept any more")
	}
}

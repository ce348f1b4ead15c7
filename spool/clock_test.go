package spool

import (
	"fmt"
	"testing"
	"time"
)

// days is a store that is closed and opened again, with a wall clock and a time that passes.
type days struct {
	t   *testing.T
	dir string
	now time.Time
	s   *Store
}

func newDays(t *testing.T) *days {
	d := &days{t: t, dir: t.TempDir(), now: time.Now()}
	d.open()
	return d
}

func (d *days) open() {
	d.s = open(d.t, d.dir, Options{Now: func() time.Time { return d.now }, Alarm: func(err error) { d.t.Error(err) }})
	d.s.sweep()
}

// away lets time pass, by the wall, while nothing runs; it may go back.
func (d *days) away(wall time.Duration) {
	d.t.Helper()
	if err := d.s.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.now = d.now.Add(wall)
	d.open()
}

// killed is away without the last word.
func (d *days) killed(wall time.Duration) {
	d.t.Helper()
	if err := d.s.log.close(); err != nil {
		d.t.Fatal(err)
	}
	d.now = d.now.Add(wall)
	d.open()
}

// run lets time pass while it runs.
func (d *days) run(span time.Duration) {
	d.now = d.now.Add(span)
	d.s.beat()
	d.s.sweep()
}

// is fails unless a message is in a state; "" for none.
func (d *days) is(id ID, want State) {
	d.t.Helper()
	if got := d.s.StateOf(id); got != want {
		d.t.Fatalf("it is %q, want %q", got, want)
	}
}

// A life counts while Deich runs, over any number of restarts.
func TestLivesOverManyRestarts(t *testing.T) {
	for name, end := range map[string]func(*days, time.Duration){"ended": (*days).away, "killed": (*days).killed} {
		t.Run(name, func(t *testing.T) {
			d := newDays(t)
			id := put(t, d.s, letter(1, "", "text"))
			d.run(time.Hour)
			end(d, 30*time.Hour)
			d.run(time.Hour)
			for i := range 10 {
				end(d, time.Duration(i)*time.Hour)
				d.run(2 * time.Hour)
				if i == 5 {
					if err := d.s.rewrite(d.s.entry(id)); err != nil {
						t.Fatal(err)
					}
				}
				d.is(id, Kept)
			}
			d.run(time.Hour)
			d.is(id, Kept) // 23 of its 24
			d.run(time.Hour + time.Minute)
			d.is(id, Expired)
			end(d, time.Hour)
			d.is(id, Expired)
			d.run(textLife)
			d.is(id, "")
		})
	}
}

// A clock that ran ahead once takes nothing from those that come later, nor gives to them.
func TestAClockThatRanAhead(t *testing.T) {
	const ahead = 365 * 24 * time.Hour
	d := newDays(t)
	before := put(t, d.s, letter(1, "", "before"))
	refused := put(t, d.s, letter(2, "", "not wanted"))
	d.away(ahead)
	meanwhile := put(t, d.s, letter(3, "", "meanwhile"))
	(&Courier{store: d.s}).refused(d.s.entry(refused), Answer{Status: 422}, false)
	begin(t, d.s, letter(4, "key", "a"))(made("made"))
	d.run(time.Hour)
	d.away(-ahead)
	after := put(t, d.s, letter(5, "", "after"))
	if err := d.s.rewrite(d.s.entry(meanwhile)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d.away(time.Hour)
		d.run(time.Hour)
		for _, id := range []ID{before, meanwhile, after} {
			d.is(id, Kept)
		}
	}
	d.run(20*time.Hour + time.Minute)
	d.is(before, Expired)
	d.is(meanwhile, Expired)
	d.is(after, Kept)
	d.run(time.Hour)
	d.is(after, Expired)
	d.run(textLife - 24*time.Hour)
	d.is(refused, "")
	begin(t, d.s, letter(4, "key", "b"))(nil) // what was answered is forgotten, too
}

// A wall clock that is set while Deich runs ends nothing, and lets nothing live longer.
func TestAClockThatIsSet(t *testing.T) {
	now, passed := time.Now(), time.Duration(0)
	s := open(t, t.TempDir(), Options{Now: func() time.Time { return now }, passed: func() time.Duration { return passed }})
	for i, wall := range []time.Duration{300 * 24 * time.Hour, -700 * 24 * time.Hour} {
		now = now.Add(wall)
		id := put(t, s, letter(uint64(1+i), "", "text"))
		now = now.Add(wall)
		passed += 23 * time.Hour
		s.sweep()
		if got := s.StateOf(id); got != Kept {
			t.Errorf("the clock set by %v: %s", wall, got)
		}
		passed += time.Hour
		s.sweep()
		if got := s.StateOf(id); got != Expired {
			t.Errorf("the clock set by %v, after its 24 hours: %s", wall, got)
		}
	}
}

// A folder of an earlier version, whose files do not begin with the time and whose records of it are
// numbers, is read as it was meant, and its lives go on from there.
func TestAFolderWithoutShifts(t *testing.T) {
	d := newDays(t)
	d.s.Close()
	began := d.now
	l, _, err := openLog(d.dir, d.now, func(*record) {})
	if err != nil {
		t.Fatal(err)
	}
	l.start()
	write := func(k kind, text []byte) {
		t.Helper()
		p, err := l.append(k, text)
		if err != nil {
			t.Fatal(err)
		}
		p.counted()
	}
	e := Entry{ID: newID(), Seq: 1, State: Kept, At: millis(began), Changed: millis(began), Until: millis(began.Add(24 * time.Hour)),
		Sender: Sender{Pass: 1}, Host: "example.org", Route: "POST /messages", Size: 1000}
	rest, err := packContent(&content{Method: "POST", URI: "/messages", Host: "example.org"}, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	write(kindMessage, pack(&e, rest))
	write(kindClock, fmt.Append(nil, millis(began.Add(10*time.Hour))))
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	d.now = began.Add(100 * time.Hour)
	d.open()
	d.is(e.ID, Kept)
	for range 6 {
		d.run(2 * time.Hour)
		d.away(50 * time.Hour)
		d.is(e.ID, Kept)
	}
	if got := bodyOf(t, d.s, e.ID); got != "text" {
		t.Errorf("it says %q", got)
	}
	d.run(2*time.Hour + time.Minute)
	d.is(e.ID, Expired)
}

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
	ran time.Duration // by the monotonic time
	s   *Store
}

func newDays(t *testing.T) *days {
	d := &days{t: t, dir: t.TempDir(), now: time.Now()}
	d.open()
	return d
}

func (d *days) open() {
	start := d.ran
	d.s = open(d.t, d.dir, Options{Now: func() time.Time { return d.now }, passed: func() time.Duration { return d.ran - start },
		Alarm: func(err error) { d.t.Error(err) }})
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
	d.ran += span
	d.set(span)
}

// set sets the wall clock while it runs, as whoever sets the time does, and a machine that was suspended.
func (d *days) set(by time.Duration) {
	d.now = d.now.Add(by)
	d.s.beat()
	d.s.sweep()
}

// refused keeps a message that the platform does not want.
func (d *days) refused(from uint64, text string) ID {
	d.t.Helper()
	id := put(d.t, d.s, letter(from, "", text))
	(&Courier{store: d.s}).refused(d.s.entry(id), Answer{Status: 422}, false)
	return id
}

// delivered keeps a message, with a key, that the platform takes.
func (d *days) delivered(from uint64) ID {
	d.t.Helper()
	id := put(d.t, d.s, letter(from, "kept", "text"))
	(&Courier{store: d.s}).delivered(d.s.entry(id), Answer{Status: 201})
	return id
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
	if err := d.s.rewrite(d.s.entry(refused)); err != nil {
		t.Fatal(err)
	}
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
	d.run(18*time.Hour - time.Minute)
	answeredAs(t, d.s, letter(4, "key", "a"), "made")
	d.run(2*time.Hour + 2*time.Minute)
	d.is(before, Expired)
	d.is(meanwhile, Expired)
	d.is(after, Kept)
	d.run(time.Hour)
	d.is(after, Expired)
	begin(t, d.s, letter(4, "key", "b"))(nil) // what was answered is forgotten, too
	d.run(textLife - 28*time.Hour)
	d.is(refused, Rejected)
	d.run(time.Hour)
	d.is(refused, "")
}

// A clock that is behind at a start, and is set right meanwhile or before the next one, or a machine
// that was suspended, takes nothing from what was ended or answered: that has its time by the wall.
func TestAClockThatWasBehind(t *testing.T) {
	const x = 30 * 24 * time.Hour
	runs := map[string]func(d *days, end func(*days, time.Duration)){
		"set right in the run": func(d *days, end func(*days, time.Duration)) {
			end(d, -x)
			d.run(time.Minute)
			d.set(x)
		},
		"set right between runs": func(d *days, end func(*days, time.Duration)) {
			end(d, -x)
			d.run(time.Minute)
			end(d, x)
		},
		"behind twice": func(d *days, end func(*days, time.Duration)) {
			for range 2 {
				end(d, -x)
				d.run(time.Minute)
				d.set(x)
			}
		},
	}
	for name, run := range runs {
		for how, end := range map[string]func(*days, time.Duration){"ended": (*days).away, "killed": (*days).killed} {
			t.Run(name+", "+how, func(t *testing.T) {
				d := newDays(t)
				waits, refused, delivered := put(t, d.s, letter(1, "", "waits")), d.refused(2, "not wanted"), d.delivered(3)
				begin(t, d.s, letter(4, "key", "a"))(made("made"))
				d.run(time.Hour)
				all := func() {
					t.Helper()
					d.is(waits, Kept)
					d.is(refused, Rejected)
					d.is(delivered, Delivered)
					answeredAs(t, d.s, letter(4, "key", "a"), "made")
					if b, err := d.s.Begin(t.Context(), letter(3, "kept", "text")); err != nil || b.ID != delivered {
						t.Errorf("a retry of what was delivered: %+v, %v", b, err)
					}
					if got := bodyOf(t, d.s, refused); got != "not wanted" {
						t.Errorf("it says %q", got)
					}
				}
				run(d, end)
				all()
				late, lately := d.refused(5, "late"), d.delivered(6)
				if e := d.s.entry(late); e.At != millis(d.now) || e.Changed != millis(d.now) {
					t.Errorf("it was kept at %d and refused at %d, by the wall at %d", e.At, e.Changed, millis(d.now))
				}
				begin(t, d.s, letter(7, "key", "b"))(made("late"))
				end(d, time.Hour)
				all()
				d.run(21 * time.Hour)
				end(d, 0)
				all()
				d.run(90 * time.Minute)
				d.is(delivered, "")
				d.is(lately, Delivered)
				answeredAs(t, d.s, letter(7, "key", "b"), "late")
				begin(t, d.s, letter(4, "key", "c"))(nil)
				d.run(time.Hour)
				d.is(lately, "")
				d.is(waits, Expired) // 24 hours of running
				begin(t, d.s, letter(7, "key", "c"))(nil)
				d.run(textLife - 26*time.Hour)
				d.is(refused, Rejected)
				d.run(time.Hour)
				d.is(refused, "")
				d.is(late, Rejected)
				d.run(time.Hour)
				d.is(late, "")
			})
		}
	}
}

// A machine that is suspended, over and over, takes nothing from what was ended, and gives it nothing.
func TestASuspendedMachine(t *testing.T) {
	d := newDays(t)
	waits := put(t, d.s, letter(1, "", "waits"))
	for i := range 3 {
		d.run(time.Hour)
		end := begin(t, d.s, letter(uint64(10+i), "under way", "a"))
		d.set(20 * 24 * time.Hour)
		end(made("made"))
		answeredAs(t, d.s, letter(uint64(10+i), "under way", "a"), "made")
		d.is(waits, Kept)
		refused, delivered := d.refused(2, "not wanted"), d.delivered(3)
		begin(t, d.s, letter(4, "key", "a"))(made("made"))
		d.away(23 * time.Hour)
		d.is(waits, Kept)
		d.is(refused, Rejected)
		d.is(delivered, Delivered)
		answeredAs(t, d.s, letter(4, "key", "a"), "made")
		d.set(2 * time.Hour)
		d.is(refused, Rejected)
		d.is(delivered, "")
		begin(t, d.s, letter(4, "key", "b"))(nil)
		d.away(textLife)
		d.is(refused, "")
	}
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

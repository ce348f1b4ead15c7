package incident

import (
	"testing"
	"time"

	"github.com/deichproject/deich/sketch"
)

// Who could not read or send counts once in an incident, from its begin on, also
// from before it was noticed; strangers do while no more comes than usual. After a
// restart it is told that it may be more.
func TestPeopleCountOnce(t *testing.T) {
	s, key := newStory(), sketch.Key{1, 2}
	see := func(m Marks, words ...string) {
		s.at = s.at.Add(time.Second)
		sample := sampleOf(t, s.at, words)
		sample.Marks = m
		s.see(sample)
	}
	marked := func(from, to int) []sketch.Mark {
		var d sketch.Distinct
		for i := from; i < to; i++ {
			d.Add(key.Uint64(uint64(i)))
		}
		return d.Take()
	}
	for range 60 {
		see(Marks{}, "known=40")
	}
	see(Marks{KnownRead: marked(7000, 7001)}, "known=40", "lost=1") // before it began
	for range 20 {
		see(Marks{}, "known=40")
	}
	for k := range 10 {
		see(Marks{KnownRead: marked(0, 40), KnownSend: marked(30, 50), StrangerRead: marked(100+k, 101+k)}, "known=60", "lost=60")
	}
	near := func(what string, got, want int) {
		if got < want-1 || got > want+1 {
			t.Errorf("%s: %d, %d were met", what, got, want)
		}
	}
	i := s.book.Open()
	if i == nil {
		t.Fatal("no incident is open")
	}
	near("readers", i.Toll.Missed.Read, 50)
	near("senders", i.Toll.Missed.Send, 20)
	near("all", i.Toll.Missed.All, 60)
	see(Marks{StrangerRead: marked(2000, 3000)}, "known=40", "press", "new=3000", "held=2900")
	near("all, with attackers", i.Toll.Missed.All, 60)
	if i.Toll.Missed.Least {
		t.Error("it may be more")
	}
	again := NewBook(cet)
	for _, f := range s.facts {
		again.Apply(f)
	}
	if again.Open().Toll.Missed != i.Toll.Missed {
		t.Errorf("told from the record: %+v, was %+v", again.Open().Toll.Missed, i.Toll.Missed)
	}
	s.watch = NewWatch(cet, s.book)
	for range 3 {
		see(Marks{KnownRead: marked(0, 40)}, "known=40", "lost=40", "fail")
	}
	near("all, after a restart", i.Toll.Missed.All, 60)
	if !i.Toll.Missed.Least {
		t.Error("after a restart it may be more, and nobody is told")
	}
	for n := range s.book.Open().Timeline {
		if i.Timeline[n].Kind == Counted {
			t.Fatal("counting stands on the timeline")
		}
	}
}

func TestPeopleAreToldInTwoDigits(t *testing.T) {
	for n, want := range map[int]string{0: "nobody", 1: "about 1 user", 87: "about 87 users", 104: "about 100 users", 1234: "about 1,200 users",
		1250: "about 1,300 users", 99_999: "about 100,000 users", 1_234_567: "about 1,200,000 users"} {
		if got := (Missed{All: n}).People().English; got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	if got := (Missed{All: 1234, Least: true}).People().German; got != "etwa 1.200 oder mehr Nutzer" {
		t.Errorf("%q", got)
	}
}

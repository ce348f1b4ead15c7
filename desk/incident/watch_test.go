package incident

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const outage = " known=20 lost=20 fail cause=origin_fault:0.9"

// Each second of a long outage counts once, whether it is said by itself or in a minute,
// also over restarts.
func TestALongOutageCountsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		off   uint64
	}{
		"three hours":                    {[]string{"10800" + outage}, 10800},
		"a restart after an hour":        {[]string{"3600" + outage, "1 restart", "7200" + outage}, 10800},
		"a restart in the third hour":    {[]string{"8400" + outage, "1 restart", "2400" + outage}, 10800},
		"a restart in a minute":          {[]string{"90" + outage, "1 restart", "10800" + outage}, 10890},
		"an hour that is off in between": {[]string{"3000" + outage, "200 known=20 p50=40", "4000" + outage, "7200" + outage}, 14200},
	} {
		t.Run(name, func(t *testing.T) {
			i, s := told(t, append([]string{"60 known=20 p50=40"}, c.lines...)...)
			k := i.Toll.Users
			if k.Asked != 20*c.off || k.Lost() != 20*c.off || uint64(i.Toll.Rows) != c.off || uint64(i.Toll.Seconds) != c.off {
				t.Errorf("%d seconds were off: asked %d, lost %d; %d rows, %d seconds", c.off, k.Asked, k.Lost(), i.Toll.Rows, i.Toll.Seconds)
			}
			n := 0
			for _, f := range s.facts {
				if f.Kind == Second {
					n++
				}
			}
			if n > SecondsMax || n < SecondsMax-60 {
				t.Errorf("%d seconds were said one by one", n)
			}
			again := NewBook(cet)
			for _, f := range s.facts {
				again.Apply(f)
			}
			if got := again.Get(i.ID).Toll; got != i.Toll {
				t.Errorf("from the record alone: %+v, was %+v", got, i.Toll)
			}
		})
	}
}

// Fifty thousand held back a second are more than 32 bits hold after a day.
func TestSumsDoNotWrap(t *testing.T) {
	r := Row{Span: 60, Off: 60, Apart: true}
	r.Groups[2] = Group{Asked: 3e9, Served: 2e9}
	r.Groups[Groups-1] = Group{Asked: 3e9, Held: 3e9}
	var toll, both Toll
	toll.Count(&r)
	toll.Count(&r)
	both.add(toll)
	both.add(toll)
	if toll.New.Held != 6e9 || toll.Users.Lost() != 2e9 || both.New.Asked != 12e9 || both.Users.Lost() != 4e9 {
		t.Errorf("%+v\n%+v", toll, both)
	}
}

// What people opened for something else is theirs to end: the watch does not go on with it
// when they end what it opened. It does with what that was split into or went into.
func TestWatchGoesOnWithItsOwn(t *testing.T) {
	for _, c := range []struct {
		name          string
		take          func(mail, own *Incident, at time.Time) Fact
		restart, ends bool
	}{
		{"closed", func(mail, own *Incident, at time.Time) Fact {
			return Fact{Kind: Updated, Incident: own.ID, Life: Resolved, Text: Text{"It is theirs.", "Es ist deren."}}
		}, false, false},
		{"closed, and a restart", func(mail, own *Incident, at time.Time) Fact {
			return Fact{Kind: Updated, Incident: own.ID, Life: Resolved, Text: Text{"It is theirs.", "Es ist deren."}}
		}, true, false},
		{"merged", func(mail, own *Incident, at time.Time) Fact {
			return Fact{Kind: Merged, Incident: own.ID, Other: mail.ID}
		}, false, true},
		{"merged, and a restart", func(mail, own *Incident, at time.Time) Fact {
			return Fact{Kind: Merged, Incident: own.ID, Other: mail.ID}
		}, true, true},
		{"split", func(mail, own *Incident, at time.Time) Fact {
			return Fact{Kind: Split, Incident: own.ID, Other: "rest", Time: at.Add(-5 * time.Second), Tolls: []Toll{{Seconds: 5}, {Seconds: 5}}}
		}, false, false},
		{"split, and a restart", func(mail, own *Incident, at time.Time) Fact {
			return Fact{Kind: Split, Incident: own.ID, Other: "rest", Time: at.Add(-5 * time.Second), Tolls: []Toll{{Seconds: 5}, {Seconds: 5}}}
		}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStory()
			s.play(t, "60 known=20 p50=40")
			by := func(f Fact) {
				f.At, f.By = s.at, "ada"
				s.book.Apply(f)
				s.watch.Took(s.book)
			}
			by(Fact{Kind: Opened, Incident: s.watch.NewID(s.at), Time: s.at.Add(-time.Minute), Text: Text{"Mail is late", "Mail verspätet"}})
			mail := s.book.Open()
			by(Fact{Kind: Updated, Incident: mail.ID, Life: Identified, Text: Text{"We know.", "Wir wissen es."}})
			s.play(t, "10"+outage)
			own := s.book.Open()
			if own == mail {
				t.Fatal("nothing was opened")
			}
			by(c.take(mail, own, s.at))
			if c.restart {
				s.play(t, "1 restart")
			}
			s.play(t, "600 known=20 p50=40")
			mail = s.book.Get(mail.ID)
			told := slices.ContainsFunc(mail.Updates, func(u Update) bool { return u.By == "" })
			if over := mail.Life == Resolved; over != c.ends || told != c.ends {
				t.Errorf("the mail is %s, and Deich told the public of it: %t", mail.Life, told)
			}
			for _, i := range s.book.Incidents() {
				if i.ID != mail.ID && i.Life != Resolved {
					t.Errorf("%s is %s ten quiet minutes later", i.ID, i.Life)
				}
			}
		})
	}
}

// Names are not given twice, whatever the clock said in between.
func TestNamesAreNotGivenTwice(t *testing.T) {
	s := newStory()
	s.play(t, "60 known=20 p50=40")
	s.play(t, "10"+outage)
	s.play(t, "600 known=20 p50=40")
	ahead := s.at.Add(48 * time.Hour)
	s.book.Apply(Fact{At: ahead, Kind: Opened, Incident: s.watch.NewID(ahead), By: "ada", Time: ahead})
	check := func(want string) {
		t.Helper()
		s.play(t, "10"+outage)
		if i := s.book.Get(want); i == nil || i.Life == Resolved || len(i.Updates) == 0 {
			t.Errorf("%s: %+v", want, i)
		}
		s.play(t, "600 known=20 p50=40")
	}
	check("2026-03-07-2") // the clock was set right
	s.play(t, "1 restart")
	s.play(t, "60 known=20 p50=40")
	check("2026-03-07-3")
	if all := s.book.Incidents(); len(all) != 4 {
		t.Errorf("%d incidents", len(all))
	}
}

// A finding is of one claim, also of two that were each the first of their incident.
func TestClaimsOfTwoIncidentsAreTold(t *testing.T) {
	b := NewBook(cet)
	for _, id := range []string{"a", "b"} {
		b.Apply(Fact{At: storyBegins, Kind: Opened, Incident: id, By: "ada", Time: storyBegins})
		b.Apply(Fact{At: storyBegins, Kind: Claimed, Incident: id, By: "ada", Claim: &Claim{ID: b.Get(id).NewClaimID(), Who: "of " + id}})
	}
	b.Apply(Fact{At: storyBegins, Kind: Merged, Incident: "b", Other: "a", By: "ada"})
	all := b.Get("a").Claims
	if len(all) != 2 || all[0].ID == all[1].ID || all[1].Who != "of b" || b.Get("b").Claims[0].ID != "c1" || b.Get("a").NewClaimID() != "c3" {
		t.Fatalf("%+v", all)
	}
	b.Apply(Fact{At: storyBegins, Kind: Held, Incident: "a", Claim: &Claim{ID: all[1].ID}, Finding: &Finding{Answer: Consistent}})
	if all := b.Get("a").Claims; all[0].Finding != nil || all[1].Finding == nil {
		t.Errorf("the finding of the second one: %+v", all)
	}
	c := Case{Title: Text{English: "x"}, Begin: Stamp{Time: storyBegins}, Claims: []Claim{{Who: "a"}, {ID: "c1", Who: "b"}}}
	if err := c.Check(); err != nil || c.Claims[0].ID == c.Claims[1].ID {
		t.Errorf("%v: %+v", err, c.Claims)
	}
}

// A title has its bound in each language.
func TestTitlesOfPlansAreBounded(t *testing.T) {
	long := fmt.Sprintf("%*s", TitleMax, "x")
	for title, ok := range map[Text]bool{{long, long}: true, {long + "x", ""}: false, {"", long + "x"}: false, {" ", ""}: false} {
		p := Plan{Kind: Crowd, Title: title, From: storyBegins, To: storyBegins.Add(time.Hour)}
		if err := p.Check(storyBegins); (err == nil) != ok {
			t.Errorf("%d and %d bytes: %v", len(title.English), len(title.German), err)
		}
	}
}

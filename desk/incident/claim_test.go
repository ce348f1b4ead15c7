package incident

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// told plays a story from its file and gives its only incident.
func told(t *testing.T, lines ...string) (*Incident, *story) {
	t.Helper()
	s := newStory()
	for _, l := range lines {
		s.play(t, l)
	}
	all := s.book.Incidents()
	if len(all) != 1 {
		t.Fatalf("%d incidents", len(all))
	}
	return all[0], s
}

// measured sums up what was said about a window.
func (s *story) measured(from, to time.Time) Measured {
	m := NewMeasuring(from, to)
	for _, f := range s.facts {
		if f.Row != nil {
			m.Count(f.Kind, f.Row)
		}
	}
	return m.Measured()
}

// dieNets is the claim of the story, moved to the time of an incident here.
func dieNets(t *testing.T, i *Incident) Claim {
	t.Helper()
	x, err := Example("x-2025-05-24")
	if err != nil {
		t.Fatal(err)
	}
	c := x.Claims[0]
	c.From, c.To = Stamp{i.Begin.Add(-2 * time.Minute), true}, Stamp{i.End.Add(5 * time.Minute), true}
	return c
}

func TestTheSameClaimAgainstThreeRecords(t *testing.T) {
	flood, s := told(t, "1800 known=20 p50=40 new=3", "60 known=20 lost=12 p50=60 new=900 held=880 press cause=flood:0.95", "900 known=20 p50=40 new=3")
	c := dieNets(t, flood)
	from, to := c.Window(flood)
	f := Hold(&c, flood, s.measured(from, to), s.at, cet)
	if f.Answer != Consistent || f.Sure < .5 {
		t.Errorf("against a flood: %+v", f)
	}
	point := func(f Finding, name string) Point {
		for _, p := range f.Points {
			if p.Name == name {
				return p
			}
		}
		t.Fatalf("no point %q", name)
		return Point{}
	}
	for _, name := range []string{"author", "purpose"} {
		if p := point(f, name); p.Answer != NotVerifiable {
			t.Errorf("%s: %+v: no measurement says that", name, p)
		}
	}
	if f.Note != NotAttribution {
		t.Error("the line about attribution is missing")
	}

	down, s := told(t, "1800 known=20 p50=40 new=3", "120 known=18 lost=18 new=3 fail cause=origin_fault:0.9", "900 known=20 p50=40 new=3")
	c = dieNets(t, down)
	from, to = c.Window(down)
	f = Hold(&c, down, s.measured(from, to), s.at, cet)
	if f.Answer != Contradicted || !strings.Contains(f.Why.English, "own fault") || !strings.Contains(f.Why.German, "Fehler der Plattform") {
		t.Errorf("against the origin's own fault: %+v", f)
	}

	x, err := Example("x-2025-05-24")
	if err != nil {
		t.Fatal(err)
	}
	b := NewBook(cet)
	b.Apply(Fact{At: storyBegins, Kind: Imported, Incident: "x", Case: x})
	i := b.Get("x")
	if i == nil || i.Measured() || i.Life != Resolved {
		t.Fatalf("%+v", i)
	}
	from, to = x.Claims[0].Window(i)
	f = Hold(&x.Claims[0], i, Measured{From: from, To: to, Worst: 1}, storyBegins, x.Location())
	if f.Answer != NotVerifiable || f.Sure != 1 || !strings.Contains(f.Why.English, "want of measurements") || !strings.Contains(f.Why.German, "fehlen Messungen") {
		t.Errorf("against nothing measured: %+v", f)
	}
}

func TestAClaimAboutAQuietTimeIsContradicted(t *testing.T) {
	flood, s := told(t, "1800 known=20 p50=40 new=3", "60 known=20 lost=12 p50=60 new=900 held=880 press cause=flood:0.95", "900 known=20 p50=40 new=3")
	c := Claim{Who: "somebody", From: Stamp{Time: storyBegins.Add(5 * time.Minute)}, To: Stamp{Time: storyBegins.Add(15 * time.Minute)}, Outage: true, Rate: 1e6}
	from, to := c.Window(flood)
	f := Hold(&c, flood, s.measured(from, to), s.at, cet)
	if f.Answer != Contradicted {
		t.Errorf("%+v", f)
	}
	for _, p := range f.Points {
		if (p.Name == "outage" || p.Name == "window" || p.Name == "size") && p.Answer != Contradicted {
			t.Errorf("%s: %+v", p.Name, p)
		}
	}
}

func TestCheckOfAClaim(t *testing.T) {
	c := Claim{Who: "x", Text: "we did it"}
	if err := c.Check(); err != nil || len(c.SHA256) != 64 {
		t.Fatalf("%v, %q", err, c.SHA256)
	}
	c.Text += "!"
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("a text that is not the archived one: %v", err)
	}
	bad := Claim{From: Stamp{Time: storyBegins}, To: Stamp{Time: storyBegins.Add(-time.Hour)}, Rate: -1, Text: strings.Repeat("x", TextMax+1)}
	err := bad.Check()
	for _, want := range []string{"who", "before it begins", "below zero", "bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing: %v", want, err)
		}
	}
}

func TestMergeAndSplit(t *testing.T) {
	s := newStory()
	for _, l := range []string{"120 known=20 p50=40 new=3", "30 known=15 lost=15 new=3 fail cause=origin_fault:0.9", "400 known=20 p50=40 new=3",
		"30 known=15 lost=15 new=3 fail cause=origin_fault:0.9", "400 known=20 p50=40 new=3"} {
		s.play(t, l)
	}
	all := s.book.Incidents()
	if len(all) != 2 {
		t.Fatalf("%d incidents", len(all))
	}
	second, first := *all[0], *all[1]
	s.book.Apply(Fact{At: s.at, Kind: Merged, Incident: second.ID, Other: first.ID, By: "ada"})
	one := s.book.Get(first.ID)
	if !one.Begin.Equal(first.Begin) || !one.End.Equal(second.End) || one.Toll.Users.Lost() != first.Toll.Users.Lost()+second.Toll.Users.Lost() {
		t.Errorf("merged: %+v", one)
	}
	if two := s.book.Get(second.ID); two.Into != first.ID || two.Life != Resolved {
		t.Errorf("merged: %+v", two)
	}
	s.book.Apply(Fact{At: s.at, Kind: Split, Incident: first.ID, Other: "new", Time: second.Begin, By: "ada", Tolls: []Toll{first.Toll, second.Toll}})
	rest, off := s.book.Get(first.ID), s.book.Get("new")
	if off == nil || !off.Begin.Equal(second.Begin) || off.Toll.Users.Lost() != second.Toll.Users.Lost() || rest.Toll.Users.Lost() != first.Toll.Users.Lost() || len(off.Verdicts) != 1 || len(rest.Verdicts) != 1 {
		t.Errorf("split: %+v\n%+v", rest, off)
	}
}

// What a person says stands beside what was measured, and a cause is public
// only from then on.
func TestPeopleSay(t *testing.T) {
	i, s := told(t, "60 known=20 p50=40 new=3", "30 known=20 lost=12 p50=60 new=900 held=880 press cause=flood:0.95")
	for _, u := range i.Updates {
		for _, word := range []string{"flood", "Flut", "attack", "Angriff"} {
			if strings.Contains(u.Text.English+u.Text.German, word) {
				t.Errorf("%q names a cause that nobody approved", u.Text)
			}
		}
	}
	s.book.Apply(Fact{At: s.at, Kind: Approved, Incident: i.ID, By: "ada", Cause: "flood", Text: CauseText("flood")})
	i = s.book.Get(i.ID)
	if last := i.Updates[len(i.Updates)-1]; i.Approval == nil || i.Approval.By != "ada" || last.Text != CauseText("flood") {
		t.Errorf("%+v", i)
	}
	for _, c := range []string{"flood", "crowd", "origin_fault", "retry_storm", "upstream", "mixed"} {
		if text := CauseText(c); text.English == "" || text.German == "" || CauseName(c).German == "nicht bekannt" {
			t.Errorf("%s has no words", c)
		}
	}
}

func TestABookSurvivesASnapshot(t *testing.T) {
	_, s := told(t, "60 known=20 p50=40 new=3", "30 known=20 lost=12 p50=60 new=900 held=880 press cause=flood:0.95 rule=7", "100 known=20 p50=40 new=3")
	before, err := json.Marshal(s.book)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBook(cet)
	if err := json.Unmarshal(before, b); err != nil {
		t.Fatal(err)
	}
	after, err := json.Marshal(b)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("%v\n%s\n%s", err, before, after)
	}
}

// The record alone tells the same: facts that went through JSON make the same book.
func TestFactsSurviveTheRecord(t *testing.T) {
	_, s := told(t, "60 known=20 p50=40 new=3", "30 known=20 lost=12 p50=60 new=900 held=880 press cause=flood:0.95 rule=7", "400 known=20 p50=40 new=3")
	b := NewBook(cet)
	for _, f := range s.facts {
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var again Fact
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		b.Apply(again)
	}
	one, _ := json.Marshal(s.book)
	two, _ := json.Marshal(b)
	if !bytes.Equal(one, two) {
		t.Errorf("\n%s\n%s", one, two)
	}
}

func FuzzReadCase(f *testing.F) {
	b, err := examples.ReadFile("example/x-2025-05-24.json")
	if err != nil || len(b) == 0 {
		f.Fatal("no seed")
	}
	f.Add(b)
	f.Add([]byte(`{"title":{"en":"x"},"begin":{"time":"2025-05-24T15:00:00+02:00"},"claims":[{"who":""}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ReadCase(bytes.NewReader(b))
		if err != nil {
			return
		}
		book := NewBook(cet)
		book.Apply(Fact{At: storyBegins, Kind: Imported, Incident: "x", Case: c})
		i := book.Get("x")
		for k := range c.Claims {
			from, to := c.Claims[k].Window(i)
			if got := Hold(&c.Claims[k], i, Measured{From: from, To: to, Worst: 1}, storyBegins, cet); got.Answer != NotVerifiable {
				t.Errorf("%s: nothing was measured", got.Answer)
			}
		}
	})
}

func BenchmarkSee(b *testing.B) {
	w := NewWatch(cet, nil)
	at := storyBegins
	s := Sample{Row: Row{Span: 1}, Origins: []Origin{{Name: "site", Cause: "none"}}}
	s.Row.Groups[2] = Group{Asked: 200, Served: 200}
	for b.Loop() {
		at = at.Add(time.Second)
		s.Row.At = at
		w.See(s)
	}
}

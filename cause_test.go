package deich

import (
	"testing"
	"time"
)

// TestToldWatchesWhoComesBack: for what it was refused, in time or too soon, or
// for something else; and while one is watched no other takes its place.
func TestToldWatchesWhoComesBack(t *testing.T) {
	const one, other = 0x1234567890abcdef, 0x9876567890abcdef // of one place in the table
	for _, c := range []struct {
		name                string
		who, asking         uint64
		after               time.Duration
		kept                bool
		heeded, hasty, busy uint64
	}{
		{"in time", one, 7, 2200 * time.Millisecond, false, 1, 0, 0},
		{"too soon", one, 7, time.Second, false, 0, 1, 0},
		{"too soon, for something else", one, 8, time.Second, false, 0, 0, 1},
		{"in time, for something else", one, 8, 2200 * time.Millisecond, false, 0, 0, 0},
		{"in time, and given a copy", one, 7, 2200 * time.Millisecond, true, 1, 0, 0},
		{"given a copy of something else meanwhile", one, 8, time.Second, true, 0, 0, 0},
		{"long after", one, 7, 5 * time.Second, false, 0, 0, 0},
		{"another", other, 7, 2200 * time.Millisecond, false, 0, 0, 0},
	} {
		var s signs
		w := new(told)
		w.note(&s, one, 7, noon)
		w.note(&s, other, 7, noon)
		for range 2 { // the second counts for nothing
			w.came(&s, c.who, c.asking, noon.Add(c.after), c.kept)
		}
		if got := s.read(); got.told != 1 || got.heeded != c.heeded || got.hasty != c.hasty || got.busy != c.busy {
			t.Errorf("%s: told %d, heeded %d, hasty %d, busy %d", c.name, got.told, got.heeded, got.hasty, got.busy)
		}
	}
}

// TestThePageTellsWhenToComeBack: most are told a second, some two, and who does
// as told counts for the one, who comes at a pace of its own for one at best.
func TestThePageTellsWhenToComeBack(t *testing.T) {
	for _, c := range []struct {
		name           string
		pace           time.Duration // 0: as told
		returns, early [promises]bool
	}{
		{"as told", 0, [promises]bool{true, true}, [promises]bool{}},
		{"each 1.33 s", 1330 * time.Millisecond, [promises]bool{true, false}, [promises]bool{false, true}},
		{"each 0.5 s", 500 * time.Millisecond, [promises]bool{}, [promises]bool{true, true}},
		{"each 4 s", 4 * time.Second, [promises]bool{}, [promises]bool{}},
	} {
		o := engineOf(t, Policy{}).origins[0:1]
		told := map[time.Duration]int{}
		for i := range uint64(400) {
			r := Request{At: noon.Add(time.Duration(i) * time.Millisecond), Kind: Page, Safe: true}
			v := Verdict{}
			o[0].wait.Store(int64(callSoon))
			o[0].called.Store(int64(r.At.Add(-callSoon)))
			o[0].show(&r, &v, i*0x9e3779b97f4a7c15)
			o[0].segments[0].signs.promise(&r, v.Place, false)
			told[v.RetryAfter]++
			if d := Time(v.Place).Sub(r.At); d > promises || d < -promised {
				t.Fatalf("a place %v from when it was given", d)
			}
			back := v.RetryAfter
			if c.pace != 0 {
				back = c.pace
			}
			r.At, r.Place = r.At.Add(back+100*time.Millisecond), v.Place
			if count, _ := o[0].segments[0].signs.returned(&r); count != nil {
				count.Add(1)
			}
		}
		if told[callSoon]+told[2*callSoon] != 400 || told[2*callSoon] < 50 || told[2*callSoon] > 150 {
			t.Fatalf("told %v", told)
		}
		got := o[0].segments[0].signs.read()
		for i, m := range got.rooms {
			if (m.returns == m.waits) != c.returns[i] || (m.returns != 0) != c.returns[i] || (m.early != 0) != c.early[i] {
				t.Errorf("%s: of %d told %d s, %d in time and %d early", c.name, m.waits, i+1, m.returns, m.early)
			}
		}
	}
}

// TestWhoIsAloneSaysWhatTheOriginDoes: not load, and not another mix of routes.
func TestWhoIsAloneSaysWhatTheOriginDoes(t *testing.T) {
	var v evidence
	quick, slow := new(route), new(route)
	at := noon
	give := func(r *route, wait float64, peace bool) {
		at = at.Add(10 * time.Millisecond)
		v.hadItAlone(r, wait, peace, at)
	}
	for range 100 {
		give(quick, .002, true)
		give(slow, .2, true)
	}
	for range 50 {
		give(slow, .2, true)
	}
	if !v.tellsAlone(at) || v.weak(at) {
		t.Error("more of what takes long is taken for a weak origin")
	}
	for range 60 {
		give(quick, .006, false)
	}
	if !v.weak(at) {
		t.Error("three times as long is not noticed")
	}
	if at = at.Add(time.Minute); v.tellsAlone(at) {
		t.Error("what was a minute ago is taken for now")
	}
}

// TestAnAnnouncedCrowdIsEvidence: it turns the balance where little speaks for
// either, names nothing alone, and hides no flood.
func TestAnAnnouncedCrowdIsEvidence(t *testing.T) {
	for _, c := range []struct {
		name      string
		over      float64 // share beyond its budget
		rise      time.Duration
		announced bool
		want      Cause
	}{
		{"nothing else", 0, 0, true, CauseUnknown},
		{"a slow rise", 0, time.Minute, false, CauseUnknown},
		{"a slow rise, announced", 0, time.Minute, true, CauseCrowd},
		{"beyond their budgets", .36, 0, false, CauseFlood},
		{"far beyond their budgets, announced", .6, 0, true, CauseUnknown},
		{"by rules, too, announced", .6, 0, true, CauseFlood},
	} {
		o := &engineOf(t, Policy{}).origins[0]
		at := noon
		v := &o.evidence
		o.pressure.Store(true)
		v.usual, v.usualFor, v.came, v.share.over = 100, 300, 1000, c.over
		if c.rise > 0 {
			v.rose = at - Time(c.rise)
		}
		if c.name == "by rules, too, announced" {
			v.share.ruled = .6
		}
		cause, terms, _ := v.explain(o.plight(at), at, c.announced)
		told := false
		for _, term := range terms {
			told = told || term.Name == "crowd_expected"
		}
		if cause != c.want || told != c.announced {
			t.Errorf("%s: %s, want %s; %v", c.name, cause, c.want, terms)
		}
	}
	e := engineOf(t, Policy{})
	e.ExpectCrowd(noon)
	if before, after := noon-1 < Time(e.people.Load()), noon < Time(e.people.Load()); !before || after {
		t.Error("it does not end when it is said to")
	}
}

// Who is given a copy in place of a page that says to wait, or to calculate, cannot be
// held to either.
func TestSparedAskNothing(t *testing.T) {
	var s signs
	for _, v := range []Verdict{{Act: Challenge}, {Act: Wait, Place: uint64(noon)&^promised | 1}} {
		r := Request{At: noon, Kind: Page, Safe: true}
		if v.Act == Challenge {
			s.challenged.Add(1)
		} else {
			s.promise(&r, v.Place, false)
		}
		if got := s.read(); got.challenged+got.rooms[0].waits != 1 {
			t.Fatalf("%v: not counted: %+v", v.Act, got)
		}
		s.spared(&r, &v)
		if got := s.read(); got.challenged != 0 || got.rooms[0].waits != 0 {
			t.Errorf("%v: %d challenged, %d waits", v.Act, got.challenged, got.rooms[0].waits)
		}
	}
	// Taken back a look later than it was counted, it is no rate of 2^64.
	var e evidence
	e.look(tally{challenged: 9}, noon, 1, 0, false)
	e.look(tally{challenged: 8}, noon.Add(time.Second), 1, 0, false)
	for range 2 * provenLag {
		e.look(tally{challenged: 8}, noon.Add(2*time.Second), 1, 0, false)
	}
	if e.challenge < -1 || e.challenge > 9 {
		t.Errorf("%g challenged a second", e.challenge)
	}
}

// TestATicketSpeaksForOnePerson: shown again and again while it is due, it is one return.
func TestATicketSpeaksForOnePerson(t *testing.T) {
	e := engineOf(t, Policy{})
	r := Request{At: noon, Kind: Page, Safe: true, Client: addr4(1), Place: uint64(noon)&^promised | 1}
	signs := &e.origins[0].segments[0].signs
	for i := range 20 {
		r.At = noon.Add(callSoon + time.Duration(i)*10*time.Millisecond)
		e.Decide(&r)
	}
	if got := signs.read().rooms[0]; got.returns != 1 || got.early != 0 {
		t.Errorf("one person: %d returns, %d early", got.returns, got.early)
	}
	r.At = noon.Add(callSoon / 2)
	e.Decide(&r) // before the time: that says something else
	if got := signs.read().rooms[0]; got.returns != 1 || got.early != 1 {
		t.Errorf("shown early, too: %d returns, %d early", got.returns, got.early)
	}
	r.At = noon.Add(callSoon + 190*time.Millisecond)
	for i := range uint32(20) { // a carrier's address, or many of them
		r.Client, r.Place = addr4(1+i/2), uint64(noon.Add(time.Duration(i)*time.Millisecond))&^promised|1
		e.Decide(&r)
	}
	if got := signs.read().rooms[0].returns; got != 20 { // the first of them was here
		t.Errorf("nineteen more people: %d returns", got)
	}
}

// TestWhoIsSparedOwesNothing: views answered with a copy add up to no order.
func TestWhoIsSparedOwesNothing(t *testing.T) {
	for _, spared := range []bool{false, true} {
		e := engineOf(t, Policy{})
		at := noon
		e.Tick(at, NewOut())
		o := &e.origins[0]
		o.press(at)
		o.cause.Store(uint32(CauseFlood))
		client := addr4(1)
		for range 20 {
			at = at.Add(100 * time.Millisecond)
			for _, kind := range []Kind{Page, Asset, Asset} {
				r := Request{At: at, Client: client, Peer: client, Validated: true, Safe: true, Kind: kind}
				v := e.Decide(&r)
				if kind == Page && v.Act == Allow { // a lot
					continue
				}
				if spared {
					e.Spared(&r, &v)
				}
			}
		}
		if got := e.budgets.Level(e.sourceHash(client)^saltDebt, int64(at)); (got > debtJudged) == spared {
			t.Errorf("spared %v: owes %v", spared, got)
		}
	}
}

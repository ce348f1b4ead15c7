package desk

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk/incident"
)

// script runs the sampler over states one second apart.
func script(t *testing.T, states ...State) *Desk {
	t.Helper()
	at := time.Date(2025, 5, 24, 15, 0, 0, 0, time.UTC)
	i := 0
	d, err := New(Options{Token: testToken, State: func() State { return states[i] }, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	for i = range states {
		d.sample()
		at = at.Add(time.Second)
	}
	i = len(states) - 1
	return d
}

func TestSentence(t *testing.T) {
	at := time.Date(2025, 5, 24, 15, 0, 2, 0, time.UTC)
	origin := func(p deich.Pulse) []Origin { return []Origin{{Name: "http://a", Pulse: p}} }
	pressed := deich.Pulse{Pressure: true, Since: deich.Time(at.UnixNano()), Demand: 3104, Goodput: 309.7}
	local := english.Clock(time.Unix(0, at.UnixNano()))
	member := func(ok, failed uint64) []Served { return []Served{{"member", ok, failed}} }
	for _, c := range []struct {
		name       string
		now        State
		mood, want string
	}{
		{"quiet", State{Origins: origin(deich.Pulse{})}, "calm",
			"Quiet: nobody asked in the last 10 seconds."},
		{"calm", State{Served: member(410, 0)}, "calm",
			"Calm: 410 requests a second, 100 % of them served. Nothing for you to do."},
		{"strangers refused in peace", State{Served: member(100, 0), Requests: []Requests{{"deny", "over_budget", "stranger", 300}}}, "calm",
			"Calm for known users: 100 % of their requests were served; of all 400 requests a second, 25.0 %."},
		{"errors in peace", State{Served: member(90, 10)}, "calm",
			"100 requests a second came, 90.0 % of them were served. The rest failed at the origin or was refused: see the acts below."},
		{"flooded, known users served", State{Origins: origin(pressed), Served: member(9996, 4)}, "pressure",
			"More is asked than the origin can do since " + local + ": 3104 requests a second came, it answered 310. 99.9 % of known users' requests were served. Nothing for you to do."},
		{"flooded, known users notice", State{Origins: origin(pressed), Served: member(80, 20)}, "pressure",
			"More is asked than the origin can do since " + local + ": 3104 requests a second came, it answered 310. 80.0 % of known users' requests were served: some of them wait or are turned away."},
		{"flooded, nobody known", State{Origins: origin(pressed), Requests: []Requests{{"wait", "below_cut", "stranger", 10}}}, "pressure",
			"More is asked than the origin can do since " + local + ": 3104 requests a second came, it answered 310. No known user asked in the last 10 seconds."},
		{"a burst, and less than was answered a moment ago", State{Origins: origin(deich.Pulse{Pressure: true, Since: pressed.Since, Demand: 72, Goodput: 144}), Served: member(100, 0)}, "pressure",
			"More is asked at once than the origin can do since " + local + ". 100 % of known users' requests were served. Nothing for you to do."},
		{"flooded, and why", State{Origins: []Origin{{Pulse: pressed, Cause: "flood", Why: "This is a flood."}}, Served: member(100, 0)}, "pressure",
			"More is asked than the origin can do since " + local + ": 3104 requests a second came, it answered 310. This is a flood. 100 % of known users' requests were served. Nothing for you to do."},
		{"held back by a rule", State{Origins: []Origin{{Name: "http://a"}, {Name: "http://b", Cause: "flood", Why: "This is a flood."}}, Rules: []Rule{{ID: 1, Text: "…"}}, Served: member(100, 0),
			Requests: []Requests{{"challenge", "rule", "stranger", 300}}}, "calm",
			"Calm for known users: 100 % of their requests were served; of all 400 requests a second, 25.0 %. http://b: This is a flood. Rules hold it back."},
		{"slow by itself while a rule lasts", State{Origins: []Origin{{Cause: "origin_fault", Why: "It suffers by itself."}}, Rules: []Rule{{ID: 1, Text: "…"}}, Served: member(100, 0)}, "calm",
			"Calm: 100 requests a second, 100 % of them served. Nothing for you to do. It suffers by itself."},
		{"down", State{Origins: []Origin{{Name: "http://a", Failing: true, FailingSince: at}}}, "failing",
			"The origin does not answer since 15:00:02 UTC. Users see a page that says so. Look at the origin: Deich can pass on only what it gets."},
		{"one of two down", State{Origins: []Origin{{Name: "http://a"}, {Name: "http://b", Failing: true}}}, "failing",
			"The origin http://b does not answer. Users see a page that says so. Look at the origin: Deich can pass on only what it gets."},
		{"bypass", State{Bypass: at.Add(time.Hour)}, "bypass",
			"Quiet: nobody asked in the last 10 seconds. Bypass is on until 16:00:02 UTC: everybody passes, only the origin's limit holds."},
		{"observe", State{Observe: true}, "calm",
			"Quiet: nobody asked in the last 10 seconds. Deich only observes: it judges and counts, and lets everything pass."},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.now
			before.Served, before.Requests = nil, nil
			v, _ := script(t, before, c.now).live.newest()
			if v.Mood != c.mood || v.Sentence != c.want {
				t.Errorf("%s: %q\nwant %s: %q", v.Mood, v.Sentence, c.mood, c.want)
			}
		})
	}
}

func TestWindowForgets(t *testing.T) {
	var states []State
	for i := range 30 {
		states = append(states, State{Served: []Served{{"member", uint64(100 * i), uint64(min(i, 5))}}})
	}
	d := script(t, states...)
	v, _ := d.live.newest()
	g := v.Groups[slices.Index(tiers[:], "member")]
	if g.Asked != 100 || g.Served != 1 || g.Total != 2900 {
		t.Errorf("ten seconds after the last failure: %+v", g)
	}
	if len(d.live.window) != windowSeconds+1 {
		t.Errorf("window of %d tallies", len(d.live.window))
	}
}

func TestHistoryIsBounded(t *testing.T) {
	states := make([]State, historySeconds+50)
	for i := range states {
		states[i].Served = []Served{{"regular", uint64(2 * i), 0}}
	}
	d := script(t, states...)
	all := d.live.history.last(historySeconds * 2)
	if len(all) != historySeconds {
		t.Fatalf("%d seconds kept", len(all))
	}
	for i, s := range all {
		if s.Served[slices.Index(tiers[:], "regular")] != 2 || i > 0 && s.At != all[i-1].At+1000 {
			t.Fatalf("second %d: %+v after %+v", i, s, all[max(0, i-1)])
		}
	}
	for range eventsMax * 2 {
		d.Note(Event{Text: "x"})
	}
	if n := len(d.events.last(eventsMax * 4)); n != eventsMax {
		t.Errorf("%d events kept", n)
	}
}

func TestQuantile(t *testing.T) {
	before := Latency{Bounds: []float64{0.01, 0.1, 1}, Counts: []uint64{50, 0, 0, 0}}
	for _, c := range []struct {
		counts []uint64
		q      float64
		want   float64
	}{
		{[]uint64{50, 0, 0, 0}, 0.5, -1},    // nothing new
		{[]uint64{150, 0, 0, 0}, 0.5, 5},    // half way through the first bucket
		{[]uint64{50, 100, 0, 0}, 1, 100},   // the end of the second
		{[]uint64{50, 0, 0, 7}, 0.99, 1000}, // above all bounds: at least the last
		{[]uint64{100, 50, 0, 0}, 0.5, 10},
	} {
		now := Latency{Bounds: before.Bounds, Counts: c.counts}
		if got := quantile(&now, &before, c.q); got < c.want-0.001 || got > c.want+0.001 {
			t.Errorf("%v at %v: %v, want %v", c.counts, c.q, got, c.want)
		}
	}
}

func TestSlowListenerGetsTheNewest(t *testing.T) {
	n := uint64(0)
	d, err := New(Options{Token: testToken, State: func() State { n++; return State{Served: []Served{{"member", n, 0}}} }})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := d.live.subscribe()
	if !ok {
		t.Fatal("no room")
	}
	for range 5 {
		d.sample()
	}
	if v := <-c; v.Groups[1].Total != 5 {
		t.Errorf("got sample %d, want the fifth", v.Groups[1].Total)
	}
	d.live.unsubscribe(c)
	d.sample()
	if len(c) != 0 {
		t.Error("told after it left")
	}
}

// The same in German, with its decimal comma and its own order of words.
func TestSentenceInGerman(t *testing.T) {
	at := time.Date(2025, 5, 24, 15, 0, 2, 0, time.UTC)
	pressed := Origin{Name: "http://a", Pulse: deich.Pulse{Pressure: true, Since: deich.Time(at.UnixNano()), Demand: 3104, Goodput: 309.7},
		Cause: "flood", Why: "This is a flood.", WhyGerman: "Das ist eine Flut."}
	local := german.Clock(time.Unix(0, at.UnixNano()))
	for _, c := range []struct {
		now  State
		want string
	}{
		{State{}, "Still: In den letzten 10 Sekunden hat niemand gefragt."},
		{State{Origins: []Origin{pressed}, Served: []Served{{"member", 9996, 4}}}, "Es wird seit " + local +
			" mehr verlangt, als die Plattform kann: 3104 Anfragen je Sekunde kamen, 310 beantwortete sie. Das ist eine Flut." +
			" 99,9 % der Anfragen bekannter Nutzer wurden bedient. Sie müssen nichts tun."},
		{State{Origins: []Origin{{Name: "http://b"}, {Name: "http://a", Failing: true, FailingSince: at}}},
			"Die Plattform http://a antwortet seit 15:00:02 Uhr (UTC) nicht. Nutzer sehen eine Seite, die das sagt. Sehen Sie nach der Plattform: Deich kann nur weitergeben, was es bekommt."},
	} {
		before := c.now
		before.Served = nil
		if v, _ := script(t, before, c.now).live.newest(); v.German != c.want {
			t.Errorf("%q\nwant %q", v.German, c.want)
		}
	}
}

// A disk that hangs stops neither the page nor the metrics nor the look at everything;
// what was seen meanwhile is kept once it answers again.
func TestNobodyWaitsForADisk(t *testing.T) {
	o := newOutage(t, t.TempDir())
	looked := make(chan struct{})
	n := uint64(0)
	d, err := New(Options{Token: testToken, State: func() State { n++; return State{Served: []Served{{"regular", 20 * n, 0}}} }})
	if err != nil {
		t.Fatal(err)
	}
	d.KeepIncidents(o.k)
	ctx, stop := context.WithCancel(t.Context())
	d.missed = func() (m incident.Marks) {
		select {
		case looked <- struct{}{}:
		case <-ctx.Done():
		}
		return m
	}
	o.k.mu.Lock() // as while a line is being synced
	ended := make(chan struct{})
	go func() { d.Run(ctx); close(ended) }()
	for range 3 {
		select {
		case <-looked:
		case <-time.After(10 * time.Second):
			o.k.mu.Unlock()
			t.Fatal("the look at everything waits for the disk")
		}
	}
	if v, ok := d.live.newest(); !ok || v.Groups[2].Total == 0 {
		t.Errorf("the page shows %+v", v.Groups)
	}
	stop()
	o.k.mu.Unlock()
	<-ended
	if o.k.last == nil || o.k.last.ok[2] < 60 {
		t.Errorf("of three seconds the last one seen is %+v", o.k.last)
	}
	o.k.log.Close()
}

// Where a disk hangs for longer than there is room, the next second that finds some
// tells of those before it, too.
func TestHandedIsBounded(t *testing.T) {
	o := newOutage(t, t.TempDir())
	d := newDesk(t, flooded)
	d.KeepIncidents(o.k)
	asked := 0
	d.missed = func() (m incident.Marks) { asked++; return m }
	seen := make(chan moment, handedMax)
	for range handedMax + 5 {
		d.hand(seen, moment{at: o.at})
	}
	if len(seen) != handedMax || asked != handedMax {
		t.Errorf("%d wait, and the marks of %d seconds are taken", len(seen), asked)
	}
	o.k.log.Close()
}

// What a disk held up for as long as a minute is told of by the next second; of what it
// held up for longer nobody says when in it something was off.
func TestTheNextSecondTellsOfAGap(t *testing.T) {
	for _, c := range []struct {
		gap  time.Duration
		lost uint64
	}{{gapMax, 1200 + 29*20}, {gapMax + time.Second, 29 * 20}} {
		o := newOutage(t, t.TempDir())
		o.play(121, 20, 0, false)
		o.at = o.at.Add(c.gap - time.Second)
		o.play(1, 0, 1200, true)
		o.play(29, 0, 20, true)
		if all := o.k.list(); len(all) != 1 || all[0].Lost != c.lost {
			t.Errorf("%s: %+v, want %d lost", c.gap, all, c.lost)
		}
		o.k.log.Close()
	}
}

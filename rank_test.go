package deich

import (
	"math"
	"testing"
	"time"
)

func TestQuartersFollowTheLogarithm(t *testing.T) {
	for d := time.Duration(0); d < 40*time.Hour; d = d*5/4 + 300*time.Millisecond {
		want := min(4*math.Log2(1+d.Seconds()), 4*doublingsMax)
		if got := float64(quarters(d)); math.Abs(got-want) > 1.4 {
			t.Errorf("quarters(%v) = %v, want about %.2f", d, got, want)
		}
	}
	if quarters(-time.Hour) != 0 || quarters(math.MaxInt64) != 4*doublingsMax {
		t.Error("quarters leaves its range")
	}
}

func engineOf(t testing.TB, p Policy) *Engine {
	t.Helper()
	if p.Sources == 0 {
		p.Sources = SourcesMin
	}
	e, err := New(p, [32]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const noon = Time(500_000 * time.Hour)

// TestStanding: who stands above whom when pressure has lasted ten seconds.
func TestStanding(t *testing.T) {
	e := engineOf(t, Policy{})
	since := noon.Add(-10 * time.Second)
	known := addr4(1)
	e.past.good(e.sourceHash(known), since.Add(-3*time.Minute), 0)
	e.past.good(credentialHash(5), since.Add(-3*time.Minute), 0)
	late := addr4(2)
	e.past.good(e.sourceHash(late), since.Add(time.Second), 9)

	pass := func(age time.Duration) Pass { return Pass{ID: 3, First: since.Add(-age)} }
	ladder := []struct {
		who  string
		req  Request
		tier Tier
	}{
		{"a program without anything", Request{Client: addr4(9), Kind: API}, Stranger},
		{"an address first served since", Request{Client: late, Safe: true}, Stranger},
		{"a pass minted since, for a proof", Request{Client: addr4(9), Pass: Pass{ID: 3, First: since.Add(time.Second), Earned: Proved}}, Visitor},
		{"a proof's pass of three minutes before", Request{Client: addr4(9), Pass: Pass{ID: 3, First: since.Add(-3 * time.Minute), Earned: Proved}}, Visitor},
		{"a pass a minute old", Request{Client: addr4(9), Pass: pass(time.Minute)}, Visitor},
		{"an address served for three minutes before", Request{Client: known}, Stranger},
		{"a credential accepted for three minutes before", Request{Client: addr4(9), Kind: API, Credential: 5}, Stranger},
		{"a pass three minutes old", Request{Client: addr4(9), Pass: pass(3 * time.Minute)}, Visitor},
		{"the same, for what a page needs", Request{Client: addr4(9), Kind: Asset, Pass: pass(3 * time.Minute)}, Visitor},
		{"a pass three minutes old, with an account", Request{Client: addr4(9),
			Pass: Pass{ID: 3, First: since.Add(-3 * time.Minute), Account: 8, Since: since.Add(-time.Minute)}}, Member},
		{"a pass a day old, seen on one day", Request{Client: addr4(9), Pass: pass(25 * time.Hour)}, Visitor},
		{"a regular", Request{Client: addr4(9), Pass: Pass{ID: 3, First: since.Add(-25 * time.Hour), Days: 2}}, Regular},
		{"a partner", Request{Client: addr4(9), Partner: true}, Partner},
	}
	last := standing{}
	for i, step := range ladder {
		step.req.At = noon
		got := e.standingOf(&step.req, since, e.sourceHash(step.req.Client))
		if got.tier != step.tier {
			t.Errorf("%s: tier %v, want %v", step.who, got.tier, step.tier)
		}
		if i > 0 && got.rank <= last.rank {
			t.Errorf("%s: rank %d, not above %d of %s", step.who, got.rank, last.rank, ladder[i-1].who)
		}
		last = got
	}
	if last.rank >= rankListed {
		t.Errorf("a partner ranks %d, not below what is allowed by hand", last.rank)
	}
}

// TestVintage: nothing earned since pressure began lets anyone climb.
func TestVintage(t *testing.T) {
	e := engineOf(t, Policy{})
	since := noon
	for _, after := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		r := Request{At: since.Add(after), Pass: Pass{ID: 1, First: since.Add(after / 2)}}
		if s := e.standingOf(&r, since, 0); s.rank != rankProven {
			t.Errorf("a pass minted in the pressure and used after %v ranks %d", after, s.rank)
		}
	}
}

// TestPastKeepsOldAcquaintances: an acquaintance of a week outlives a million sources served once.
func TestPastKeepsOldAcquaintances(t *testing.T) {
	e := engineOf(t, Policy{Sources: SourcesMin})
	old := e.sourceHash(addr4(1))
	for d := 6 * 24 * time.Hour; d > 0; d -= 6 * time.Hour {
		e.past.good(old, noon.Add(-d), 0)
	}
	for i := range uint32(1 << 20) {
		e.past.good(e.sourceHash(addr4(i+10)), noon, 0)
	}
	if e.past.age(old, noon, 0) < 5*24*time.Hour {
		t.Error("pushed out by sources served once")
	}
	if got := e.past.age(old, noon.Add(8*24*time.Hour), 0); got > 0 {
		t.Errorf("still known after eight days of absence: %v", got)
	}
}

func TestPassesSeenFromAnAddress(t *testing.T) {
	e := engineOf(t, Policy{})
	a := e.sourceHash(addr4(1))
	if n := e.past.passes(a, noon); n != 0 {
		t.Fatalf("%d passes from an unknown address", n)
	}
	for i := range uint64(5) {
		e.past.good(a, noon, i+1)
	}
	if n := e.past.passes(a, noon); n < 4 || n > 6 {
		t.Errorf("five passes are taken for %d", n)
	}
	if n := e.past.passes(a, noon.Add(pastEpoch)); n < 4 {
		t.Errorf("an epoch later: %d", n)
	}
	if n := e.past.passes(a, noon.Add(2*pastEpoch)); n != 0 {
		t.Errorf("two epochs later: %d", n)
	}
	for i := range uint64(1000) {
		e.past.good(a, noon.Add(3*pastEpoch), i)
	}
	if n := e.past.passes(a, noon.Add(3*pastEpoch)); n != passesMany {
		t.Errorf("a thousand passes are taken for %d, want %d", n, passesMany)
	}
}

// TestLotIsAPlace: who drew a lot stands above the cut line, where a queue full
// of others does not displace him, and counts as known for nothing.
func TestLotIsAPlace(t *testing.T) {
	e := engineOf(t, Policy{})
	o := &e.origins[0]
	o.press(noon)
	o.capacity = 1000 * costOne
	o.drawLots(1)
	o.cut.Store(60)
	for _, r := range []Request{
		{At: noon, Client: addr4(1), Safe: true},
		{At: noon, Client: addr4(2), Safe: true, Kind: API},
		{At: noon, Client: addr4(3), Safe: true, Pass: Pass{ID: 1, First: noon, Earned: Proved}},
	} {
		v := e.Decide(&r)
		if v.Act != Allow || v.Reason != Lottery || v.Rank != 61 || v.Cut != 60 {
			t.Errorf("%+v: %+v", r, v)
		}
		ticket, _, _ := e.Enter(noon, &r, v, NewOut())
		if o.slab.slots[ticket.Slot()].known {
			t.Errorf("%+v: known by a lot", r)
		}
	}
	old := Request{At: noon, Client: addr4(4), Safe: true, Pass: Pass{ID: 2, First: noon.Add(-10 * time.Second)}}
	if v := e.Decide(&old); v.Act != Wait || v.Reason != BelowCut {
		t.Errorf("a pass of before drew a lot: %+v", v)
	}
}

// TestLotsAreTheirPart: also where one costs more than a tick gives.
func TestLotsAreTheirPart(t *testing.T) {
	for _, capacity := range []float64{.2, 1, 30, 1000} { // requests a tick
		o := &origin{}
		o.capacity = max(capacity*costOne, costOne)
		o.proven = o.capacity
		drawn := 0
		const ticks = 10000
		for range ticks {
			o.drawLots(1)
			for draw(&o.newcomers, costOne) {
				drawn++
			}
		}
		want := newcomerPart * o.capacity / costOne * ticks
		if float64(drawn) < .98*want-1 || float64(drawn) > 1.02*want+1 {
			t.Errorf("capacity %v: %d lots, expected about %.0f", capacity, drawn, want)
		}
	}
}

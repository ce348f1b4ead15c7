package deich

import (
	"net/netip"
	"testing"
	"time"
)

func TestObservingHoldsNobodyBack(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin, Observe: true, LimitMax: 8})
	at, out := Time(time.Hour), NewOut()
	limit := int(e.Pulse(0).Limit)
	for i := range limit + 20 {
		r := Request{At: at, Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Kind: API, Safe: true}
		if _, s, why := e.Enter(at, &r, e.Decide(&r), out); s != Admitted {
			t.Fatalf("request %d at a limit of %d: %v, %v", i, limit, s, why)
		}
	}
}

// A crowd is served in turn and may wait; when a flood is named, who waited too
// long for one is told at once.
func TestACrowdStandsInLine(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin, LimitMax: 8})
	at, out := Time(time.Hour), NewOut()
	o := &e.origins[0]
	ask := func(n byte) (Ticket, State) {
		r := Request{At: at, Client: netip.AddrFrom4([4]byte{192, 0, 2, n}), Kind: API, Safe: true}
		k, s, _ := e.Enter(at, &r, Verdict{Rank: 5}, out)
		return k, s
	}
	var placed []Ticket
	k, s := ask(0)
	for s == Admitted {
		placed = append(placed, k)
		k, s = ask(byte(len(placed)))
	}
	first := k
	o.pressure.Store(true)
	o.cause.Store(uint32(CauseCrowd))
	o.becomePatient()
	at = at.Add(10 * time.Millisecond)
	second, _ := ask(100)
	at = at.Add(10 * time.Millisecond)
	third, _ := ask(101)
	e.Done(at, placed[0], Outcome{Status: 200, Wait: time.Millisecond}, out)
	if len(out.Wakes) != 1 || out.Wakes[0].Ticket != first || out.Wakes[0].State != Admitted {
		t.Errorf("woken in a crowd: %v; want the first", out.Wakes)
	}
	out.Reset()
	at = at.Add(queueWait)
	o.release(e, 0, at, out)
	if len(out.Wakes) != 0 {
		t.Errorf("after %v in a crowd: %v", queueWait, out.Wakes)
	}
	o.cause.Store(uint32(CauseFlood))
	o.becomePatient()
	o.release(e, 0, at, out)
	if len(out.Wakes) != 2 || out.Wakes[0] != (Wake{second, TurnedAway, QueueLate}) || out.Wakes[1] != (Wake{third, TurnedAway, QueueLate}) {
		t.Errorf("once a flood is named: %v; want %d and %d turned away", out.Wakes, second, third)
	}
}

// What only observes sees pressure all the same: it would be blind else.
func TestObservingSeesPressure(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin, Observe: true, LimitMax: 8})
	at, out := Time(time.Hour), NewOut()
	waits := 0
	var open []Ticket
	for i := range 4000 {
		r := Request{At: at, Client: netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), Kind: API, Safe: true}
		v := e.Decide(&r)
		if v.Act != Allow {
			t.Fatalf("%v while it only observes", v.Act)
		}
		if v.Would == Wait {
			waits++
		}
		k, s, why := e.Enter(at, &r, v, out)
		if s != Admitted {
			t.Fatalf("request %d: %v, %v", i, s, why)
		}
		if open = append(open, k); len(open) > 200 { // the origin is far behind
			e.Done(at, open[0], Outcome{Status: 200, Wait: 200 * time.Millisecond}, out)
			open = open[1:]
		}
		if at = at.Add(time.Millisecond); i%100 == 0 {
			out.Reset()
			e.Tick(at, out)
		}
	}
	if p := e.Pulse(0); !p.Pressure || waits == 0 {
		t.Errorf("pressure %v, and %d would have waited", p.Pressure, waits)
	}
}

// TestStreamsAreShared: once half of the pool is in use nobody takes more than a
// part of it, the last quarter is for who was here before, and what ends gives back.
func TestStreamsAreShared(t *testing.T) {
	const most = 1024
	e, out, at := newEngine(t, Policy{Sources: SourcesMin, Streams: most}), NewOut(), Time(time.Hour)
	e.Tick(at, out)
	at = at.Add(time.Hour)
	open := func(client netip.Addr, p Pass) (Ticket, Reason) {
		r := Request{At: at, Client: client, Kind: Stream, Safe: true, Pass: p}
		k, _, why := e.Enter(at, &r, e.Decide(&r), out)
		return k, why
	}
	var greedy []Ticket
	for {
		k, why := open(addr4(1), Pass{})
		if why != NoReason {
			break
		}
		greedy = append(greedy, k)
	}
	if len(greedy) != most/2 {
		t.Fatalf("one client holds %d of %d streams", len(greedy), most)
	}
	strangers := 0
	for i := range uint32(most) {
		if _, why := open(addr4(1000+i), Pass{}); why == NoReason {
			strangers++
		}
	}
	if strangers != most/4 {
		t.Errorf("strangers got %d streams, not the quarter of %d", strangers, most)
	}
	known := 0
	for i := range uint64(most) {
		if _, why := open(addr4(5000), Pass{ID: 1 + i*0x9e3779b97f4a7c15, First: at.Add(-time.Minute)}); why == NoReason {
			known++
		}
	}
	if known != most/4 {
		t.Errorf("who was here before got %d streams, not the last quarter of %d", known, most)
	}
	for _, k := range greedy {
		e.Done(at, k, Outcome{Status: 200}, out)
	}
	if k, why := open(addr4(1), Pass{}); why != NoReason || e.Pulse(0).Streams != most/2+1 {
		t.Errorf("after its streams ended: %v, %v; %d are open", k, why, e.Pulse(0).Streams)
	}
}

// TestAStreamEndsNobodyElsesSighting: it has none of its own, wherever its slot was.
func TestAStreamEndsNobodyElsesSighting(t *testing.T) {
	e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
	r := Request{At: at, Client: addr4(1), Kind: Stream, Safe: true}
	e.origins[0].slab.slots[e.origins[0].slab.free].sight = 3 // left by who was there before
	e.watch.pending.busy[2].Store(true)
	k, _, _ := e.Enter(at, &r, e.Decide(&r), out)
	e.Done(at, k, Outcome{Status: 200}, out)
	if !e.watch.pending.busy[2].Load() || e.watch.good.len() != 0 {
		t.Error("another request's sighting was ended")
	}
}

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

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

package deich

import (
	"net/netip"
	"testing"
	"time"
)

func newEngine(t *testing.T, p Policy) *Engine {
	t.Helper()
	e, err := New(p, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestListingThatEndedHidesNoWiderOne(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin})
	at := Time(time.Hour)
	for _, h := range []Hand{
		{Act: Deny, Prefix: netip.MustParsePrefix("192.0.2.0/24")},
		{Act: Allow, Prefix: netip.MustParsePrefix("192.0.2.7/32"), Until: at + 5},
	} {
		if _, err := e.List(at, h); err != nil {
			t.Fatal(err)
		}
	}
	r := Request{At: at, Client: netip.MustParseAddr("192.0.2.7"), Kind: Page, Safe: true}
	if v := e.Decide(&r); v.Act != Allow {
		t.Errorf("the narrower listing holds while it lasts: %v", v.Act)
	}
	r.At = at + 5
	if v := e.Decide(&r); v.Act != Deny || v.Reason != ByHand {
		t.Errorf("afterwards the wider one: %v %v", v.Act, v.Reason)
	}
	if n := testing.AllocsPerRun(100, func() { e.Decide(&r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

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

func TestOneAddressIsNamed(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin})
	at, out := Time(time.Hour), NewOut()
	proxy := netip.MustParseAddr("192.0.2.9")
	for i := range 2 * crowdEnough {
		r := Request{At: at, Client: proxy, Kind: Page, Safe: true, Pass: Pass{ID: uint64(1 + i%20), First: at - 1}}
		k, _, _ := e.Enter(at, &r, e.Decide(&r), out)
		e.Done(at, k, Outcome{Status: 200}, out)
	}
	for range 2 {
		e.Tick(at, out)
		at = at.Add(crowdEvery)
	}
	for _, ev := range out.Events {
		if ev.Kind == OneAddress {
			if ev.Prefix != netip.PrefixFrom(proxy, 32) {
				t.Errorf("named %v", ev.Prefix)
			}
			return
		}
	}
	t.Error("not noticed")
}

func TestNoOrderWhileEverybodyPasses(t *testing.T) {
	for _, bypass := range []bool{false, true} {
		e := newEngine(t, Policy{Sources: SourcesMin})
		at, out := Time(time.Hour), NewOut()
		if bypass {
			e.Bypass(at.Add(time.Hour))
		}
		for range 20 {
			e.judgeOne(at, &judgedSource{addr: netip.MustParseAddr("192.0.2.1"), over: true}, out)
			at = at.Add(time.Second)
		}
		if got := len(out.Orders) > 0; got == bypass {
			t.Errorf("bypass %v: %d orders", bypass, len(out.Orders))
		}
	}
}

// Behind one address that asks a failing origin again and again there may be a
// house full of people: it is not refused at accept for that.
func TestFailingOriginSendsNoOrders(t *testing.T) {
	for _, down := range []bool{false, true} {
		e := newEngine(t, Policy{Sources: SourcesMin, LimitMax: 8})
		at, out, orders := Time(time.Hour), NewOut(), 0
		o := &e.origins[0]
		house := netip.MustParseAddr("192.0.2.1")
		for i := range 20_000 {
			o.mu.Lock()
			o.press(at)
			o.mu.Unlock()
			o.down.Store(down)
			r := Request{At: at, Client: house, Peer: house, Validated: true, Kind: API, Safe: true}
			e.Decide(&r)
			if at = at.Add(time.Millisecond); i%100 == 0 {
				e.ticking.Lock()
				e.judge(at, out)
				e.ticking.Unlock()
				orders += len(out.Orders)
				out.Reset()
			}
		}
		if got := orders > 0; got == down {
			t.Errorf("down %v: %d orders", down, orders)
		}
	}
}

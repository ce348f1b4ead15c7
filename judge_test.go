package deich

import (
	"net/netip"
	"testing"
	"time"
)

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

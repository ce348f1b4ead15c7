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

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

// An address on one path: it passes there and nowhere else, and is never refused at accept.
func TestListingOfAnAddressOnAPath(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin})
	at := Time(time.Hour)
	var last uint32
	for _, h := range []Hand{
		{Act: Deny, Prefix: netip.MustParsePrefix("192.0.2.0/24")},
		{Act: Deny, Path: "/admin"},
		{Act: Allow, Prefix: netip.MustParsePrefix("192.0.2.0/28"), Path: "/api"},
		{Act: Deny, Prefix: netip.MustParsePrefix("192.0.2.7/32"), Path: "/api/old"},
		{Act: Allow, Prefix: netip.MustParsePrefix("198.51.100.1/32"), Path: "/admin", Until: at + 5},
	} {
		id, err := e.List(at, h)
		if err != nil {
			t.Fatal(err)
		}
		last = id
	}
	act := func(client, path string, at Time) Act {
		r := Request{At: at, Client: netip.MustParseAddr(client), Path: path, Kind: API, Safe: true}
		v := e.Decide(&r)
		if n := testing.AllocsPerRun(100, func() { e.Decide(&r) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		return v.Act
	}
	for _, c := range []struct {
		client, path string
		at           Time
		want         Act
	}{
		{"192.0.2.7", "/api/new", at, Allow}, {"::ffff:192.0.2.7", "/api", at, Allow}, {"192.0.2.7", "/", at, Deny}, {"192.0.2.7", "/api/old", at, Deny},
		{"192.0.2.8", "/api/old", at, Allow}, {"192.0.2.99", "/api", at, Deny}, {"198.51.100.1", "/admin", at, Allow}, {"198.51.100.2", "/admin", at, Deny},
		{"198.51.100.1", "/admin", at + 5, Deny}, {"192.0.2.7", "/api/../admin", at, Deny}, {"198.51.100.2", "/admin/../x", at, Deny},
	} {
		if got := act(c.client, c.path, c.at); got != c.want {
			t.Errorf("%s on %s: %v, want %v", c.client, c.path, got, c.want)
		}
	}
	if h := e.hands.Load(); !h.allows(netip.MustParseAddr("192.0.2.8"), at) || h.allows(netip.MustParseAddr("192.0.2.99"), at) || h.allows(netip.MustParseAddr("198.51.100.1"), at+5) {
		t.Error("whom connections are taken from")
	}
	if !e.Undo(at, last, NewOut()) || act("198.51.100.1", "/admin", at) != Deny {
		t.Error("it cannot be taken back")
	}
	if len(e.Listed(at)) != 4 {
		t.Errorf("%+v", e.Listed(at))
	}
}

func TestClimbs(t *testing.T) {
	for path, want := range map[string]bool{
		"": false, "/": false, "*": false, "/live": false, "/live/x.y": false, "/live/...": false, "/live/..x": false, "/live/x..": false, "/live/.": false,
		"/live/..": true, "/live/../search": true, "..": true, "/../admin": true, "/live//../x": true,
		`/live\..\search`: true, "/live/..;a=b/search": true, "/live/;../x": false,
	} {
		if got := Climbs(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

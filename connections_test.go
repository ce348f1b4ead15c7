package deich

import (
	"net/netip"
	"testing"
	"time"
)

// TestEmptyConnectionsAreAFloodsOnlyWhereTheySwampTheMachine: what peace and
// other troubles bring is told apart by how much of the machine it takes, by how many
// bring requests beside it, and by how long it lasts. The row of a case is one second each.
func TestEmptyConnectionsAreAFloodsOnlyWhereTheySwampTheMachine(t *testing.T) {
	for _, c := range []struct {
		name    string
		seconds []Connections
		want    Cause
		term    string
	}{
		{"nothing", []Connections{{}, {}, {}}, NoCause, ""},
		{"browsers that open one ahead", []Connections{{Asked: 9000, Empty: 9000, Shaken: 9000}, {Asked: 9000, Empty: 9000, Shaken: 9000}}, NoCause, ""},
		{"scans of ports and checks of health", []Connections{{Empty: 50}, {Empty: 50}, {Empty: 50}}, NoCause, ""},
		{"a few bad clients", []Connections{{Empty: 400, Shaken: 200}, {Empty: 400, Shaken: 200}}, NoCause, ""},
		{"those of a certificate's change, all in a second", []Connections{{Empty: 5000, Shaken: 5000}, {Asked: 20, Empty: 20}, {Asked: 20, Empty: 20}}, NoCause, ""},
		{"bursts, seconds apart", []Connections{{Empty: 9000}, {}, {Empty: 9000}, {}, {Empty: 9000}}, NoCause, ""},
		{"clients that come back after an outage", []Connections{{Asked: 2000, Empty: 3000, Shaken: 500}, {Asked: 2000, Empty: 5000, Shaken: 500}}, NoCause, ""},
		{"a crowd of which most had their share", []Connections{{Asked: 2000, Empty: 300, Refused: 30000}, {Asked: 2000, Empty: 300, Refused: 30000}}, NoCause, ""},
		{"more processors", []Connections{{Empty: 5000, Processors: 64}, {Empty: 5000, Processors: 64}}, NoCause, ""},
		{"connections", []Connections{{Asked: 90, Empty: 9000}, {Asked: 90, Empty: 9000}}, CauseFlood, "empty_connections"},
		{"handshakes", []Connections{{Asked: 90, Empty: 900, Shaken: 900}, {Asked: 90, Empty: 900, Shaken: 900}}, CauseFlood, "empty_handshakes"},
		{"few that are let in, of many", []Connections{{Asked: 90, Empty: 500, Refused: 5000}, {Asked: 90, Empty: 500, Refused: 5000}}, CauseFlood, "empty_connections"},
	} {
		e, out := engineOf(t, Policy{}), NewOut()
		at := noon
		tick := func() {
			for range 10 {
				at = at.Add(TickEvery)
				e.Tick(at, out)
				out.Reset()
			}
		}
		e.Connected(at, Connections{})
		sum := Connections{}
		for _, s := range c.seconds {
			tick()
			sum.Asked, sum.Empty, sum.Shaken, sum.Refused = sum.Asked+s.Asked, sum.Empty+s.Empty, sum.Shaken+s.Shaken, sum.Refused+s.Refused
			sum.Processors = max(s.Processors, 2)
			e.Connected(at, sum)
		}
		tick()
		j := e.Cause(0)
		if j.Cause != c.want {
			t.Errorf("%s: %v, not %v: %+v", c.name, j.Cause, c.want, j.Terms)
			continue
		}
		if j.Cause != NoCause && (j.Terms[0].Name != c.term || j.Terms[0].Weight <= 0) {
			t.Errorf("%s: %+v", c.name, j.Terms)
		}
	}
}

// TestEmptyConnectionsUnderOrdersAreStillEmpty: what is refused at accept for no
// requests is the same flood, what is refused for a rule is none of connections.
func TestEmptyConnectionsUnderOrdersAreStillEmpty(t *testing.T) {
	for why, want := range map[Reason]Cause{BadRequest: CauseFlood, OverBudget: NoCause} {
		e, out := engineOf(t, Policy{}), NewOut()
		p := netip.MustParsePrefix("192.0.2.1/32")
		e.orders.live[p] = &order{until: noon.Add(time.Hour), seen: noon, why: why}
		at := noon
		for range 40 {
			at = at.Add(TickEvery)
			e.Tick(at, out)
			out.Reset()
			if at.Sub(noon)%time.Second == 0 {
				e.Seen(at, []Count{{p, 9000}})
				e.Connected(at, Connections{Asked: uint64(90 * at.Sub(noon) / time.Second), Processors: 2})
			}
		}
		if got := e.Cause(0).Cause; got != want {
			t.Errorf("an order for %v: %v", why, got)
		}
	}
}

// TestAFloodOfConnectionsIsNoFaultOfTheOrigin: it is slow for that, and what
// its requests say is not told; where it fails as well, both are. Who
// asks is treated as before, and later it is the origin's again.
func TestAFloodOfConnectionsIsNoFaultOfTheOrigin(t *testing.T) {
	fault := Judgement{Cause: CauseOriginFault, Since: noon, Terms: []Term{{Name: "slowdown", Value: 5}}}
	none := Judgement{}
	flood := Judgement{Cause: CauseFlood, Since: noon.Add(-time.Minute)}
	at := noon.Add(time.Minute)
	over := empties{rate: 9000, over: at - emptyLast, since: at - emptyLast, until: at + emptyQuiet}
	for _, c := range []struct {
		name   string
		m      empties
		was, j Judgement
		fails  bool
		at     Time
		want   Cause
		since  Time
	}{
		{"slow", over, none, fault, false, at, CauseFlood, at - emptyLast},
		{"fails", over, none, fault, true, at, CauseMixed, at - emptyLast},
		{"nothing is felt", over, none, none, false, at, CauseFlood, at - emptyLast},
		{"requests flood, too", over, none, flood, false, at, CauseFlood, flood.Since},
		{"goes on", over, Judgement{Cause: CauseFlood, Since: 7}, fault, false, at, CauseFlood, 7},
		{"not sure yet", empties{over: at}, none, fault, false, at, NoCause, 0},
		{"not sure yet, of what is a fault already", empties{over: at}, fault, fault, false, at, CauseOriginFault, noon},
		{"over", over, none, fault, false, at + emptyQuiet, CauseFlood, at - emptyLast},
		{"long over", empties{rate: 20, since: over.since, until: over.until}, none, fault, false, at + emptyQuiet + 1, CauseOriginFault, noon},
	} {
		if c.name == "over" {
			c.m.over, c.at = 0, c.at-1
		}
		if got := c.m.judge(c.was, c.j, c.fails, c.at); got.Cause != c.want || got.Since != c.since {
			t.Errorf("%s: %v since %v, not %v since %v", c.name, got.Cause, got.Since, c.want, c.since)
		}
	}
	if len(fault.Terms) != 1 {
		t.Error("what requests say was changed")
	}
}

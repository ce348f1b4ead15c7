package deich

import (
	"net/netip"
	"slices"
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
			e.judgeOne(at, &judgedSource{addr: netip.MustParseAddr("192.0.2.1"), over: true, why: OverBudget}, out)
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

// What is no request is owed for by the source it came from, an IPv4 address
// or an IPv6 /64; a little of it by nobody, nor by an address where people hold passes.
func TestMalformedIsOwedFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		peers  []string // in turn
		every  time.Duration
		passes bool
		policy Policy
		want   string // the prefix of the order; "": none
	}{
		{"one address", []string{"192.0.2.1"}, 10 * time.Millisecond, false, Policy{}, "192.0.2.1/32"},
		{"addresses of one /64", []string{"2001:db8:1:2::1", "2001:db8:1:2:ffff::2"}, 10 * time.Millisecond, false, Policy{}, "2001:db8:1:2::/64"},
		{"three a second", []string{"192.0.2.1"}, 300 * time.Millisecond, false, Policy{}, ""},
		{"where a pass is seen", []string{"192.0.2.1"}, 10 * time.Millisecond, true, Policy{}, ""},
		{"while it only looks on", []string{"192.0.2.1"}, 10 * time.Millisecond, false, Policy{Observe: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.policy.Sources = SourcesMin
			e := newEngine(t, c.policy)
			at, out := Time(time.Hour), NewOut()
			var orders []Order
			tick := at
			for i := range int(time.Minute / c.every) {
				peer := netip.MustParseAddr(c.peers[i%len(c.peers)])
				if c.passes && i%100 == 0 {
					r := Request{At: at, Peer: peer, Client: peer, Validated: true, Kind: Page, Safe: true, Pass: Pass{ID: 7, First: at - Time(time.Hour)}}
					k, _, _ := e.Enter(at, &r, e.Decide(&r), out)
					e.Done(at, k, Outcome{Status: 200}, out)
				}
				e.Malformed(at, peer)
				for at = at.Add(c.every); tick < at; tick = tick.Add(TickEvery) {
					e.Tick(tick, out)
					orders = append(orders, out.Orders...)
					out.Reset()
				}
			}
			switch {
			case c.want == "" && len(orders) > 0:
				t.Errorf("ordered %+v", orders)
			case c.want != "" && (len(orders) == 0 || orders[0].Prefix.String() != c.want || orders[0].Reason != BadRequest):
				t.Errorf("ordered %+v, want %s", orders, c.want)
			}
		})
	}
}

// What is asked of the caller's own is owed for by its source: a little of it by
// nobody, nor by who holds a pass and keeps to its budget, nor by a partner or a proxy.
func TestAsideIsOwedFor(t *testing.T) {
	peer, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	own := Request{Peer: peer, Client: peer, Validated: true, Kind: API, Safe: true}
	with := func(change func(*Request)) Request {
		r := own
		change(&r)
		return r
	}
	visitor := with(func(r *Request) { r.Pass = Pass{ID: 7, First: Time(time.Minute), Days: 1} })
	for _, c := range []struct {
		name  string
		r     Request
		vain  bool
		every time.Duration
		down  bool
		want  bool // an order
	}{
		{"files", own, false, 10 * time.Millisecond, false, true},
		{"eight files a second", own, false, 125 * time.Millisecond, false, false},
		{"what is not there", own, true, 100 * time.Millisecond, false, true},
		{"a little of that", own, true, 1100 * time.Millisecond, false, false},
		{"while its origin is down", own, true, 100 * time.Millisecond, true, true},
		{"a pass within its budget", visitor, true, 600 * time.Millisecond, false, false},
		{"a pass beyond it", visitor, false, 10 * time.Millisecond, false, true},
		{"a partner", with(func(r *Request) { r.Partner = true }), true, 10 * time.Millisecond, false, false},
		{"behind a proxy", with(func(r *Request) { r.Client = other }), true, 10 * time.Millisecond, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEngine(t, Policy{Sources: SourcesMin})
			at, out := Time(time.Hour), NewOut()
			orders, tick := []Order(nil), at
			for range int(time.Minute / c.every) {
				e.origins[0].down.Store(c.down)
				c.r.At = at
				e.Aside(&c.r, c.vain)
				for at = at.Add(c.every); tick < at; tick = tick.Add(TickEvery) {
					e.ticking.Lock()
					e.judge(tick, out)
					e.ticking.Unlock()
					orders = append(orders, out.Orders...)
					out.Reset()
				}
			}
			switch {
			case !c.want && len(orders) > 0:
				t.Errorf("ordered %+v", orders)
			case c.want && (len(orders) == 0 || orders[0].Prefix != sourcePrefix(peer) || orders[0].Reason != OverBudget):
				t.Errorf("ordered %+v", orders)
			}
		})
	}
}

// Two hundred newcomers behind one address, in a flood: their challenges are owed for, and
// the files of those pages. They prove themselves, and nobody there is ordered away; nor does
// what they owe for files have one of them refused a page.
func TestNewcomersOweNoOrderForTheirPages(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin, LimitMax: 8})
	at, out, o := Time(time.Hour), NewOut(), &e.origins[0]
	house := netip.MustParseAddr("192.0.2.1")
	ask := func(id uint64) (Request, Verdict) {
		o.mu.Lock()
		o.press(at)
		o.mu.Unlock()
		o.cause.Store(uint32(CauseFlood))
		r := Request{At: at, Client: house, Peer: house, Validated: true, Kind: Page, Safe: true}
		if id != 0 {
			r.Pass = Pass{ID: id, First: at - Time(time.Second), Days: 1, Earned: Proved}
		}
		return r, e.Decide(&r)
	}
	challenged, orders := 0, 0
	for i := range 240 {
		if i < 200 {
			r, v := ask(0)
			if v.Act == Challenge {
				challenged++
			}
			if v.Act == Deny {
				t.Fatalf("newcomer %d is denied: %+v", i, v)
			}
			for range 6 {
				e.Aside(&r, false)
			}
		}
		if i >= 40 { // a second later
			r, v := ask(uint64(i))
			k, _, _ := e.Enter(at, &r, v, out)
			e.Done(at, k, Outcome{Status: 200}, out)
		}
		if at = at.Add(25 * time.Millisecond); i%4 == 0 {
			e.ticking.Lock()
			e.judge(at, out)
			e.ticking.Unlock()
			orders += len(out.Orders)
			out.Reset()
		}
	}
	if challenged < 100 || orders > 0 {
		t.Errorf("%d were challenged, %d orders", challenged, orders)
	}
}

// An order whose source goes on is prolonged once a third of it is over, twice as long each time,
// and ends two minutes after its source was let in all the same. Who leaves is refused
// for no longer than was said, who asks seldom as long as it owes much, and an address
// where somebody has a pass is left alone.
func TestOrdersAreProlongedWhileTheirSourcesGoOn(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  time.Duration // what is refused under the order
		passes bool
		want   []time.Duration // the ends that were ordered, after the first order
	}{
		{"goes on", 500 * time.Millisecond, false, []time.Duration{10 * time.Second, 24 * time.Second, 52 * time.Second, 106 * time.Second, 2 * time.Minute}},
		{"leaves", time.Hour, false, []time.Duration{10 * time.Second}},
		{"asks seldom", 4 * time.Second, false, []time.Duration{10 * time.Second, 24 * time.Second, 52 * time.Second}},
		{"where a pass is seen", 500 * time.Millisecond, true, []time.Duration{10 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
			peer := netip.MustParseAddr("192.0.2.1")
			var ends []time.Duration
			begun, asked, told, n := Time(0), at, at, uint64(0)
			for range int(4 * time.Minute / TickEvery) {
				at = at.Add(TickEvery)
				switch in := begun != 0 && e.orders.live[sourcePrefix(peer)].until > at; {
				case begun == 0:
					e.Malformed(at, peer)
					e.Malformed(at, peer)
				case !in: // it was let in, and has gone
				case at.Sub(asked) >= c.every:
					asked, n = at, n+1
				}
				if at.Sub(told) >= 2*time.Second {
					if c.passes && begun != 0 {
						e.past.good(e.sourceHash(peer), at, 1)
						if e.past.passes(e.sourceHash(peer), at) == 0 {
							t.Fatal("no pass is seen")
						}
					}
					e.Seen(at, []Count{{sourcePrefix(peer), n}})
					told, n = at, 0
				}
				out.Reset()
				e.Tick(at, out)
				for _, o := range out.Orders {
					if begun == 0 {
						begun, asked, told = at, at, at
					}
					ends = append(ends, o.Until.Sub(begun).Round(2*time.Second))
				}
			}
			if !slices.Equal(ends, c.want) {
				t.Errorf("orders until %v after the first, in place of %v", ends, c.want)
			}
		})
	}
}

// TestAllOrdersOfARuleAreTakenBack: however many, those of others stay, and none
// is prolonged for a rule that is gone.
func TestAllOrdersOfARuleAreTakenBack(t *testing.T) {
	e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
	l := ruleOf(e, at, Deny)
	const many = 2*OrdersMax + 500
	prefix := func(i int) netip.Prefix { return sourcePrefix(addr4(uint32(i))) }
	for i := range many + 3 {
		o := &order{candidate: at, seen: at, why: OverBudget, rule: l.id}
		switch {
		case i == many:
			o.rule = l.id + 100 // one that has expired
		case i > many:
			o.rule = 0
		}
		o.extend(at)
		e.orders.live[prefix(i)] = o
	}
	e.orders.due = append(e.orders.due, prefix(many))
	at = at.Add(orderFirst * 2 / 3)
	if !e.Undo(at, l.id, out) {
		t.Fatal("there is no such rule")
	}
	lifted := map[netip.Prefix]bool{}
	for range 4 {
		for _, o := range out.Orders {
			if o.Until != 0 || lifted[o.Prefix] {
				t.Fatalf("%+v", o)
			}
			lifted[o.Prefix] = true
		}
		out.Reset()
		at = at.Add(TickEvery)
		e.Tick(at, out)
	}
	if len(lifted) != many || len(e.Orders(at)) != 3 || e.orders.lift != nil {
		t.Errorf("%d of %d orders taken back, %d in force", len(lifted), many, len(e.Orders(at)))
	}
}

// TestManyJudgedAtOnceAreToldInOneEvent: else they would leave no room for what else happens.
func TestManyJudgedAtOnceAreToldInOneEvent(t *testing.T) {
	e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
	e.Tick(at, out)
	for range 2 {
		at = at.Add(probation)
		out.Reset()
		for i := range uint32(300) {
			e.judged.add(addr4(i), true, OverBudget, 0)
		}
		e.Tick(at, out)
	}
	var told []Event
	for _, ev := range out.Events {
		if ev.Kind == SourceJudged {
			told = append(told, ev)
		}
	}
	if len(told) != 1 || told[0].Value != 300 || len(out.Orders) != 300 {
		t.Errorf("%d orders, told of as %+v", len(out.Orders), told)
	}
}

// TestStrangersCannotCallTheOriginDown: what they ask for may fail by itself, while
// whoever has been here for long is answered. Where those fail too, or none is
// here, the origin is down.
func TestStrangersCannotCallTheOriginDown(t *testing.T) {
	for _, c := range []struct {
		name  string
		known int // status of the answers to who has been known for long; 0: there are none
		down  bool

		checker bool // of a path that is allowed by hand
	}{{"they are answered", 200, false, false}, {"they fail, too", 503, true, false}, {"nobody is known", 0, true, false},
		{"nobody but who checks", 0, true, true}, {"they fail, and a checker does not", 503, true, true}} {
		t.Run(c.name, func(t *testing.T) {
			e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
			e.Tick(at, out)
			if _, err := e.List(at, Hand{Act: Allow, Path: "/health"}); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Hour)
			ask := func(client netip.Addr, p Pass, status int) {
				r := Request{At: at, Client: client, Peer: client, Validated: true, Kind: Page, Safe: true, Pass: p}
				k, s, _ := e.Enter(at, &r, e.Decide(&r), out)
				if s == Admitted {
					e.Done(at, k, Outcome{Status: status, Wait: time.Millisecond}, out)
				}
			}
			down := false
			for i := range 100 {
				fails := i >= 50
				for range 3 {
					ask(addr4(9), Pass{}, map[bool]int{false: 200, true: 503}[fails])
				}
				switch {
				case c.known != 0 && i%5 == 0 && !fails:
					ask(addr4(1), Pass{ID: 7, First: at.Add(-30 * time.Minute)}, 200)
				case c.known != 0 && i%5 == 0:
					ask(addr4(1), Pass{ID: 7, First: at.Add(-30 * time.Minute)}, c.known)
				}
				if c.checker && i%10 == 3 { // allowed by hand for what it asks for, as anybody is who does
					r := Request{At: at, Client: addr4(2), Kind: API, Safe: true, Path: "/health"}
					if k, s, _ := e.Enter(at, &r, e.Decide(&r), out); s == Admitted {
						e.Done(at, k, Outcome{Status: 200, Wait: time.Millisecond}, out)
					}
				}
				at = at.Add(TickEvery)
				out.Reset()
				e.Tick(at, out)
				_, failing := e.Pressed(0)
				down = down || failing
				if down && !failing {
					t.Fatal("it was called back")
				}
			}
			if down != c.down {
				t.Errorf("down: %v", down)
			}
		})
	}
}

package deich

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// muchLater than anything that these tests save
const muchLater = noon + Time(24*time.Hour)

func TestSaveLoad(t *testing.T) {
	e := engineOf(t, Policy{})
	for i := range uint32(500) {
		e.past.good(e.sourceHash(addr4(i)), noon, 0)
	}
	saved := e.Save([]byte("before"))
	if !bytes.HasPrefix(saved, []byte("before")) {
		t.Fatal("Save does not append")
	}
	saved = saved[len("before"):]

	f := engineOf(t, Policy{})
	if err := f.Load(saved, muchLater); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(500) {
		if f.past.age(f.sourceHash(addr4(i)), noon.Add(time.Hour), 0) != time.Hour {
			t.Fatalf("source %d is not known after the restart", i)
		}
	}
	other, err := New(Policy{Sources: SourcesMin}, [32]byte{8})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Load(saved, muchLater); !errors.Is(err, errStateOther) {
		t.Errorf("another seed: %v", err)
	}
	for n := range saved {
		if err := f.Load(saved[:n], muchLater); err == nil {
			t.Fatalf("cut off after %d bytes, and loaded", n)
		}
	}
	saved[len(saved)/2] ^= 1
	if err := f.Load(saved, muchLater); !errors.Is(err, errState) {
		t.Errorf("a flipped bit: %v", err)
	}
}

// TestUsualSurvivesARestart: what comes, what it looks like and how long it
// takes is known again, and of a state that is hours old the hours of the week.
func TestUsualSurvivesARestart(t *testing.T) {
	e := engineOf(t, Policy{})
	o := &e.origins[0]
	o.routes[3].calm.Store(routeKnown)
	o.routes[3].seen.Store(routeKnown)
	o.routes[3].base.Store(math.Float32bits(.02))
	o.routes[3].alone, o.routes[3].aloneN = -4, 77
	o.routes[3].part = .5
	out := NewOut()
	at := noon
	o.divide(at)
	for range 20 * 60 * 10 { // twenty minutes of a hundred a second, ten of them for one route
		o.segment(0).signs.came.Add(9)
		o.segment(3).signs.came.Add(1)
		e.Tick(at, out)
		out.Reset()
		at = at.Add(TickEvery)
	}
	for i := range uint32(9000) {
		s := sighting{who: i}
		s.traits[TraitTLS] = i + 1
		e.watch.peace.add(at, &s, 1)
		e.watch.good.add(at, &s, 1)
	}
	saved := e.Save(nil)

	f := engineOf(t, Policy{})
	if err := f.Load(saved, muchLater); err != nil {
		t.Fatal(err)
	}
	f.Tick(at, out)
	p := &f.origins[0]
	if got := p.evidence.expected(at); got < 99 || got > 101 {
		t.Errorf("expects %v requests a second, not 100", got)
	}
	for route, want := range map[uint16]float64{0: 90, 3: 10} {
		g := p.segment(route)
		if got := g.evidence.expected(at); g.route != route || math.Abs(got-want) > 1 || g.evidence.usualFor < segmentKnown {
			t.Errorf("expects %v requests a second for route %d, not %v", got, route, want)
		}
	}
	if p.routes[3].part != .5 {
		t.Error("it does not know how much of the platform's time the route takes")
	}
	if p.routes[3].baseline() == 0 || p.routes[3].alone != -4 || p.routes[3].aloneN != 77 {
		t.Error("the route's times are not known")
	}
	if f.began.Load() != e.began.Load() {
		t.Error("it does not know since when it has seen peace")
	}
	for name, h := range map[string]*history{"peace": &f.watch.peace, "good": &f.watch.good} {
		if h.len() != savedMost || h.all[savedMost-1].traits[TraitTLS] < 8990 || h.began == 0 {
			t.Errorf("%s: %d sightings, begun at %v, that are not spread over what there were", name, h.len(), h.began)
		}
	}

	week := 7 * 24 * time.Hour
	for after, want := range map[time.Duration]float64{week: 100, week + 5*time.Hour: 0} {
		g := engineOf(t, Policy{})
		if err := g.Load(saved, muchLater); err != nil {
			t.Fatal(err)
		}
		g.Tick(at.Add(after), out)
		if got := g.origins[0].evidence.expected(at.Add(after)); math.Abs(got-want) > 1 {
			t.Errorf("%v later it expects %v requests a second, not %v", after, got, want)
		}
		if got := g.origins[0].segment(3).evidence.expected(at.Add(after)); math.Abs(got-want/10) > 1 {
			t.Errorf("%v later it expects %v requests a second for a route, not %v", after, got, want/10)
		}
	}
}

// TestLoadsWhatAnOlderVersionSaved: clients are known again, and nothing else.
func TestLoadsWhatAnOlderVersionSaved(t *testing.T) {
	e := engineOf(t, Policy{})
	e.past.good(e.sourceHash(addr4(1)), noon, 0)
	saved := e.Save(nil)
	old := append([]byte(stateMagic), stateOld)
	n := stateHead + stateCell
	old = append(old, saved[len(old):n]...)
	old = binary.BigEndian.AppendUint32(old, crc32.ChecksumIEEE(old))
	f := engineOf(t, Policy{})
	if err := f.Load(old, muchLater); err != nil {
		t.Fatal(err)
	}
	if f.past.age(f.sourceHash(addr4(1)), noon.Add(time.Hour), 0) != time.Hour {
		t.Error("a client is not known after the change of versions")
	}

	e.origins[0].evidence.usual = 100
	saved = e.Save(nil)
	segment := 2 + 4 + 5*8 + weekHours*8
	whole := append([]byte(nil), saved[:len(saved)-4-4-segment]...) // the last origin's only segment
	whole[len(stateMagic)] = stateWhole
	whole = binary.BigEndian.AppendUint32(whole, crc32.ChecksumIEEE(whole))
	g := engineOf(t, Policy{})
	if err := g.Load(whole, muchLater); err != nil {
		t.Fatal(err)
	}
	if got := g.origins[0].evidence.usual; got != 100 {
		t.Errorf("of a state without segments %v a second is usual, not 100", got)
	}
}

// TestALoadFollowsThePlatforms: what was learned of one is given to it whatever its
// number is now, and to nobody else.
func TestALoadFollowsThePlatforms(t *testing.T) {
	e := engineOf(t, Policy{Origins: 3})
	for i := range e.origins {
		e.origins[i].evidence.usual = float64(10 * (i + 1))
	}
	f := engineOf(t, Policy{Origins: 3})
	if err := f.Load(e.Save(nil), muchLater, -1, 0, 2); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 10, 30} {
		if got := f.origins[i].evidence.usual; got != want {
			t.Errorf("platform %d: %v a second is usual, not %v", i, got, want)
		}
	}
}

// TestNothingIsLoadedFromTheFuture: of a clock that was years ahead.
func TestNothingIsLoadedFromTheFuture(t *testing.T) {
	e, out := engineOf(t, Policy{}), NewOut()
	e.Tick(noon.Add(365*24*time.Hour), out)
	e.past.good(e.sourceHash(addr4(1)), noon.Add(365*24*time.Hour), 0)
	saved := e.Save(nil)
	f := engineOf(t, Policy{})
	if err := f.Load(saved, noon); !errors.Is(err, errStateAhead) || f.began.Load() != 0 {
		t.Errorf("%v, began %d", err, f.began.Load())
	}
	if err := f.Load(saved, noon.Add(365*24*time.Hour-time.Minute)); err != nil {
		t.Errorf("a clock set back by a minute: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	e := engineOf(f, Policy{})
	e.past.good(e.sourceHash(addr4(1)), noon, 3)
	f.Add(e.Save(nil))
	f.Add([]byte(stateMagic + "\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := e.Load(b, muchLater); err == nil && !bytes.HasPrefix(b, []byte(stateMagic)) {
			t.Error("loaded what is no state")
		}
	})
}

func TestProof(t *testing.T) {
	seed := ProofSeed("a token")
	answers, hashes := SolveProof(seed, 8)
	if hashes < Puzzles || !CheckProof(seed, 8, answers) {
		t.Fatal("a solved proof does not hold")
	}
	if got, err := ParseProof(FormatProof(answers)); err != nil || got != answers {
		t.Errorf("%v, %v", got, err)
	}
	if CheckProof(ProofSeed("another"), 8, answers) {
		t.Error("a proof holds for another token")
	}
	if CheckProof(seed, 30, answers) {
		t.Error("an easy proof holds for a hard challenge")
	}
}

func FuzzParseProof(f *testing.F) {
	f.Add("1-2-3-4-5-6-7-8")
	f.Add("1-2-3-4-5-6-7-8-9")
	f.Add("4294967296-0-0-0-0-0-0-0")
	f.Add("-------")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseProof(s)
		if err != nil {
			return
		}
		if b, err := ParseProof(FormatProof(a)); err != nil || b != a {
			t.Errorf("%q: %v, %v", s, b, err)
		}
	})
}

func TestPolicyTellsEveryError(t *testing.T) {
	err := Policy{Origins: 99, Sources: 1000, Streams: -1, LimitMax: 1}.Validate()
	for _, path := range []string{"origins: ", "sources: ", "streams: ", "limit_max: "} {
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("no word on %s in: %v", path, err)
		}
	}
	if _, err := New(Policy{Sources: 3}, [32]byte{}); err == nil {
		t.Error("New takes a policy that is not valid")
	}
	e := engineOf(t, Policy{})
	if err := e.Swap(Policy{Sources: SourcesMin, Observe: true}); err != nil {
		t.Errorf("swap: %v", err)
	}
	if err := e.Swap(Policy{Sources: 2 * SourcesMin}); err == nil {
		t.Error("the tables grew while running")
	}
}

func TestListByHand(t *testing.T) {
	e := engineOf(t, Policy{})
	for _, bad := range []Hand{
		{Act: Wait, Path: "/"}, {Act: Deny}, {Act: Deny, Path: "x"},
		{Act: Deny, Path: "x", Prefix: netip.MustParsePrefix("192.0.2.0/24")},
		{Act: Deny, Path: "/", Until: noon - 1},
		{Act: Deny, Prefix: netip.MustParsePrefix("::ffff:0.0.0.0/90")},
	} {
		if _, err := e.List(noon, bad); err == nil {
			t.Errorf("listed: %+v", bad)
		}
	}
	r := Request{At: noon, Client: netip.MustParseAddr("::ffff:192.0.2.9"), Path: "/"}
	id, err := e.List(noon, Hand{Act: Deny, Prefix: netip.MustParsePrefix("::ffff:192.0.2.9/120"), Until: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if v := e.Decide(&r); v.Act != Deny || v.Reason != ByHand {
		t.Errorf("a mapped address escapes what is listed for it: %+v", v)
	}
	r.At = noon.Add(2 * time.Hour)
	if v := e.Decide(&r); v.Act != Allow {
		t.Errorf("after its end: %+v", v)
	}
	if len(e.Listed(r.At)) != 0 || len(e.Listed(noon)) != 1 {
		t.Error("what is listed and in force is told wrongly")
	}
	if !e.Undo(noon, id, NewOut()) || e.Undo(noon, id, NewOut()) {
		t.Error("undo works once")
	}
	for i := range HandMax {
		if _, err := e.List(noon, Hand{Act: Deny, Prefix: netip.PrefixFrom(addr4(uint32(i)), 32)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.List(noon, Hand{Act: Deny, Path: "/one/more"}); err == nil {
		t.Error("the list has no end")
	}
	text, err := json.Marshal(e.Listed(noon)[0])
	if err != nil || !strings.Contains(string(text), `"act":"deny"`) {
		t.Errorf("%s, %v", text, err)
	}
	var back Hand
	if err := json.Unmarshal(text, &back); err != nil || back != e.Listed(noon)[0] {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestObserveHoldsBack(t *testing.T) {
	e := engineOf(t, Policy{Observe: true})
	e.origins[0].press(noon)
	r := Request{At: noon, Client: addr4(1), Safe: true}
	for range 100 {
		e.Decide(&r) // use up the lots
	}
	v := e.Decide(&r)
	if v.Act != Allow || v.Reason != Observed || v.Would != Wait {
		t.Fatalf("%+v", v)
	}
	out := NewOut()
	for range 3 * limitStart {
		if _, s, _ := e.Enter(noon, &r, v, out); s != Admitted {
			t.Fatalf("observed, and yet %v", s)
		}
	}
}

// TestOrderNeedsProbation: bots that never answer are ordered away, an address
// from which a pass was served is not.
func TestOrderNeedsProbation(t *testing.T) {
	e := engineOf(t, Policy{})
	e.origins[0].press(noon)
	out := NewOut()
	bot, carrier := addr4(1), addr4(2)
	at := noon
	var first Time
	for range 300 {
		at = at.Add(TickEvery)
		for _, a := range []netip.Addr{bot, carrier} {
			for range 4 {
				r := Request{At: at, Client: a, Peer: a, Validated: true, Safe: true}
				e.Decide(&r)
			}
		}
		if at == noon.Add(2*time.Second) {
			e.past.good(e.sourceHash(carrier), at, 77) // one of its people has proven himself
		}
		e.origins[0].press(at)
		e.Tick(at, out)
		for _, o := range out.Orders {
			if o.Prefix.Addr() == carrier {
				t.Fatalf("an order against people: %v", o)
			}
			if first == 0 {
				first = at
			}
		}
		out.Reset()
	}
	if first == 0 || first < noon.Add(probationOver) {
		t.Errorf("first order at %v", first.Sub(noon))
	}
	orders := e.Orders(at)
	if len(orders) != 1 || orders[0].Prefix.Addr() != bot {
		t.Fatalf("in force: %v", orders)
	}
	if n := e.Revoke(at, orders[0].Prefix, out); n != 1 || len(out.Orders) != 1 || out.Orders[0].Until != 0 {
		t.Errorf("revoked %d: %+v", n, out.Orders)
	}
	if len(e.Orders(at)) != 0 {
		t.Error("revoked and still in force")
	}
}

// TestMintIsBounded: passes cannot be farmed without end from one address or prefix.
func TestMintIsBounded(t *testing.T) {
	e := engineOf(t, Policy{})
	n := 0
	for e.Mint(noon, addr4(1), Proved) {
		n++
	}
	if n != mintBurst {
		t.Errorf("%d passes at once for one address, want %d", n, mintBurst)
	}
	for i := range uint32(256) {
		for e.Mint(noon, addr4(i), Proved) {
			n++
		}
	}
	if n > mintWider+256 {
		t.Errorf("%d passes at once for one /24", n)
	}
	if e.difficulty(noon, e.sourceHash(addr4(1))) <= e.difficulty(noon, e.sourceHash(addr4(1<<16))) {
		t.Error("a farm's proofs are no harder")
	}
	if e.Mint(noon, netip.Addr{}, Served) {
		t.Error("minted for nobody")
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	e := engineOf(t, Policy{})
	e.origins[0].press(noon)
	r := Request{At: noon, Client: addr4(3), Peer: addr4(3), Validated: true, Safe: true}
	if n := testing.AllocsPerRun(1000, func() { e.Decide(&r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

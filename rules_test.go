package deich

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// ruleOf puts a rule about one agent in force, as if it had been found at at.
func ruleOf(e *Engine, at Time, act Act) *liveRule {
	l := &liveRule{id: e.nextID(), act: act, foundAt: at, since: at, until: at.Add(ruleFirst),
		conditions: []Condition{{Trait: TraitAgent, With: TraitAgent, Value: 7, column: uint8(TraitAgent)}}}
	l.acting.Store(true)
	e.ruling.set.Store(&ruleSet{[]*liveRule{l}})
	return l
}

// What meets a rule keeps it in force only where the origin could not do it all:
// a rule of a moment's trouble would else be met for ever by whom it is about.
func TestRulesThatAreNotNeededEnd(t *testing.T) {
	for _, c := range []struct {
		name     string
		capacity float64 // requests a second
		renewed  bool
	}{{"the origin could do it all", 1000, false}, {"it could not", 100, true}} {
		e := newEngine(t, Policy{Sources: SourcesMin})
		at, out := Time(time.Hour), NewOut()
		ruleOf(e, at, Deny)
		o := &e.origins[0]
		for range int((ruleFirst + time.Second) / TickEvery) {
			at = at.Add(TickEvery)
			for i := range 20 {
				r := Request{At: at, Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Kind: API, Safe: true}
				r.Traits[TraitAgent] = 7
				e.Decide(&r)
			}
			o.capacity, o.goodput = c.capacity*costOne/ticksSecond, c.capacity
			out.Reset()
			e.Tick(at, out)
		}
		if left := len(e.Rules(at)); left != map[bool]int{true: 1}[c.renewed] {
			t.Errorf("%s: %d rules after %v of 200 requests a second", c.name, left, ruleFirst)
		}
	}
}

// A pass that bots may have come early for exempts from a rule and ranks no
// higher than one of the flood's time; who is known, has an account or came
// since is not doubted. A denial that meets such passes asks for a proof.
func TestPassesOfShortlyBeforeAreDoubted(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin})
	began := Time(time.Hour)
	out := NewOut()
	e.Tick(began, out)
	at := began.Add(time.Hour) // known is who was here for an eighth of that
	l := ruleOf(e, at, Deny)
	e.origins[0].press(at)
	pass := func(age time.Duration) Pass { return Pass{ID: 1, First: at.Add(-age)} }
	vouched := pass(time.Minute)
	vouched.Account, vouched.Since = 1, vouched.First
	for _, c := range []struct {
		name    string
		pass    Pass
		doubted bool
	}{{"a minute before", pass(time.Minute), true}, {"known", pass(10 * time.Minute), false},
		{"with an account", vouched, false}, {"since", pass(-time.Second), false}} {
		r := Request{At: at.Add(2 * time.Second), Client: netip.MustParseAddr("192.0.2.1"), Safe: true, Pass: c.pass}
		plain := e.Decide(&r)
		r.Traits[TraitAgent] = 7
		v := e.Decide(&r)
		want := plain.Rank
		if c.doubted {
			want = rankDoubted
		}
		if v.Act != Allow || v.Rank != want || plain.Rank <= rankDoubted {
			t.Errorf("%s: %v with rank %d, without the rule %d", c.name, v.Act, v.Rank, plain.Rank)
		}
	}
	stranger := Request{At: at.Add(2 * time.Second), Client: netip.MustParseAddr("192.0.2.2"), Kind: API, Safe: true}
	stranger.Traits[TraitAgent] = 7
	if v := e.Decide(&stranger); v.Act != Deny {
		t.Errorf("a stranger: %v", v.Act)
	}
	young := Request{At: at.Add(2 * time.Second), Client: netip.MustParseAddr("192.0.2.3"), Safe: true, Pass: pass(time.Minute), Traits: stranger.Traits}
	for range humanHits {
		e.Decide(&young)
	}
	if l.known.Load() > rollbackHits { // else this would take the rule back
		t.Fatal("known clients met it too often")
	}
	e.origins[0].cause.Store(uint32(CauseFlood)) // else it would ask anyhow
	e.keepRules(at.Add(2*time.Second), 1, out)
	if all := e.Rules(at); len(all) != 1 || all[0].Act != Challenge {
		t.Errorf("after passes met it: %+v", all)
	}
	if v := e.Decide(&stranger); v.Act != Wait { // a program cannot be asked
		t.Errorf("a stranger, then: %v", v.Act)
	}
}

// A denial asks for a proof until a flood is named: in a crowd's first seconds people
// may look alike.
func TestNobodyIsDeniedBeforeAFloodIsNamed(t *testing.T) {
	e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
	e.Tick(at, out)
	l := ruleOf(e, at, Deny)
	l.acting.Store(false)
	e.origins[0].press(at)
	for _, c := range []struct {
		cause Cause
		want  Act
	}{{NoCause, Challenge}, {CauseCrowd, Challenge}, {CauseFlood, Deny}, {CauseMixed, Deny}, {CauseUnknown, Challenge}} {
		e.origins[0].cause.Store(uint32(c.cause))
		at = at.Add(ruleShadow)
		out.Reset()
		e.keepRules(at, 1, out)
		if all := e.Rules(at); len(all) != 1 || all[0].Shadow || all[0].Act != c.want {
			t.Errorf("%v: %+v, want %v", c.cause, all, c.want)
		}
	}
}

// A rule that paces has nothing to do while the origin keeps up.
func TestPacingRestsWithoutPressure(t *testing.T) {
	e := newEngine(t, Policy{Sources: SourcesMin})
	at := Time(time.Hour)
	ruleOf(e, at, Wait)
	r := Request{At: at, Client: netip.MustParseAddr("192.0.2.1"), Kind: API, Safe: true}
	r.Traits[TraitAgent] = 7
	for range 5 { // none is the one in canaryPart that passes
		if v := e.Decide(&r); v.Act != Allow {
			t.Errorf("without pressure: %v", v.Act)
		}
	}
	e.origins[0].pressure.Store(true)
	for range 5 {
		if v := e.Decide(&r); v.Act != Wait || v.Reason != ByRule {
			t.Errorf("under pressure: %v, %v", v.Act, v.Reason)
		}
	}
}

// No rules by a reload takes back those in force, aloud and with the orders that they sent.
// A policy that is refused changes nothing, and what was taken back may be found again.
func TestNoRulesTakesBackWhatIsInForce(t *testing.T) {
	e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
	e.Tick(at, out)
	l := ruleOf(e, at, Deny)
	p := netip.MustParsePrefix("192.0.2.1/32")
	e.orders.live[p] = &order{until: at.Add(time.Hour), seen: at, rule: l.id}
	step := func() {
		at = at.Add(TickEvery)
		out.Reset()
		e.Tick(at, out)
	}
	for _, refused := range []Policy{{Sources: 2 * SourcesMin, NoRules: true}, {Sources: SourcesMin, Streams: -1, NoRules: true}} {
		if e.Swap(refused) == nil || e.Swappable(refused) == nil {
			t.Errorf("%+v is taken", refused)
		}
	}
	if step(); len(e.Rules(at)) != 1 || len(e.Orders(at)) != 1 {
		t.Fatalf("after what was refused: %d rules, %d orders", len(e.Rules(at)), len(e.Orders(at)))
	}
	if err := e.Swap(Policy{Sources: SourcesMin, NoRules: true}); err != nil {
		t.Fatal(err)
	}
	step()
	told := false
	for _, event := range out.Events {
		told = told || event.Kind == RuleWithdrawn && event.Rule == l.id
	}
	if len(e.Rules(at)) != 0 || !told || len(out.Orders) != 1 || out.Orders[0] != (Order{Prefix: p}) {
		t.Errorf("%d rules are left, told: %v, orders taken back: %v", len(e.Rules(at)), told, out.Orders)
	}
	if e.ruling.banned(signatureOf(l.conditions), at) {
		t.Error("what was not wrong may not be found again")
	}
}

// Commands read what the private API writes.
func TestRulesAreReadAsTheyAreWritten(t *testing.T) {
	was := Rule{ID: 3, Act: Challenge, Conditions: []Condition{{Trait: TraitTLS, With: TraitHeaders, Compare: Novel, Pool: 4},
		{Trait: TraitRoute, With: TraitRoute}}}
	text, err := json.Marshal(was)
	if err != nil {
		t.Fatal(err)
	}
	var is Rule
	if err := json.Unmarshal(text, &is); err != nil || !reflect.DeepEqual(is, was) {
		t.Errorf("%s was read as %+v: %v", text, is, err)
	}
	var judged Judgement
	if text, err = json.Marshal(Judgement{Cause: CauseMixed}); err == nil {
		err = json.Unmarshal(text, &judged)
	}
	if err != nil || judged.Cause != CauseMixed {
		t.Errorf("%s was read as %+v: %v", text, judged, err)
	}
}

// TestARuleIsHeldToWhatCameSinceItWasFound: requests of known clients met by nothing,
// in floods of before, excuse no rule.
func TestARuleIsHeldToWhatCameSinceItWasFound(t *testing.T) {
	e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
	e.Tick(at, out)
	at = at.Add(time.Hour)
	e.ruling.aged.Store(1 << 30)
	l := ruleOf(e, at, Challenge)
	l.aged = e.ruling.aged.Load()
	meet := func(pass uint64) {
		r := Request{At: at, Client: addr4(1), Kind: Page, Safe: true, Pass: Pass{ID: pass, First: at.Add(-30 * time.Minute)}}
		r.Traits[TraitAgent] = 7
		e.Decide(&r)
	}
	for range 10 * rollbackHits {
		meet(7)
	}
	e.keepRules(at, 1, out)
	if len(e.Rules(at)) != 1 {
		t.Fatal("one client alone took it back")
	}
	for pass := range uint64(rollbackHits) {
		meet(8 + pass)
	}
	e.keepRules(at, 1, out)
	if len(e.Rules(at)) != 0 {
		t.Errorf("it met %d requests of known clients, and holds", l.known.Load())
	}
}

// TestAJobThatFailsIsNotTheLast: nothing found of it is as good as nothing found.
func TestAJobThatFailsIsNotTheLast(t *testing.T) {
	e, out, at := newEngine(t, Policy{Sources: SourcesMin}), NewOut(), Time(time.Hour)
	e.ruling.running = true
	e.watch.good.hold(true)
	e.Adopt(at, e.ruling.job.None(), out)
	if e.ruling.running || e.watch.good.held || len(e.Rules(at)) != 0 {
		t.Errorf("running %v, held %v, %d rules", e.ruling.running, e.watch.good.held, len(e.Rules(at)))
	}
}

package deich

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// Debts: what a source owes for answers it made Deich give for nothing. They
// leak a second per second; a debt that stays high sends an order.
const (
	debtChallenge = 4 * time.Second        // a challenge: to be answered, or not to be asked for again
	debtRefused   = time.Second            // asked to come back later
	debtRuled     = 6 * time.Second        // met a rule that denies
	debtOver      = 250 * time.Millisecond // one request beyond the budget
	debtMuch      = 10 * time.Second       // over budget and this deep: refused without a page
	debtMalformed = 250 * time.Millisecond // what is no request; four a second are forgiven
	debtAside     = 100 * time.Millisecond // something of Deich's own; ten a second are forgiven, as many as an address may ask for
	debtJudged    = 30 * time.Second       // this deep: a candidate for an order
	debtMost      = 10 * time.Minute
)

const (
	probation       = 5 * time.Second        // a candidate is judged after this, if nobody there has proven anything by then
	probationOver   = 500 * time.Millisecond // the same for one far over its budget
	orderFirst      = 10 * time.Second
	orderLongest    = 2 * time.Minute  // then its source is let in once more, so that people there can prove something
	ordersLive      = 1 << 16          // orders in force and candidates; full, nobody more is judged
	orderForget     = 10 * time.Minute // then its next order is a first one again
	candidateForget = 30 * time.Second
	sweepEvery      = 5 * time.Second
)

// judged is where Decide leaves the sources whose debt is deep, for the next
// Tick. Full, they are left out: they will come again.
type judged struct {
	n     atomic.Uint32
	addrs [JudgedMax]judgedSource
}

type judgedSource struct {
	state atomic.Uint32
	over  bool   // over its budget, not just unproven
	why   Reason // of the order, if no rule is
	rule  uint32 // that it met; 0: none
	addr  netip.Addr
}

const (
	judgedFree = iota
	judgedBusy // being written
	judgedReady
)

func (j *judged) add(a netip.Addr, over bool, why Reason, rule uint32) {
	if j.n.Load() >= JudgedMax {
		return
	}
	i := j.n.Add(1) - 1
	if i >= JudgedMax || !j.addrs[i].state.CompareAndSwap(judgedFree, judgedBusy) {
		return
	}
	j.addrs[i].addr, j.addrs[i].over, j.addrs[i].why, j.addrs[i].rule = a, over, why, rule
	j.addrs[i].state.Store(judgedReady)
}

// owe charges a source's debt and gives its level. Only a source whose own
// handshake was seen, and that is nobody else's proxy, can be judged. While an
// origin suffers by itself nobody owes for asking it again: behind an address
// that seems to hammer there may be a house full of people who press reload.
func (e *Engine) owe(r *Request, o *origin, addr uint64, debt time.Duration, rule uint32) time.Duration {
	if o.excuses() {
		return 0
	}
	level := e.budgets.Charge(addr^saltDebt, int64(r.At), debt, debtMost)
	if level > debtJudged && r.Validated && r.Peer == r.Client {
		e.judged.add(r.Client, debt == debtOver, OverBudget, rule)
	}
	return level
}

// Aside tells of a request that Decide was not asked about, since it is answered with
// something of the caller's own: a file of its pages, a receipt. vain says that there was
// nothing for it, or that what it brought does not hold. Who sends little else is
// judged like those that keep sending what is refused, by a debt of its own: what a page's
// files cost has nobody refused a page. A pass pays for its holder within its budget, since
// those who look after their messages for hours may share an address. It is owed
// while an origin suffers by itself, too: nobody needs it to reach the origin, and a flood
// of it takes the processor, which looks just like that. Safe for concurrent use.
func (e *Engine) Aside(r *Request, vain bool) {
	if r.Partner {
		return
	}
	addr := e.sourceHash(r.Client)
	if r.Pass.ID != 0 {
		since := Time(e.origins[int(r.Origin)%len(e.origins)].since.Load())
		if over, _, _ := e.spend(r, passStanding(r, since), addr, 0, false); over == 0 {
			return
		}
	}
	debt := debtAside
	if vain {
		debt = debtRefused
	}
	level := e.budgets.Charge(addr^saltAside, int64(r.At), debt, debtMost)
	if level > debtJudged && r.Validated && r.Peer == r.Client {
		e.judged.add(r.Client, false, OverBudget, 0)
	}
}

// Malformed tells of something that peer sent and that is no request. A
// handshake with peer must have been seen, and it must be nobody's proxy. Who
// sends little else is judged like those that keep sending what is refused.
// Safe for concurrent use.
func (e *Engine) Malformed(at Time, peer netip.Addr) {
	level := e.budgets.Charge(e.sourceHash(peer)^saltDebt, int64(at), debtMalformed, debtMost)
	if level > debtJudged {
		e.judged.add(peer, false, BadRequest, 0)
	}
}

// excuses says that an origin suffers by itself and nobody is known to flood it.
func (o *origin) excuses() bool {
	if !o.down.Load() && !o.ownFault.Load() {
		return false
	}
	c := Cause(o.cause.Load())
	return c != CauseFlood && c != CauseMixed
}

// orders are what is in force elsewhere, and who may be next. Guarded by
// Engine.ticking.
type orders struct {
	live  map[netip.Prefix]*order
	due   []netip.Prefix // to be prolonged, as their sources go on; bounded by ordersLive
	lift  []netip.Prefix // to be taken back with the rule that sent them; bounded by ordersLive
	swept Time
}

type order struct {
	candidate Time // when its debt was first seen to be deep
	began     Time // when its source was refused after it had been let in
	late      Time // a third of it is over, and it may be prolonged
	until     Time // zero while it is a candidate
	strikes   uint8
	why       Reason // of the latest debt, if no rule is
	rule      uint32 // that it met last
	seen      Time
}

func newOrders() orders { return orders{live: make(map[netip.Prefix]*order)} }

func sourcePrefix(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	p, _ := a.Prefix(sourceBits(a)) // a valid address has these bits
	return p
}

// judge turns deep debts into orders, after probation and only where nobody
// has proven anything: a carrier's address holds many people, and a crowd of
// them proves itself within seconds.
func (e *Engine) judge(at Time, out *Out) {
	e.lift(at, out)
	n := min(e.judged.n.Load(), JudgedMax)
	begun, last := 0, netip.Prefix{}
	for i := range n {
		j := &e.judged.addrs[i]
		if j.state.Load() != judgedReady {
			continue // being written; the source will come again
		}
		if p := e.judgeOne(at, j, out); p.IsValid() {
			begun, last = begun+1, p
		}
		j.state.Store(judgedFree)
	}
	e.judged.n.Store(0)
	if begun > 0 {
		out.event(Event{At: at, Kind: SourceJudged, Prefix: last, Value: float64(begun)})
	}
	e.prolong(at, out)
	e.orders.sweep(at)
}

// lift takes back orders of rules that are gone, as far as out has room.
func (e *Engine) lift(at Time, out *Out) {
	os := &e.orders
	for len(os.lift) > 0 && len(out.Orders) < cap(out.Orders) {
		p := os.lift[0]
		os.lift = os.lift[1:]
		if o := os.live[p]; o != nil && o.until > at && o.rule != 0 && !e.ruling.lives(o.rule) {
			o.until, o.candidate, o.strikes = at, at, 0
			out.Orders = append(out.Orders, Order{Prefix: p})
		}
	}
	if len(os.lift) == 0 {
		os.lift = nil
	}
}

// prolong gives orders of which a third is over, and whose sources go on, a longer
// time. What finds no room in out is left for the next tick.
func (e *Engine) prolong(at Time, out *Out) {
	os := &e.orders
	for len(os.due) > 0 && len(out.Orders) < cap(out.Orders) {
		p := os.due[0]
		os.due = os.due[1:]
		if o := os.live[p]; o != nil && o.wanes(at) && (o.rule == 0 || e.ruling.lives(o.rule)) && e.mayRefuse(at, p.Addr()) {
			o.extend(at)
			out.Orders = append(out.Orders, o.order(p))
		}
	}
	if len(os.due) == 0 {
		os.due = nil
	}
}

// wanes says that a third of an order in force is over, as hits are told of every few
// seconds, and that it may last longer.
func (o *order) wanes(at Time) bool {
	return o.until > at && at >= o.late && o.until < o.began.Add(orderLongest)
}

// extend sets the end of an order that begins or goes on: each time twice as far
// away, and never more than orderLongest after its source was let in.
func (o *order) extend(at Time) {
	if o.until <= at {
		o.began = at
	}
	o.until = min(at.Add(orderFirst<<min(o.strikes, 8)), o.began.Add(orderLongest))
	o.late = at.Add(o.until.Sub(at) / 3)
	o.strikes = min(o.strikes, 254) + 1
}

// mayRefuse says that nobody at an address has proven anything, and nothing forbids orders.
func (e *Engine) mayRefuse(at Time, a netip.Addr) bool {
	return e.past.passes(e.sourceHash(a), at) == 0 && !e.policy.Load().Observe &&
		Time(e.bypass.Load()) <= at && !e.hands.Load().allows(a, at)
}

// sweep forgets candidates that stopped and orders long over.
func (os *orders) sweep(at Time) {
	if at.Sub(os.swept) < sweepEvery {
		return
	}
	os.swept = at
	for p, o := range os.live {
		keep := orderForget
		if o.strikes == 0 {
			keep = candidateForget
		}
		if at > max(o.until, o.seen).Add(keep) {
			delete(os.live, p)
		}
	}
}

// judgeOne gives the prefix that an order begins to refuse, if one does.
func (e *Engine) judgeOne(at Time, j *judgedSource, out *Out) (_ netip.Prefix) {
	a, p := j.addr, sourcePrefix(j.addr)
	o := e.orders.live[p]
	if o == nil {
		if len(e.orders.live) >= ordersLive {
			return
		}
		e.orders.live[p] = &order{candidate: at, seen: at, why: j.why, rule: j.rule}
		return
	}
	o.seen, o.why, o.rule = at, j.why, j.rule
	wait := probation
	if j.over {
		wait = probationOver
	}
	switch {
	case o.until > at || at.Sub(o.candidate) < wait && o.strikes == 0,
		len(out.Orders) == cap(out.Orders),
		!e.mayRefuse(at, a):
		return
	}
	o.extend(at)
	out.Orders = append(out.Orders, o.order(p))
	return p
}

func (o *order) order(p netip.Prefix) Order {
	why := o.why
	if o.rule != 0 {
		why = ByRule
	}
	return Order{Prefix: p, Until: o.until, Reason: why, Rule: o.rule}
}

// sorted gives the prefixes always in the same order: where not all find room in
// an Out, the same are told of each time, and a seed gives the same run.
func (os *orders) sorted() []netip.Prefix {
	return slices.SortedFunc(maps.Keys(os.live), netip.Prefix.Compare)
}

// Seen reports what was refused elsewhere under an order: whoever goes on owes on, as
// for an answer that asks to come later. While that is much, the order is prolonged
// before it ends; and the rule that sent it stays alive, although nothing that meets it
// is seen here any more. What an order for no requests refuses is an empty connection,
// as before.
func (e *Engine) Seen(at Time, counts []Count) {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	for _, c := range counts {
		if !c.Prefix.IsValid() || c.N == 0 {
			continue
		}
		debt := time.Duration(min(c.N, 1000)) * debtRefused
		level := e.budgets.Charge(e.sourceHash(c.Prefix.Addr())^saltDebt, int64(at), debt, debtMost)
		o := e.orders.live[c.Prefix]
		if o == nil {
			continue
		}
		if o.rule != 0 {
			e.ruling.met(o.rule, c.N)
		} else if o.why == BadRequest {
			e.empties.ordered += c.N
		}
		if level > debtJudged && o.wanes(at) && len(e.orders.due) < ordersLive {
			e.orders.due = append(e.orders.due, c.Prefix)
		}
	}
}

// Orders gives the orders in force.
func (e *Engine) Orders(at Time) []Order {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	var list []Order
	for p, o := range e.orders.live {
		if o.until > at {
			list = append(list, o.order(p))
		}
	}
	return list
}

// crowd notices when nearly all requests come from one address: then a proxy
// in front is probably not configured, and everyone shares its fate. It is a
// majority vote (Boyer and Moore, 1981) with a count beside it.
type crowd struct {
	leader atomic.Uint64
	addr   [2]atomic.Uint64 // the leader's address
	lead   atomic.Int64
	votes  atomic.Int64
	fors   atomic.Int64
	since  Time
	told   bool
}

const (
	crowdEvery  = 10 * time.Second
	crowdEnough = 200
	crowdShare  = .9
	crowdPasses = 5 // so many passes from there: people, not one client
)

func (c *crowd) vote(client netip.Addr, addr uint64) {
	c.votes.Add(1)
	switch {
	case c.leader.Load() == addr:
		c.lead.Add(1)
		c.fors.Add(1)
	case c.lead.Add(-1) < 0:
		c.leader.Store(addr)
		b := client.As16()
		c.addr[0].Store(binary.BigEndian.Uint64(b[:8]))
		c.addr[1].Store(binary.BigEndian.Uint64(b[8:]))
		c.lead.Store(1)
		c.fors.Store(1)
	}
}

func (c *crowd) tick(e *Engine, at Time, out *Out) {
	if c.since == 0 {
		c.since = at
	}
	if at.Sub(c.since) < crowdEvery {
		return
	}
	c.since = at
	votes, fors := c.votes.Swap(0), c.fors.Swap(0)
	c.lead.Store(0)
	share := float64(fors) / float64(max(votes, 1))
	one := votes >= crowdEnough && share >= crowdShare && e.past.passes(c.leader.Load(), at) >= crowdPasses
	if one && !c.told {
		// Leader and address are two words: between them another may have led.
		if a := c.address(); e.sourceHash(a) == c.leader.Load() {
			out.event(Event{At: at, Kind: OneAddress, Prefix: sourcePrefix(a), Value: share})
		} else {
			one = false // told of next time
		}
	}
	c.told = one
}

func (c *crowd) address() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], c.addr[0].Load())
	binary.BigEndian.PutUint64(b[8:], c.addr[1].Load())
	return netip.AddrFrom16(b).Unmap()
}

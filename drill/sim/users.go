package sim

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/deichproject/deich"
)

// client is one user. It wants one page at a time and asks until it has it, or
// a minute has passed; each want counts once.
type client struct {
	addr   netip.Addr
	pass   deich.Pass
	cred   uint64
	place  uint64 // its waiting-room ticket
	issued int64  // when it got the ticket
	came   int64
	first  int64 // when it first got content; 0: not yet
	leaves int64
	began  int64 // of the present want; 0: none
	seen   uint32
	ok     uint32 // its requests of the flood phase, and those served
	rtt    int32  // nanoseconds
	phone  float32
	route  uint16
	page   uint32 // which of the route's pages it wants now
	next   uint16 // of the visits of the profile's visitor that it replays
	like   uint16 // which visitor that is
	group  uint8
	denied bool // the present want met deny or drop
	member bool
	loaded bool // styles and pictures are in its cache
	stale  bool // its credential has expired: the next answer is a 401, then it renews it
}

const (
	assets  = 3 // what a first page loads
	eagerly = 300 * time.Millisecond
)

// welcome makes everyone of every group.
func (r *run) welcome() {
	n := 0
	for gi := range r.scenario.Groups {
		n += r.scenario.Groups[gi].Count
	}
	r.clients = make([]client, 0, n)
	for gi := range r.scenario.Groups {
		g := &r.scenario.Groups[gi]
		r.homes = append(r.homes, r.houses(g))
		for i := range g.Count {
			c := client{group: uint8(gi), addr: r.homes[gi][i%len(r.homes[gi])]}
			at := r.flood + int64(g.From) + int64(g.Over)*int64(i)/int64(g.Count)
			c.came, c.leaves = min(max(at, r.begins), r.end), r.end
			if g.Stay > 0 {
				c.leaves = min(r.end, c.came+int64(g.Stay))
			}
			if g.Replay {
				r.revives(&c, i)
			}
			c.rtt = int32(min(max(40e6*math.Exp(.5*r.users.NormFloat64()), 5e6), 400e6))
			c.phone = float32(min(max(400e3*math.Exp(.6*r.users.NormFloat64()), 90e3), 3e6))
			c.member = g.Members > 0 && r.users.Float64() < g.Members
			if g.Token {
				c.cred, c.stale = r.users.Uint64()|1, i%4 == 0
			}
			if g.Age > 0 {
				c.pass = r.past(c.came-int64(g.Age), g.Age, c.member)
			}
			r.clients = append(r.clients, c)
			r.events.push(c.came, evUser, uint32(len(r.clients)-1), 0)
		}
	}
}

// past is a pass of before the rehearsal.
func (r *run) past(since int64, age time.Duration, member bool) deich.Pass {
	p := deich.Pass{ID: r.users.Uint64() | 1, First: deich.Time(since), Days: 1 + uint8(min(age/(24*time.Hour), 30))}
	if member {
		p.Account, p.Since = r.users.Uint64()|1, p.First
	}
	return p
}

// houses are the addresses a group lives at.
func (r *run) houses(g *Group) []netip.Addr {
	n := g.Count
	if g.Addresses > 0 {
		n = min(n, g.Addresses)
	}
	all := make([]netip.Addr, n)
	for i := range all {
		if g.Operator {
			all[i] = r.operated()
			continue
		}
		r.addresses++
		all[i] = address(r.addresses, g.V6)
	}
	return all
}

// operated gives another address in the networks of the operator that has most
// of them. It counts down, where nobody else's numbers are.
func (r *run) operated() netip.Addr {
	for {
		r.downward--
		a := address(r.downward, false)
		var t deich.Traits
		if place(&t, a); t[deich.TraitASN] == value(deich.TraitASN, 0) {
			return a
		}
	}
}

// address spreads the numbers over the world: neighbours in number are none in the network.
func address(n uint32, v6 bool) netip.Addr {
	x := n * 2654435761
	if !v6 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], x)
		return netip.AddrFrom4(b)
	}
	b := [16]byte{0x20, 0x01}
	binary.BigEndian.PutUint32(b[2:], x)
	b[15] = 1
	return netip.AddrFrom16(b)
}

// asks is a client whose time has come.
func (r *run) asks(ci uint32) {
	c := &r.clients[ci]
	g := &r.scenario.Groups[c.group]
	if r.now < r.starts {
		r.events.push(max(r.starts, r.now)+int64(r.users.Float64()*1e9), evUser, ci, 0)
		return
	}
	switch {
	case c.began == 0:
		if r.now >= c.leaves {
			return
		}
		c.began, c.denied, c.route = r.now, false, pick(g.mix(), r.users.Float64())
		c.page = r.world.page(r.asked.Float64())
		if g.Replay {
			c.route, c.page = r.replays(c)
		}
		if c.first == 0 && g.Kind != Program && !g.Replay {
			c.route = routeFront // nobody begins with a message
			if g.New {
				c.page = pageNew
			}
		}
		r.open++
	case r.now-c.began >= int64(lost):
		r.settle(ci, 0)
		return
	}
	r.send(ci, c.route, false)
}

func (r *run) send(ci uint32, route uint16, asset bool) {
	c := &r.clients[ci]
	g := &r.scenario.Groups[c.group]
	fi := r.launch()
	f := &r.flights[fi]
	f.kind, f.who, f.began, f.asset, f.status = int16(c.group), ci, r.now, asset, 200
	f.req.Client = c.addr
	if g.Roams {
		r.addresses++
		f.req.Client = address(r.addresses, g.V6)
	}
	f.req.Peer, f.req.Validated, f.req.Route = f.req.Client, true, route
	f.req.Kind, f.req.Safe = routeKind(route)
	f.req.Credential = c.cred
	if c.stale && route == routeMe {
		f.status = 401
	}
	if g.Kind != Program {
		f.req.Pass = c.pass
		if c.place != 0 && r.now-c.issued < int64(ticketFor) {
			f.req.Place = c.place
		}
	}
	r.says(f, c, ci)
	if asset {
		r.open++
	}
	r.events.push(r.now+int64(c.rtt)/2, evArrive, fi, f.gen)
}

const newConnection = .3 // of a user's pages; what a page loads comes over the same

// says fills in what a user's request looks like.
func (r *run) says(f *flight, c *client, ci uint32) {
	g := &r.scenario.Groups[c.group]
	t := &f.req.Traits
	r.world.dress(t, g.look(), uint64(ci)<<16|uint64(c.came)<<40, f.req.Client, f.req.Kind)
	q := ask{route: f.req.Route, page: c.page, first: c.first == 0, script: g.Kind == Program,
		cookie: c.loaded || c.member || g.Age > 0,
		fresh:  !f.asset && (c.first == 0 || r.asked.Float64() < newConnection)}
	if q.first && g.Referer != 0 {
		q.referer = value(deich.TraitReferer, 1<<32|g.Referer)
	}
	q.wants(t, &f.req, r.asked)
	if r.scenario.Dark {
		blind(t)
	}
}

// arrives is a user's request at the shield's door.
func (r *run) arrives(fi uint32) {
	f := &r.flights[fi]
	r.touch(f)
	if r.refused.hit(f.req.Client, deich.Time(r.now)) {
		f.v = deich.Verdict{Act: deich.Drop, Reason: deich.OverBudget, RetryAfter: 2 * time.Second}
		r.note(f, f.v.Act, f.v.Reason, 3)
		r.sawGated(f)
		r.turnedAway(fi)
		return
	}
	r.judge(fi)
}

// turnedAway is a refusal on its way back: what the client does about it.
func (r *run) turnedAway(fi uint32) {
	f := &r.flights[fi]
	if ai, ok := f.attack(); ok {
		r.botRefused(ai, f)
		r.land(fi)
		return
	}
	c := &r.clients[f.who]
	r.sawMissed(f)
	r.stats.act(f, r.phaseAt(f.began))
	if f.v.Act == deich.Deny || f.v.Act == deich.Drop {
		c.denied = c.denied || !f.asset
	}
	if f.asset {
		r.lostAsset(f)
		r.land(fi)
		return
	}
	g := &r.scenario.Groups[c.group]
	who, v := f.who, f.v
	r.land(fi)
	back := int64(c.rtt) / 2
	if g.Kind != Program && v.Place != 0 && (c.place == 0 || r.now-c.issued >= int64(ticketFor)) {
		c.place, c.issued = v.Place, r.now
	}
	if v.Act == deich.Challenge && g.Kind == Browser {
		r.events.push(r.now+back+r.solving(v.Bits, float64(c.phone), r.users)+back, evProof, who, 0)
		return
	}
	after := max(v.RetryAfter, time.Second)
	if g.Eager {
		after = eagerly
	}
	r.events.push(r.now+back+int64(float64(after)*(1+.2*r.users.Float64())), evUser, who, 0)
}

// solving draws how long a proof takes: the sum of deich.Puzzles searches.
func (r *run) solving(bits uint8, speed float64, draw *rand.Rand) int64 {
	sum := 0.
	for range deich.Puzzles {
		sum += draw.ExpFloat64()
	}
	return int64(sum * float64(uint64(1)<<bits) / speed * 1e9)
}

// proves is a client's proof at the shield.
func (r *run) proves(ci uint32) {
	c := &r.clients[ci]
	back := int64(c.rtt) / 2
	if r.refused.hit(c.addr, deich.Time(r.now)) {
		c.denied = true
		r.events.push(r.now+back+2e9, evUser, ci, 0)
		return
	}
	p := r.pass(c.addr, deich.Proved)
	if p.ID == 0 { // too many passes were issued there: the waiting room is left
		r.events.push(r.now+back+3e9, evUser, ci, 0)
		return
	}
	c.pass, c.place = p, 0
	r.events.push(r.now+back, evUser, ci, 0)
}

// pass mints one, where the engine allows it.
func (r *run) pass(a netip.Addr, how deich.Earned) deich.Pass {
	if !r.engine.Mint(deich.Time(r.now), a, how) {
		return deich.Pass{}
	}
	return deich.Pass{ID: r.passes.Uint64() | 1, First: deich.Time(r.now), Days: 1, Earned: how}
}

// reply is the origin's answer on its way to the client.
func (r *run) reply(fi uint32) {
	f := &r.flights[fi]
	if ai, ok := f.attack(); ok {
		r.botServed(ai, f)
		r.land(fi)
		return
	}
	r.events.push(r.now+int64(r.clients[f.who].rtt)/2, evReply, fi, f.gen)
}

// receives is the answer at the client.
func (r *run) receives(fi uint32) {
	f := &r.flights[fi]
	c := &r.clients[f.who]
	g := &r.scenario.Groups[c.group]
	if f.lapse {
		r.again(fi)
		return
	}
	if f.fresh.ID != 0 && g.Kind != Program && c.pass.ID == 0 {
		c.pass, c.place = f.fresh, 0
	}
	if c.member && c.pass.ID != 0 && c.pass.Account == 0 {
		c.pass.Account, c.pass.Since = r.users.Uint64()|1, deich.Time(r.now)
	}
	r.stats.act(f, r.phaseAt(f.began))
	r.stats.delivered(r.phaseAt(f.began), f)
	if f.asset {
		r.open--
		r.stats.want(r.phaseAt(f.began), c, f.began, time.Duration(r.now-f.began), false, true)
		r.land(fi)
		return
	}
	if f.status == 401 {
		c.stale = false
	}
	who, load := f.who, g.Kind != Program && !c.loaded
	r.land(fi)
	r.settle(who, time.Duration(r.now-c.began))
	if load {
		c.loaded = true
		for range assets {
			r.send(who, routeAsset, true)
		}
	}
}

// abandoned is a request whose client has waited its five seconds.
func (r *run) abandoned(fi uint32) {
	f := &r.flights[fi]
	if _, ok := f.attack(); ok {
		return
	}
	r.sawMissed(f)
	if f.asset {
		r.lostAsset(f)
		return
	}
	pause := 1e9 + int64(2e9*r.users.Float64())
	if r.scenario.Groups[r.clients[f.who].group].Eager {
		pause = int64(eagerly)
	}
	r.events.push(r.now+pause, evUser, f.who, 0)
}

// again is an error page at the client.
func (r *run) again(fi uint32) {
	r.abandoned(fi)
	r.land(fi)
}

func (r *run) lostAsset(f *flight) {
	c := &r.clients[f.who]
	r.open--
	r.stats.want(r.phaseAt(f.began), c, f.began, 0, f.v.Refused(), false)
}

// settle ends a want: content after took, or, with zero, none within a minute.
func (r *run) settle(ci uint32, took time.Duration) {
	c := &r.clients[ci]
	if took > 0 && c.first == 0 {
		c.first = r.now
	}
	r.open--
	r.stats.want(r.phaseAt(c.began), c, c.began, took, c.denied || took == 0, took > 0)
	c.began = 0
	gap := int64(float64(r.scenario.Groups[c.group].Gap) * r.users.ExpFloat64())
	if r.scenario.Groups[c.group].Replay {
		gap = r.replayed(c)
	}
	if r.now+gap < c.leaves {
		r.events.push(r.now+gap, evUser, ci, 0)
	}
}

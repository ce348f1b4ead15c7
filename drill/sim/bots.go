package sim

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/deichproject/deich"
)

// raid is an attack under way.
type raid struct {
	spec   Attack
	from   int64
	to     int64
	count  uint64 // requests made: whose turn it is
	base   uint32 // number of its first address
	homes  []netip.Addr
	bots   []bot
	solver int64 // when its processors are free for the next proof
	visits int   // early visits made
}

// bot is a source that is remembered.
type bot struct {
	pass    deich.Pass
	place   uint64
	issued  int64
	solving bool
}

func (r *run) muster() {
	for i := range r.scenario.Attacks {
		a := r.scenario.Attacks[i]
		d := raid{spec: a, from: max(r.flood+int64(a.From), r.begins), to: r.floodEnd, base: r.addresses}
		if a.For > 0 {
			d.to = min(d.to, d.from+int64(a.For))
		}
		if a.Behind != "" {
			d.homes = r.homes[r.scenario.group(a.Behind)]
		} else if a.Operator {
			d.homes = make([]netip.Addr, a.Sources)
			for n := range d.homes {
				d.homes[n] = r.operated()
			}
		} else if a.As != "" {
			d.base = r.raids[r.scenario.attack(a.As)].base
		} else {
			r.addresses += uint32(a.Sources)
		}
		if a.remembered() {
			d.bots = make([]bot, a.Sources)
		}
		r.raids = append(r.raids, d)
		r.events.push(d.from, evShot, uint32(i), 0)
		if a.Visits > 0 {
			r.events.push(max(r.begins, r.flood-int64(a.Early)), evVisit, uint32(i), 0)
		}
	}
}

// source gives the address of an attack's source for its next request.
func (r *run) source(d *raid, n uint32) netip.Addr {
	switch {
	case d.homes != nil:
		return d.homes[int(n)%len(d.homes)]
	case d.spec.Networks > 0:
		b := [16]byte{0x2a, 0x0b}
		binary.BigEndian.PutUint32(b[2:], uint32(d.count%uint64(d.spec.Networks))*2654435761)
		binary.BigEndian.PutUint16(b[6:], uint16(r.foes.Uint32()))
		binary.BigEndian.PutUint64(b[8:], r.foes.Uint64())
		return netip.AddrFrom16(b)
	case d.spec.Hosted:
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], hostNet<<24|(n%hostNets)<<16|mix16(d.base+n))
		return netip.AddrFrom4(b)
	case d.spec.Dense:
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24|(d.base+n))
		return netip.AddrFrom4(b)
	}
	return address(d.base+n+1, false)
}

// mix16 spreads neighbours in number over a network.
func mix16(n uint32) uint32 { return (n * 2654435761) >> 16 }

// shot is the attack's next request, and the time of the one after.
func (r *run) shot(ai uint32) {
	d := &r.raids[ai]
	if r.now >= d.to {
		return
	}
	if on, off := int64(d.spec.On), int64(d.spec.Off); on > 0 {
		if phase := (r.now - d.from) % (on + off); phase >= on {
			r.events.push(r.now+on+off-phase, evShot, ai, 0)
			return
		}
	}
	rate := d.spec.Rate
	if d.spec.Ramp > 0 {
		rate *= min(max(float64(r.now-d.from)/float64(d.spec.Ramp), .01), 1)
	}
	r.events.push(r.now+int64(r.foes.ExpFloat64()/rate*1e9), evShot, ai, 0)
	if d.spec.Steals != "" && d.count == 0 {
		r.steal(d)
	}
	aim := aims[d.spec.Request]
	n := uint32(d.count % uint64(d.spec.Sources))
	if d.spec.Rotate {
		n = r.foes.Uint32N(uint32(d.spec.Sources))
	}
	route := aim.route
	if d.spec.Request == AimBrowse {
		route = pick(browserMix, r.foes.Float64())
	}
	r.fire(int(ai), n, route, int16(aim.status))
}

// visit is an early, well-behaved page of a source.
func (r *run) visit(ai uint32) {
	d := &r.raids[ai]
	all := d.spec.Sources * d.spec.Visits
	if d.visits >= all || r.now >= r.flood {
		return
	}
	n := uint32(d.visits % d.spec.Sources)
	d.visits++
	r.events.push(r.now+int64(d.spec.Early)/int64(all), evVisit, ai, 0)
	r.fire(int(ai), n, routeFront, 200)
}

func (r *run) fire(ai int, n uint32, route uint16, status int16) {
	d := &r.raids[ai]
	a := r.source(d, n)
	d.count++
	if r.now < r.starts {
		return
	}
	fi := r.launch()
	f := &r.flights[fi]
	f.kind, f.who, f.began, f.status = int16(-1-ai), n, r.now, status
	f.req.Client, f.req.Peer, f.req.Validated, f.req.Route = a, a, true, route
	f.req.Kind, f.req.Safe = routeKind(route)
	r.stats.sent(ai)
	if d.spec.Bearer {
		f.req.Credential = r.foes.Uint64() | 1
	}
	if d.bots != nil && (d.spec.Cookies || d.spec.Hashes > 0 || d.spec.Steals != "") {
		b := &d.bots[n]
		f.req.Pass = b.pass
		if b.place != 0 && r.now-b.issued < int64(ticketFor) {
			f.req.Place = b.place
		}
	}
	r.aimed(d, f, n)
	refused := r.refused.hit(a, deich.Time(r.now))
	r.cover(f, refused)
	if refused {
		r.sawGated(f)
		r.stats.dropped(ai)
		r.land(fi)
		return
	}
	r.judge(fi)
}

// steal hands the passes of some users to the bots.
func (r *run) steal(d *raid) {
	gi := uint8(r.scenario.group(d.spec.Steals))
	var loot []deich.Pass
	for i := range r.clients {
		if c := &r.clients[i]; c.group == gi && c.pass.ID != 0 && len(loot) < d.spec.Stolen {
			loot = append(loot, c.pass)
		}
	}
	for i := range d.bots {
		if len(loot) > 0 {
			d.bots[i].pass = loot[i%len(loot)]
		}
	}
}

// botRefused is what a bot makes of a refusal.
func (r *run) botRefused(ai int, f *flight) {
	r.stats.foe(ai, f)
	d := &r.raids[ai]
	if d.bots == nil {
		return
	}
	b := &d.bots[f.who]
	if d.spec.Cookies && f.v.Place != 0 && (b.place == 0 || r.now-b.issued >= int64(ticketFor)) {
		b.place, b.issued = f.v.Place, r.now
	}
	if f.v.Act != deich.Challenge || d.spec.Hashes == 0 || b.solving {
		return
	}
	start := max(r.now, d.solver)
	done := start + r.solving(f.v.Bits, d.spec.Hashes, r.foes)
	if time.Duration(done-r.now) > proofFor {
		return // the challenge would be stale by then
	}
	d.solver, b.solving = done, true
	r.events.push(done, evSolved, f.who, uint32(ai))
}

// solved is a bot's proof at the shield.
func (r *run) solved(n uint32, ai uint32) {
	d := &r.raids[ai]
	b := &d.bots[n]
	b.solving = false
	a := r.source(d, n)
	if r.refused.hit(a, deich.Time(r.now)) {
		return
	}
	if p := r.pass(a, deich.Proved); p.ID != 0 {
		b.pass, b.place = p, 0
		r.stats.farmed(int(ai))
	}
}

// botServed is what a bot makes of an answer.
func (r *run) botServed(ai int, f *flight) {
	r.stats.foe(ai, f)
	d := &r.raids[ai]
	if d.bots == nil || !d.spec.Cookies || f.fresh.ID == 0 {
		return
	}
	if b := &d.bots[f.who]; b.pass.ID == 0 {
		b.pass, b.place = f.fresh, 0
	}
}

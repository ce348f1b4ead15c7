package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/deichproject/deich"
)

// epoch is when every rehearsal begins: passes and days need a date.
const epoch = int64(1_790_000_000) * int64(time.Second)

// run is a simulation under way. Nothing in it knows the machine's clock.
type run struct {
	scenario Scenario
	engine   *deich.Engine // nil without one
	out      *deich.Out
	events   events
	now      int64
	begins   int64 // peace
	flood    int64
	floodEnd int64
	end      int64
	starts   int64 // the shield
	cleared  int64 // the bad weather

	// Draws are apart, so that what one part does leaves the others' alone.
	users  *rand.Rand
	foes   *rand.Rand
	passes *rand.Rand
	asked  *rand.Rand // what users' requests say

	world *world

	origin  *origin
	clients []client
	homes   [][]netip.Addr // by group
	raids   []raid
	flights []flight
	free    uint32
	places  places
	refused refused
	rules   rules
	causes  causes
	calm    lull
	line    ring // of the semaphore
	inside  int

	addresses uint32
	downward  uint32 // numbers of addresses in one operator's networks
	open      int    // users' requests that have not come to their end
	stats     *stats
	witness   Witness // nil: nobody looks
	trace     hash.Hash64
	record    [24]byte
	handled   uint64
	err       error
}

// Run rehearses a scenario. The same scenario and seed give the same report,
// but for how long it took; an error says what the scenario asks for that
// cannot be, or which promise the engine broke.
func Run(s Scenario, seed uint64) (Report, error) { return rehearsed(s, seed, nil) }

func rehearsed(s Scenario, seed uint64, w Witness) (Report, error) {
	began := time.Now()
	if err := s.Validate(); err != nil {
		return Report{}, err
	}
	r, err := newRun(s.defaults(), seed)
	if err != nil {
		return Report{}, err
	}
	r.witness = w
	r.loop()
	if r.err == nil {
		r.err = r.settled()
	}
	if r.err != nil {
		return Report{}, fmt.Errorf("sim: run %q with seed %d: at %v: %w", s.Name, seed, time.Duration(r.now-r.flood), r.err)
	}
	return r.report(seed, time.Since(began)), nil
}

func newRun(s Scenario, seed uint64) (*run, error) {
	draw := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	w, err := newWorld()
	if err != nil {
		return nil, err
	}
	r := &run{
		world: w, asked: draw(5),
		scenario: s, out: deich.NewOut(), free: noFlight, begins: epoch, now: epoch,
		users: draw(1), foes: draw(2), passes: draw(3), origin: newOrigin(s.Origin, draw(4)),
		refused: refused{by: make(map[uint64]int)}, trace: fnv.New64a(),
	}
	r.flood = r.begins + int64(s.Peace)
	r.floodEnd = r.flood + int64(s.Flood)
	r.end = r.floodEnd + int64(s.After)
	r.starts = r.begins
	if s.Start != 0 {
		r.starts = r.flood + int64(s.Start)
	}
	r.origin.since = r.now
	r.stats = newStats(r)
	if s.Control == Deich {
		var key [32]byte
		for i := range key {
			key[i] = byte(seed>>(i%8*8)) ^ byte(i)
		}
		e, err := deich.New(s.Policy, key)
		if err != nil {
			return nil, fmt.Errorf("sim: scenario %q: %w", s.Name, err)
		}
		r.engine = e
		if s.Crowd {
			e.ExpectCrowd(deich.Time(r.floodEnd))
		}
		r.places.slots = make([]held, e.Slots())
		r.events.push(r.starts, evTick, 0, 0)
		if s.Reload > 0 {
			r.events.push(r.flood+int64(s.Reload), evReload, 0, 0)
		}
	}
	r.events.push(r.flood+int64(s.Origin.At), evWeather, 1, 0)
	r.cleared = r.floodEnd
	if s.Origin.For > 0 {
		r.cleared = min(r.floodEnd, r.flood+int64(s.Origin.At+s.Origin.For))
	}
	r.events.push(r.cleared, evWeather, 0, 0)
	r.addresses = uint32(seed) // other seeds, other addresses
	r.welcome()
	r.register()
	r.muster()
	r.forecast()
	return r, nil
}

func (r *run) loop() {
	for len(r.events.heap) > 0 && r.err == nil {
		ev := r.events.pop()
		r.now = ev.at
		r.handled++
		switch ev.kind() {
		case evTick:
			r.tick()
		case evUser:
			r.asks(ev.who)
		case evProof:
			r.proves(ev.who)
		case evShot:
			r.shot(ev.who)
		case evVisit:
			r.visit(ev.who)
		case evSolved:
			r.solved(ev.who, ev.gen)
		case evOrigin:
			r.finishCPU()
		case evWeather:
			r.weather(ev.who == 1)
		case evAdopt:
			r.adopt()
		case evReload:
			r.reload()
		default:
			if f := &r.flights[ev.who]; f.gen == ev.gen {
				r.flies(ev)
			}
		}
	}
}

// flies is an event of a request under way.
func (r *run) flies(ev event) {
	switch ev.kind() {
	case evArrive:
		r.arrives(ev.who)
	case evGiveUp:
		r.giveUp(ev.who)
	case evReply:
		r.receives(ev.who)
	case evJob:
		if r.flights[ev.who].lapse {
			r.answered(ev.who, true)
		} else {
			r.finishIO(ev.who)
		}
	}
}

// settled checks the end: nobody holds a place, nobody waits.
func (r *run) settled() error {
	if r.open != 0 {
		return fmt.Errorf("%d users' requests never came to an end", r.open)
	}
	if r.places.placed != 0 || r.places.parked != 0 {
		return fmt.Errorf("%d places and %d queued tickets never ended", r.places.placed, r.places.parked)
	}
	return nil
}

func (r *run) fail(err error) {
	if err != nil {
		r.err = errors.Join(r.err, err)
	}
}

// phase gives the phase it is now; phaseAt the one of a time.
func (r *run) phase() int { return r.phaseAt(r.now) }

func (r *run) phaseAt(t int64) int {
	switch {
	case t < r.flood:
		return peace
	case t < r.floodEnd:
		return flood
	}
	return after
}

// note takes one decision or end into the trace: when, who, what, why, by which
// rule, and how it went (0 judged, 1 to 5 how it ended short of an answer, else
// the status).
func (r *run) note(f *flight, act deich.Act, why deich.Reason, how uint64) {
	b := &r.record
	at, who := uint64(r.now), uint64(uint16(f.kind))<<32|uint64(f.who)
	for i := range 8 {
		b[i] = byte(at >> (8 * i))
		b[8+i] = byte(who >> (8 * i))
	}
	b[16], b[17], b[18], b[19] = byte(act), byte(why), byte(how), byte(how>>8)
	binary.LittleEndian.PutUint32(b[20:], f.v.Rule)
	r.trace.Write(b[:]) // a hash returns no error
}

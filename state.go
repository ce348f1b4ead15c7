package deich

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"
)

// The saved state: a header, the histories of clients that earned trust, what
// is usual, and a checksum. It means something only to an engine with the same
// seed and table size, since the tables hold keyed hashes.
//
//	magic "deich" version | sources u32 | check u64 | n u32 | n × cell(set u32, tag u32, born u32, value u64)
//	  | since version 2: began, saved u64 | peace, good | rate, calm of what no rule explains
//	  | n u32 | n × origin | crc32
//
// A history is began u64, n u32 and n × (who u32, traits TraitsMax × u32); an
// origin its usual rates, 168 hours of a week, and the routes it is known by; since version 3
// also n u32 and n × segment(route u16, part f32, usual rates, 168 hours).
// Numbers with a fraction are IEEE 754, all are big endian.
const (
	stateMagic = "deich"
	stateOld   = 1 // clients alone
	stateWhole = 2 // origins as a whole, without their segments
	stateNow   = 3
	stateHead  = len(stateMagic) + 1 + 4 + 8 + 4
	stateCell  = 4 + 4 + 4 + 8

	// savedMost is how many sightings of each history are saved, evenly spread
	// over it: enough for a rule to deny by.
	savedMost = 4096
	// savedFresh is how old a state may be whose usual rates still count as of now;
	// of an older one only the week's hours do.
	savedFresh = 30 * time.Minute
	// savedAhead is how far ahead of now a state may have been saved. One of a clock that
	// was further ahead would have everybody known since a time that is yet to come.
	savedAhead = 10 * time.Minute
)

var (
	errState      = errors.New("deich: load: not a saved state, or cut off")
	errStateOther = errors.New("deich: load: saved under another seed or with another number of sources")
	errStateAhead = errors.New("deich: load: saved while the clock was ahead of what it says now")
)

// check tells engines with another seed apart without telling the seed.
func (e *Engine) check() uint64 { return e.key.Uint64(0x6465696368) }

// Save appends what must survive a restart to b: the histories of clients that
// earned trust, and what is usual (how much comes, by the hour of the week;
// what it looks like; what known clients are served with; how long answers take).
func (e *Engine) Save(b []byte) []byte {
	start := len(b)
	b = append(b, stateMagic...)
	b = append(b, stateNow)
	b = binary.BigEndian.AppendUint32(b, uint32(e.policy.Load().Sources))
	b = binary.BigEndian.AppendUint64(b, e.check())
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	n := uint32(0)
	e.past.cells.Each(func(set int, tag, born uint32, value uint64) bool {
		b = binary.BigEndian.AppendUint32(b, uint32(set))
		b = binary.BigEndian.AppendUint32(b, tag)
		b = binary.BigEndian.AppendUint32(b, born)
		b = binary.BigEndian.AppendUint64(b, value)
		n++
		return true
	})
	binary.BigEndian.PutUint32(b[at:], n)
	b = e.saveUsual(b)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

func (e *Engine) saveUsual(b []byte) []byte {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	b = binary.BigEndian.AppendUint64(b, uint64(e.began.Load()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.lastTick))
	b = e.watch.peace.save(b)
	b = e.watch.good.save(b)
	b = appendFloats(b, e.watch.usual, e.watch.calm.Seconds())
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.origins)))
	for i := range e.origins {
		b = e.origins[i].save(b)
	}
	return b
}

func appendFloats(b []byte, all ...float64) []byte {
	for _, x := range all {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

func (h *history) save(b []byte) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	b = binary.BigEndian.AppendUint64(b, uint64(h.began))
	n := min(len(h.all), savedMost)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	for i := range n {
		s := &h.all[i*len(h.all)/n]
		b = binary.BigEndian.AppendUint32(b, s.who)
		for _, v := range s.traits {
			b = binary.BigEndian.AppendUint32(b, v)
		}
	}
	return b
}

func (o *origin) save(b []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	b = appendFloats(b, o.adapt.usual)
	b = o.evidence.save(b)
	b = binary.BigEndian.AppendUint32(b, o.mean.Load())
	at, n := len(b), uint32(0)
	b = binary.BigEndian.AppendUint32(b, 0)
	for i := range o.routes {
		r := &o.routes[i]
		if r.calm.Load() < routeKnown {
			continue
		}
		n++
		b = binary.BigEndian.AppendUint16(b, uint16(i))
		b = binary.BigEndian.AppendUint32(b, r.base.Load())
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(r.alone))
		b = binary.BigEndian.AppendUint32(b, r.aloneN)
	}
	binary.BigEndian.PutUint32(b[at:], n)
	at, n = len(b), 0
	b = binary.BigEndian.AppendUint32(b, 0)
	for k := range o.segments {
		g := &o.segments[k]
		if g.route == 0 && k != 0 {
			continue
		}
		n++
		b = binary.BigEndian.AppendUint16(b, g.route)
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(o.routes[g.route].part))
		b = g.evidence.save(b)
	}
	binary.BigEndian.PutUint32(b[at:], n)
	return b
}

// save appends what is usual.
func (v *evidence) save(b []byte) []byte {
	b = appendFloats(b, v.usual, v.usualFor, v.usualHere, v.usualNo, v.usualErrors)
	for i := range v.week {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v.week[i].rate))
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v.week[i].learned))
	}
	return b
}

// Load takes over what Save gave, before the first request. At is the time now,
// and was says for each origin which it was as of Save, -1 for a new one; without
// it they are the same. On an error nothing was taken over. What an older version
// saved is loaded as far as it goes.
func (e *Engine) Load(b []byte, at Time, was ...int) error {
	if len(b) < stateHead+4 || string(b[:len(stateMagic)]) != stateMagic {
		return errState
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	version := body[len(stateMagic)]
	cells := body[stateHead:]
	most := uint64(binary.BigEndian.Uint32(body[stateHead-4:])) * uint64(stateCell)
	if crc32.ChecksumIEEE(body) != sum || version < stateOld || version > stateNow || most > uint64(len(cells)) {
		return errState
	}
	head := body[len(stateMagic)+1:]
	if binary.BigEndian.Uint32(head) != uint32(e.policy.Load().Sources) || binary.BigEndian.Uint64(head[4:]) != e.check() {
		return errStateOther
	}
	rest := saved{b: cells[most:]}
	var u usually
	if version != stateOld {
		u.read(&rest, version)
	}
	if rest.short || len(rest.b) != 0 {
		return errState
	}
	if u.saved > at.Add(savedAhead) || u.began > at.Add(savedAhead) {
		return errStateAhead
	}
	for cells = cells[:most]; len(cells) > 0; cells = cells[stateCell:] {
		e.past.cells.Put(int(binary.BigEndian.Uint32(cells)), binary.BigEndian.Uint32(cells[4:]),
			binary.BigEndian.Uint32(cells[8:]), binary.BigEndian.Uint64(cells[12:]))
	}
	if version != stateOld {
		e.take(&u, was)
	}
	return nil
}

// saved reads a state; short says that something was missing.
type saved struct {
	b     []byte
	short bool
}

func (s *saved) take(n int) []byte {
	if n > len(s.b) || s.short {
		s.short = true
		return make([]byte, 8)
	}
	b := s.b[:n]
	s.b = s.b[n:]
	return b
}

func (s *saved) u16() uint16  { return binary.BigEndian.Uint16(s.take(2)) }
func (s *saved) u32() uint32  { return binary.BigEndian.Uint32(s.take(4)) }
func (s *saved) u64() uint64  { return binary.BigEndian.Uint64(s.take(8)) }
func (s *saved) f32() float32 { return float32(s.sane(float64(math.Float32frombits(s.u32())))) }
func (s *saved) f64() float64 { return s.sane(math.Float64frombits(s.u64())) }

// sane takes what is no number for nothing.
func (s *saved) sane(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		s.short = true
		return 0
	}
	return x
}

// usually is what was usual, as read.
type usually struct {
	began, saved Time
	peace, good  past7
	usual, calm  float64
	origins      []usualOrigin
}

// past7 is a history of a week, as read.
type past7 struct {
	began Time
	all   []sighting
}

type usualOrigin struct {
	demand   float64
	whole    usualEvidence
	mean     uint32
	routes   []usualRoute
	segments []usualSegment
}

type usualEvidence struct {
	usual, usualFor, here, no, errors float64
	week                              [weekHours]hour
}

type usualSegment struct {
	route    uint16
	part     float32
	evidence usualEvidence
}

type usualRoute struct {
	route  uint16
	base   uint32
	alone  float32
	aloneN uint32
}

func (u *usually) read(s *saved, version byte) {
	u.began, u.saved = Time(s.u64()), Time(s.u64())
	u.peace.read(s)
	u.good.read(s)
	u.usual, u.calm = s.f64(), s.f64()
	n := s.u32()
	if n > OriginsMax {
		s.short = true
	}
	for range n {
		if s.short {
			return
		}
		var o usualOrigin
		o.demand = s.f64()
		o.whole.read(s)
		o.mean = math.Float32bits(s.f32())
		routes := s.u32()
		if routes > RoutesMax {
			s.short = true
		}
		for range routes {
			if s.short {
				return
			}
			r := usualRoute{s.u16(), math.Float32bits(s.f32()), s.f32(), min(s.u32(), aloneMost)}
			if r.route >= RoutesMax {
				s.short = true
			}
			o.routes = append(o.routes, r)
		}
		if version > stateWhole {
			o.readSegments(s)
		}
		u.origins = append(u.origins, o)
	}
}

func (o *usualOrigin) readSegments(s *saved) {
	n := s.u32()
	if n > SegmentsMax {
		s.short = true
	}
	for i := range n {
		if s.short {
			return
		}
		g := usualSegment{route: s.u16(), part: s.f32()}
		g.evidence.read(s)
		if g.route >= RoutesMax || (g.route == 0) != (i == 0) {
			s.short = true
		}
		o.segments = append(o.segments, g)
	}
}

func (u *usualEvidence) read(s *saved) {
	u.usual, u.usualFor, u.here, u.no, u.errors = s.f64(), s.f64(), s.f64(), s.f64(), s.f64()
	for i := range u.week {
		u.week[i] = hour{s.f32(), s.f32()}
	}
}

func (h *past7) read(s *saved) {
	h.began = Time(s.u64())
	n := s.u32()
	if n > historyMax {
		s.short = true
	}
	for range n {
		if s.short {
			return
		}
		x := sighting{who: s.u32()}
		for i := range x.traits {
			x.traits[i] = s.u32()
		}
		h.all = append(h.all, x)
	}
}

// take puts what was usual in force.
func (e *Engine) take(u *usually, was []int) {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	e.began.Store(int64(u.began))
	w := &e.watch
	w.peace.take(&u.peace)
	w.good.take(&u.good)
	for i := range w.marks {
		w.marks[i] = w.good.len()
	}
	w.usual, w.calm = u.usual, time.Duration(u.calm*float64(time.Second))
	for i := range e.origins {
		from := i
		if len(was) > 0 {
			from = -1
			if i < len(was) {
				from = was[i]
			}
		}
		if from >= 0 && from < len(u.origins) {
			e.origins[i].take(&u.origins[from], u.saved)
		}
	}
}

func (h *history) take(p *past7) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all, h.began = append(h.all[:0], p.all...), p.began
}

func (o *origin) take(u *usualOrigin, at Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.adapt.usual = u.demand
	o.evidence.take(&u.whole, at)
	o.mean.Store(u.mean)
	for _, s := range u.routes {
		r := &o.routes[s.route]
		r.seen.Store(routeKnown)
		r.calm.Store(routeKnown)
		r.base.Store(s.base)
		r.alone, r.aloneN = s.alone, s.aloneN
	}
	for k := range u.segments {
		s := &u.segments[k]
		g := &o.segments[k]
		g.evidence.take(&s.evidence, at)
		if k > 0 {
			g.route, g.evidence.fewest = s.route, lateLeast
			o.routes[s.route].segment.Store(uint32(k))
			o.routes[s.route].part = s.part
		}
	}
}

func (v *evidence) take(u *usualEvidence, at Time) {
	v.usual, v.usualFor, v.usualHere, v.usualNo, v.usualErrors = u.usual, u.usualFor, u.here, u.no, u.errors
	v.week, v.savedAt = u.week, at
}

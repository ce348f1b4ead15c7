package deich

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// sighting is what is kept of one request that was looked at.
type sighting struct {
	traits Traits
	who    uint32 // whose it was, by keyed hash
}

// The present: a sample of the last two seconds of requests that no rule in
// force explains, in four windows of half a second. Decide writes into the
// newest without a lock; Tick reads the others.
const (
	windows      = 4
	windowSpan   = 500 * time.Millisecond
	windowSample = 4096
)

type window struct {
	n     atomic.Uint32 // requests that came
	state [windowSample]atomic.Uint32
	seen  [windowSample]sighting
}

const (
	sightNone = iota
	sightBusy // being written or read
	sightHere
)

// put samples: the first windowSample requests all, the n-th later one with a
// chance of windowSample/n, in the place of another (Vitter, 1985).
func (w *window) put(r *Request, who uint32, key uint64) {
	n := w.n.Add(1) - 1
	i := n
	if n >= windowSample {
		x := (uint64(n)*0x9e3779b97f4a7c15 ^ key) * 0xd6e8feb86659fd93
		i = uint32((x >> 32) * uint64(n) >> 32)
		if i >= windowSample {
			return
		}
	}
	s := &w.state[i]
	if old := s.Load(); old == sightBusy || !s.CompareAndSwap(old, sightBusy) {
		return
	}
	w.seen[i].traits, w.seen[i].who = r.Traits, who
	s.Store(sightHere)
}

// take appends what was sampled.
func (w *window) take(to []sighting) []sighting {
	for i := range min(w.n.Load(), windowSample) {
		s := &w.state[i]
		if !s.CompareAndSwap(sightHere, sightBusy) {
			continue // being written
		}
		to = append(to, w.seen[i])
		s.Store(sightHere)
	}
	return to
}

func (w *window) reset() {
	for i := range min(w.n.Load(), windowSample) {
		w.state[i].CompareAndSwap(sightHere, sightNone)
	}
	w.n.Store(0)
}

// present is the windows with what Tick knows of them.
type present struct {
	windows [windows]window
	newest  atomic.Uint32
	turned  Time
	due     bool                   // a new window is to begin
	spans   [windows]time.Duration // how long each lasted
}

func (p *present) now() *window { return &p.windows[p.newest.Load()] }

// turn ends the newest window when it is time, and gives the oldest: it is to
// be the newest, once clear has emptied it.
func (p *present) turn(at Time) (oldest *window) {
	if p.turned == 0 {
		p.turned = at
	}
	span := at.Sub(p.turned)
	if span < windowSpan {
		return nil
	}
	p.spans[p.newest.Load()] = span
	p.turned, p.due = at, true
	return &p.windows[(p.newest.Load()+1)%windows]
}

// clear makes the oldest window the newest, where turn said so.
func (p *present) clear() {
	if !p.due {
		return
	}
	p.due = false
	next := (p.newest.Load() + 1) % windows
	p.windows[next].reset()
	p.spans[next] = 0
	p.newest.Store(next)
}

// gather gives what came in the last two seconds, and how many a second.
func (p *present) gather(to []sighting, at Time) ([]sighting, float64) {
	n, span := uint64(0), time.Duration(0)
	for i := range p.windows {
		w := &p.windows[i]
		if uint32(i) == p.newest.Load() {
			p.spans[i] = at.Sub(p.turned)
		}
		if p.spans[i] > 0 {
			to = w.take(to)
			n += uint64(w.n.Load())
			span += p.spans[i]
		}
	}
	return to, float64(n) / max(span.Seconds(), .1)
}

// A history is a sample of the past. It fills up at once, so that seconds of
// peace say something already, and then thins out, until what it holds spans
// historyKeep.
const (
	historyMax  = 32768
	historyKeep = 7 * 24 * time.Hour
	// historyTurn is how much of a window is kept at most, evenly spread: requests wait
	// while it is copied.
	historyTurn = 1024
	// trustPart: whoever is taken for good has been known for this part of the
	// time the engine has run, up to a day. So trust that is enough after ten
	// seconds of peace is not enough after a month.
	trustPart = 8
	trustMost = 24 * time.Hour
	// goodBurst and goodPart bound what one client says about what is good: so
	// many sightings at once, then one in this part of the history.
	goodBurst = 3
	goodPart  = 16
	// pendingMax is how many sightings of good clients may wait for their answer;
	// more are not taken.
	pendingMax = 64
)

type history struct {
	mu    sync.Mutex
	all   []sighting // of capacity historyMax, made at start
	began Time
	turn  uint64
	due   atomic.Int64 // no sighting is wanted before
	held  bool         // a synthesis reads it: nothing is added meanwhile
}

// init writes to all of its memory: the kernel gives a page when it is first written to,
// which takes as long as a request on some machines, and requests would wait for it.
func (h *history) init() {
	all := make([]sighting, historyMax)
	for i := range all {
		all[i].who = 1
	}
	h.all = all[:0]
}

func (h *history) wants(at Time) bool { return int64(at) >= h.due.Load() }

// add keeps one; key decides whose place it takes.
func (h *history) add(at Time, s *sighting, key uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held || !h.wants(at) {
		return
	}
	if h.began == 0 {
		h.began = at
	}
	if len(h.all) < historyMax {
		h.all = append(h.all, *s)
		return
	}
	x := (h.turn*0x9e3779b97f4a7c15 ^ key) * 0xd6e8feb86659fd93
	h.turn++
	h.all[x>>32%historyMax] = *s
	h.due.Store(int64(at.Add(min(at.Sub(h.began), historyKeep) / historyMax)))
}

// forget takes back what came after there were n: a flood's first moments.
// What is full has no room for so many that it would matter.
func (h *history) forget(n int) {
	h.mu.Lock()
	if n < len(h.all) && len(h.all) < historyMax && !h.held {
		h.all = h.all[:n]
	}
	h.mu.Unlock()
}

func (h *history) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

func (h *history) hold(on bool) {
	h.mu.Lock()
	h.held = on
	h.mu.Unlock()
}

// pending are the sightings of good clients whose answers have not come.
type pending struct {
	busy [pendingMax]atomic.Bool
	seen [pendingMax]sighting
	next atomic.Uint32
}

// take gives a place, or -1.
func (p *pending) take(r *Request, who uint32) int16 {
	i := p.next.Add(1) % pendingMax
	if !p.busy[i].CompareAndSwap(false, true) {
		return -1
	}
	p.seen[i].traits, p.seen[i].who = r.Traits, who
	return int16(i)
}

// drop gives a place back; i is one more than the place, 0 for none.
func (p *pending) drop(i int16) {
	if i != 0 {
		p.busy[i-1].Store(false)
	}
}

// watch is all that the engine looks at to describe a flood.
type watch struct {
	present  present
	peace    history // what came in peace
	good     history // what known clients were served with
	pending  pending
	came     atomic.Uint64 // requests since the last tick that no rule explains
	rate     float64       // of them a second, over a second
	usual    float64       // the same in peace, over five minutes
	calm     time.Duration // how much peace usual was learned from
	marks    [windows]int  // how much of good was known at the last turns of a window
	marked   int
	peaceful bool
}

func (w *watch) init() {
	w.peace.init()
	w.good.init()
}

func (w *watch) bytes() int {
	return int(unsafe.Sizeof(*w)) + 2*historyMax*int(unsafe.Sizeof(sighting{}))
}

// look samples a request that no rule explains.
func (w *watch) look(r *Request, addr, key uint64) {
	w.came.Add(1)
	w.present.now().put(r, uint32(addr>>32), key)
}

// tick learns what is usual, in peace alone: what is two seconds old and was
// followed by peace, lest a flood's beginning be taken for it.
func (w *watch) tick(at Time, dt float64, peace bool, key uint64) {
	came := float64(w.came.Swap(0)) / dt * ticksSecond
	w.rate += min(1, dt/ticksSecond) * (came - w.rate)
	if peace {
		span := time.Duration(dt * float64(TickEvery))
		w.calm = min(w.calm+span, usualOver)
		w.usual += min(1, float64(span)/float64(w.calm)) * (w.rate - w.usual)
	}
	old := w.present.turn(at)
	switch {
	case !peace && w.peaceful:
		w.good.forget(w.marks[w.marked%windows])
	case old != nil:
		w.marks[w.marked%windows] = w.good.len()
		w.marked++
	}
	w.peaceful = peace
	if old != nil && peace {
		n := min(old.n.Load(), windowSample)
		step := max(1, (n+historyTurn-1)/historyTurn)
		for i := uint32(0); i < n && w.peace.wants(at); i += step {
			if old.state[i].CompareAndSwap(sightHere, sightBusy) {
				w.peace.add(at, &old.seen[i], key)
				old.state[i].Store(sightHere)
			}
		}
	}
	w.present.clear()
}

const usualOver = 5 * time.Minute

// answered keeps the sighting of a good client that was served well.
func (w *watch) answered(at Time, i int16, well bool, key uint64) {
	if well {
		w.good.add(at, &w.pending.seen[i-1], key)
	}
	w.pending.drop(i)
}

// good says whether a client's requests say what is good: it has been known
// for a part of the time that the engine runs. Where there was no peace before
// the flood, whoever proved to be a person since has to do.
func (e *Engine) good(r *Request, s standing) bool {
	if !e.watch.good.wants(r.At) {
		return false
	}
	if s.age {
		// Under pressure an address alone says nothing: a flood may come from it too.
		return e.trusted(r, s) && (!s.here || e.peaceful())
	}
	return r.Pass.ID != 0 && r.Pass.Earned == Proved && !e.knewPeace()
}

// trusted says whether a client has been known for a part of the time that the
// engine runs: not just since the flood's first moments, in which some of it
// was still served.
func (e *Engine) trusted(r *Request, s standing) bool {
	began := Time(e.began.Load())
	return s.age && began != 0 && s.long >= min(r.At.Sub(began)/trustPart, trustMost)
}

// coldStart: an episode that began so early left no time to learn what is good.
const coldStart = 3 * time.Second

func (e *Engine) knewPeace() bool {
	began := Time(e.began.Load())
	for i := range e.origins {
		if since := Time(e.origins[i].since.Load()); since != 0 && since.Sub(began) < coldStart {
			return false
		}
	}
	return true
}

// sight notes a good client's request until its answer comes; each client says
// only so much.
func (e *Engine) sight(at Time, r *Request, v Verdict, sl *slot, principal uint64) {
	sl.sight = 0
	if !v.good {
		return
	}
	every := max(at.Sub(Time(e.began.Load()))/goodPart, time.Second)
	if e.budgets.Take(principal^saltGood, int64(at), every, goodBurst*every) > 0 {
		return
	}
	sl.sight = e.watch.pending.take(r, uint32(principal>>32)) + 1
}

// peaceful says whether no origin is under pressure or was lately.
func (e *Engine) peaceful() bool {
	for i := range e.origins {
		if e.origins[i].since.Load() != 0 {
			return false
		}
	}
	return true
}

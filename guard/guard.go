package guard

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// Options is what a Handler is made of. Engine, Next and Keys are needed.
type Options struct {
	// Engine decides.
	Engine *deich.Engine
	// Next is the way to the origin.
	Next http.Handler
	// NextLetsGo says that nothing behind Next touches its ResponseWriter once
	// ServeHTTP has returned, on no goroutine: then what it was made of is used again.
	NextLetsGo bool
	// Keys sign what clients carry.
	Keys *Keys
	// Config is guard's part of the configuration.
	Config Config
	// Origin says which of the engine's origins a request is for; nil: the first.
	Origin func(*http.Request) uint16
	// Addr gives the other end of the connection, the client behind configured
	// proxies, and whether a handshake was completed from the former. nil takes
	// both from RemoteAddr, with a handshake.
	Addr func(*http.Request) (peer, client netip.Addr, validated bool)
	// Secured says whether the client came by TLS, so that its cookies stay
	// there; nil: this connection's own.
	Secured func(*http.Request) bool
	// Fingerprint names the software of the client by its TLS (JA4); nil, or an
	// empty name, where nothing is known of it.
	Fingerprint func(*http.Request) string
	// Whence gives the operator of an address' network, by the number of its
	// autonomous system, and its country, two letters in a word: the first times
	// 256 and the second. What cannot be told is 0; another value may stand for
	// "not listed". It must be quick and not allocate; nil: neither can be told.
	Whence func(netip.Addr) (operator uint32, country uint16)
	// Standby writes what is kept of an earlier answer, where a reader would
	// otherwise be told to wait; false says that nothing is kept, and nothing
	// was written. nil: nothing ever is.
	Standby func(http.ResponseWriter, *http.Request) bool
	// Keeper keeps messages while the platform cannot take them; nil: nothing is kept.
	Keeper *Keeper
	// Drop makes the connection cost nothing more; nil aborts it.
	Drop func(*http.Request)
	// Orders and Events take what the engine hands out, at every tick; nil: ignored.
	Orders func([]deich.Order)
	Events func([]deich.Event)
	// Now gives the engine's time; nil: wall time read once, then monotonic.
	Now func() deich.Time
	// Log takes an entry after each request, refusals by sample. It must not block.
	Log func(Entry)
	// Alarm takes what needs an operator: the engine failed, keys do not
	// rotate. It must not block; nil: only counted.
	Alarm func(error)
}

// Handler asks the engine about every request and carries its verdict out. It
// is safe for concurrent use; Run must run beside it.
type Handler struct {
	engine  judge
	next    http.Handler
	letsGo  bool // next does
	keys    *Keys
	origin  func(*http.Request) uint16
	addr    func(*http.Request) (peer, client netip.Addr, validated bool)
	secured func(*http.Request) bool
	mark    func(*http.Request) string
	whence  func(netip.Addr) (uint32, uint16)
	drop    func(*http.Request)
	standby func(http.ResponseWriter, *http.Request) bool
	keeper  *Keeper
	orders  func([]deich.Order)
	events  func([]deich.Event)
	now     func() deich.Time
	log     func(Entry)
	alarm   func(error)

	set       atomic.Pointer[settings]
	routes    [deich.OriginsMax]atomic.Pointer[routes]
	pages     *pages
	plain     plain
	places    []place
	spare     *semaphores
	bodies    bodies
	spent     *sketch.Bloom
	proofs    atomic.Int32 // left until the next tick
	lines     atomic.Int32 // refusals that may be logged until the next tick
	silent    atomic.Int64 // refusals not logged since the last one that was
	counts    counts
	networks  networks
	missed    missed
	operators networks
	countries networks
	examples  examples
	visits    sync.Pool
	rooms     sync.Pool
	outs      sync.Pool
}

// New makes a Handler; nothing runs yet. Errors of the configuration come all
// at once, each a *deich.PolicyError.
func New(o Options) (*Handler, error) {
	if o.Engine == nil || o.Next == nil || o.Keys == nil {
		return nil, errors.New("guard: new: Engine, Next and Keys are needed")
	}
	return newHandler(o, carry(o.Engine))
}

func newHandler(o Options, engine judge) (*Handler, error) {
	set, err := newSettings(o.Config)
	if err != nil {
		return nil, err
	}
	pages, err := newPages()
	if err != nil {
		return nil, fmt.Errorf("guard: new: pages: %w", err)
	}
	h := &Handler{
		engine: engine, next: o.Next, letsGo: o.NextLetsGo, keys: o.Keys, origin: o.Origin, addr: o.Addr, secured: o.Secured, mark: o.Fingerprint, whence: o.Whence, drop: o.Drop, standby: o.Standby, keeper: o.Keeper,
		orders: o.Orders, events: o.Events, now: o.Now, log: o.Log, alarm: o.Alarm,
		pages:  pages,
		plain:  newPlain(),
		places: make([]place, engine.Slots()),
		spare:  newSemaphores(),
		spent:  sketch.NewBloom(spentMax*32, tokenLife),
		counts: newCounts(),
	}
	if h.origin == nil {
		h.origin = func(*http.Request) uint16 { return 0 }
	}
	if h.addr == nil {
		h.addr = remoteAddr
	}
	if h.secured == nil {
		h.secured = func(r *http.Request) bool { return r.TLS != nil }
	}
	if h.drop == nil {
		h.drop = func(*http.Request) { panic(http.ErrAbortHandler) }
	}
	if h.now == nil {
		h.now = clock()
	}
	h.networks.init(h.now(), networksMax)
	h.operators.init(h.now(), placesMax)
	h.countries.init(h.now(), placesMax)
	h.missed.init()
	for i := range h.routes {
		h.routes[i].Store(newRoutes(o.Keys.ring.Load().route))
	}
	h.visits.New = func() any { return new(visit) }
	h.rooms.New = func() any { return new(room) }
	h.outs.New = func() any { return &deich.Out{Wakes: make([]deich.Wake, 0, wakesPerCall)} }
	h.proofs.Store(proofsPerTick)
	h.lines.Store(refusalsPerTick)
	h.set.Store(set)
	return h, nil
}

// Swap puts a new configuration in force for the requests that come from now
// on. On an error nothing changes.
func (h *Handler) Swap(c Config) error {
	set, err := newSettings(c)
	if err != nil {
		return err
	}
	h.set.Store(set)
	return nil
}

// Explain opens the reference on a refusal; the error is ErrReference.
func (h *Handler) Explain(reference string) (Explanation, error) {
	return h.keys.ring.Load().explain(reference)
}

// Route says what a number of Request.Route stands for: a path, in which ids are
// all "*", and whether it is read or may change something. Empty where nobody was
// answered well there since the start.
func (h *Handler) Route(origin, route uint16) (shape string, safe bool) {
	if int(origin) >= len(h.routes) || route == 0 {
		return "", false
	}
	return h.routes[origin].Load().named(route)
}

// Save appends what must survive a restart beside the engine's own state: the
// numbers of the routes.
func (h *Handler) Save(b []byte) []byte {
	for i := range h.routes {
		b = h.routes[i].Load().save(b)
	}
	return b
}

// Load takes over what Save gave, before the first request; was says for each
// origin which it was as of Save, -1 for a new one, and without it they are the
// same. On an error nothing was taken over.
func (h *Handler) Load(b []byte, was ...int) error {
	var loaded [deich.OriginsMax]*routes
	for i := range loaded {
		var err error
		if loaded[i], b, err = loadRoutes(h.keys.ring.Load().route, b); err != nil {
			return err
		}
	}
	if len(b) != 0 {
		return errRoutes
	}
	for i := range loaded {
		if len(was) == 0 {
			h.routes[i].Store(loaded[i])
		} else if i < len(was) && was[i] >= 0 && was[i] < len(loaded) {
			h.routes[i].Store(loaded[was[i]])
		}
	}
	return nil
}

// ServeHTTP answers a request or hands it on to the origin.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := h.visits.Get().(*visit)
	v.begin(h, w, r)
	switch {
	case v.own():
		h.serveOwn(v)
	default:
		h.serve(v)
	}
	h.over(v)
}

// over lets a visit be used again, unless something behind may hold on to it: such a one
// is left to the collector.
func (h *Handler) over(v *visit) {
	if v.kept {
		return
	}
	v.end()
	h.visits.Put(v)
}

// serve judges a request that is meant for the origin.
func (h *Handler) serve(v *visit) {
	h.read(v)
	h.decide(v)
	if v.verdict.Rule != 0 {
		h.examples.note(v)
	}
	if v.verdict.Refused() {
		if h.keepInstead(v) {
			h.noteKept(v)
		} else {
			h.refuse(v)
		}
		v.letGo()
		return
	}
	h.admit(v)
}

func clock() func() deich.Time {
	start := time.Now()
	wall := deich.Time(start.UnixNano())
	return func() deich.Time { return wall.Add(time.Since(start)) }
}

func remoteAddr(r *http.Request) (peer, client netip.Addr, validated bool) {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv6Unspecified(), netip.IPv6Unspecified(), false
	}
	a := p.Addr().Unmap().WithZone("")
	return a, a, true
}

package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/edge/h1"
	"github.com/deichproject/deich/edge/h2"
	"github.com/deichproject/deich/guard"
	"github.com/quic-go/quic-go/http3"
)

// Options is what a Server is made of. Config.Sites, Engine and Keys are needed.
type Options struct {
	// Config is the edge's part of the configuration.
	Config Config
	// Guard is guard's part.
	Guard guard.Config
	// Engine decides.
	Engine *deich.Engine
	// Keys sign what clients carry.
	Keys *guard.Keys
	// Storage is the folder for issued certificates and their keys; needed where
	// a site has them issued. It is this process's alone.
	Storage string
	// Whence gives the operator and the country of an address' network, as
	// guard.Options has it; nil: they cannot be told.
	Whence func(netip.Addr) (operator uint32, country uint16)
	// Keeper keeps messages while a platform cannot take them; nil: nothing is kept.
	Keeper *guard.Keeper
	// Origins is how many origins the engine was made for; 0: as many as Config has.
	Origins int
	// Orders and Events take what the engine hands out, after the server itself
	// carried the orders out; nil: ignored.
	Orders func([]deich.Order)
	Events func([]deich.Event)
	// Now gives the engine's time; nil: wall time read once, then monotonic.
	Now func() deich.Time
	// Log takes notices for the operator; nil: none.
	Log *slog.Logger
}

// Server is one edge. Make it with New, run it with Start, end it with
// Shutdown. All methods are safe for concurrent use.
type Server struct {
	options Options
	now     func() deich.Time
	log     *slog.Logger
	state   atomic.Pointer[state]
	conns   *conns
	proxy   *proxy
	cache   *cache
	guard   *guard.Handler
	h1      *h1.Server
	h2      *h2.Server
	quic    *quicEdge // nil: no HTTP/3
	keeper  *keeper
	altSvc  []string // announces HTTP/3; nil: not
	secure  string   // port of the first TLS listener, for those sent on to it
	access  *accessLog
	notices *notices

	swap      sync.Mutex // one Swap at a time
	listeners []*listener
	cancel    context.CancelFunc
	running   sync.WaitGroup
	serving   atomic.Int64 // connections, by TCP; without those that are tunnels
	handed    chan handed  // to a goroutine that rests
	resting   atomic.Int64 // goroutines
	tls       *tls.Config
	accepting sync.WaitGroup
	ending    atomic.Bool
}

// New makes a server; nothing runs yet. Errors of the configuration come all
// at once, each a *deich.PolicyError.
func New(o Options) (*Server, error) {
	if o.Engine == nil || o.Keys == nil {
		return nil, errors.New("edge: new: Engine and Keys are needed")
	}
	o.Config = o.Config.Defaults()
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	if o.Origins == 0 {
		o.Origins = o.Config.OriginGroups()
	}
	s := &Server{options: o, now: o.Now, log: o.Log, handed: make(chan handed)}
	if s.now == nil {
		s.now = clock()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	st, err := newState(o.Config, nil, o.Origins)
	if err != nil {
		return nil, err
	}
	s.keeper = &keeper{storage: o.Storage, acme: o.Config.ACME, log: s.log}
	st.keeper = s.keeper
	st.inForce(nil)
	s.state.Store(st)
	s.conns = newConns(o.Config.Limits, s.now, o.Config.ProxyProtocol)
	s.conns.known = func(peer netip.Addr) bool { return o.Engine.Known(s.now(), peer) }
	s.notices = &notices{log: s.log}
	if err := s.makeHandlers(); err != nil {
		return nil, err
	}
	s.makeHTTP()
	if o.Config.quicWanted() {
		s.makeQUIC()
	}
	return s, nil
}

func (s *Server) makeHandlers() (err error) {
	if s.access, err = openAccessLog(s.options.Config, s.log); err != nil {
		return err
	}
	s.cache = newCache(s.options.Config.Limits.CacheBytes, s.state.Load, s.now, s.options.Engine.Pressed)
	s.proxy = &proxy{state: s.state.Load, via: viaName(rand.Uint64()), cache: s.cache, pressed: s.options.Engine.Pressed, fail: guard.Fail, streaming: guard.Streaming, unsent: guard.Unsent}
	s.guard, err = guard.New(guard.Options{
		Engine: s.options.Engine, Next: s.proxy, NextLetsGo: true, Keys: s.options.Keys, Config: s.options.Guard,
		Origin: s.origin, Addr: s.addr, Secured: s.secured, Fingerprint: fingerprintOf, Whence: s.options.Whence, Drop: s.drop, Standby: s.cache.standby, Keeper: s.options.Keeper, Orders: s.Refuse, Events: s.options.Events,
		Now: s.now, Log: s.access.logger(),
		Alarm: func(err error) { s.log.Error("guard", "alarm", err) },
	})
	if err != nil {
		s.access.close()
	}
	s.cache.guard, s.cache.proxy = s.guard, s.proxy
	return err
}

func (s *Server) makeHTTP() {
	c := s.options.Config
	handler, log := http.HandlerFunc(s.serve), s.notices.logger()
	s.h1 = &h1.Server{
		Handler: handler, LetsGo: true, HeaderBytes: c.Limits.HeaderBytes,
		ReadHeader: c.Timeouts.ReadHeader.Duration, Idle: c.Timeouts.Idle.Duration, Log: log,
	}
	s.h2 = &h2.Server{
		Handler: handler, StreamsMax: h2StreamsMax, HeaderBytes: c.Limits.HeaderBytes,
		Idle: c.Timeouts.Idle.Duration, Log: log,
	}
}

// connState keeps account of which connections wait for a request.
func (s *Server) connState(nc net.Conn, to http.ConnState) {
	c := unwrap(nc)
	if c == nil {
		return
	}
	switch to {
	case http.StateActive:
		c.began(nc)
	case http.StateIdle:
		s.settle(c, nc, false)
		c.waited(s.now())
	case http.StateHijacked:
		c.working()
	case http.StateClosed:
		s.settle(c, nc, true)
	}
}

// serve is where every request begins.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) { s.serveBy(s.guard, w, r) }

// serveBy hands on to next what is well formed and for a site of ours.
func (s *Server) serveBy(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if c := connOf(r); c != nil {
		c.came()
		if r.ProtoMajor == 2 {
			windows := newWindowed(w, c.moved)
			w = windows
			defer windows.rest()
		}
	}
	if looselyFramed(r) { // also where it is refused: what follows may be its body to others
		w.Header()["Connection"] = []string{"close"}
	}
	switch {
	// PRI is how HTTP/2 without TLS would begin, which is not spoken here (RFC 9113, 3.4).
	case r.Method == http.MethodConnect, r.Method == "PRI":
		s.refuse(w, r, http.StatusMethodNotAllowed)
		return
	case !plainTarget(r):
		s.refuse(w, r, http.StatusBadRequest)
		return
	}
	if r.TLS == nil && s.plain(w, r) {
		return
	}
	st := s.state.Load()
	site := st.site(r.Host)
	if site == nil {
		s.refuseName(w, r)
		return
	}
	s.announce(w, r)
	if !s.cache.serve(w, r, st, site) {
		next.ServeHTTP(w, r)
	}
}

// origin gives the engine's number of a request's platform.
func (s *Server) origin(r *http.Request) uint16 {
	if site := s.state.Load().site(r.Host); site != nil {
		return site.group.index
	}
	return 0
}

func (s *Server) addr(r *http.Request) (peer, client netip.Addr, validated bool) {
	_, client, _ = s.state.Load().addresses(r)
	if c := connOf(r); c != nil {
		return c.peer, client, true
	}
	if c := quicOf(r); c != nil {
		return c.peer(), client, true // by its handshake
	}
	return remoteOf(r), client, true
}

// secured says whether the client came by TLS, to here or to a trusted proxy.
func (s *Server) secured(r *http.Request) bool { return s.state.Load().scheme(r) == "https" }

// drop makes the connection of r cost nothing more: what its client sends is
// not read, and nothing is answered.
func (s *Server) drop(r *http.Request) {
	if c := quicOf(r); c != nil && !s.quic.conns.trusted(c.peer()) {
		c.end(http3.ErrCodeExcessiveLoad)
	}
	c := connOf(r)
	if c == nil || c.trusted {
		panic(http.ErrAbortHandler) // a proxy's connection carries others too
	}
	c.judge()
}

// Start listens on every address, and serves until Shutdown. It returns once
// all of them are open; on an error none is.
func (s *Server) Start(ctx context.Context) error {
	if err := s.listen(ctx); err != nil {
		return err
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.running.Go(func() { s.guard.Run(ctx) })
	s.running.Go(func() { s.house(ctx) })
	s.running.Go(func() { s.access.run() })
	s.running.Go(func() { s.cache.run(ctx, func(err error) { s.log.Error("cache", "alarm", err) }) })
	s.tls = s.tlsConfig()
	for _, l := range s.listeners {
		s.accepting.Go(func() { s.serveOn(ctx, l) })
	}
	if s.quic != nil {
		for _, socket := range s.quic.sockets {
			s.running.Go(func() { s.quic.run(socket) })
		}
	}
	return nil
}

// house does what is due each second.
func (s *Server) house(ctx context.Context) {
	ticker := time.NewTicker(houseEvery)
	defer ticker.Stop()
	var counts []deich.Count
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.dismiss()
			s.conns.tick(s.options.Config.Timeouts.ReadHeader.Duration)
			if n := s.conns.silent.Swap(0); n > 0 {
				s.log.Warn("edge: a trusted proxy did not begin with a PROXY protocol header", "proxy", s.conns.silentBy.Load(), "connections", n)
			}
			if s.quic != nil {
				s.quic.conns.tick(s.options.Config.Timeouts.Idle.Duration)
			}
			if counts = s.conns.orders.collect(s.now(), counts[:0]); len(counts) > 0 {
				s.options.Engine.Seen(s.now(), counts)
				s.guard.Seen(counts)
			}
			s.options.Engine.Connected(s.now(), s.conns.empties.tell())
			for _, g := range s.state.Load().groups {
				g.prune(now, false)
			}
			s.conns.debts.sweep(s.now())
			s.h2.Tick()
			s.cache.callIn()
			s.notices.second()
		}
	}
}

// Addrs gives where the server listens, after Start.
func (s *Server) Addrs() []net.Addr {
	var all []net.Addr
	for _, l := range s.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// Guard gives the guard that asks the engine about every request.
func (s *Server) Guard() *guard.Handler { return s.guard }

// Refuse carries orders out: new connections of their sources are refused at
// accept, and open ones stalled as soon as they send anything.
func (s *Server) Refuse(list []deich.Order) {
	s.conns.refuse(list)
	if s.options.Orders != nil {
		s.options.Orders(list)
	}
}

// Swappable gives an error for everything of a configuration that cannot change while
// running, all of it, and changes nothing. Swap refuses that, too, and files that it
// cannot read.
func (s *Server) Swappable(c Config) error {
	c = c.Defaults()
	err := c.fixed(s.state.Load().config)
	if c.OriginGroups() > s.options.Origins {
		err = errors.Join(err, noRoom(s.options.Origins))
	}
	return err
}

// Swap puts sites, origins, certificates, trust, timeouts towards origins and
// the guard's configuration in force for the requests that come from now on.
// No connection is dropped, and the access log is opened anew. What cannot
// change while running is an error, and then nothing changes.
func (s *Server) Swap(c Config, g guard.Config) error {
	s.swap.Lock()
	defer s.swap.Unlock()
	c = c.Defaults()
	old := s.state.Load()
	if err := errors.Join(c.Validate(), c.fixed(old.config)); err != nil {
		return err
	}
	st, err := newState(c, old, s.options.Origins)
	if err != nil {
		return err
	}
	st.keeper = s.keeper
	defer func() { s.keeper.release(s.state.Load().config) }() // of whichever is in force by then
	if err := s.keeper.swap(c, s.listeners, st.files); err != nil {
		return errors.Join(err, s.keeper.swap(old.config, s.listeners, old.files))
	}
	if err := s.guard.Swap(g); err != nil {
		return errors.Join(err, s.keeper.swap(old.config, s.listeners, old.files))
	}
	s.state.Store(st)
	st.inForce(old)
	s.access.reopen()
	return nil
}

// Shutdown stops listening, lets every request end, and closes what is left
// when ctx ends; then its error is returned. Tunnels and streams of events end
// once they are silent. Nothing runs afterwards.
func (s *Server) Shutdown(ctx context.Context) error {
	draining, drained := context.WithCancel(ctx)
	defer drained()
	s.running.Go(func() { s.proxy.lasting.drain(draining) })
	for _, g := range s.state.Load().groups {
		g.forsake() // nobody is to be kept out for who has gone
	}
	// Both at once: one must not use up the other's time.
	byQUIC := make(chan error, 1)
	go func() { byQUIC <- s.quic.shutdown(ctx) }()
	err := errors.Join(s.drain(ctx), <-byQUIC)
	if err != nil {
		err = fmt.Errorf("edge: shutdown: %w", err)
	}
	s.drainTunnels(ctx)
	drained()
	s.conns.abortAll()
	if s.cancel != nil {
		s.cancel()
	}
	s.keeper.stop(ctx)
	for _, g := range s.state.Load().groups {
		g.retire()
	}
	s.access.close()
	s.running.Wait()
	return err
}

// drainTunnels waits for tunnels, which are nobody's connections any more.
func (s *Server) drainTunnels(ctx context.Context) {
	ticker := time.NewTicker(shutdownPoll)
	defer ticker.Stop()
	for s.proxy.tunnels.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func clock() func() deich.Time {
	start := time.Now()
	wall := deich.Time(start.UnixNano())
	return func() deich.Time { return wall.Add(time.Since(start)) }
}

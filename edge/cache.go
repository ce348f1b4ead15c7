package edge

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

// cache answers readers who are nobody in particular from memory, where the
// origin cannot or need not: see docs/internals/cache.md.
//
// It stands in front of the guard, where it is asked first, and behind it,
// where answers come in. Safe for concurrent use.
type cache struct {
	store   *store
	state   func() *state
	now     func() deich.Time
	pressed func(origin uint16) (pressure, down bool)
	guard   *guard.Handler
	proxy   *proxy

	errands  chan errand
	watchers watchers
	pace     pace
	inHand   atomic.Int64 // bytes that watchers may collect
	records  records
	loans    loans
	busy     atomic.Int64 // errands sent and not done
	waiting  atomic.Int64 // for others' answers
	credit   atomic.Int64 // for copies, in requests of readers
	counts   cacheCounts
}

// CacheCounters say what the cache did since the start.
type CacheCounters struct {
	Hits      uint64 `json:"hits"`      // answered from memory, fresh
	Stale     uint64 `json:"stale"`     // answered from memory, no longer fresh
	Standby   uint64 `json:"standby"`   // of these, instead of a page that says to wait
	Collapsed uint64 `json:"collapsed"` // answered by another's answer
	Misses    uint64 `json:"misses"`    // went on to the origin for all
	Renewals  uint64 `json:"renewals"`  // fetched anew beside the requests
	Copies    uint64 `json:"copies"`    // fetched in peace, to be held
	Stored    uint64 `json:"stored"`    // answers put into memory
	Bytes     int64  `json:"bytes"`     // held now
	Keys      int    `json:"keys"`      // held now
}

type cacheCounts struct {
	hits, stale, standby, collapsed, misses, renewals, copies, stored atomic.Uint64
}

// CacheCounters takes a snapshot.
func (s *Server) CacheCounters() CacheCounters {
	c := &s.cache.counts
	out := CacheCounters{
		Hits: c.hits.Load(), Stale: c.stale.Load(), Standby: c.standby.Load(), Collapsed: c.collapsed.Load(),
		Misses: c.misses.Load(), Renewals: c.renewals.Load(), Copies: c.copies.Load(), Stored: c.stored.Load(),
	}
	out.Bytes, out.Keys = s.cache.store.size()
	return out
}

func newCache(bytes int, state func() *state, now func() deich.Time, pressed func(uint16) (bool, bool)) *cache {
	c := &cache{store: newStore(int64(bytes)), state: state, now: now, pressed: pressed, errands: make(chan errand, fetchQueue)}
	c.credit.Store(copyBurst * copyShare)
	return c
}

// trouble is why an answer may be given that the origin did not just make.
type trouble struct{ pressure, down bool }

// reading is a request that may be answered from memory.
type reading struct {
	st      *state
	site    *site
	r       *http.Request
	key     []byte
	trouble trouble
	now     deich.Time
	entry   *entry   // what is kept for it; nil: nothing
	names   []string // the headers that are known to select
}

// serve answers a request, or sees to it that it is answered; false leaves it
// to the guard as it is. In peace it costs two loads, unless the site is
// cached always.
func (c *cache) serve(w http.ResponseWriter, r *http.Request, st *state, s *site) bool {
	if s.cache == cacheOff || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	rd := reading{st: st, site: s, r: r}
	rd.trouble.pressure, rd.trouble.down = c.pressed(s.group.index)
	if s.cache != cacheAlways && rd.trouble == (trouble{}) || !st.anonymous(r, s) {
		return false
	}
	var buf [512]byte
	alone := c.look(&rd, buf[:0])
	switch c.use(&rd) {
	case useFresh:
		c.hit(w, &rd, false)
		return true
	case useStale:
		c.hit(w, &rd, true)
		return true
	case useRenewing:
		if s.cache == cacheWitnessed && c.askOrGive(w, &rd) {
			return true
		}
		c.renew(&rd)
		c.hit(w, &rd, true)
		return true
	}
	if s.cache == cacheWitnessed {
		return c.standsBy(&rd) && c.askOrGive(w, &rd)
	}
	if r.Method == http.MethodHead || len(r.Header["Range"]) > 0 || rd.now < alone || rd.trouble.down && rd.entry == nil {
		return false
	}
	return c.ask(w, &rd)
}

// look finds what is kept for a request.
func (c *cache) look(rd *reading, buf []byte) (alone deich.Time) {
	rd.now = c.now()
	rd.key = appendKey(buf, rd.site, rd.st.scheme(rd.r), rd.r.Host, rd.r)
	if rd.site.cache == cacheWitnessed {
		if !c.store.knows(rd.key) {
			return 0 // what the request looks like need not be read
		}
		if p, ok := c.printsOf(rd); ok {
			rd.entry = c.store.witnessed(rd.key, p, rd.now)
		}
		return 0
	}
	rd.entry, rd.names, alone = c.store.find(rd.key, rd.r.Header)
	return alone
}

// use is what may be done with what is kept.
type use uint8

const (
	useNot      use = iota // the origin is to be asked
	useFresh               // it is as good as the origin's own
	useStale               // it may be given, and that is enough
	useRenewing            // it may be given, and the origin is to be asked beside
)

func (c *cache) use(rd *reading) use {
	e, t := rd.entry, rd.trouble
	held := copyHeld
	if e != nil {
		held = e.heldAt(rd.now)
	}
	switch {
	case e == nil:
		return useNot
	case e.fresh(rd.now):
		return useFresh
	case e.whileRevalidate(rd.now), t.down && e.ifError(rd.now):
		return useRenewing
	case e.forbidsStale():
		return useNot
	case t.down && rd.site.group.health.outlives(e.got, rd.now):
		return useRenewing
	case t.pressure && held <= pressureFresh:
		return useStale
	case t.pressure && held <= pressureStale:
		return useRenewing
	}
	return useNot
}

// hit gives what is kept, by the guard's leave.
func (c *cache) hit(w http.ResponseWriter, rd *reading, stale bool) {
	how := hitHow(rd, stale)
	if stale {
		c.counts.stale.Add(1)
	} else {
		c.counts.hits.Add(1)
	}
	c.guard.ServeKept(w, rd.r, func(w http.ResponseWriter) { c.give(w, rd.r, rd.entry, how) })
}

// askOrGive lets one reader a second ask the origin as themselves, by whose answer
// it is seen what others are to get; where there is no place, they are given what
// is kept. Of an origin that was down and has just answered more may ask. False:
// it is another one's turn, or the origin is silent.
func (c *cache) askOrGive(w http.ResponseWriter, rd *reading) bool {
	g := rd.site.group
	if rd.r.Method != http.MethodGet || asksPart(rd.r.Header) {
		return false // whose answer would not show it
	}
	if rd.trouble.down && !g.health.answers() || !g.renewals.has(rd.now, renewalsMax) || !rd.trouble.down && !rd.entry.renew(rd.now) {
		return false
	}
	g.renewals.n.Add(1)
	c.counts.renewals.Add(1)
	c.guard.ServeOrKept(w, rd.r, func(w http.ResponseWriter) {
		c.counts.stale.Add(1)
		c.give(w, rd.r, rd.entry, hitHow(rd, true))
	})
	return true
}

// Standby gives what is kept to a reader who would otherwise be told to wait:
// not only what is fresh, but what was read in the last minute.
func (c *cache) standby(w http.ResponseWriter, r *http.Request) bool {
	st := c.state()
	s := st.site(r.Host)
	if s == nil || s.cache == cacheOff || !st.anonymous(r, s) {
		return false
	}
	rd := reading{st: st, site: s, r: r}
	rd.trouble.pressure, rd.trouble.down = c.pressed(s.group.index)
	var buf [512]byte
	c.look(&rd, buf[:0])
	if !c.standsBy(&rd) {
		return false
	}
	c.counts.standby.Add(1)
	stale := !rd.entry.fresh(rd.now)
	if stale {
		c.counts.stale.Add(1)
	}
	c.give(w, r, rd.entry, hitHow(&rd, stale))
	return true
}

// standsBy says whether what is kept serves where the origin gave no answer.
func (c *cache) standsBy(rd *reading) bool {
	e := rd.entry
	return e != nil && (e.fresh(rd.now) || e.ifError(rd.now) || e.whileRevalidate(rd.now) ||
		!e.forbidsStale() && rd.site.group.health.outlives(e.got, rd.now))
}

// planKey is for the context of a request whose answer is for all.
type planKey struct{}

func planOf(r *http.Request) *plan {
	p, _ := r.Context().Value(planKey{}).(*plan)
	return p
}

// planned gives the request with its plan.
func planned(ctx context.Context, r *http.Request, p *plan) *http.Request {
	return r.WithContext(context.WithValue(ctx, planKey{}, p))
}

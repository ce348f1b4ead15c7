package edge

import (
	"context"
	"fmt"
	"net/http"
	"sync"
)

// errand is a request of the cache's own: to renew what is kept, or in peace
// for a copy. It bears nothing of the reader who occasioned it but what selects
// the answer, so that the copy is nobody's.
type errand struct {
	plan    *plan
	request *http.Request
}

// run makes the cache's own requests until ctx ends.
func (c *cache) run(ctx context.Context, alarm func(error)) {
	var all sync.WaitGroup
	for range fetchersMax {
		all.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case e := <-c.errands:
					c.fetch(ctx, e, alarm)
				}
			}
		})
	}
	all.Wait()
}

func (c *cache) fetch(ctx context.Context, e errand, alarm func(error)) {
	defer c.busy.Add(-1)
	group := e.plan.site.group
	defer group.fetching.Add(-1)
	if group.fetching.Add(1) > fetchersOf {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	defer func() {
		// What ends a handler's request abruptly is no news here.
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			alarm(fmt.Errorf("edge: cache: fetch: panic: %v", p))
		}
	}()
	c.guard.Fetch(nowhere{}, planned(ctx, e.request, e.plan), group.index)
}

// send lets an errand be run, if there is room among those that wait.
func (c *cache) send(r *http.Request, p *plan) bool {
	h := make(http.Header, len(p.names))
	if p.whole {
		h = r.Header.Clone()
		for _, name := range [...]string{"Cookie", "Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
			delete(h, name)
		}
	}
	for _, name := range p.names {
		if v := selecting(name, r.Header); v != "" {
			h[name] = []string{v}
		}
	}
	own := &http.Request{
		Method: http.MethodGet, URL: r.URL, Host: r.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	c.busy.Add(1)
	select {
	case c.errands <- errand{p, own}:
		return true
	default:
		c.busy.Add(-1)
		return false
	}
}

// renew fetches anew what is being given, beside the request that was given it.
// Of a site whose copies are witnessed nothing is taken in: there it is how an
// outage's end is noticed.
func (c *cache) renew(rd *reading) {
	if rd.site.cache == cacheWitnessed && !rd.trouble.down || !rd.entry.renew(rd.now) {
		return
	}
	p := &plan{
		site: rd.site, key: append([]byte(nil), rd.key...), scheme: rd.st.scheme(rd.r), names: rd.names,
		whole: rd.site.trustVary, stale: validated(rd.entry),
	}
	if rd.site.cache == cacheWitnessed {
		p.whole, p.stale = false, nil
	}
	if c.send(rd.r, p) {
		c.counts.renewals.Add(1)
	}
}

// notice looks at what a reader was just given in peace, and sends for a copy
// where there is none of late: the reader's own answer may depend on what only
// they sent. Copies cost the origin at most one request in copyShare.
func (c *cache) notice(st *state, s *site, r *http.Request, resp *http.Response) {
	if s.cache != cachePressure || r.Method != http.MethodGet || !understood(resp.StatusCode) ||
		resp.ContentLength > c.store.entryMax() || len(resp.Trailer) > 0 || !st.anonymous(r, s) {
		return
	}
	if credit := c.credit.Load(); credit < copyBurst*copyShare {
		c.credit.Add(1)
	}
	if c.credit.Load() < copyShare {
		return
	}
	if pressure, down := c.pressed(s.group.index); pressure || down {
		return
	}
	control := parseControl(resp.Header["Cache-Control"])
	if !shareable(resp.StatusCode, resp.Header, &control) || control.noCache || control.mustRevalidate ||
		control.sharedMaxAge >= 0 && control.ifError < 0 {
		return
	}
	names, ok := varyOf(resp.Header)
	if !ok {
		return
	}
	var buf [512]byte
	scheme := st.scheme(r)
	key := appendKey(buf[:0], s, scheme, r.Host, r)
	if !c.store.wantsCopy(key, c.now()) {
		return
	}
	c.credit.Add(-copyShare)
	p := &plan{
		site: s, key: append([]byte(nil), key...), scheme: scheme, names: names, whole: s.trustVary,
		like: &answerLike{resp.StatusCode, first(resp.Header, "Content-Type")},
	}
	if c.send(r, p) {
		c.counts.copies.Add(1)
	}
}

// nowhere takes an answer that nobody reads.
type nowhere struct{}

func (nowhere) Header() http.Header         { return make(http.Header) }
func (nowhere) WriteHeader(int)             {}
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) Flush()                      {}

package edge

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/deichproject/deich"
)

// plan is for a request whose answer is for all who want the same.
type plan struct {
	site    *site
	request *http.Request // as the client sent it; nil: it is the cache's own
	key     []byte
	scheme  string
	names   []string // the headers that reach the origin, since they select
	whole   bool     // all of them do: the site's Vary is trusted
	stale   *entry   // what the origin is asked about; nil: nothing
	why     string   // it was not answered from memory, in the words of RFC 9211
	like    *answerLike
	flight  *flight

	asked   deich.Time
	reached bool // the guard let it by
	moved   bool // a reload came between: what comes is not what the key stands for
	landed  bool
}

// answerLike is what a copy must have in common with the answer that a reader got.
type answerLike struct {
	status int
	kind   string // Content-Type
}

// cacheAgent is who asks the origin on behalf of several.
const cacheAgent = "Deich (one request for several readers)"

// dress makes the request for the origin: it says nothing that another reader,
// who is to get the same answer, might not have said.
func (p *plan) dress(x *exchange, s *site, now deich.Time) {
	p.reached, p.asked, p.moved = true, now, s.kept != p.site.kept
	var h http.Header
	if p.whole {
		h = x.r.Header.Clone()
		delete(h, "Cookie")
	} else {
		h = make(http.Header, len(p.names)+2)
		h["User-Agent"] = []string{cacheAgent}
		for _, name := range p.names {
			delete(h, name)
			if v := selecting(name, x.r.Header); v != "" {
				h[name] = []string{v}
			}
		}
	}
	if !p.whole || p.request == nil {
		x.head.shared = p.scheme
	}
	x.head.upgrade = ""
	if p.moved {
		p.stale = nil // that is the old platform's: another one may call what it has the same
	}
	if p.stale != nil {
		p.askAbout(h)
	}
	x.r = x.r.WithContext(x.r.Context())
	x.r.Header = h
}

// askAbout makes a request conditional on what is kept (RFC 9111, 4.3.1).
func (p *plan) askAbout(h http.Header) {
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		delete(h, name)
	}
	if p.stale.etag != "" {
		h["If-None-Match"] = []string{p.stale.etag}
	}
	if p.stale.modified != "" {
		h["If-Modified-Since"] = []string{p.stale.modified}
	}
}

// settle tells those who wait what came; nil: nothing that is for them.
func (p *plan) settle(e *entry) {
	if p.flight == nil || p.landed {
		return
	}
	p.landed = true
	if e != nil && e.control.noCache {
		e = nil
	}
	p.flight.end(e)
}

// land ends the flight, whatever became of the request.
func (p *plan) land() {
	if p.reached {
		p.settle(nil)
	} else {
		p.flight.pass()
	}
}

// share takes an answer in for all, and gives it to the one who asked.
func (c *cache) share(x *exchange, p *plan, buf []byte) {
	resp, now := x.resp, c.now()
	header := make(http.Header, len(resp.Header))
	copyEndToEnd(header, resp.Header)
	if resp.StatusCode == http.StatusNotModified && p.stale != nil {
		c.shareHeld(x, p, header, now)
		return
	}
	if c.covers(x, p) {
		c.proxy.fail(x.w, x.r, deich.OriginDown)
		return
	}
	e := c.entryOf(x, p, header, now)
	if e == nil {
		if resp.StatusCode != http.StatusNotModified && resp.StatusCode < 500 {
			c.store.lonely(p.key, now.Add(aloneFor))
		}
		p.settle(nil)
		c.forward(x, p, buf, "")
		return
	}
	if resp.ContentLength < 0 && resp.Body != http.NoBody {
		c.shareStream(x, p, e, buf)
		return
	}
	if !c.keeps(resp.ContentLength) {
		p.settle(nil)
		c.forward(x, p, buf, "")
		return
	}
	if resp.ContentLength > 0 {
		e.body = make([]byte, resp.ContentLength)
		if _, err := io.ReadFull(resp.Body, e.body); err != nil {
			c.proxy.failed(x, err)
			return
		}
		e.size += resp.ContentLength
	}
	x.complete = true
	x.finish()
	c.put(p, e)
	c.answer(x, p, e, "; fwd-status="+statusText(e.status)+"; stored")
}

// shareHeld is for the origin's word that what is kept still holds.
func (c *cache) shareHeld(x *exchange, p *plan, header http.Header, now deich.Time) {
	x.complete = true
	x.finish()
	e := p.stale.freshened(header, p.asked, now)
	stored := ""
	if shareable(e.status, e.header, &e.control) {
		c.put(p, e)
		stored = "; stored"
	}
	c.answer(x, p, e, "; fwd-status=304"+stored)
}

// shareStream is for an answer whose length is not known: it is handed on as it comes.
func (c *cache) shareStream(x *exchange, p *plan, e *entry, buf []byte) {
	rec := c.records.begin(x.resp.Body, c.store.entryMax())
	x.resp.Body = rec
	defer c.records.end(rec) // also where the answer breaks off
	c.forward(x, p, buf, "; stored")
	body, whole := c.records.end(rec)
	if whole && len(x.resp.Trailer) == 0 && c.keeps(int64(len(body))) {
		e.body = body
		e.size += int64(len(body))
		c.put(p, e)
	}
}

func (c *cache) put(p *plan, e *entry) {
	if p.moved {
		p.settle(nil)
		return
	}
	c.counts.stored.Add(1)
	c.store.put(p.key, e)
	p.settle(e)
}

// answer gives what came to the one who asked.
func (c *cache) answer(x *exchange, p *plan, e *entry, more string) {
	if p.request == nil {
		x.w.WriteHeader(e.status)
		return
	}
	c.give(x.w, p.request, e, how{status: "fwd=" + p.why + more})
}

// forward hands an answer on as it is.
func (c *cache) forward(x *exchange, p *plan, buf []byte, more string) {
	said := x.resp.Header["Cache-Status"]
	x.resp.Header["Cache-Status"] = append(said[:len(said):len(said)],
		"deich; fwd="+p.why+"; fwd-status="+statusText(x.resp.StatusCode)+more)
	c.proxy.forward(x, buf)
}

func statusText(status int) string {
	return string([]byte{byte('0' + status/100%10), byte('0' + status/10%10), byte('0' + status%10)})
}

// entryOf makes an entry, without its body, of an answer that may and should be
// kept; nil of others.
func (c *cache) entryOf(x *exchange, p *plan, header http.Header, now deich.Time) *entry {
	resp := x.resp
	endless := resp.ContentLength < 0 && !slices.Contains(resp.TransferEncoding, "chunked") // its end proves nothing
	if p.site.cache == cacheWitnessed {
		return nil // nobody read it
	}
	if len(resp.Trailer) > 0 {
		return nil // they were taken out of its header
	}
	if resp.ContentLength > c.store.entryMax() || endless && resp.Body != http.NoBody {
		return nil
	}
	if like := p.like; like != nil && (like.status != resp.StatusCode || like.kind != first(resp.Header, "Content-Type")) {
		return nil
	}
	e := newEntry(resp.StatusCode, header, nil, p.asked, now)
	vary, ok := varyOf(header)
	if !ok || !shareable(e.status, header, &e.control) || !e.worthKeeping(now) {
		return nil
	}
	e.names = vary
	if !p.whole {
		for _, name := range p.names {
			// What is not encoded suits whoever accepts whichever codings; and
			// their few names carry nothing into a page.
			plain := name == "Accept-Encoding" && header["Content-Encoding"] == nil
			if !plain && !slices.Contains(e.names, name) {
				e.names = append(e.names, name)
			}
		}
		slices.Sort(e.names)
	}
	e.selects = string(appendSelection(nil, e.names, x.r.Header))
	return e
}

// worthKeeping says whether an answer can ever serve: fresh, by the origin's
// word that it holds, or where the origin gives none.
func (e *entry) worthKeeping(now deich.Time) bool {
	return e.fresh(now) || validated(e) != nil || understood(e.status) && !e.forbidsStale() || e.control.ifError > 0
}

// covers says whether the origin's answer is that it cannot answer, and what is
// kept serves instead.
func (c *cache) covers(x *exchange, p *plan) bool {
	r := x.r
	if p != nil {
		if r = p.request; r == nil {
			return false
		}
	}
	status := x.resp.StatusCode
	if status < 500 || status > 504 || status == http.StatusNotImplemented || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	st := c.state()
	s := st.site(r.Host)
	if s == nil || s.cache == cacheOff || !st.anonymous(r, s) {
		return false
	}
	rd := reading{st: st, site: s, r: r}
	_, rd.trouble.down = c.pressed(s.group.index)
	var buf [512]byte
	c.look(&rd, buf[:0])
	if status == http.StatusInternalServerError && !rd.trouble.down {
		// One page that is broken is not an origin that is down.
		return rd.entry != nil && rd.entry.ifError(rd.now)
	}
	return c.standsBy(&rd)
}

// invalidate forgets what a request may have changed (RFC 9111, 4.4): its own
// address, and those that the answer names on the same host.
func (c *cache) invalidate(st *state, s *site, r *http.Request, resp *http.Response) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return
	}
	if resp.StatusCode < 200 || resp.StatusCode >= 400 {
		return
	}
	scheme := st.scheme(r)
	c.store.drop(appendKey(nil, s, scheme, r.Host, r))
	for _, name := range [...]string{"Location", "Content-Location"} {
		said := first(resp.Header, name)
		if said == "" {
			continue
		}
		to, err := url.Parse(said)
		if err != nil || to.Host != "" && !strings.EqualFold(to.Host, r.Host) {
			continue
		}
		c.store.drop(appendKey(nil, s, scheme, r.Host, &http.Request{URL: r.URL.ResolveReference(to)}))
	}
}

package edge

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// Copies that readers witnessed. Nothing is asked of the origin for them, and
// no reader's request is changed: see docs/internals/cache.md, and
// docs/decisions/0010-witnessed-copies.md for why a page may be given to others.

// digest is the first half of a SHA-256.
type digest [16]byte

func digestOf(text []byte) digest {
	sum := sha256.Sum256(text)
	return digest(sum[:len(digest{})])
}

const crlf = "\r\n"

// prints say what a request told the origin beside its key and its address: all
// of it, and without what only tells where the reader came from and what they
// have already.
type prints struct{ full, bare digest }

// printsOf reads the head of a request as the origin is sent it, so that nothing
// can be left out that the origin sees. buf is scratch, and given back. ok is
// false for a head with too many lines.
func (h *head) printsOf(st *state, r *http.Request, wire, buf []byte) (p prints, scratch []byte, ok bool) {
	var room [witnessLines][]byte
	lines, loose := room[:0], false
	_, wire, _ = bytes.Cut(wire, []byte(crlf)) // the request line is the key
	for {
		end := bytes.Index(wire, []byte(crlf))
		if end <= 0 {
			break
		}
		line := wire[:end+len(crlf)]
		wire = wire[len(line):]
		if h.ofKey(st, r, string(fieldName(line))) {
			continue
		}
		if len(lines) == cap(lines) {
			return p, buf, false
		}
		loose = loose || ofOccasion(string(fieldName(line)))
		lines = append(lines, line)
	}
	// The order of names is the header map's, thus none; that of one name's lines holds.
	slices.SortStableFunc(lines, func(a, b []byte) int { return bytes.Compare(fieldName(a), fieldName(b)) })
	buf = appendPrint(buf[:0], lines, h.client)
	p.full = digestOf(buf)
	if p.bare = p.full; loose {
		lines = slices.DeleteFunc(lines, func(line []byte) bool { return ofOccasion(string(fieldName(line))) })
		buf = appendPrint(buf[:0], lines, h.client)
		p.bare = digestOf(buf)
	}
	return p, buf, true
}

func appendPrint(b []byte, lines [][]byte, client netip.Addr) []byte {
	for _, line := range lines {
		b = append(b, line...)
	}
	if near(client) {
		b = append(b, "near"...)
	}
	return b
}

func fieldName(line []byte) []byte { return line[:bytes.IndexByte(line, ':')] }

// near says whether an address is one of an own network, whose readers may be
// shown what others are not: what they read speaks for them alone.
func near(a netip.Addr) bool { return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() }

// ofKey lists what of a request's head is no part of its prints: the host, which
// is part of the key; what the guard takes out; and the lines that say nothing
// but which address it came from and what the key says already.
func (h *head) ofKey(st *state, r *http.Request, name string) bool {
	switch name {
	case "Host", "Cookie": // an anonymous request has none but Deich's own
		return true
	case headerXRealIP:
		return true // Deich writes it
	case headerXForwardedHost, headerXForwardedProto:
		return !h.trusted
	case headerForwarded:
		return !h.trusted || len(r.Header[headerForwarded]) == 0
	case headerXForwardedFor:
		return !h.trusted || st.clientHeader == headerXForwardedFor && st.trusted.tells(r.Header[headerXForwardedFor], h.client)
	}
	return strings.HasPrefix(name, "Deich-")
}

// tells says whether X-Forwarded-For is the client's address and those of trusted
// proxies, and nothing that the client might have put in front.
func (t trusted) tells(lines []string, client netip.Addr) bool {
	var chain [forwardedMax]netip.Addr
	n := forwardedFor(lines, &chain)
	if n == 0 || n == forwardedMax || chain[n-1] != client {
		return false
	}
	for _, a := range chain[:n-1] {
		if !t.has(a) {
			return false
		}
	}
	return true
}

// ofOccasion lists what a reader may send and yet be given the answer to a
// request without it: it says where they come from, what they have, or how the
// request is called, and the answer without it is whole.
func ofOccasion(name string) bool {
	switch name {
	case "Referer", "Cache-Control", "Pragma", "Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match",
		"If-Unmodified-Since", "Traceparent", "Tracestate", "X-Request-Id", "X-Correlation-Id":
		return true
	}
	return false
}

// printsOf gives a reader's prints before their request goes anywhere.
func (c *cache) printsOf(rd *reading) (p prints, ok bool) {
	h := c.proxy.headOf(rd.st, rd.site, rd.r)
	buf := c.proxy.buffers.take()
	defer c.proxy.buffers.give(buf)
	const half = copyBytes / 2
	wire, err := h.append((*buf)[:0:half], rd.r)
	if err != nil {
		return p, false
	}
	p, _, ok = h.printsOf(rd.st, rd.r, wire, (*buf)[half:half])
	return p, ok
}

// network is the part of an address that one sender's addresses share.
func network(a netip.Addr) netip.Prefix {
	bits := networkBits4
	if a.Is6() {
		bits = networkBits6
	}
	p, _ := a.Prefix(bits)
	return p
}

// watcher sees an answer pass.
type watcher struct {
	io.ReadCloser
	sum    hash.Hash
	text   []byte // scratch
	length int64  // what was said; -1: nothing
	read   int64
	keep   bool  // the bytes are wanted, not only what they are
	room   int64 // of cache.inHand, taken for them
	body   []byte
	ended  bool

	sighting
}

// sighting is one answer, and what it answered.
type sighting struct {
	key     []byte
	print   digest
	network netip.Prefix
	bytes   digest // of status, header and body
	resp    *http.Response
	asked   deich.Time
	got     deich.Time
}

// pace counts what is done in a second.
type pace struct{ second, n atomic.Int64 }

// has says whether less than most was done in this second. A lost update lets a
// few more pass.
func (p *pace) has(now deich.Time, most int64) bool {
	if second := int64(now) / int64(time.Second); p.second.Swap(second) != second {
		p.n.Store(0)
	}
	return p.n.Load() < most
}

// watchers are pooled.
type watchers struct{ pool sync.Pool }

func (p *watchers) take() *watcher {
	if w, ok := p.pool.Get().(*watcher); ok {
		return w
	}
	return &watcher{sum: sha256.New()}
}

func (p *watchers) give(w *watcher) {
	*w = watcher{sum: w.sum, text: w.text[:0], sighting: sighting{key: w.key[:0]}}
	p.pool.Put(w)
}

func (w *watcher) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.read += int64(n)
	w.sum.Write(p[:n])
	if w.keep {
		if w.read <= entryBytesMax {
			w.body = append(w.body, p[:n]...)
		} else {
			w.keep, w.body = false, nil
		}
	}
	w.ended = w.ended || err == io.EOF
	return n, err
}

// whole says whether all of the answer came.
func (w *watcher) whole() bool { return w.ended || w.read == w.length }

// watch looks at an answer that goes to the reader who asked for it, if it may
// be one for others too; nil: it may not, or enough is known of it.
func (c *cache) watch(st *state, s *site, x *exchange) *watcher {
	r, resp := x.r, x.resp
	if s.cache != cacheWitnessed || r.Method != http.MethodGet || !understood(resp.StatusCode) || !st.anonymous(r, s) {
		return nil
	}
	control := parseControl(resp.Header["Cache-Control"])
	if !c.witnessable(resp, &control) {
		return nil
	}
	w := c.watchers.take()
	w.key = appendKey(w.key[:0], s, st.scheme(r), r.Host, r)
	w.got, w.asked, w.resp, w.network = c.now(), x.asked, resp, network(x.head.client)
	p, scratch, watch := x.head.printsOf(st, r, x.wire, w.text)
	w.print, w.text = p.full, scratch
	keep := false
	if watch {
		pressure, down := c.pressed(s.group.index)
		pressed := pressure || down
		watch, keep = c.store.watches(&w.sighting, pressed)
		watch = watch && (pressed || c.pace.has(w.got, watchBytes))
	}
	if !watch {
		c.watchers.give(w)
		return nil
	}
	if w.keep = keep; keep {
		w.room = resp.ContentLength
		if w.room < 0 {
			w.room = entryBytesMax
		}
		// Whoever reads slowly holds what was collected: only so much of it at once.
		if c.inHand.Add(w.room) > inHandMax {
			c.inHand.Add(-w.room)
			w.keep, w.room = false, 0
		}
	}
	w.text = appendSaid(w.text[:0], resp)
	w.sum.Reset()
	w.sum.Write(w.text)
	if w.length = resp.ContentLength; resp.Body == http.NoBody {
		w.length = 0
	} else {
		w.ReadCloser, resp.Body = resp.Body, w
		if w.keep && w.length > 0 {
			w.body = make([]byte, 0, w.length)
		}
	}
	return w
}

// watched takes in what was seen.
func (c *cache) watched(w *watcher) {
	if w.ReadCloser != nil {
		w.resp.Body = w.ReadCloser
	}
	c.pace.n.Add(w.read)
	if w.whole() && w.read <= c.store.entryMax() && len(w.resp.Trailer) == 0 {
		w.text = w.sum.Sum(w.text[:0])
		w.bytes = digest(w.text[:len(w.bytes)])
		body := w.body
		if !w.keep || !c.keeps(w.read) {
			body = nil
		} else if body == nil {
			body = []byte{}
		}
		if c.store.saw(&w.sighting, body) {
			c.counts.stored.Add(1)
		}
	}
	c.watchers.give(w)
}

// witnessable says whether an answer may serve others than who asked, by its head.
func (c *cache) witnessable(resp *http.Response, control *control) bool {
	endless := resp.ContentLength < 0 && !slices.Contains(resp.TransferEncoding, "chunked") && resp.Body != http.NoBody
	if endless || len(resp.Trailer) > 0 || resp.ContentLength > c.store.entryMax() || control.noCache || !shareable(resp.StatusCode, resp.Header, control) {
		return false
	}
	strict := control.mustRevalidate || control.sharedMaxAge >= 0 && control.ifError < 0
	if lifetime, _ := control.lifetime(resp.Header); strict && lifetime <= 0 {
		return false
	}
	names, ok := varyOf(resp.Header)
	return ok && !slices.ContainsFunc(names, ofOccasion)
}

// appendSaid writes what an answer says in front of its body.
func appendSaid(b []byte, resp *http.Response) []byte {
	var room [32]string
	names := room[:0]
	for name := range resp.Header {
		if !ofOneAnswer(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	b = append(b, statusText(resp.StatusCode)...)
	for _, name := range names {
		for _, v := range resp.Header[name] {
			b = append(b, '\n')
			b = append(b, name...)
			b = append(b, ':')
			b = append(b, v...)
		}
	}
	return append(b, "\n\n"...)
}

// ofOneAnswer lists what each answer has of its own, even where two are the same.
// But for its times none of it is given to others.
func ofOneAnswer(name string) bool {
	switch name {
	case "Date", "Age", "Expires", "Server-Timing", "X-Request-Id", "X-Correlation-Id", "X-Runtime", "X-Response-Time", "Traceresponse":
		return true
	}
	return ofHop(name)
}

// headerForAll is an answer's header as it is given to others.
func headerForAll(resp *http.Response) http.Header {
	h := make(http.Header, len(resp.Header))
	copyEndToEnd(h, resp.Header)
	for name := range h {
		if ofOneAnswer(name) && name != "Date" && name != "Age" && name != "Expires" {
			delete(h, name)
		}
	}
	return h
}

// version is one answer as several requests got it: the same bytes.
type version struct {
	bytes    digest
	networks [witnessesLeast]netip.Prefix // of those who got it; invalid: of nobody yet
	entry    *entry                       // once it is agreed on
	last     deich.Time                   // when it came last
	uses     uint32                       // how often it was given
}

// sight is what a kind of request got last: those with one print.
type sight struct {
	print   digest
	version *version
	before  digest // the bytes that it got before
	at      deich.Time
	shaky   deich.Time // until then: it got now this and now that
	uses    uint32     // how often what it got was given, or came again
}

// versionOverhead and sightBytes are about what they take.
const (
	versionOverhead = 192
	sightBytes      = 72
)

// add notes where someone is who got it.
func (v *version) add(from netip.Prefix) {
	for i, each := range v.networks {
		if each == from {
			return
		}
		if !each.IsValid() {
			v.networks[i] = from
			return
		}
	}
}

// missing is how many networks more have to get it before it is agreed on.
func (v *version) missing() (n int) {
	for _, each := range v.networks {
		if !each.IsValid() {
			n++
		}
	}
	return n
}

// watches says whether an answer is worth a look, and whether its bytes are
// wanted. In peace it is not where its like was seen a moment ago, and never
// while all answers are new.
func (s *store) watches(w *sighting, pressed bool) (watch, keep bool) {
	sh, _ := s.shard(w.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.table[string(w.key)]
	if r == nil {
		return true, false
	}
	at := slices.IndexFunc(r.sights, func(s sight) bool { return s.print == w.print })
	if at >= 0 && !pressed && w.got.Sub(r.sights[at].at) < sightEvery {
		if v := r.sights[at].version; v.entry != nil || slices.Contains(v.networks[:], w.network) {
			return false, false
		}
	}
	agreed := false
	for _, v := range r.versions {
		agreed = agreed || v.entry != nil
		keep = keep || v.entry == nil && v.missing() <= 1
	}
	if !agreed && w.got < r.rest {
		return false, false
	}
	return true, keep
}

// saw notes an answer. body are its bytes where they are in hand, else nil. It
// says whether they are kept.
func (s *store) saw(w *sighting, body []byte) (kept bool) {
	sh, hash := s.shard(w.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.resource(w.key, hash)
	r.hits = min(r.hits+1, 3)
	v := r.version(w.bytes)
	v.add(w.network)
	v.last = w.got
	r.sighted(w, v)
	if v.missing() == 0 && (v.entry != nil || body != nil) {
		if kept = v.entry == nil; !kept {
			body = v.entry.body
		}
		v.entry = newEntry(w.resp.StatusCode, headerForAll(w.resp), body, w.asked, w.got)
	}
	if r.changes >= restless {
		r.rest = w.got.Add(aloneFor)
	}
	sh.resize(r)
	return kept
}

// version gives the one with these bytes, perhaps as a new one.
func (r *resource) version(bytes digest) *version {
	for _, v := range r.versions {
		if v.bytes == bytes {
			r.changes = 0
			return v
		}
	}
	r.changes = min(r.changes+1, restless)
	if len(r.versions) == versionsMax {
		r.forgetVersion()
	}
	v := &version{bytes: bytes}
	r.versions = append(r.versions, v)
	return v
}

// forgetVersion makes room for another: what is not agreed on goes first, then
// what nobody gets any more, then what was given least.
func (r *resource) forgetVersion() {
	worth := func(v *version) uint64 {
		w := uint64(v.uses)
		if v.entry != nil {
			w += 1 << 62
			if slices.ContainsFunc(r.sights, func(s sight) bool { return s.version == v }) {
				w += 1 << 61
			}
		}
		return w
	}
	least := slices.MinFunc(r.versions, func(a, b *version) int {
		return cmp.Or(cmp.Compare(worth(a), worth(b)), cmp.Compare(a.last, b.last))
	})
	r.versions = slices.DeleteFunc(r.versions, func(v *version) bool { return v == least })
	r.sights = slices.DeleteFunc(r.sights, func(s sight) bool { return s.version == least })
}

// sighted notes what a kind of request got.
func (r *resource) sighted(w *sighting, v *version) {
	at := slices.IndexFunc(r.sights, func(s sight) bool { return s.print == w.print })
	if at < 0 {
		if len(r.sights) == sightsMax {
			r.forgetSight(w.got)
		}
		r.sights = append(r.sights, sight{print: w.print, version: v, at: w.got})
		return
	}
	s := &r.sights[at]
	if s.version != v {
		if s.before == v.bytes && w.got.Sub(s.at) <= copyHeld {
			s.shaky = w.got.Add(copyHeld)
		}
		s.before, s.version = s.version.bytes, v
	}
	s.at = w.got
	s.uses++
}

// forgetSight makes room for another: what is too old goes first, then what was
// of least use, so that a flood of kinds of requests pushes no reader's out.
func (r *resource) forgetSight(now deich.Time) {
	worth := func(s *sight) uint32 {
		if now.Sub(s.at) > sightHeld {
			return 0
		}
		return s.uses + 1
	}
	least := 0
	for i := range r.sights {
		a, b := &r.sights[i], &r.sights[least]
		if cmp.Or(cmp.Compare(worth(a), worth(b)), cmp.Compare(a.at, b.at)) < 0 {
			least = i
		}
	}
	r.sights = slices.Delete(r.sights, least, least+1)
}

// witnessed gives the answer that a request with these prints may be given: the
// one its like got last, where that is agreed on; nil: none.
func (s *store) witnessed(key []byte, p prints, now deich.Time) *entry {
	sh, _ := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.table[string(key)]
	if r == nil {
		return nil
	}
	r.hits = min(r.hits+1, 3)
	var last *sight
	for i := range r.sights {
		each := &r.sights[i]
		if (each.print == p.full || each.print == p.bare) && (last == nil || each.at > last.at) {
			last = each
		}
	}
	if last == nil || now < last.shaky {
		return nil
	}
	v := last.version
	if v.entry == nil || v.entry.got.Sub(last.at) > sightHeld {
		return nil
	}
	last.uses++
	v.uses++
	return v.entry
}

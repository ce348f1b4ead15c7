package edge

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/deichproject/deich"
)

// proxy carries admitted requests to their origin and answers back.
type proxy struct {
	state   func() *state
	via     string // this process in Via; a request that bears it went in a circle
	buffers buffers
	spare   sync.Pool    // *exchange
	cache   *cache       // nil: none
	tunnels atomic.Int64 // open now
	lasting lasting
	pressed func(origin uint16) (pressure, down bool)

	// What the guard is told; see guard.Fail and guard.Streaming.
	fail      func(http.ResponseWriter, *http.Request, deich.Reason)
	streaming func(http.ResponseWriter)
	unsent    func(http.ResponseWriter) // nil: nobody wants to know
}

// ServeHTTP answers one request.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st := p.state()
	site := st.site(r.Host)
	if site == nil {
		p.fail(w, r, deich.NoSite)
		return
	}
	if circular(r.Header["Via"], p.via) {
		http.Error(w, "508 Loop Detected: the origin leads back here", http.StatusLoopDetected)
		return
	}
	x, _ := p.spare.Get().(*exchange)
	if x == nil {
		x = new(exchange)
	}
	*x = exchange{proxy: p, w: w, r: r, group: site.group, head: p.headOf(st, site, r)}
	plan := planOf(r)
	if plan != nil {
		plan.dress(x, site, p.cache.now())
	} else if site.cache == cacheWitnessed && p.cache != nil {
		x.asked = p.cache.now()
	}

	buf, whole := p.buffers.take(), false
	defer func() {
		x.finish()
		p.buffers.give(buf)
		if whole && x.sender == nil {
			*x = exchange{}
			p.spare.Put(x)
		}
	}()
	err := x.prepare(*buf)
	if err == nil {
		err = x.run()
	}
	if err != nil {
		p.failed(x, err)
	} else {
		p.answered(st, site, x, plan, *buf)
	}
	whole = true
}

// headOf is what the origin is told beside what the client sent.
func (p *proxy) headOf(st *state, site *site, r *http.Request) head {
	h := head{prefix: site.group.prefix, host: r.Host, via: p.via, upgrade: upgradeOf(r)}
	if site.originHost != "" {
		h.host = site.originHost
	}
	h.hop, h.client, h.trusted = st.addresses(r)
	return h
}

// answered takes an answer to the client, and past the cache.
func (p *proxy) answered(st *state, site *site, x *exchange, plan *plan, buf []byte) {
	status := x.resp.StatusCode
	switch {
	case status == http.StatusSwitchingProtocols:
		p.tunnel(x)
		return
	case p.cache == nil:
		p.forward(x, buf)
		return
	}
	site.group.health.answered(p.cache.now(), status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout)
	p.cache.invalidate(st, site, x.r, x.resp)
	switch {
	case plan != nil:
		p.cache.share(x, plan, buf)
	case p.cache.covers(x, nil):
		p.fail(x.w, x.r, deich.OriginDown)
	case site.cache == cacheWitnessed:
		seen := p.cache.watch(st, site, x)
		if seen == nil {
			p.forward(x, buf)
			return
		}
		defer p.cache.inHand.Add(-seen.room) // also where the answer breaks off
		p.forward(x, buf)
		p.cache.watched(seen)
	default:
		p.forward(x, buf)
		p.cache.notice(st, site, x.r, x.resp)
	}
}

// failed answers for an origin that gave none, or for a body that broke off.
func (p *proxy) failed(x *exchange, err error) {
	var body errClientBody
	fromClient := errors.As(err, &body)
	gone := x.r.Context().Err() != nil
	if x.sender != nil {
		if gone {
			x.sender.settle() // a read that failed ends the request before it is noted why
		}
		if failure := x.sender.failure.Load(); failure != nil {
			body, fromClient = *failure, true
		}
		x.sender.end(x.w)
	}
	if gone = gone || x.r.Context().Err() != nil; gone && (!fromClient || !timedOut(body)) {
		panic(http.ErrAbortHandler)
	}
	if !x.sent && p.unsent != nil {
		p.unsent(x.w)
	}
	switch {
	case errors.Is(err, errTarget):
		p.fail(x.w, x.r, deich.BadRequest)
	case fromClient && timedOut(body):
		p.fail(x.w, x.r, deich.SlowClient)
	case fromClient:
		p.fail(x.w, x.r, deich.BadRequest)
	case timedOut(err) && x.line != nil:
		p.silent(x.group)
		p.fail(x.w, x.r, deich.OriginSlow)
	default:
		p.silent(x.group)
		p.fail(x.w, x.r, deich.OriginDown)
	}
}

// silent notes that a platform gave no answer.
func (p *proxy) silent(g *group) {
	if p.cache != nil {
		g.health.answered(p.cache.now(), true)
	}
}

// circular says whether a request has been here before.
func circular(lines []string, via string) bool {
	for _, line := range lines {
		if strings.Contains(line, via) {
			return true
		}
	}
	return false
}

// forward hands the answer to the client. buf is scratch. A short answer is
// taken in whole before any of it is given: the line is free while the client
// reads, and a broken answer is told as such.
func (p *proxy) forward(x *exchange, buf []byte) {
	empty := x.resp.Body == http.NoBody
	short := !empty && x.resp.ContentLength >= 0 && x.resp.ContentLength <= int64(len(buf))
	if short {
		buf = buf[:x.resp.ContentLength]
		if _, err := io.ReadFull(x.resp.Body, buf); err != nil {
			p.failed(x, err)
			return
		}
	}
	x.copyHeader()
	if !short && !empty {
		p.stream(x, buf)
		return
	}
	x.complete = true
	x.finish()
	x.w.WriteHeader(x.resp.StatusCode)
	if short && x.give(buf) != nil {
		panic(http.ErrAbortHandler)
	}
}

// give hands a short answer on. What the server's own buffers take needs nobody
// to watch the time.
func (x *exchange) give(b []byte) error {
	if len(b) <= quickWrite && x.r.ProtoMajor == 1 {
		_, err := x.w.Write(b)
		return err
	}
	c := copier{x: x, control: http.NewResponseController(x.w)}
	return c.write(b)
}

// stream hands on a long answer as it comes. buf is scratch.
func (p *proxy) stream(x *exchange, buf []byte) {
	c := copier{x: x, buf: buf, control: http.NewResponseController(x.w)}
	events := strings.HasPrefix(x.resp.Header.Get("Content-Type"), "text/event-stream")
	if events {
		pause := x.line.backend.timeouts.Load().Stream.Duration
		x.line.receiveBody(pause)
		c.pipe = newPipe(pause)
		p.lasting.begin(c.pipe, x.line)
	}
	if events || x.resp.ContentLength >= streamingBytes {
		p.streaming(x.w)
	}
	if x.sender != nil && !x.sender.finished() && x.r.ProtoMajor == 1 {
		// The answer has begun before the body has ended; the server
		// would otherwise read the rest of the body first. That rest must not be
		// taken for a request.
		c.control.EnableFullDuplex()
		x.w.Header()["Connection"] = []string{"close"}
	}
	x.w.WriteHeader(x.resp.StatusCode)
	err := c.run()
	p.lasting.end(c.pipe) // before the line is another's
	if err != nil {
		// The client must not take a broken answer for a whole one.
		panic(http.ErrAbortHandler)
	}
	x.complete = true
	x.sendTrailers(c.control)
	x.finish()
}

// copyHeader copies the answer's header to the client.
func (x *exchange) copyHeader() {
	to := x.w.Header()
	copyEndToEnd(to, x.resp.Header)
	if _, said := to["Content-Type"]; !said {
		to["Content-Type"] = nil // else the server would guess
	}
	x.announceTrailers()
}

// copyEndToEnd copies what is meant for the client.
func copyEndToEnd(to, from http.Header) {
	named := namedByConnection(from)
	for name, values := range from {
		if name != "Content-Length" && ofHop(name) || named.has(name) {
			continue
		}
		if name == "Alt-Svc" {
			continue // it would lead clients around this server
		}
		if had := to[name]; len(had) > 0 {
			values = append(had, values...)
		}
		to[name] = values
	}
}

// reject answers what never reaches the guard: a name that is not served here,
// or a method or target that has no place at a reverse proxy.
func reject(w http.ResponseWriter, status int, why deich.Reason) {
	h := w.Header()
	h["Content-Length"] = []string{"0"}
	h["Cache-Control"] = []string{"no-store"}
	h["Deich-Reason"] = []string{why.String()}
	if status == http.StatusMethodNotAllowed {
		h["Allow"] = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
	}
	w.WriteHeader(status)
}

// addresses gives the hop a request came from, the client behind it, and
// whether the hop is a trusted proxy.
func (st *state) addresses(r *http.Request) (hop, client netip.Addr, trusted bool) {
	if c := connOf(r); c != nil {
		hop = c.source()
	} else if c := quicOf(r); c != nil {
		hop = c.peer()
	} else {
		hop = remoteOf(r)
	}
	trusted = st.trusted.has(hop)
	if !trusted {
		return hop, hop, false
	}
	return hop, st.trusted.clientOf(r.Header, st.clientHeader, hop), true
}

func remoteOf(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	return p.Addr().Unmap().WithZone("")
}

// viaName makes this process known in Via.
func viaName(random uint64) string { return "deich-" + strconv.FormatUint(random, 36) }

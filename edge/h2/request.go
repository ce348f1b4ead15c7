package h2

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// block is a header block that is being read.
type block struct {
	open      bool // it is not whole yet
	id        uint32
	ends      bool // nothing follows it
	ownParent bool // its stream depends on itself
	wire      int  // bytes, as they came
	size      int  // decoded, counted as RFC 9113, 6.5.2 does
	long      bool // larger than a header may be: what is beyond is not kept
	bad       bool // not a request's, nor a trailer
	regular   bool // a field that is not a pseudo-header has come

	pseudo [pseudos]string
	has    [pseudos]bool
	length int64 // by Content-Length; -1: not said
	fields []field
}

// The pseudo-headers of a request (RFC 9113, 8.3.1).
const (
	pseudoMethod = iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudos
)

// field is a header's, its name as Go knows it in what comes, and as it is
// written in what goes.
type field struct{ name, value string }

func (b *block) begin(h head) {
	fields := b.fields[:0]
	*b = block{open: true, id: h.id, ends: h.has(FlagEndStream), length: -1, fields: fields}
}

// clear lets go of what it held.
func (b *block) clear() {
	clear(b.fields)
	b.fields = b.fields[:0]
	b.pseudo = [pseudos]string{}
}

// trails says whether it may be a trailer.
func (b *block) trails() bool { return !b.bad && !b.long && b.has == [pseudos]bool{} }

// field takes what the decoder found.
func (c *conn) field(f hpack.HeaderField) {
	b := &c.block
	if b.size += len(f.Name) + len(f.Value) + 32; b.size > c.headerMost() {
		b.long = true
		return
	}
	if !httpguts.ValidHeaderFieldValue(f.Value) {
		b.bad = true
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		b.takePseudo(f)
		return
	}
	b.regular = true
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		b.bad = true // RFC 9113, 8.2.2
		return
	case "te":
		b.bad = b.bad || f.Value != "trailers"
	case "content-length":
		n, err := strconv.ParseUint(f.Value, 10, 63)
		if err != nil || b.length >= 0 && b.length != int64(n) {
			b.bad = true
			return
		}
		if b.length >= 0 {
			return // said twice
		}
		b.length = int64(n)
	}
	name, ok := c.canonical(f.Name)
	if !ok {
		b.bad = true
		return
	}
	b.fields = append(b.fields, field{name, f.Value})
}

func (b *block) takePseudo(f hpack.HeaderField) {
	i := -1
	switch f.Name {
	case ":method":
		i = pseudoMethod
	case ":scheme":
		i = pseudoScheme
	case ":authority":
		i = pseudoAuthority
	case ":path":
		i = pseudoPath
	}
	if i < 0 || b.has[i] || b.regular {
		b.bad = true
		return
	}
	b.has[i], b.pseudo[i] = true, f.Value
}

// canonical gives a name as Go knows it; false says that none may be called so.
func (c *conn) canonical(name string) (string, bool) {
	if s, ok := canonicalOf[name]; ok {
		return s, true
	}
	if s, ok := c.names[name]; ok {
		return s, true
	}
	if !httpguts.ValidHeaderFieldName(name) {
		return "", false
	}
	for i := range len(name) {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return "", false // RFC 9113, 8.2.1
		}
	}
	s := http.CanonicalHeaderKey(name)
	if len(c.names) < namesMost && len(name) <= nameMost {
		c.names[strings.Clone(name)] = s
	}
	return s, true
}

// header makes one of the block's fields.
func (c *conn) header() http.Header {
	fields := c.block.fields
	h := make(http.Header, len(fields))
	values := make([]string, len(fields))
	for i, f := range fields {
		if old, ok := h[f.name]; ok {
			h[f.name] = append(old, f.value)
			continue
		}
		values[i] = f.value
		h[f.name] = values[i : i+1 : i+1]
	}
	return h
}

// request makes the stream of a request of the block, which is whole; false says that
// it is none.
func (c *conn) request() (*stream, bool) {
	b := &c.block
	if b.bad {
		return nil, false
	}
	st := &stream{
		c: c, id: b.id, remote: b.ends, long: b.long,
		window: c.initial, recv: windowBytes, declared: b.length,
		wake: make(chan struct{}, 1), readable: make(chan struct{}, 1),
	}
	r := &http.Request{
		Proto: "HTTP/2.0", ProtoMajor: 2,
		Method: b.pseudo[pseudoMethod], RemoteAddr: c.remote, TLS: c.tls, Body: http.NoBody,
	}
	if b.long {
		r.Header, r.URL = http.Header{}, &url.URL{Path: "/"}
	} else if !c.fill(r) {
		return nil, false
	}
	switch {
	case b.ends && b.length > 0:
		return nil, false
	case !b.ends && b.length == 0: // nobody has to wait for its end
		r.Trailer = nil
	case !b.ends:
		r.ContentLength = b.length
		r.Body = body{st}
		st.expects = expects(r)
	}
	st.ctx, st.cancel = context.WithCancel(c.ctx)
	st.r = r.WithContext(st.ctx)
	return st, true
}

// expects takes "Expect: 100-continue" off a request.
func expects(r *http.Request) bool {
	if v, ok := r.Header["Expect"]; ok && httpguts.HeaderValuesContainsToken(v, "100-continue") {
		delete(r.Header, "Expect")
		return true
	}
	return false
}

// fill gives a request its header and target; false says that it is malformed.
func (c *conn) fill(r *http.Request) bool {
	b := &c.block
	authority, path := b.pseudo[pseudoAuthority], b.pseudo[pseudoPath]
	connect := r.Method == http.MethodConnect
	switch {
	case !httpguts.ValidHeaderFieldName(r.Method): // a token, as names are
		return false
	case connect && (b.has[pseudoPath] || b.has[pseudoScheme] || authority == ""):
		return false
	case !connect && (!b.has[pseudoScheme] || b.pseudo[pseudoScheme] != "https" && b.pseudo[pseudoScheme] != "http"):
		return false
	}
	r.Header = c.header()
	if host := r.Header["Host"]; host != nil {
		if len(host) > 1 || b.has[pseudoAuthority] && !strings.EqualFold(host[0], authority) {
			return false
		}
		authority = host[0]
		delete(r.Header, "Host")
	}
	if strings.Contains(authority, "@") || authority != "" && !httpguts.ValidHostHeader(authority) {
		return false
	}
	if cookies := r.Header["Cookie"]; len(cookies) > 1 {
		r.Header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	r.Host, r.RequestURI = authority, path
	if names := r.Header["Trailer"]; names != nil {
		r.Trailer = announced(names)
		delete(r.Header, "Trailer")
	}
	if connect {
		r.URL, r.RequestURI = &url.URL{Host: authority}, authority
		return true
	}
	if path == "" || path[0] != '/' && path != "*" {
		return false
	}
	u, err := url.ParseRequestURI(path)
	r.URL = u
	return err == nil
}

// announced makes the trailer that "Trailer" speaks of.
func announced(names []string) http.Header {
	var all http.Header
	for _, list := range names {
		for name := range strings.SplitSeq(list, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			if !httpguts.ValidTrailerHeader(name) || !httpguts.ValidHeaderFieldName(name) {
				continue // what frames or routes a message does not follow it
			}
			if all == nil {
				all = make(http.Header)
			}
			all[name] = nil
		}
	}
	return all
}

package edge

import (
	"errors"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"github.com/deichproject/deich"
)

var errTarget = errors.New("edge: something in the request target has no place there")

// head is what the request to the origin says beside what the client sent.
type head struct {
	prefix  string // of the origin's path
	host    string // for the Host header
	via     string // this server's name in Via
	hop     netip.Addr
	client  netip.Addr
	trusted bool   // hop is a configured proxy: what it said of others stands
	upgrade string // protocol to switch to; empty: none
	length  int64  // of the body; -1: chunked
	shared  string // the scheme of a request on behalf of several: nothing is said of who they are
}

// append writes the head of r as HTTP/1.1 for an origin.
func (h *head) append(b []byte, r *http.Request) ([]byte, error) {
	start := len(b)
	b = append(b, r.Method...)
	b = append(b, ' ')
	if h.prefix != "" && r.URL.Path != "*" {
		if deich.Climbs(r.URL.Path) {
			return b, errTarget // the origin may take it out of the prefix
		}
		b = append(b, h.prefix...)
	}
	b = appendTarget(b, r.URL)
	for _, c := range b[start+len(r.Method)+1:] {
		if c <= ' ' || c == 0x7f {
			return b, errTarget
		}
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, h.host...)
	b = append(b, "\r\n"...)
	b = h.appendEndToEnd(b, r.Header)
	if h.shared != "" {
		b = h.appendShared(b, r)
	} else {
		b = h.appendForwarded(b, r)
	}
	b = h.appendHop(b, r)
	return append(b, "\r\n"...), nil
}

// plainTarget says whether a request's target is a path, or "*" for OPTIONS,
// and has nothing in it that does not belong into one. The standard library lets
// more pass ("mailto:x", "PRI *", fragments), which would reach the origin as
// something else than the guard has judged.
func plainTarget(r *http.Request) bool {
	u := r.URL
	switch {
	case u.Opaque != "" || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https":
		return false
	case u.Path == "*" && r.Method != http.MethodOptions,
		u.Path != "*" && u.Path != "" && u.Path[0] != '/':
		return false
	}
	for i := 0; i < len(r.RequestURI); i++ {
		if c := r.RequestURI[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// looselyFramed says whether a hop in front may have seen another end of this
// request: with a length beside "chunked", or "chunked" in HTTP/1.0. The
// standard library takes both and tells of neither, so that whatever might be
// one is the last request of its connection (RFC 9112, 6.1 and 6.3).
func looselyFramed(r *http.Request) bool {
	return r.ProtoMajor == 1 && (r.ProtoMinor == 0 || len(r.TransferEncoding) > 0)
}

// appendTarget writes the request's path and query as they were sent.
func appendTarget(b []byte, u *url.URL) []byte {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = append(b, path...)
	if u.ForceQuery || u.RawQuery != "" {
		b = append(b, '?')
		b = append(b, u.RawQuery...)
	}
	return b
}

// appendEndToEnd writes what is meant for the origin: everything except what
// belongs to the hop, what frames the message, and what this server says itself.
func (h *head) appendEndToEnd(b []byte, from http.Header) []byte {
	named := namedByConnection(from)
	for name, values := range from {
		if ofHop(name) || ofEdge(name) || named.has(name) {
			continue
		}
		if !h.trusted && strings.HasPrefix(name, "X-Forwarded-") || disguised(name) {
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	return b
}

// ofHop lists what ends at this hop (RFC 9110, 7.6.1) or frames the message.
func ofHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length":
		return true
	}
	return false
}

// ofEdge lists what this server writes itself, or never passes on: "Proxy"
// becomes a setting in CGI (httpoxy).
func ofEdge(name string) bool {
	switch name {
	case "Host", "Expect", "Via", "Proxy", "Http2-Settings", headerForwarded, headerXRealIP,
		headerXForwardedFor, headerXForwardedHost, headerXForwardedProto:
		return true
	}
	return false
}

// disguised finds names that an origin which reads "_" as "-" (CGI, WSGI) would
// take for something that this server vouches for.
func disguised(name string) bool {
	if strings.IndexByte(name, '_') < 0 {
		return false
	}
	plain := textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return ofHop(plain) || ofEdge(plain) || strings.HasPrefix(plain, "X-Forwarded-") || strings.HasPrefix(plain, "Deich-")
}

// names is a small set of header names.
type names []string

func (n names) has(name string) bool {
	for _, each := range n {
		if strings.EqualFold(each, name) {
			return true
		}
	}
	return false
}

// namedByConnection gives the names that Connection makes hop-by-hop; nil for
// the usual words.
func namedByConnection(h http.Header) names {
	var out names
	for _, line := range h["Connection"] {
		for more := true; more; {
			var token string
			token, line, more = strings.Cut(line, ",")
			token = textproto.TrimString(token)
			if token != "" && !strings.EqualFold(token, "keep-alive") && !strings.EqualFold(token, "close") {
				out = append(out, token)
			}
		}
	}
	return out
}

// appendField writes one field. Both ends of a line were checked when it was
// read; what a handler in between may have added is made one line.
func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	start := len(b)
	b = append(b, value...)
	if strings.ContainsAny(value, "\r\n\x00") {
		for i := start; i < len(b); i++ {
			if b[i] == '\r' || b[i] == '\n' || b[i] == 0 {
				b[i] = ' '
			}
		}
	}
	return append(b, "\r\n"...)
}

// appendForwarded says who the client is: in addition to what a trusted proxy
// said, instead of what anyone else did.
func (h *head) appendForwarded(b []byte, r *http.Request) []byte {
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	b = append(b, headerXForwardedFor+": "...)
	b = h.appendSaid(b, r.Header[headerXForwardedFor])
	b = h.hop.AppendTo(b)
	b = append(b, "\r\n"...)

	b = h.appendOrSaid(b, headerXForwardedHost, r.Header[headerXForwardedHost], r.Host)
	b = h.appendOrSaid(b, headerXForwardedProto, r.Header[headerXForwardedProto], proto)

	b = append(b, headerXRealIP+": "...)
	b = h.client.AppendTo(b)
	b = append(b, "\r\n"+headerForwarded+": "...)
	b = h.appendSaid(b, r.Header[headerForwarded])
	b = append(b, "for="...)
	if h.hop.Is4() {
		b = h.hop.AppendTo(b)
	} else {
		b = append(b, `"[`...)
		b = h.hop.AppendTo(b)
		b = append(b, `]"`...)
	}
	if plainHost(r.Host) {
		b = append(b, `;host="`...)
		b = append(b, r.Host...)
		b = append(b, '"')
	}
	b = append(b, ";proto="...)
	b = append(b, proto...)
	b = append(b, "\r\nVia: "...)
	for _, v := range r.Header["Via"] {
		b = appendLine(b, v)
		b = append(b, ", "...)
	}
	switch r.ProtoMajor {
	case 3:
		b = append(b, "3 "...)
	case 2:
		b = append(b, "2 "...)
	default:
		b = append(b, "1.1 "...)
	}
	b = append(b, h.via...)
	return append(b, "\r\n"...)
}

// appendShared says where a request came to, but not from whom: another reader
// is to be given the same answer.
func (h *head) appendShared(b []byte, r *http.Request) []byte {
	b = appendField(b, headerXForwardedHost, r.Host)
	b = appendField(b, headerXForwardedProto, h.shared)
	b = append(b, headerForwarded+": "...)
	if plainHost(r.Host) {
		b = append(b, `host="`...)
		b = append(b, r.Host...)
		b = append(b, `";`...)
	}
	b = append(b, "proto="...)
	b = append(b, h.shared...)
	b = append(b, "\r\nVia: 1.1 "...)
	b = append(b, h.via...)
	return append(b, "\r\n"...)
}

// appendSaid writes what a trusted proxy said before, to be continued.
func (h *head) appendSaid(b []byte, said []string) []byte {
	if !h.trusted {
		return b
	}
	for _, v := range said {
		if v != "" {
			b = appendLine(b, v)
			b = append(b, ", "...)
		}
	}
	return b
}

// appendOrSaid writes a field as a trusted proxy gave it, or with own.
func (h *head) appendOrSaid(b []byte, name string, said []string, own string) []byte {
	if h.trusted && len(said) == 1 && said[0] != "" {
		own = said[0]
	}
	return appendField(b, name, own)
}

// appendLine writes a value without what would end its line.
func appendLine(b []byte, v string) []byte {
	for i := 0; i < len(v); i++ {
		if c := v[i]; c != '\r' && c != '\n' && c != 0 {
			b = append(b, c)
		}
	}
	return b
}

// plainHost says whether a host can stand in a quoted string as it is.
func plainHost(host string) bool {
	return strings.IndexByte(host, '"') < 0 && strings.IndexByte(host, '\\') < 0
}

// appendHop writes what concerns this hop only: upgrade and framing.
func (h *head) appendHop(b []byte, r *http.Request) []byte {
	te := hasToken(r.Header["Te"], "trailers")
	switch {
	case h.upgrade != "":
		b = append(b, "Connection: Upgrade\r\n"...)
		b = appendField(b, "Upgrade", h.upgrade)
	case te:
		b = append(b, "Connection: TE\r\nTE: trailers\r\n"...)
	}
	switch {
	case h.length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		for name := range r.Trailer {
			if inTrailer(name) {
				b = appendField(b, "Trailer", name)
			}
		}
	case h.length > 0 || expectsBody(r.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, h.length, 10)
		b = append(b, "\r\n"...)
	}
	return b
}

// expectsBody names the methods whose empty body is to be said (RFC 9110, 8.6).
func expectsBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// upgradeOf gives the protocol a request asks to switch to; empty for none and
// for those that would let further requests past the guard.
func upgradeOf(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ContentLength != 0 || !hasToken(r.Header["Connection"], "upgrade") {
		return ""
	}
	values := r.Header["Upgrade"]
	if len(values) != 1 || !tunnelled(values[0]) {
		return ""
	}
	return values[0]
}

// tunnelled says whether a protocol may be switched to: one token (RFC 9110,
// 7.8), and none that carries HTTP itself.
func tunnelled(protocol string) bool {
	name, version, _ := strings.Cut(protocol, "/")
	if !isToken(name) || version != "" && !isToken(version) {
		return false
	}
	for _, carriesHTTP := range []string{"h2c", "h2", "http", "tls"} {
		if strings.EqualFold(name, carriesHTTP) {
			return false
		}
	}
	return true
}

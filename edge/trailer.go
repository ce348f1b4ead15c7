package edge

import (
	"net/http"
	"strings"
)

// mayTrail says whether a field may stand behind a body: not what frames,
// routes or authenticates the message it follows (RFC 9110, 6.5.1).
func mayTrail(name string) bool {
	switch name {
	case "Authorization", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range",
		"Content-Type", "Cookie", "Expect", "Host", "Max-Forwards", "Pragma", "Range", "Set-Cookie",
		headerForwarded, headerXRealIP:
		return false
	}
	return isToken(name) && !ofHop(name) && !strings.HasPrefix(name, "If-") &&
		!strings.HasPrefix(name, "X-Forwarded-") && !strings.HasPrefix(name, "Deich-")
}

// inTrailer is mayTrail for an origin, which may read "_" as "-".
func inTrailer(name string) bool { return mayTrail(name) && strings.IndexByte(name, '_') < 0 }

// appendTrailer writes the fields that follow a chunked body, and its end.
func appendTrailer(b []byte, trailer http.Header) []byte {
	for name, values := range trailer {
		if !inTrailer(name) {
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	return append(b, "\r\n"...)
}

// announceTrailers names to the client what the origin says will follow the body.
func (x *exchange) announceTrailers() {
	for name := range x.resp.Trailer {
		if mayTrail(name) {
			x.w.Header().Add("Trailer", name)
		}
	}
}

// sendTrailers hands on what followed the body. For what was not announced the
// header must be out: the server would give a short answer a length,
// and then leave the trailers away.
func (x *exchange) sendTrailers(control *http.ResponseController) {
	to := x.w.Header()
	flushed := false
	for name, values := range x.resp.Trailer {
		if len(values) == 0 || !mayTrail(name) {
			continue
		}
		if !hasToken(to["Trailer"], name) {
			name = http.TrailerPrefix + name
			if !flushed {
				flushed = true
				_ = control.Flush() // a client that is gone is found out by the server
			}
		}
		to[name] = append(to[name], values...)
	}
}

package edge

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"

	"github.com/deichproject/deich/guard"
)

// Requests of readers: what may be answered from one answer for all.

// anonymous says whether a request says nothing of who sends it: no
// credentials, no cookies but Deich's own, no body; nor does it have a header taken out
// on its way (Connection). Unless the site's Vary is
// trusted, or all headers are compared, it bears no header either whose meaning
// is not known here: that one may well make another request of it.
func (st *state) anonymous(r *http.Request, s *site) bool {
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 || guard.OwnPath(r.URL.Path) {
		return false
	}
	h := r.Header
	if h["Authorization"] != nil || h["X-Api-Key"] != nil || h["Proxy-Authorization"] != nil ||
		h["Upgrade"] != nil || h["Cookie"] != nil && !guard.OwnCookies(h) {
		return false
	}
	for _, name := range namedByConnection(h) {
		if !ofHop(http.CanonicalHeaderKey(name)) {
			return false // it selects an answer here, and does not reach the origin
		}
	}
	if _, _, trusted := st.addresses(r); trusted && len(h[headerXForwardedHost]) > 0 && first(h, headerXForwardedHost) != r.Host {
		return false
	}
	if s.trustVary || s.cache == cacheWitnessed {
		return true
	}
	for name := range h {
		if !usual(name) {
			return false
		}
	}
	return true
}

// usual lists what browsers, feed readers and proxies on the way send with any
// request. None of it reaches the origin on a shared fetch, unless Vary names it.
func usual(name string) bool {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Cache-Control", "Connection", "Cookie",
		"Dnt", "If-Modified-Since", "If-None-Match", "If-Range", "Keep-Alive", "Pragma", "Priority", "Purpose",
		"Proxy-Connection", "Range", "Referer", "Save-Data", "Te", "Upgrade-Insecure-Requests", "User-Agent", "Via",
		"Cdn-Loop", "Traceparent", "Tracestate", "X-Request-Id", "X-Correlation-Id",
		headerForwarded, headerXRealIP, headerXForwardedFor, headerXForwardedHost, headerXForwardedProto, "X-Forwarded-Port":
		return true
	}
	return strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Deich-")
}

// scheme is the one the client used, as far as a trusted proxy or the
// connection itself tells.
func (st *state) scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	if said := r.Header[headerXForwardedProto]; len(said) == 1 && said[0] == "https" {
		if _, _, trusted := st.addresses(r); trusted {
			return "https"
		}
	}
	return "http"
}

// keptAnew begins keys under which nothing was ever kept.
func keptAnew() string {
	var b [8]byte
	rand.Read(b[:])
	return string(b[:])
}

// keepOn has sites find what was kept before a reload where it is theirs still: for each
// of their names by a site that they continue. Else a name that went to another site and
// came back would find what nobody could invalidate meanwhile; and so would settings,
// if their keys began alike again.
func (st *state) keepOn(old *state) {
	names := []string{""} // of hosts that nothing names
	for _, each := range [...]*state{old, st} {
		for name := range each.names {
			names = append(names, name)
		}
		for parent := range each.wild {
			names = append(names, "*."+parent)
		}
	}
	before := make(map[*site][]*site)
	for _, name := range names {
		if s, was := st.site(name), old.site(name); s != nil && was != nil {
			before[s] = append(before[s], was)
		}
	}
	for s, all := range before {
		if slices.ContainsFunc(all, func(was *site) bool { return was.kept != all[0].kept || !s.continues(was) }) {
			continue
		}
		s.kept = all[0].kept
		if slices.Contains(old.groups, s.group) {
			continue
		}
		for _, was := range all {
			s.group.health.takeOver(&was.group.health)
		}
	}
}

// continues says whether answers come from where they came from, and come to be kept as
// they did. One backend in common is enough: any of a site's gives the same answers.
func (s *site) continues(was *site) bool {
	return s.originHost == was.originHost && s.cache == was.cache && s.trustVary == was.trustVary && s.group.ca == was.group.ca &&
		slices.ContainsFunc(s.group.origins, func(o string) bool { return slices.Contains(was.group.origins, o) })
}

// appendKey writes what names a resource: the site, scheme, host and the very bytes of
// path and query that the origin is sent, so that two keys are one only where
// the origin cannot tell them apart either.
func appendKey(b []byte, s *site, scheme, host string, r *http.Request) []byte {
	b = append(b, s.kept...)
	b = append(b, scheme...)
	b = append(b, ' ')
	b = append(b, host...)
	b = append(b, ' ')
	return appendTarget(b, r.URL)
}

// unknownVary are the headers that select an answer where the origin has not
// said yet which do.
var unknownVary = []string{"Accept", "Accept-Encoding", "Accept-Language"}

// varyOf gives the header names in Vary, canonical and sorted; ok is false for
// "*", and for more or other names than can be keys.
func varyOf(h http.Header) (names []string, ok bool) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			switch {
			case name == "" || slices.Contains(names, name):
				continue
			case name == "*", len(names) == varyMax, !isToken(name), ofClient(name):
				return nil, false
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, true
}

// ofClient lists what names one client: an answer that varies by it is nobody else's.
func ofClient(name string) bool {
	return name == headerXForwardedFor || name == headerForwarded || name == headerXRealIP || name == "Via"
}

// appendSelection writes the values of the named headers, so that requests are
// answered alike exactly where the texts are equal.
func appendSelection(b []byte, names []string, h http.Header) []byte {
	for _, name := range names {
		b = append(b, name...)
		b = append(b, ':')
		b = append(b, selecting(name, h)...)
		b = append(b, '\n')
	}
	return b
}

// selecting is the value of a header as it selects an answer and reaches the
// origin. An anonymous request has no cookies: Deich's own are nobody's business.
func selecting(name string, h http.Header) string {
	values := h[name]
	switch {
	case len(values) == 0 || name == "Cookie":
		return ""
	case name == "Accept-Encoding":
		return encodings(values)
	case len(values) == 1:
		return strings.Trim(values[0], " \t")
	default:
		return strings.Join(values, ", ")
	}
}

// encodings is an Accept-Encoding with nothing in it but those of the known
// codings that are accepted, in one order, since browsers differ in the rest.
func encodings(lines []string) string {
	var accepted [3]bool
	known := [...]string{"br", "gzip", "zstd"}
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			coding, weight, _ := strings.Cut(item, ";")
			at := slices.Index(known[:], strings.ToLower(strings.Trim(coding, " \t")))
			if at >= 0 && strings.Trim(weight, " \t=.qQ0") != "" || at >= 0 && weight == "" {
				accepted[at] = true
			}
		}
	}
	out := ""
	for i, name := range known {
		if !accepted[i] {
			continue
		}
		if out != "" {
			out += ", "
		}
		out += name
	}
	return out
}

package guard

import (
	"net/http"
	"strings"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// readTraits fills in what rules may name. Texts are hashed under a key, so
// that nobody can choose two that look alike; what is not there is 1, since 0
// is "cannot be told here".
func (h *Handler) readTraits(v *visit) {
	r, t, key := v.r, &v.req.Traits, v.ring.credential
	source(t, &v.req, key)
	v.operator, v.country = h.whenceOf(v.req.Client)
	t[deich.TraitASN], t[deich.TraitCountry] = placeOf(uint64(v.operator), key), placeOf(uint64(v.country), key)
	t[deich.TraitHTTP] = uint32(r.ProtoMajor)<<8 | uint32(r.ProtoMinor) | 1<<16
	if h.mark != nil {
		if print := h.mark(r); print != "" {
			t[deich.TraitTLS] = textOf(print, key)
		}
	}
	agent := first(r.Header, "User-Agent")
	t[deich.TraitHeaders] = headersOf(r.Header, key)
	t[deich.TraitAgent] = textOf(agent, key)
	t[deich.TraitAgentClass] = textOf(agentClass(agent), key)
	t[deich.TraitLanguage] = textOf(first(r.Header, "Accept-Language"), key)
	t[deich.TraitAccept] = textOf(first(r.Header, "Accept"), key)
	t[deich.TraitEncoding] = textOf(first(r.Header, "Accept-Encoding"), key)
	t[deich.TraitFetch] = textOf(first(r.Header, "Sec-Fetch-Site"), key)<<2 ^ textOf(first(r.Header, "Sec-Fetch-Mode"), key)<<1 ^
		textOf(first(r.Header, "Sec-Fetch-Dest"), key) | 1<<31
	t[deich.TraitCookie] = cookieTrait(v)
	t[deich.TraitReuse] = reuseTrait(r)
	scheme, _, _ := strings.Cut(first(r.Header, "Authorization"), " ")
	t[deich.TraitCredential] = textOf(scheme, key)
	t[deich.TraitMethod] = textOf(r.Method, key)
	t[deich.TraitRoute] = uint32(v.req.Route) + 1
	t[deich.TraitPath] = textOf(r.URL.Path, key)
	t[deich.TraitQuery], t[deich.TraitShape] = queryTraits(r.URL.RawQuery, key)
	t[deich.TraitReferer] = refererTrait(first(r.Header, "Referer"), r.Host, key)
	t[deich.TraitBody] = bodyTrait(r, key)
	t[deich.TraitKind] = uint32(v.req.Kind) + 1
	t[deich.TraitAsked] = t[deich.TraitPath] ^ textOf(r.URL.RawQuery, key)*0x9e3779b1
}

// source fills in what is known of where a request comes from.
func source(t *deich.Traits, r *deich.Request, key sketch.Key) {
	if !r.Client.IsValid() {
		return
	}
	near, far := 24, 16
	if r.Client.Is6() && !r.Client.Is4In6() {
		near, far = 48, 32
	}
	t[deich.TraitPrefix] = uint32(key.Addr(r.Client, near)) | 1
	t[deich.TraitNet] = uint32(key.Addr(r.Client, far)) | 1
}

// placeOf names an operator or a country. It is hashed like all the rest: what
// the engine keeps of a request says nothing of where it came from.
func placeOf(n uint64, key sketch.Key) uint32 {
	if n == 0 {
		return 0
	}
	return uint32(key.Uint64(n)) | 2
}

// textOf names a text, of which the first traitBytesMax bytes count.
func textOf(s string, key sketch.Key) uint32 {
	if s == "" {
		return 1
	}
	var b [traitBytesMax]byte
	return uint32(key.Bytes(b[:copy(b[:], s)])) | 2
}

// headersOf names the set of headers, whatever their order, which the server
// does not keep. Those that come and go with what is asked are left out.
func headersOf(h http.Header, key sketch.Key) uint32 {
	sum, n := uint32(0), 0
	for name := range h {
		if n++; n > traitHeadersMax {
			break
		}
		switch name {
		case "Cookie", "Authorization", "Referer", "Range", "If-None-Match", "If-Modified-Since", "If-Range", "Cache-Control", "Pragma",
			"Content-Type", "Content-Length", "Origin", "Idempotency-Key", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
			"Forwarded", "X-Real-Ip", "Via", "Sec-Fetch-User", "Priority":
			continue
		}
		sum += textOf(name, key)
	}
	return sum | 1
}

// agentClass is the family and major version that a User-Agent claims.
func agentClass(agent string) string {
	agent = agent[:min(len(agent), traitBytesMax)]
	for _, mark := range [...]string{"Edg/", "OPR/", "SamsungBrowser/", "Firefox/", "FxiOS/", "CriOS/", "Chrome/", "Version/"} {
		if i := strings.Index(agent, mark); i >= 0 {
			return untilDot(agent[i:])
		}
	}
	word, _, _ := strings.Cut(agent, " ")
	return untilDot(word)
}

func untilDot(s string) string {
	if i := strings.IndexAny(s, ". ;)"); i >= 0 {
		return s[:i]
	}
	return s
}

const (
	cookieNone = 1 + iota
	cookiePlatform
	cookiePass
)

func cookieTrait(v *visit) uint32 {
	switch {
	case v.req.Pass.ID != 0:
		return cookiePass
	case len(v.r.Header["Cookie"]) > 0:
		return cookiePlatform
	}
	return cookieNone
}

// reuseTrait tells a connection's first request from later ones.
func reuseTrait(r *http.Request) uint32 {
	memory, _ := r.Context().Value(connKey{}).(*connMemory)
	if memory == nil {
		return 0
	}
	if memory.used.Swap(true) {
		return 2
	}
	return 1
}

// queryTraits name the query's keys, and the shape of its values: how long, and
// of which characters.
func queryTraits(query string, key sketch.Key) (keys, shape uint32) {
	if query == "" {
		return 1, 1
	}
	for range traitPairsMax {
		var pair string
		var more bool
		pair, query, more = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		k := textOf(name, key)
		keys += k
		shape += k ^ shapeOf(value)*0x9e3779b1
		if !more {
			break
		}
	}
	return keys | 2, shape | 2
}

// shapeOf is the order of a text's length and which kinds of characters it has.
func shapeOf(s string) uint32 {
	kinds := uint32(0)
	for i := range min(len(s), traitBytesMax) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z':
			kinds |= 1
		case 'A' <= c && c <= 'Z':
			kinds |= 2
		case '0' <= c && c <= '9':
			kinds |= 4
		case c == '%' || c == '+':
			kinds |= 8
		default:
			kinds |= 16
		}
	}
	size := uint32(0)
	for n := len(s); n > 0; n >>= 1 {
		size++
	}
	return size<<5 | kinds
}

const (
	refererNone = 1 + iota
	refererOwn
)

func refererTrait(referer, host string, key sketch.Key) uint32 {
	if referer == "" {
		return refererNone
	}
	_, rest, found := strings.Cut(referer, "://")
	if !found {
		return textOf(referer, key)
	}
	name, _, _ := strings.Cut(rest, "/")
	if name == host {
		return refererOwn
	}
	return textOf(name, key) | 4
}

func bodyTrait(r *http.Request, key sketch.Key) uint32 {
	if r.ContentLength == 0 {
		return 1
	}
	kind, _, _ := strings.Cut(first(r.Header, "Content-Type"), ";")
	size := uint32(0)
	for n := r.ContentLength; n > 0; n >>= 2 {
		size++
	}
	return textOf(kind, key)<<5 ^ size | 1<<31
}

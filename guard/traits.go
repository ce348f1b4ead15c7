package guard

import (
	"strings"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// readTraits fills in what rules may name. Texts are hashed under a key, so
// that nobody can choose two that look alike; what is not there is 1, since 0
// is "cannot be told here".
func (h *Handler) readTraits(v *visit, said *headers) {
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
	t[deich.TraitHeaders] = said.set | 1
	t[deich.TraitAgent], t[deich.TraitAgentClass] = v.memory.agentOf(said.agent, key)
	t[deich.TraitLanguage] = textOf(said.language, key)
	t[deich.TraitAccept] = textOf(said.accept, key)
	t[deich.TraitEncoding] = textOf(said.encoding, key)
	t[deich.TraitFetch] = textOf(said.site, key)<<2 ^ textOf(said.mode, key)<<1 ^ textOf(said.dest, key) | 1<<31
	t[deich.TraitCookie] = cookieTrait(v, said)
	t[deich.TraitReuse] = v.memory.reuse()
	scheme, _, _ := strings.Cut(said.authorization, " ")
	t[deich.TraitCredential] = textOf(scheme, key)
	t[deich.TraitMethod] = textOf(r.Method, key)
	t[deich.TraitRoute] = uint32(v.req.Route) + 1
	t[deich.TraitPath] = textOf(r.URL.Path, key)
	t[deich.TraitQuery], t[deich.TraitShape] = queryTraits(r.URL.RawQuery, key)
	t[deich.TraitReferer] = refererTrait(said.referer, r.Host, key)
	t[deich.TraitBody] = bodyTrait(r.ContentLength, said.contentType, key)
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
	return uint32(key.Bytes([]byte(s[:min(len(s), traitBytesMax)]))) | 2 // the conversion copies nothing
}

// agentMarks are what names a browser in a User-Agent; an earlier one goes before
// those that it comes with.
var agentMarks = [...]string{"Edg/", "OPR/", "SamsungBrowser/", "Firefox/", "FxiOS/", "CriOS/", "Chrome/", "Version/"}

// agentClass is the family and major version that a User-Agent claims: by the first
// place of the first mark that is in it.
func agentClass(agent string) string {
	agent = agent[:min(len(agent), traitBytesMax)]
	best, at := len(agentMarks), 0
	for end := 0; ; {
		i := strings.IndexByte(agent[end:], '/')
		if i < 0 {
			break
		}
		if end += i + 1; end < 2 || !endsMark(agent[end-2]) {
			continue
		}
		for n, mark := range agentMarks[:best] {
			if strings.HasSuffix(agent[:end], mark) {
				best, at = n, end-len(mark)
				break
			}
		}
	}
	if best < len(agentMarks) {
		return untilDot(agent[at:])
	}
	word, _, _ := strings.Cut(agent, " ")
	return untilDot(word)
}

// endsMark spares most words of a User-Agent the comparison with every mark.
func endsMark(c byte) bool {
	switch c {
	case 'g', 'R', 'r', 'x', 'S', 'e', 'n':
		return true
	}
	return false
}

func untilDot(s string) string {
	for i := range len(s) {
		switch s[i] {
		case '.', ' ', ';', ')':
			return s[:i]
		}
	}
	return s
}

const (
	cookieNone = 1 + iota
	cookiePlatform
	cookiePass
)

func cookieTrait(v *visit, said *headers) uint32 {
	switch {
	case v.req.Pass.ID != 0:
		return cookiePass
	case len(said.cookies) > 0:
		return cookiePlatform
	}
	return cookieNone
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

func bodyTrait(length int64, contentType string, key sketch.Key) uint32 {
	if length == 0 {
		return 1
	}
	kind, _, _ := strings.Cut(contentType, ";")
	size := uint32(0)
	for n := length; n > 0; n >>= 2 {
		size++
	}
	return textOf(kind, key)<<5 ^ size | 1<<31
}

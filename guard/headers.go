package guard

import (
	"net/http"
	"strings"

	"github.com/deichproject/deich/sketch"
)

// headers are those of a request's headers that guard reads, each its first value.
// A map is asked faster once for all of them than for each.
type headers struct {
	accept, agent, apiKey, authorization, contentType, dest, encoding, language, mode, referer, requestedWith, site, upgrade string

	cookies []string
	// set names which are there, whatever their order, which the server does not
	// keep: the sum of the names' hashes. Those that come and go with what is asked
	// are left out.
	set uint32
	// ours says that some speak for Deich.
	ours bool
}

func (x *headers) read(h http.Header, names *headerNames, key sketch.Key) {
	n := 0
	for name, values := range h {
		value := ""
		if len(values) > 0 {
			value = values[0]
		}
		known := nameOther
		switch name {
		case "Accept":
			x.accept, known = value, nameAccept
		case "Accept-Encoding":
			x.encoding, known = value, nameEncoding
		case "Accept-Language":
			x.language, known = value, nameLanguage
		case "Sec-Fetch-Dest":
			x.dest, known = value, nameDest
		case "Sec-Fetch-Mode":
			x.mode, known = value, nameMode
		case "Sec-Fetch-Site":
			x.site, known = value, nameSite
		case "User-Agent":
			x.agent, known = value, nameAgent
		case "X-Api-Key":
			x.apiKey = value
		case "X-Requested-With":
			x.requestedWith = value
		case "Upgrade":
			x.upgrade = value
		case "Authorization":
			x.authorization, known = value, nameLeftOut
		case "Content-Type":
			x.contentType, known = value, nameLeftOut
		case "Cookie":
			x.cookies, known = values, nameLeftOut
		case "Referer":
			x.referer, known = value, nameLeftOut
		case "Range", "If-None-Match", "If-Modified-Since", "If-Range", "Cache-Control", "Pragma", "Content-Length", "Origin",
			"Idempotency-Key", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "Via",
			"Sec-Fetch-User", "Priority":
			known = nameLeftOut
		}
		if known == nameOther && strings.HasPrefix(name, ownHeaderPrefix) {
			x.ours = true
		}
		switch n++; {
		case n > traitHeadersMax:
		case known == nameOther:
			x.set += textOf(name, key)
		default:
			x.set += names[known]
		}
	}
}

// What most requests have is hashed once for each key.
const (
	nameOther = iota
	nameLeftOut
	nameAccept
	nameEncoding
	nameLanguage
	nameDest
	nameMode
	nameSite
	nameAgent
	namesHashed
)

// headerNames are their hashes; that of what is left out adds nothing.
type headerNames [namesHashed]uint32

func newHeaderNames(key sketch.Key) (n headerNames) {
	for i, name := range [...]string{
		nameAccept: "Accept", nameEncoding: "Accept-Encoding", nameLanguage: "Accept-Language", nameDest: "Sec-Fetch-Dest",
		nameMode: "Sec-Fetch-Mode", nameSite: "Sec-Fetch-Site", nameAgent: "User-Agent",
	} {
		if name != "" {
			n[i] = textOf(name, key)
		}
	}
	return n
}

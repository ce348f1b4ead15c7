package h2

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2/hpack"
)

// static are the names of RFC 7541's table (appendix A), at their first places.
var static = map[string]byte{
	":authority": 1, ":method": 2, ":path": 4, ":scheme": 6, ":status": 8,
	"accept-charset": 15, "accept-encoding": 16, "accept-language": 17, "accept-ranges": 18, "accept": 19,
	"access-control-allow-origin": 20, "age": 21, "allow": 22, "authorization": 23, "cache-control": 24,
	"content-disposition": 25, "content-encoding": 26, "content-language": 27, "content-length": 28,
	"content-location": 29, "content-range": 30, "content-type": 31, "cookie": 32, "date": 33, "etag": 34,
	"expect": 35, "expires": 36, "from": 37, "host": 38, "if-match": 39, "if-modified-since": 40,
	"if-none-match": 41, "if-range": 42, "if-unmodified-since": 43, "last-modified": 44, "link": 45,
	"location": 46, "max-forwards": 47, "proxy-authenticate": 48, "proxy-authorization": 49, "range": 50,
	"referer": 51, "refresh": 52, "retry-after": 53, "server": 54, "set-cookie": 55,
	"strict-transport-security": 56, "transfer-encoding": 57, "user-agent": 58, "vary": 59, "via": 60,
	"www-authenticate": 61,
}

// others are names that are not in that table and come often.
var others = []string{
	"access-control-request-headers", "access-control-request-method", "alt-svc", "cache-status", "content-security-policy",
	"cross-origin-opener-policy", "cross-origin-resource-policy", "dnt", "forwarded", "idempotency-key", "origin",
	"permissions-policy", "pragma", "priority", "referrer-policy", "sec-ch-ua", "sec-ch-ua-mobile",
	"sec-ch-ua-platform", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "sec-gpc", "te", "trailer",
	"upgrade-insecure-requests", "x-content-type-options", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
	"x-frame-options", "x-requested-with", "x-xss-protection",
}

// canonicalOf gives names as Go knows them, lowerOf as they are written.
var canonicalOf, lowerOf = func() (map[string]string, map[string]string) {
	canonical, lower := make(map[string]string), make(map[string]string)
	put := func(name string) {
		s := http.CanonicalHeaderKey(name)
		canonical[name], lower[s] = s, name
	}
	for name := range static {
		if name[0] != ':' {
			put(name)
		}
	}
	for _, name := range others {
		put(name)
	}
	return canonical, lower
}()

// written gives a name as it is written.
func written(name string) string {
	if s, ok := lowerOf[name]; ok {
		return s
	}
	return strings.ToLower(name)
}

// noTable tells that no table is used, at the beginning of a connection's first
// header block (RFC 7541, 6.3).
const noTable = 0x20

// appendStatus encodes a status.
func appendStatus(b []byte, status int) []byte {
	switch status {
	case 200:
		return append(b, 0x80|8)
	case 204:
		return append(b, 0x80|9)
	case 206:
		return append(b, 0x80|10)
	case 304:
		return append(b, 0x80|11)
	case 400:
		return append(b, 0x80|12)
	case 404:
		return append(b, 0x80|13)
	case 500:
		return append(b, 0x80|14)
	}
	return append(b, 8, 3, byte('0'+status/100%10), byte('0'+status/10%10), byte('0'+status%10))
}

// appendField encodes a field, without a table (RFC 7541, 6.2.2; a cookie as what
// nobody may remember, 6.2.3).
func appendField(b []byte, f field) []byte {
	kind := byte(0)
	if f.name == "set-cookie" {
		kind = 0x10
	}
	switch i := static[f.name]; {
	case i == 0:
		b = appendString(append(b, kind), f.name)
	case i < 15:
		b = append(b, kind|i)
	default:
		b = append(b, kind|15, i-15)
	}
	return appendString(b, f.value)
}

// appendString encodes a string (RFC 7541, 5.2), by Huffman's code where that is shorter.
func appendString(b []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		return hpack.AppendHuffmanString(appendLength(b, 0x80, n), s)
	}
	return append(appendLength(b, 0, uint64(len(s))), s...)
}

// appendLength encodes an integer with a prefix of 7 bits (RFC 7541, 5.1).
func appendLength(b []byte, flag byte, n uint64) []byte {
	if n < 127 {
		return append(b, flag|byte(n))
	}
	b = append(b, flag|127)
	for n -= 127; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// dated is the time of a second as a header has it.
type dated struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[dated]

// date gives the time as "Date" has it.
func date(now time.Time) string {
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dated{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(d)
	return d.text
}

package edge

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// difference is one exchange that goes once through this package's way to the
// origin and once through the standard library's. Both must come out the same,
// unless why says what is meant to differ: then ours and theirs are what each
// outcome holds.
type difference struct {
	name    string
	request string // "" is a plain GET
	answer  string // of the origin, to /case
	last    bool   // the origin closes the connection behind its answer
	stray   bool   // bytes behind the answer: whether the standard transport sees them in time is chance

	why, ours, theirs string
}

const (
	plainGet = "GET /case HTTP/1.1\r\nHost: a.example\r\n\r\n"
	nextGet  = "GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n"
	nextSaid = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnext"
	okSaid   = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
)

var differences = []difference{
	// Plain answers.
	{name: "200", answer: okSaid},
	{name: "200 empty", answer: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"},
	{name: "404 with fields twice", answer: "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nno"},
	{name: "status without words", answer: "HTTP/1.1 299 \r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"},
	{name: "redirect", answer: "HTTP/1.1 302 Found\r\nContent-Type: text/plain\r\nLocation: http://b.example/x\r\nContent-Length: 0\r\n\r\n"},
	{name: "own Date and Server", answer: "HTTP/1.1 200 OK\r\nServer: x/1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"},
	{name: "connection's own fields", answer: "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"},
	{name: "origin closes", last: true, answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"},
	{
		name: "no Content-Type", answer: "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
		why: "what the origin does not say is not guessed: a guess can make a script of a text", ours: "200\nContent-Length: 13\n", theirs: "Content-Type: text/html",
	},

	// Without a body.
	{name: "HEAD with length", request: "HEAD /case HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 12345\r\n\r\n"},
	{name: "HEAD without length", request: "HEAD /case HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n"},
	{name: "HEAD chunked", request: "HEAD /case HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{name: "HEAD with a body", stray: true, request: "HEAD /case HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"},
	{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n"},
	{name: "204 with length 0", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"},
	{name: "204 with a body", stray: true, answer: "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"},
	{name: "204 chunked", stray: true, answer: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{name: "304", answer: "HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\n\r\n"},
	{name: "304 with length", answer: "HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\nContent-Length: 12345\r\n\r\n"},
	{name: "304 with a body", stray: true, answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok"},

	// Chunked, trailers, delimited by the end.
	{
		name: "chunked", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;x=y\r\nay!\r\n0\r\n\r\n",
		why: "a short answer that has come to its end goes on with a length", ours: "200\nContent-Length: 5\n", theirs: "transfer: chunked\nokay!",
	},
	{
		name: "chunked for HTTP/1.0", request: "GET /case HTTP/1.0\r\nHost: a.example\r\n\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		why: "a short answer that has come to its end goes on with a length", ours: "200\nContent-Length: 2\n", theirs: "200\nContent-Type",
	},
	{name: "trailers announced", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"},
	{name: "trailers announced, none comes", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
	{name: "trailers unannounced", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"},
	{name: "trailers, one of two announced", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\n\r\n"},
	{name: "trailer announced that frames", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
	{
		name: "trailers that have no place there", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nSet-Cookie: a=1\r\nContent-Length: 5\r\nDeich-Member: 1\r\n\r\n",
		why: "a trailer neither frames, sets cookies nor speaks to Deich", ours: "Content-Type: a/b\ntransfer: chunked\nok\ntrailer X-Sum: 7\n", theirs: "Set-Cookie: a=1",
	},
	{name: "ended by close", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nok\nok"},
	{name: "HTTP/1.0", last: true, answer: "HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nok"},
	{name: "HTTP/1.0 with length, kept", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"},
	{name: "HTTP/1.0 chunked", last: true, answer: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: a/b\r\n\r\n2\r\nok\r\n0\r\n\r\n"},

	// Lengths that lie, and framing that contradicts itself.
	{
		name: "too short chunked", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
		why: "what has come is handed on when more is waited for, not when it has broken already", ours: "client:\nunexpected EOF", theirs: "ok\nunexpected EOF",
	},
	{name: "chunked without its end", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"},
	{
		name: "chunk size is none", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n",
		why: "what has come is handed on when more is waited for, not when it has broken already", ours: "client:\nunexpected EOF", theirs: "ok\nunexpected EOF",
	},
	{
		name: "too short", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 20\r\n\r\nok",
		why: "a short answer is taken in whole before any of it is given: a broken one is told as 502", ours: "502", theirs: "unexpected EOF",
	},
	{name: "too long", stray: true, answer: okSaid + "more than was said"},
	{name: "another answer behind it", stray: true, answer: okSaid + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"},
	{name: "two lengths, the same", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
	{name: "two lengths", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"},
	{name: "length below zero", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"},
	{name: "length with a sign", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"},
	{name: "length beyond numbers", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok"},
	{
		name: "length and chunked", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		why: "a short answer that has come to its end goes on with a length; the lying one is gone in both", ours: "200\nContent-Length: 2\n", theirs: "transfer: chunked\nok",
	},
	{name: "chunked twice", last: true, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
	{name: "coding unknown", last: true, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},

	// Heads that are none.
	{name: "nothing", last: true, answer: ""},
	{name: "not HTTP", last: true, answer: "220 mail.example ESMTP\r\n"},
	{name: "half a head", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Le"},
	{name: "status 99", last: true, answer: "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", why: "both refuse it; the standard library by a panic of its server", ours: "502", theirs: "EOF"},
	{name: "status of four digits", last: true, answer: "HTTP/1.1 2000 High\r\nContent-Length: 0\r\n\r\n"},
	{name: "folded field", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Long: a\r\n b\r\nContent-Length: 2\r\n\r\nok"},
	{name: "space before the colon", last: true, answer: "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"},
	{name: "field without colon", last: true, answer: "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 2\r\n\r\nok"},
	{name: "carriage return within a value", last: true, answer: "HTTP/1.1 200 OK\r\nX-A: b\rSet-Cookie: c=1\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"},
	{name: "NUL within a value", last: true, answer: "HTTP/1.1 200 OK\r\nX-A: b\x00c\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"},
	{name: "bare line feeds", answer: "HTTP/1.1 200 OK\nContent-Type: a/b\nContent-Length: 2\n\nok"},
	{name: "large head", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Large: " + strings.Repeat("x", 100_000) + "\r\nContent-Length: 2\r\n\r\nok"},
	{
		name: "huge head", last: true, answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Huge: " + strings.Repeat("x", 2*originHeaderMax) + "\r\nContent-Length: 2\r\n\r\nok",
		why: "an answer's head is bounded, see originHeaderMax", ours: "502", theirs: "200",
	},

	// Interim answers.
	{name: "103", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + okSaid},
	{name: "102 and 103", answer: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + okSaid},
	{name: "103 for HEAD", request: "HEAD /case HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 9\r\n\r\n"},
	{
		name: "103 for HTTP/1.0", request: "GET /case HTTP/1.0\r\nHost: a.example\r\n\r\n", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + okSaid,
		why: "HTTP/1.0 has no interim answers (RFC 9110, 15.2): none is sent", ours: "200\nContent-Length: 2", theirs: "103",
	},
	{
		name: "100 unasked", answer: "HTTP/1.1 100 Continue\r\n\r\n" + okSaid,
		why: "100 concerns this hop alone: this server has said it, or was not asked", ours: "200\nContent-Length: 2", theirs: "100",
	},
	{name: "far too many 103", last: true, answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", 1000) + okSaid,
		why: "interim answers are bounded, see interimMax", ours: "502", theirs: "200"},
	{name: "101 unasked", last: true, answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfree"},

	// Requests.
	{name: "query", request: "GET /case?a=b&c=%20d HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: okSaid},
	{
		name: "query with semicolon", request: "GET /case?a=b;c=d HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: okSaid,
		why: "a query goes on as it came: nothing here reads it", ours: "GET /case?a=b;c=d", theirs: "GET /case HTTP",
	},
	{name: "escaped path", request: "GET /case/%2F..%2e/a%20b HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: okSaid},
	{name: "two slashes", request: "GET //case//x HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: okSaid},
	{name: "dots", request: "GET /case/../x/. HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: okSaid},
	{name: "absolute target", request: "GET http://a.example/case HTTP/1.1\r\nHost: b.example\r\n\r\n", answer: okSaid},
	{name: "fields", request: "GET /case HTTP/1.1\r\nHost: a.example\r\nAccept: a\r\nX-Two: 1\r\nX-Two: 2\r\nCookie: a=b; c=d\r\nUser-Agent: x\r\n\r\n", answer: okSaid},
	{
		name: "fields of the hop", request: "GET /case HTTP/1.1\r\nHost: a.example\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTe: trailers\r\nProxy-Authorization: x\r\n\r\n", answer: okSaid,
		why: "TE is named by Connection (RFC 9110, 10.1.4)", ours: "Connection: TE\nTe: trailers", theirs: "Host: a.example\nTe: trailers",
	},
	{
		name: "fields that pass for others", request: "GET /case HTTP/1.1\r\nHost: a.example\r\nProxy: x\r\nX_Forwarded_For: 1.2.3.4\r\nX-Forwarded-User: root\r\n\r\n", answer: okSaid,
		why: "Proxy becomes a setting in CGI, and _ reads as -; X-Forwarded-* is said by proxies alone", ours: "GET /case HTTP/1.1\nHost: a.example\n\n", theirs: "X_forwarded_for: 1.2.3.4",
	},
	{name: "OPTIONS", request: "OPTIONS /case HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: okSaid},
	{name: "DELETE", request: "DELETE /case HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: okSaid},
	{name: "unknown method", request: "PROPFIND /case HTTP/1.1\r\nHost: a.example\r\n\r\n", answer: okSaid},
	{name: "POST", request: "POST /case HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello", answer: okSaid},
	{name: "POST empty", request: "POST /case HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n", answer: okSaid},
	{name: "GET with a body", request: "GET /case HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello", answer: okSaid},
	{name: "POST chunked", request: "POST /case HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", answer: okSaid},
	{
		name: "POST with trailers", request: "POST /case HTTP/1.1\r\nHost: a.example\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n", answer: okSaid,
		why: "a request's trailers go on", ours: "trailer X-Sum: 7", theirs: "hello\n",
	},
	{name: "POST expecting 100", request: "POST /case HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", answer: okSaid,
		why: "Expect concerns this hop alone: the body is in hand when the origin is asked", ours: "Content-Length: 5\n\nhello", theirs: "Expect: 100-continue"},
	{name: "large body", request: "POST /case HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("y", 100_000), answer: okSaid},
	{name: "large answer", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("z", 30_000)},

	// Upgrades.
	{
		name: "upgrade refused", request: "GET /case HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", answer: okSaid,
		why: "a connection whose upgrade was refused can be used again", ours: "connections: 1", theirs: "connections: 2",
	},
	{name: "upgrade", last: true, request: "GET /case HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Accept: x\r\n\r\n"},
	{name: "upgrade to something else", last: true, request: "GET /case HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"},
	{
		name: "upgrade to h2c", request: "GET /case HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", answer: okSaid,
		why: "requests behind an upgrade to HTTP would pass the guard unseen", ours: "GET /case HTTP/1.1\nHost: a.example\n\n", theirs: "Upgrade: h2c",
	},
}

func TestDiffersFromTheStandardLibraryOnlyOnPurpose(t *testing.T) {
	log.SetOutput(io.Discard) // the standard transport speaks to it
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, d := range differences {
		t.Run(d.name, func(t *testing.T) {
			ours, theirs := d.run(t, ourWay), d.run(t, theirWay)
			if !strings.HasSuffix(ours, "next: 200 next\n") {
				t.Errorf("the request behind it had another answer:\n%.1500s", ours)
			}
			if d.stray {
				ours, _, _ = strings.Cut(ours, "connections:")
				theirs, _, _ = strings.Cut(theirs, "connections:")
			}
			switch {
			case d.why == "" && ours != theirs:
				t.Errorf("they differ\nours:\n%.1500s\ntheirs:\n%.1500s", ours, theirs)
			case d.why != "" && ours == theirs:
				t.Errorf("no difference to explain (%s):\n%.1500s", d.why, ours)
			case d.why != "" && !strings.Contains(ours, d.ours):
				t.Errorf("ours lacks %q:\n%.1500s", d.ours, ours)
			case d.why != "" && !strings.Contains(theirs, d.theirs):
				t.Errorf("theirs lacks %q:\n%.1500s", d.theirs, theirs)
			}
		})
	}
}

func ourWay(t testing.TB, origin string) http.Handler {
	return bare(t, Site{Origins: []string{origin}})
}

func theirWay(t testing.TB, origin string) http.Handler {
	h := reverseProxy(t, origin).(*httputil.ReverseProxy)
	h.ErrorLog = log.New(io.Discard, "", 0)
	return h
}

// run gives what the client and the origin saw, and of the request behind it.
func (d difference) run(t *testing.T, way func(testing.TB, string) http.Handler) string {
	var mu sync.Mutex
	var seen strings.Builder
	o := play(t, func(c *playedConn) {
		for {
			r := c.request()
			if r == nil {
				return
			}
			if r.URL.Path == "/next" {
				c.say(nextSaid)
				continue
			}
			mu.Lock()
			seen.WriteString(requestText(r))
			mu.Unlock()
			c.say(d.answer)
			if d.last {
				return
			}
		}
	})
	front := httptest.NewUnstartedServer(way(t, o.url()))
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.Start()
	defer front.Close()

	request := d.request
	if request == "" {
		request = plainGet
	}
	method, _, _ := strings.Cut(request, " ")
	c := call(t, front.Listener.Addr().String())
	h := c.ask(method, request)
	c.Close()
	next := call(t, front.Listener.Addr().String())
	n := next.ask("GET", nextGet)
	next.Close()
	mu.Lock()
	defer mu.Unlock()
	out := "client:\n" + h.text() + "origin:\n" + seen.String()
	if !d.last && (d.why == "" || h.resp != nil && h.resp.StatusCode == 200) {
		out += fmt.Sprintf("connections: %d\n", len(o.seen()))
	}
	if n.resp != nil {
		out += fmt.Sprintf("next: %d %s\n", n.resp.StatusCode, n.body)
	}
	return out
}

// text writes an answer down. A proxy's own error is its status alone.
func (h heard) text() string {
	var b strings.Builder
	for _, each := range h.interim {
		fmt.Fprintf(&b, "%s\n", each)
	}
	if h.resp == nil {
		fmt.Fprintf(&b, "%v\n", h.err)
		return b.String()
	}
	fmt.Fprintf(&b, "%d\n", h.resp.StatusCode)
	if h.resp.StatusCode >= 502 {
		return b.String()
	}
	fmt.Fprintf(&b, "%s\n", headerText(h.resp.Header))
	for _, te := range h.resp.TransferEncoding {
		fmt.Fprintf(&b, "transfer: %s\n", te)
	}
	fmt.Fprintf(&b, "%s\n", h.body)
	b.WriteString(trailerText(h.resp.Trailer))
	if h.err != nil {
		fmt.Fprintf(&b, "%v\n", h.err)
	}
	return b.String()
}

func trailerText(h http.Header) string {
	var lines []string
	for name, values := range h {
		for _, v := range values {
			lines = append(lines, "trailer "+name+": "+v+"\n")
		}
		if len(values) == 0 {
			lines = append(lines, "trailer "+name+" announced\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// requestText writes a request down as the origin saw it, without what tells
// of the hop: that has tests of its own.
func requestText(r *http.Request) string {
	h := r.Header.Clone()
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via"} {
		h.Del(name)
	}
	body, _ := io.ReadAll(r.Body)
	return fmt.Sprintf("%s %s %s\nHost: %s\n%s\n%s\n%s\n%s", r.Method, r.RequestURI, r.Proto, r.Host, headerText(h),
		strings.Join(r.TransferEncoding, ","), body, trailerText(r.Trailer))
}

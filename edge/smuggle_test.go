package edge

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// hidden is the request that the shapes below try to slip past.
const hidden = "GET /hidden HTTP/1.1\r\nHost: a.example\r\n\r\n"

const (
	postHead = "POST /case HTTP/1.1\r\nHost: a.example\r\n"
	getHead  = "GET /case HTTP/1.1\r\nHost: a.example\r\n"
)

func lengthOf(s string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(s)) }

// chunk frames s as one chunk.
func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// shapes are bytes that two servers in a row might read differently. What
// reaches the origin of each is one request, or none.
var shapes = []struct {
	name string
	raw  string
	one  bool
}{
	{"a plain one", getHead + "\r\n", true},

	// Length against coding.
	{"CL.TE", postHead + "Content-Length: 51\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, true},
	{"TE.CL", postHead + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunk(hidden) + "0\r\n\r\n", true},
	{"TE.TE second unknown", postHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\nContent-Length: 4\r\n\r\n" + chunk(hidden) + "0\r\n\r\n", false},
	{"TE twice", postHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, false},
	{"TE unknown", postHead + "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, false},
	{"TE list", postHead + "Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, false},
	{"TE then identity", postHead + "Transfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, false},
	{"TE quoted", postHead + "Transfer-Encoding: \"chunked\"\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, false},
	{"TE after a vertical tab", postHead + "Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, false},
	{"TE after a tab", postHead + "Transfer-Encoding:\tchunked\r\nContent-Length: 51\r\n\r\n0\r\n\r\n" + hidden, true},
	{"TE in capitals", postHead + "TRANSFER-ENCODING: CHUNKED\r\nContent-Length: 51\r\n\r\n0\r\n\r\n" + hidden, true},
	{"TE space before the colon", postHead + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, false},
	{"TE folded", postHead + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 51\r\n\r\n0\r\n\r\n" + hidden, true},
	{"TE within a fold", postHead + "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", true},
	{"TE with an underscore", postHead + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", true},
	{"TE in HTTP/1.0", "POST /case HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + "a /x HTTP/1.1\r\nHost: a.example\r\n\r\n0\r\n\r\n", true},
	{"TE named by Connection", postHead + "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(hidden) + "0\r\n\r\n", true},

	{"CL.TE behind a fragment", "POST /case#x HTTP/1.1\r\nHost: a.example\r\n" + lengthOf("0\r\n\r\n"+hidden) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, false},
	{"CL.TE of a CONNECT", "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n" + lengthOf("0\r\n\r\n"+hidden) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, false},
	{"TE in HTTP/1.0 behind a fragment", "POST /case#x HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + "a /x HTTP/1.1\r\nHost: a.example\r\n\r\n0\r\n\r\n", false},

	// Lengths.
	{"CL named by Connection", postHead + "Connection: Content-Length, Host\r\nContent-Length: 5\r\n\r\nhello", true},
	{"CL twice the same", postHead + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", true},
	{"CL twice", postHead + "Content-Length: 5\r\nContent-Length: 50\r\n\r\nhello" + hidden, false},
	{"CL list", postHead + "Content-Length: 5, 5\r\n\r\nhello", false},
	{"CL signed", postHead + "Content-Length: +5\r\n\r\nhello", false},
	{"CL negative", postHead + "Content-Length: -5\r\n\r\nhello", false},
	{"CL hexadecimal", postHead + "Content-Length: 0x5\r\n\r\nhello", false},
	{"CL with a space within", postHead + "Content-Length: 1 5\r\n\r\nhello", false},
	{"CL beyond numbers", postHead + "Content-Length: 18446744073709551621\r\n\r\nhello", false},
	{"CL empty", postHead + "Content-Length: \r\n\r\n", false},
	{"CL with zeros in front", postHead + "Content-Length: 005\r\n\r\nhello", true},
	{"CL space before the colon", postHead + "Content-Length : 5\r\n\r\nhello", false},
	{"body of a GET", getHead + "" + lengthOf(hidden) + "\r\n" + hidden, true},

	// Lines.
	{"bare LF", "GET /case HTTP/1.1\nHost: a.example\n\n", true},
	{"bare LF within a field", postHead + "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 51\r\n\r\n0\r\n\r\n" + hidden, true},
	{"bare CR within a field", getHead + "X: y\rX-Hidden: z\r\n\r\n", false},
	{"bare CR before the end", getHead + "X: y\r\r\n\r\n", false},
	{"folded field", getHead + "X: y\r\n z\r\n\r\n", true},
	{"first field folded", "GET /case HTTP/1.1\r\n Host: a.example\r\n\r\n", false},
	{"empty line in front", "\r\nGET /case HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"field without colon", getHead + "X\r\n\r\n", false},
	{"field without name", getHead + ": x\r\n\r\n", false},
	{"field with a bracket in its name", getHead + "X(: y\r\n\r\n", false},
	{"field with a high byte in its name", getHead + "X\x80: y\r\n\r\n", false},
	{"NUL in a value", getHead + "X: y\x00z\r\n\r\n", false},
	{"NUL in a name", getHead + "X\x00: y\r\n\r\n", false},
	{"long head", getHead + "X: " + strings.Repeat("y", 64<<10) + "\r\n\r\n", false},
	{"long target", "GET /" + strings.Repeat("y", 64<<10) + " HTTP/1.1\r\nHost: a.example\r\n\r\n", false},

	// Chunks.
	{"chunk extension", postHead + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", true},
	{"chunk extension with a bare LF", postHead + "Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", false},
	{"chunk extension without end", postHead + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("a", 64<<10) + "\r\nhello\r\n0\r\n\r\n", false},
	{"chunk line with a bare LF", postHead + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", false},
	{"chunk line with a bare CR", postHead + "Transfer-Encoding: chunked\r\n\r\n5\rX\r\nhello\r\n0\r\n\r\n", false},
	{"chunk size signed", postHead + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", false},
	{"chunk size with 0x", postHead + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", false},
	{"chunk size beyond numbers", postHead + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff5\r\nhello\r\n0\r\n\r\n", false},
	{"chunk size empty", postHead + "Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", false},
	{"chunk longer than said", postHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n", false},
	{"chunk end with a bare LF", postHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", false},
	{"trailer that frames", postHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: b\r\nTransfer-Encoding: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n", true},
	{"trailer announced that frames", postHead + "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n", false},
	{"trailer with a bare CR", postHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\rz\r\n\r\n", false},

	// Targets and request lines.
	{"absolute target", "GET http://a.example/case HTTP/1.1\r\nHost: b.example\r\n\r\n", true},
	{"absolute target without path", "GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", true},
	{"absolute target with a user", "GET http://u:p@a.example/case HTTP/1.1\r\nHost: a.example\r\n\r\n", true},
	{"absolute target, not of HTTP", "GET ftp://a.example/case HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"opaque target", "GET mailto:a HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"authority as target", "GET a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"CONNECT", "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"CONNECT with a path", "CONNECT /case HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"GET *", "GET * HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", true},
	{"target without slash", "GET case HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"fragment", "GET /case#x HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"fragment behind a query", "GET /case?a=b#x HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"line end in the target, escaped", "GET /case%0d%0aX:%20y?z=%0d%0a HTTP/1.1\r\nHost: a.example\r\n\r\n", true},
	{"NUL in the target", "GET /ca\x00se HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"high bytes in the target", "GET /\xc3\xa4?\xc3\xa4 HTTP/1.1\r\nHost: a.example\r\n\r\n", true},
	{"space in the target", "GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"two spaces", "GET  /case HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"tabs for spaces", "GET\t/case\tHTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"method with a NUL", "GE\x00T /case HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"method with a bracket", "GE(T /case HTTP/1.1\r\nHost: a.example\r\n\r\n", false},
	{"HTTP/0.9", "GET /case\r\n\r\n", false},
	{"HTTP/2.0", "GET /case HTTP/2.0\r\nHost: a.example\r\n\r\n", false},
	{"HTTP/1.10", "GET /case HTTP/1.10\r\nHost: a.example\r\n\r\n", false},
	{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false},

	// Hosts.
	{"no Host", "GET /case HTTP/1.1\r\n\r\n", false},
	{"two Hosts", getHead + "Host: b.example\r\n\r\n", false},
	{"Host with a space", "GET /case HTTP/1.1\r\nHost: a b\r\n\r\n", false},
	{"Host with a slash", "GET /case HTTP/1.1\r\nHost: a/b\r\n\r\n", false},

	// Upgrades.
	{"upgrade with a body", postHead + "Connection: Upgrade\r\nUpgrade: websocket\r\n" + lengthOf(hidden) + "\r\n" + hidden, true},
	{"upgrade to h2c", getHead + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n", true},
	{"expectation unknown", postHead + "Expect: x\r\nContent-Length: 5\r\n\r\nhello", false},
}

func TestOneRequestReachesTheOriginOrNone(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			t.Parallel()
			o := play(t, answerOnce)
			s := startUncached(t, Config{
				Sites:    []Site{{Origins: []string{o.url()}}},
				Timeouts: Timeouts{ReadHeader: Lasting(150 * time.Millisecond), Idle: Lasting(150 * time.Millisecond)},
			})
			c := call(t, s.Addrs()[0].String())
			io.WriteString(c.Conn, shape.raw) // the server may have hung up already
			answers, _ := io.ReadAll(c.br)

			var all []string
			for _, each := range o.seen() {
				if raw := each.raw(); raw != "" {
					all = append(all, raw)
					if err := oneRequest(raw); err != nil {
						t.Errorf("not one request: %v:\n%q", err, raw)
					}
				}
			}
			if want := map[bool]int{true: 1}[shape.one]; len(all) != want {
				t.Errorf("%d requests reached the origin, want %d:\n%.500q\nanswers:\n%.500q", len(all), want, all, answers)
			}
		})
	}
}

// answerOnce answers one request, and reads on to see what comes behind it.
func answerOnce(c *playedConn) {
	if c.request() != nil {
		c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, c.br)
	}
}

func TestOneRequestKnowsWhatItIs(t *testing.T) {
	for raw, ok := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                                     true,
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nx":                                                    false,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx":                               true,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx":                               false,
		"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n":                                               false,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n":    true,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n":      true,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.": false,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nx\r\n0\r\n\r\n":    false,
		"GET / HTTP/1.1\r\n\r\n":                                                                false,
	} {
		if err := oneRequest(raw); (err == nil) != ok {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

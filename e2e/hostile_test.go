package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// raw sends bytes as they are and gives the answer's status; 0 says that the
// connection was closed without one.
func raw(t *testing.T, to, bytes string) (status int, header http.Header, body string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(to, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	// What refuses early may close before all is sent.
	_, _ = io.WriteString(c, bytes)
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: strings.SplitN(bytes, " ", 2)[0]})
	if err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Errorf("no answer at all to %.60q", bytes)
		}
		return 0, nil, ""
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return r.StatusCode, r.Header, string(b)
}

// recorder is a platform that remembers what reached it.
type recorder struct {
	*httptest.Server
	came atomic.Int64
	last atomic.Pointer[http.Request]
}

func recording(t *testing.T) *recorder {
	o := new(recorder)
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		o.came.Add(1)
		o.last.Store(r)
		io.WriteString(w, "hello")
	}))
	t.Cleanup(o.Close)
	return o
}

// calm says that the process has told of no panic, and still serves.
func (p *process) calm(t *testing.T) {
	t.Helper()
	if said := strings.Join(p.lines(), "\n"); strings.Contains(said, "panic") || strings.Contains(said, "goroutine ") {
		t.Errorf("it panicked:\n%s", said)
	}
	if r, body := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 || body != "hello" {
		t.Errorf("it does not serve: %s %q", r.Status, body)
	}
}

// Requests that no browser sends: each gets the status that fits, and the
// origin sees only what is one whole request.
func TestHostileRequests(t *testing.T) {
	const host = "Host: site.example\r\n"
	origin := recording(t)
	p := build(t).protect(t, t.TempDir(), origin.URL)
	for _, c := range []struct {
		name, bytes string
		want        []int // 0: closed without an answer
		reaches     bool
	}{
		{"plain", "GET / HTTP/1.1\r\n" + host + "\r\n", []int{200}, true},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", []int{400}, false},
		{"two Hosts", "GET / HTTP/1.1\r\n" + host + "Host: other.example\r\n\r\n", []int{400}, false},
		{"Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", []int{400}, false},
		{"Host with a slash", "GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n", []int{400}, false},
		{"Host of 8 KiB", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", 8<<10) + "\r\n\r\n", []int{200, 400}, true},
		{"Host of brackets", "GET / HTTP/1.1\r\nHost: [[[::]]]:::80\r\n\r\n", []int{200, 400}, true},
		{"Host empty", "GET / HTTP/1.1\r\nHost: \r\n\r\n", []int{200, 400}, true},
		{"one long header", "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("y", 128<<10) + "\r\n\r\n", []int{431, 0}, false},
		{"10,000 headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 10_000) + "\r\n", []int{431, 0}, false},
		{"10,000 cookies", "GET / HTTP/1.1\r\n" + host + "Cookie: " + strings.Repeat("a=b; ", 10_000) + "\r\n\r\n", []int{431, 0}, false},
		{"2,500 cookies", "GET / HTTP/1.1\r\n" + host + "Cookie: " + strings.Repeat("a=b; ", 2_500) + "\r\n\r\n", []int{200}, true},
		{"a long path", "GET /" + strings.Repeat("a/", 32<<10) + " HTTP/1.1\r\n" + host + "\r\n", []int{431, 414, 0}, false},
		{"a path of NULs", "GET /%00%00%ff/..%2f HTTP/1.1\r\n" + host + "\r\n", []int{200, 400}, true},
		{"a control character in the path", "GET /a\x01b HTTP/1.1\r\n" + host + "\r\n", []int{400}, false},
		{"a NUL in a header", "GET / HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", []int{400}, false},
		{"a bare CR in a header", "GET / HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n", []int{400}, false},
		{"a space before the colon", "GET / HTTP/1.1\r\n" + host + "X : a\r\n\r\n", []int{400}, false},
		{"a name that is none", "GET / HTTP/1.1\r\n" + host + "X(: a\r\n\r\n", []int{400}, false},
		{"no colon", "GET / HTTP/1.1\r\n" + host + "nonsense\r\n\r\n", []int{400}, false},
		{"a method that is none", "G(T / HTTP/1.1\r\n" + host + "\r\n", []int{400}, false},
		{"CONNECT", "CONNECT site.example:443 HTTP/1.1\r\n" + host + "\r\n", []int{405}, false},
		{"version 9.9", "GET / HTTP/9.9\r\n" + host + "\r\n", []int{505, 400}, false},
		{"version none", "GET /\r\n\r\n", []int{400}, false},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 64) + "\r\n\r\n", []int{400}, false},
		{"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{405}, false},
		{"PROXY protocol unasked for", "PROXY TCP4 203.0.113.1 127.0.0.1 1 80\r\nGET / HTTP/1.1\r\n" + host + "\r\n", []int{400}, false},
		{"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", []int{400}, false},
		{"a negative length", "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", []int{400}, false},
		{"a length beyond 64 bits", "POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", []int{400}, false},
		{"a length with a sign", "POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\na", []int{400}, false},
		{"a coding that is none", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", []int{501, 400}, false},
		{"chunked twice", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", []int{501, 400}, false},
		{"a chunk beyond 64 bits", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("f", 17) + "\r\na", []int{400}, false},
		{"a chunk that is none", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", []int{400}, false},
		{"a chunk longer than it says", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", []int{400}, false},
		{"an expectation that is none", "GET / HTTP/1.1\r\n" + host + "Expect: the-impossible\r\n\r\n", []int{417}, false},
		{"an upgrade to h2c", "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", []int{200}, true},
		{"an upgrade without Connection", "GET / HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n\r\n", []int{200}, true},
		{"an upgrade that is refused", "GET / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", []int{200}, true},
		{"an upgrade with a body", "POST / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabc", []int{200, 400}, true},
		{"1,000 upgrades in one", "GET / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: " + strings.Repeat("a/1, ", 1_000) + "b\r\n\r\n", []int{200, 400}, true},
		{"Connection names everything", "GET / HTTP/1.1\r\n" + host + "Connection: Host, Cookie, Content-Length, Via, close\r\n\r\n", []int{200}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := origin.came.Load()
			status, header, _ := raw(t, p.users, c.bytes)
			if !slices.Contains(c.want, status) {
				t.Errorf("status %d, want one of %v", status, c.want)
			}
			if came := origin.came.Load() > before; came && !c.reaches {
				t.Errorf("it reached the origin as %v", origin.last.Load())
			} else if status == 200 && !came {
				t.Errorf("200 without the origin: %v", header)
			}
		})
	}
	p.calm(t)
	p.stop(t)
}

// Bodies that lie about their length end in time, and the origin sees none.
func TestLyingLengths(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: site.example\r\nContent-Type: text/plain\r\n"
	origin := recording(t)
	p := build(t).protect(t, t.TempDir(), origin.URL)
	t.Run("each", func(t *testing.T) {
		for name, bytes := range map[string]string{
			"shorter than announced": head + "Content-Length: 1000\r\n\r\nabc",
			"a gigabyte, never sent": head + "Content-Length: 1073741824\r\n\r\n",
			"chunks without an end":  head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				status, header, _ := raw(t, p.users, bytes)
				if status != 408 || header.Get("Deich-Reason") != "slow_client" {
					t.Errorf("status %d, %s", status, header.Get("Deich-Reason"))
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("after %v", took)
				}
			})
		}
		t.Run("and the connection is closed", func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", strings.TrimPrefix(p.users, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(c, head+"Content-Length: 1000\r\n\r\nabc")
			c.Close()
		})
		t.Run("longer than announced", func(t *testing.T) {
			t.Parallel()
			// What follows the body is another request, and no good one.
			if status, _, _ := raw(t, p.users, strings.Replace(head, "POST", "PUT", 1)+"Content-Length: 3\r\n\r\nabcdef\r\n\r\n"); status != 200 {
				t.Errorf("status %d", status)
			}
		})
	})
	if n := origin.came.Load(); n != 1 {
		t.Errorf("the origin saw %d requests, want the one that was whole", n)
	}
	p.calm(t)
	p.stop(t)
}

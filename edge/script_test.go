package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of a test for what must come.
const patience = 10 * time.Second

// played is a platform that speaks raw TCP by a script, so that it can answer
// as no good server would. It keeps what it was sent.
type played struct {
	addr string
	tls  *tls.Config
	play func(c *playedConn)

	mu    sync.Mutex
	conns []*playedConn
	all   sync.WaitGroup
}

// playedConn is one connection to it.
type playedConn struct {
	net.Conn
	number int // from 1
	br     *bufio.Reader

	mu  sync.Mutex
	got bytes.Buffer // all that was read
}

func (c *playedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.got.Write(p[:n])
	c.mu.Unlock()
	return n, err
}

func (c *playedConn) raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.String()
}

// request reads one request with its body; nil at the end of the connection.
func (c *playedConn) request() *http.Request {
	r, err := http.ReadRequest(c.br)
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}

func (c *playedConn) say(s string) { io.WriteString(c.Conn, s) }

// play runs a platform by a script, called once for each connection; when it
// returns the connection is closed.
func play(t testing.TB, script func(c *playedConn)) *played {
	t.Helper()
	return playOver(t, nil, script)
}

func playOver(t testing.TB, secure *tls.Config, script func(c *playedConn)) *played {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &played{addr: l.Addr().String(), tls: secure, play: script}
	o.all.Go(func() { o.accept(l) })
	t.Cleanup(func() {
		l.Close()
		for _, c := range o.seen() {
			c.Close()
		}
		o.all.Wait()
	})
	return o
}

func (o *played) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		c := &playedConn{Conn: nc, number: len(o.conns) + 1}
		if o.tls != nil {
			c.Conn = tls.Server(nc, o.tls)
		}
		c.br = bufio.NewReader(c)
		o.conns = append(o.conns, c)
		o.mu.Unlock()
		o.all.Go(func() {
			defer c.Close()
			o.play(c)
		})
	}
}

func (o *played) url() string {
	if o.tls != nil {
		return "https://" + o.addr
	}
	return "http://" + o.addr
}

// seen gives every connection there was.
func (o *played) seen() []*playedConn {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.conns)
}

// caller is a client that speaks raw TCP.
type caller struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

func call(t testing.TB, addr string) *caller {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return callerOn(t, nc)
}

func callerOn(t testing.TB, nc net.Conn) *caller {
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return &caller{Conn: nc, t: t, br: bufio.NewReader(nc)}
}

func (c *caller) say(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// heard is one answer as a client gets it.
type heard struct {
	interim []string
	resp    *http.Response
	body    string
	err     error // of the head or of the body
}

// hear reads the answer to a request of the given method, interim ones included.
func (c *caller) hear(method string) heard {
	var h heard
	for {
		h.resp, h.err = http.ReadResponse(c.br, &http.Request{Method: method})
		if h.err != nil {
			return h
		}
		if h.resp.StatusCode >= 200 || h.resp.StatusCode == http.StatusSwitchingProtocols {
			break
		}
		h.interim = append(h.interim, fmt.Sprint(h.resp.StatusCode, " ", headerText(h.resp.Header)))
	}
	if h.resp.StatusCode == http.StatusSwitchingProtocols {
		return h
	}
	body, err := io.ReadAll(h.resp.Body)
	h.body, h.err = string(body), err
	return h
}

// ask is one request and its answer.
func (c *caller) ask(method, request string) heard {
	c.t.Helper()
	c.say(request)
	return c.hear(method)
}

// ended says whether the other side has closed the connection; it waits for it.
func (c *caller) ended() bool {
	_, err := c.br.ReadByte()
	return err != nil && !timedOut(err)
}

// headerText writes a header in one order, without what every server adds.
func headerText(h http.Header) string {
	var lines []string
	for name, values := range h {
		if name == "Date" {
			continue
		}
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// within waits for what another goroutine is to bring about.
func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// oneRequest says whether raw is exactly one well-formed request, by a reading
// of its own that is stricter than any server's.
func oneRequest(raw string) error {
	head, body, ok := strings.Cut(raw, "\r\n\r\n")
	if !ok {
		return errors.New("its head has no end")
	}
	lines := strings.Split(head, "\r\n")
	if strings.ContainsAny(strings.Join(lines, ""), "\r\n\x00") {
		return errors.New("a control character within a line")
	}
	if parts := strings.Split(lines[0], " "); len(parts) != 3 || parts[2] != "HTTP/1.1" || !isToken(parts[0]) ||
		!strings.HasPrefix(parts[1], "/") && parts[1] != "*" || strings.Contains(parts[1], "#") {
		return fmt.Errorf("request line %q", lines[0])
	}
	count := make(map[string]int)
	var length int
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		if !ok || !isToken(name) {
			return fmt.Errorf("field %q", line)
		}
		name = strings.ToLower(name)
		count[name]++
		if name == "content-length" {
			if _, err := fmt.Sscanf(value, "%d", &length); err != nil || fmt.Sprint(length) != value {
				return fmt.Errorf("field %q", line)
			}
		}
		if name == "transfer-encoding" && value != "chunked" {
			return fmt.Errorf("field %q", line)
		}
	}
	if count["host"] != 1 || count["content-length"]+count["transfer-encoding"] > 1 {
		return fmt.Errorf("host, content-length, transfer-encoding: %d, %d, %d times",
			count["host"], count["content-length"], count["transfer-encoding"])
	}
	if count["transfer-encoding"] == 1 {
		return oneChunked(body)
	}
	if len(body) != length {
		return fmt.Errorf("%d bytes behind the head, %d announced", len(body), length)
	}
	return nil
}

// oneChunked reads a chunked body to its end, where nothing may follow.
func oneChunked(b string) error {
	for {
		size, rest, ok := strings.Cut(b, "\r\n")
		var n int
		if _, err := fmt.Sscanf(size, "%x", &n); !ok || err != nil || fmt.Sprintf("%x", n) != size {
			return fmt.Errorf("chunk of size %q", size)
		}
		if n == 0 {
			break
		}
		if len(rest) < n+2 || rest[n:n+2] != "\r\n" {
			return errors.New("a chunk without its end")
		}
		b = rest[n+2:]
	}
	_, b, _ = strings.Cut(b, "\r\n")
	for !strings.HasPrefix(b, "\r\n") {
		line, rest, ok := strings.Cut(b, "\r\n")
		if name, _, colon := strings.Cut(line, ": "); !ok || !colon || !isToken(name) {
			return fmt.Errorf("trailer %q", line)
		}
		b = rest
	}
	if b != "\r\n" {
		return fmt.Errorf("behind the last chunk: %q", b)
	}
	return nil
}

// dialTo dials one address, whatever is asked for.
func dialTo(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
}

package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

func TestEventsAreHandedOnAtOnce(t *testing.T) {
	for _, header := range []string{"Transfer-Encoding: chunked\r\n", ""} {
		next := make(chan struct{})
		o := play(t, func(c *playedConn) {
			c.request()
			c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + header + "\r\n")
			for i := range 3 {
				event := fmt.Sprintf("data: %d\n\n", i)
				if header != "" {
					event = chunk(event)
				}
				c.say(event)
				<-next // told by the client that it came
			}
		})
		s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}})
		resp, err := client(t).Get(s.url() + "/events")
		if err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := br.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", i); line != want {
				t.Fatalf("%q %v, want %q", line, err, want)
			}
			br.ReadString('\n')
			next <- struct{}{}
		}
		resp.Body.Close()
	}
}

// TestSilentAnswersDoNotHoldUpTheEnd: a stream of events and a tunnel in which
// nothing passes are ended, one that is alive and a request that is being
// answered are waited for.
func TestSilentAnswersDoNotHoldUpTheEnd(t *testing.T) {
	release := make(chan struct{})
	o := play(t, func(c *playedConn) {
		r := c.request()
		if r == nil {
			return
		}
		switch r.URL.Path {
		case "/silent":
			c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
			io.Copy(io.Discard, c.br)
		case "/tunnel":
			c.say(switched + "hello")
			io.Copy(io.Discard, c.br)
		case "/alive":
			c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
			for {
				select {
				case <-release:
					return
				case <-time.After(50 * time.Millisecond):
					c.say("data: 1\n\n")
				}
			}
		default:
			<-release
			c.say(okSaid)
		}
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}})
	addr := s.Addrs()[0].String()
	get := func(path, fields string) *caller {
		c := call(t, addr)
		c.say("GET " + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n")
		return c
	}
	head := func(c *caller) *http.Response {
		t.Helper()
		resp, err := http.ReadResponse(c.br, nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	silent, alive, slow := get("/silent", ""), get("/alive", ""), get("/slow", "")
	tunnel := get("/tunnel", "Connection: Upgrade\r\nUpgrade: websocket\r\n")
	events, ticks := head(silent), head(alive)
	if resp := head(tunnel); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status)
	}
	within(t, "the last request is on its way", func() bool { return len(o.seen()) == 4 })

	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(t.Context()) }()
	if got, err := io.ReadAll(events.Body); err == nil || string(got) != "data: 1\n\n" {
		t.Errorf("the silent stream: %q %v", got, err)
	}
	if got, _ := io.ReadAll(tunnel.br); string(got) != "hello" {
		t.Errorf("the tunnel: %q", got)
	}
	if _, err := io.ReadFull(ticks.Body, make([]byte, 90)); err != nil {
		t.Errorf("the stream that is alive: %v", err)
	}
	select {
	case err := <-ended:
		t.Errorf("ended before all was answered: %v", err)
	default:
	}
	close(release)
	if h := slow.hear("GET"); h.body != "ok" {
		t.Errorf("the request that was being answered: %+v", h)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestHeaderIsHandedOnBeforeTheBody: a client that waits for the header of a
// long poll gets it although nothing follows yet.
func TestHeaderIsHandedOnBeforeTheBody(t *testing.T) {
	release := make(chan struct{})
	o := play(t, func(c *playedConn) {
		c.request()
		c.say("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n")
		<-release
		c.say("2\r\nok\r\n0\r\n\r\n")
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}})
	resp, err := client(t).Get(s.url())
	close(release)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
		t.Fatalf("%q %v", body, err)
	}
}

// zeros gives n bytes and keeps none.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	clear(p[:n])
	z.left -= n
	return n, nil
}

func TestLargeBodiesBothWaysInBoundedMemory(t *testing.T) {
	const size, room = 64 << 20, 16 << 20
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n != size {
			http.Error(w, fmt.Sprint(n, err), 500)
			return
		}
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		io.Copy(w, &zeros{size})
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{up}}}})
	for _, path := range []string{"/length", "/chunked"} {
		body := io.Reader(&zeros{size})
		r, err := http.NewRequest("POST", s.url()+path, body)
		if err != nil {
			t.Fatal(err)
		}
		if path == "/length" {
			r.ContentLength = size
		}
		stop, peak := make(chan struct{}), make(chan uint64)
		go heapPeak(stop, peak)
		resp, err := client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		close(stop)
		if err != nil || n != size || resp.StatusCode != 200 {
			t.Fatalf("%s: %d, %d bytes, %v", path, resp.StatusCode, n, err)
		}
		if grown := <-peak; grown > room {
			t.Errorf("%s: memory grew by %d MiB while %d MiB passed both ways", path, grown>>20, size>>20)
		}
	}
}

// heapPeak gives by how much the live heap grew until stop.
func heapPeak(stop <-chan struct{}, peak chan<- uint64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	begin, most := m.HeapAlloc, uint64(0)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			peak <- most
			return
		case <-ticker.C:
			runtime.GC()
			runtime.ReadMemStats(&m)
			if m.HeapAlloc > begin {
				most = max(most, m.HeapAlloc-begin)
			}
		}
	}
}

// TestOriginSeesThatTheClientLeft: at each stage of an exchange.
func TestOriginSeesThatTheClientLeft(t *testing.T) {
	for _, stage := range []string{"before the answer", "in the answer", "in the request"} {
		t.Run(stage, func(t *testing.T) {
			began, gone := make(chan struct{}), make(chan struct{})
			o := play(t, func(c *playedConn) {
				defer close(gone)
				if stage != "in the request" {
					c.request()
				}
				if stage == "in the answer" {
					c.say("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
				} else if stage == "in the request" {
					c.br.ReadString('\n')
				}
				close(began)
				io.Copy(io.Discard, c.br)
			})
			s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}}, guard.Config{BodyBuffer: 4 << 10})
			c := call(t, s.Addrs()[0].String())
			if stage == "in the request" {
				c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 50_000))
			} else {
				c.say(plainGet)
			}
			<-began
			c.Close()
			select {
			case <-gone:
			case <-time.After(patience):
				t.Fatal("the origin still has its connection")
			}
		})
	}
}

func TestClientSeesThatTheOriginLeft(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int // 0: the connection breaks off instead
		broken       bool
	}{
		{"before the answer", "", 502, false},
		{"in the head", "HTTP/1.1 200 OK\r\nContent-", 502, false},
		{"in a short body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", 502, false},
		{"in a long body", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello" + strings.Repeat("x", 100_000), 200, true},
		{"in a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(strings.Repeat("x", 10_000)), 200, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := play(t, func(pc *playedConn) {
				pc.request()
				pc.say(c.answer)
			})
			s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}})
			h := call(t, s.Addrs()[0].String()).ask("GET", plainGet)
			if h.resp == nil || h.resp.StatusCode != c.status || (h.err != nil) != c.broken {
				t.Fatalf("%v, want %d, broken off %v", h, c.status, c.broken)
			}
			if c.status == 502 && h.resp.Header.Get("Deich-Reason") != deich.OriginDown.String() {
				t.Errorf("%v", h.resp.Header)
			}
		})
	}
}

// TestEarlyAnswerEndsTheClientsConnection: where the origin answers before the
// body has ended, the rest of the body must not be taken for a request.
func TestEarlyAnswerEndsTheClientsConnection(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 413 Too Large\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
		"HTTP/1.1 413 Too Large\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nno",
		"HTTP/1.1 413 Too Large\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n",
	} {
		for _, framing := range []string{"Content-Length: 100000", "Transfer-Encoding: chunked"} {
			head := make(chan struct{})
			o := play(t, func(c *playedConn) {
				if line, _ := c.br.ReadString('\n'); line == "" {
					return
				}
				c.say(answer)
				<-head
				io.Copy(io.Discard, c.br)
			})
			s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}}, guard.Config{BodyBuffer: 4 << 10})
			c := call(t, s.Addrs()[0].String())
			c.say("POST /case HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n")
			if strings.HasPrefix(framing, "T") {
				c.say("186a0\r\n")
			}
			c.say(strings.Repeat("x", 20_000))
			h := c.hear("POST")
			close(head)
			if h.err != nil || h.resp.StatusCode != 413 || !h.resp.Close {
				t.Fatalf("%s: %v", framing, h)
			}
			io.WriteString(c.Conn, hidden)
			if again := c.hear("GET"); again.err == nil {
				t.Errorf("%s, %.60q: the body's rest was answered with %d", framing, answer, again.resp.StatusCode)
			}
			for _, each := range o.seen() {
				if strings.HasPrefix(each.raw(), "GET /hidden") {
					t.Errorf("%s: the body's rest reached the origin as a request", framing)
				}
			}
		}
	}
}

// late is a body that does not come in time.
type late struct {
	began bool
	ended func() // what the standard server does when a read has failed
}

func (l *late) Read(p []byte) (int, error) {
	if l.began {
		l.ended()
		return 0, os.ErrDeadlineExceeded
	}
	l.began = true
	return copy(p, "began"), nil
}

func TestSlowUploadIsToldSo(t *testing.T) {
	o := play(t, func(c *playedConn) { io.Copy(io.Discard, c.br) })
	p := bare(t, Site{Origins: []string{o.url()}})
	for _, length := range []int64{100, 100_000, -1} {
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "POST", "/", &late{ended: cancel})
		r.ContentLength = length
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != http.StatusRequestTimeout {
			t.Errorf("length %d: answer %d", length, w.Code)
		}
	}
}

package edge

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/guard"
)

// TestKeptConnectionIsUsedAgain: after whatever went well, and never after
// what did not.
func TestKeptConnectionIsUsedAgain(t *testing.T) {
	for _, c := range []struct {
		name, request, answer string
		kept                  bool
	}{
		{"length", plainGet, okSaid, true},
		{"empty", plainGet, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
		{"chunked", plainGet, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true},
		{"trailers", plainGet, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", true},
		{"204", plainGet, "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"304", plainGet, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", true},
		{"HEAD", "HEAD /case HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", true},
		{"103", plainGet, "HTTP/1.1 103 Early Hints\r\n\r\n" + okSaid, true},
		{"post", "POST /case HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", okSaid, true},
		{"long post", "POST /case HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000), okSaid, true},
		{"server error", plainGet, "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", true},
		{"said to close", plainGet, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
		{"HTTP/1.0", plainGet, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		{"more than said", plainGet, okSaid + "x", false},
		{"another answer", plainGet, okSaid + nextSaid, false},
		{"body of a 304", plainGet, "HTTP/1.1 304 Not Modified\r\n\r\nok", false},
		{"body of a HEAD", "HEAD /case HTTP/1.1\r\nHost: a\r\n\r\n", okSaid, false},
		{"unreadable", plainGet, "HTTP/1.1 2x0 OK\r\n\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := play(t, func(pc *playedConn) {
				for r := pc.request(); r != nil; r = pc.request() {
					if r.URL.Path == "/next" {
						pc.say(nextSaid)
						continue
					}
					pc.say(c.answer)
				}
			})
			s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}}, guard.Config{BodyBuffer: 4 << 10})
			method, _, _ := strings.Cut(c.request, " ")
			call(t, s.Addrs()[0].String()).ask(method, c.request)
			if h := call(t, s.Addrs()[0].String()).ask("GET", nextGet); h.body != "next" {
				t.Errorf("the next answer: %v", h)
			}
			if kept := len(o.seen()) == 1; kept != c.kept {
				t.Errorf("the connection was kept: %v", kept)
			}
		})
	}
}

// TestRepeatsOnlyWhatIsSafe: a kept connection dies with the second request on
// it, before any answer. Or it lives and nothing comes, as the origin is at work.
func TestRepeatsOnlyWhatIsSafe(t *testing.T) {
	const silent = "silent"
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name, request string
		answer        string // before the connection dies; silent: it does not
		repeated      bool
	}{
		{"GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", true},
		{"GET that is not answered in time", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", silent, false},
		{"long PUT that is not answered in time", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + long, silent, false},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "", true},
		{"PUT", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "", true},
		{"DELETE", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "", true},
		{"long PUT in hand", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + long, "", true},
		{"POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "", false},
		{"POST without body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", false},
		{"PATCH", "PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "", false},
		{"unknown method", "FROB / HTTP/1.1\r\nHost: a\r\n\r\n", "", false},
		{"GET half answered", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := play(t, func(pc *playedConn) {
				for i := 0; pc.request() != nil; i++ {
					switch {
					case pc.number != 1 || i != 1:
					case c.answer == silent:
						pc.request() // waits for the connection's end
						return
					default:
						pc.say(c.answer)
						return
					}
					pc.say("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n")
				}
			})
			config := Config{Sites: []Site{{Origins: []string{o.url()}}}}
			status := http.StatusBadGateway
			if c.answer == silent {
				config.Timeouts.FirstByte, status = Lasting(200*time.Millisecond), http.StatusGatewayTimeout
			}
			if c.repeated {
				status = http.StatusOK
			}
			s := startUncached(t, config)
			method, _, _ := strings.Cut(c.request, " ")
			caller := call(t, s.Addrs()[0].String())
			if h := caller.ask("GET", plainGet); h.resp == nil || h.resp.StatusCode != 200 {
				t.Fatal(h)
			}
			if h := caller.ask(method, c.request); h.resp == nil || h.resp.StatusCode != status {
				t.Errorf("%v, want %d", h, status)
			}
			if n := len(o.seen()); n != map[bool]int{true: 2, false: 1}[c.repeated] {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestDeadConnectionIsNotUsed: what the origin has closed meanwhile is found
// out before a POST is written to it.
func TestDeadConnectionIsNotUsed(t *testing.T) {
	closed := make(chan struct{}, 2)
	o := play(t, func(c *playedConn) {
		c.request()
		c.say(okSaid)
		c.Close()
		closed <- struct{}{}
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}})
	c := call(t, s.Addrs()[0].String())
	for range 2 {
		if h := c.ask("POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"); h.body != "ok" {
			t.Fatal(h)
		}
		<-closed
	}
}

// gathering holds writes back while it is told to, so that several TLS records
// leave in one piece.
type gathering struct {
	net.Conn
	held []byte
	hold bool
}

func (g *gathering) Write(p []byte) (int, error) {
	if g.hold {
		g.held = append(g.held, p...)
		return len(p), nil
	}
	return g.Conn.Write(p)
}

// TestStrayRecordsOfTLSAreNotTakenForAnAnswer: what stands behind an answer in
// a record of its own has left the kernel, but not yet the TLS connection.
func TestStrayRecordsOfTLSAreNotTakenForAnAnswer(t *testing.T) {
	pair, ca := certify(t, "127.0.0.1")
	o := play(t, func(pc *playedConn) {
		g := &gathering{Conn: pc.Conn}
		c := tls.Server(g, &tls.Config{Certificates: []tls.Certificate{pair}})
		inner := &playedConn{Conn: c, number: pc.number}
		inner.br = bufio.NewReader(inner)
		for r := inner.request(); r != nil; r = inner.request() {
			if r.URL.Path == "/next" {
				inner.say(nextSaid)
				continue
			}
			g.hold = true
			inner.say(okSaid)
			inner.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
			g.hold = false
			g.Conn.Write(g.held)
		}
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{"https://" + o.addr}, OriginCA: ca}}})
	c := call(t, s.Addrs()[0].String())
	if h := c.ask("GET", plainGet); h.body != "ok" {
		t.Fatalf("%+v", h)
	}
	if h := c.ask("GET", nextGet); h.body != "next" {
		t.Errorf("%q was taken for the next answer", h.body)
	}
}

func TestKeptConnectionOverTLSIsUsedAgain(t *testing.T) {
	pair, ca := certify(t, "127.0.0.1")
	o := playOver(t, &tls.Config{Certificates: []tls.Certificate{pair}}, func(c *playedConn) {
		for c.request() != nil {
			c.say(okSaid)
		}
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}, OriginCA: ca}}})
	for i := range 3 {
		if h := call(t, s.Addrs()[0].String()).ask("GET", plainGet); h.body != "ok" {
			t.Fatalf("%d: %+v", i, h)
		}
	}
	if n := len(o.seen()); n != 1 {
		t.Errorf("%d connections for three requests", n)
	}
}

// TestAuthoritiesOfTheOriginAreReadAnew: a reload takes what the file holds by
// then, also for connections that are kept.
func TestAuthoritiesOfTheOriginAreReadAnew(t *testing.T) {
	pair, ca := certify(t, "127.0.0.1")
	_, other := certify(t, "127.0.0.1")
	o := playOver(t, &tls.Config{Certificates: []tls.Certificate{pair}}, func(c *playedConn) {
		for c.request() != nil {
			c.say(okSaid)
		}
	})
	right, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Listen: []string{"127.0.0.1:0"}, Sites: []Site{{Origins: []string{o.url()}, OriginCA: ca}}}
	s := startUncached(t, c)
	ask := func() int { return call(t, s.Addrs()[0].String()).ask("GET", plainGet).resp.StatusCode }
	conns := 0
	for i, step := range []struct {
		file       []byte
		want, more int // status, and connections the origin sees more
	}{{right, 200, 1}, {wrong, 502, 1}, {right, 200, 1}, {right, 200, 0}} {
		if err := os.WriteFile(ca, step.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Swap(c, guard.Config{}); err != nil {
			t.Fatal(err)
		}
		was := s.state.Load().groups[0].index
		if got := ask(); got != step.want || was != 0 {
			t.Errorf("step %d: %d, want %d; number %d", i, got, step.want, was)
		}
		if n := len(o.seen()); n != conns+step.more {
			t.Errorf("step %d: %d connections, want %d", i, n, conns+step.more)
		}
		conns = len(o.seen())
	}
	if err := os.WriteFile(ca, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Swap(c, guard.Config{}); err == nil {
		t.Error("a file without an authority was taken")
	}
	if got := ask(); got != 200 {
		t.Errorf("after the reload that failed: %d", got)
	}
}

// TestOriginThatCannotBeReached is passed over where there is another one, and
// told as such where there is none.
func TestOriginThatCannotBeReached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String()
	l.Close()
	up := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "up") })
	s := startUncached(t, Config{Sites: []Site{
		{Names: []string{"both"}, Origins: []string{dead, up}},
		{Names: []string{"none"}, Origins: []string{dead}},
	}})
	for i := range 4 {
		h := call(t, s.Addrs()[0].String()).ask("POST", "POST / HTTP/1.1\r\nHost: both\r\nContent-Length: 0\r\n\r\n")
		if h.body != "up" {
			t.Errorf("%d: %v", i, h)
		}
	}
	h := call(t, s.Addrs()[0].String()).ask("GET", "GET / HTTP/1.1\r\nHost: none\r\n\r\n")
	if h.resp == nil || h.resp.StatusCode != 502 || h.resp.Header.Get("Deich-Reason") != "origin_down" {
		t.Errorf("%v", h)
	}
}

func TestConnectionsToOriginsAreBounded(t *testing.T) {
	release := make(chan struct{})
	began := make(chan struct{}, 8)
	o := play(t, func(c *playedConn) {
		c.request()
		began <- struct{}{}
		<-release
		c.say(okSaid)
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}, Limits: Limits{OriginConnections: 2}})
	addr := s.Addrs()[0].String()
	results := make(chan string, 2)
	for range 2 {
		c := call(t, addr)
		c.say(plainGet)
		go func() { results <- c.hear("GET").body }()
		<-began
	}
	h := call(t, addr).ask("GET", plainGet)
	close(release)
	if h.resp == nil || h.resp.StatusCode != 502 {
		t.Errorf("a third one: %v", h)
	}
	for range 2 {
		if body := <-results; body != "ok" {
			t.Errorf("%q", body)
		}
	}
	if n := len(o.seen()); n != 2 {
		t.Errorf("%d connections", n)
	}
	if h := call(t, addr).ask("GET", plainGet); h.body != "ok" {
		t.Errorf("after they have ended: %v", h)
	}
}

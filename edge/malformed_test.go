package edge

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

// greeting is how a client of HTTP/2 begins: the preface, and empty SETTINGS.
const greeting = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// What counts as no request, and what does not: it must never be somebody who
// did nothing wrong.
func TestMalformedIsCounted(t *testing.T) {
	cert, key := certifyFiles(t, t.TempDir(), "a.example")
	s := startUncached(t, Config{
		Listen: []string{"http://127.0.0.1:0", "https://127.0.0.1:0"}, PlainHTTP: true, HTTP3: switchOff,
		Sites:    []Site{{Origins: []string{origin(t, hello)}, Certificate: cert, Key: key}},
		Timeouts: Timeouts{ReadHeader: Lasting(300 * time.Millisecond), Idle: Lasting(300 * time.Millisecond)},
	})
	plain, secured := s.Addrs()[0].String(), s.Addrs()[1].String()
	over := func(protocol string) func() (net.Conn, error) {
		return func() (net.Conn, error) {
			return tls.Dial("tcp", secured, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
		}
	}
	bare := func(addr string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return net.Dial("tcp", addr) }
	}
	const good = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
	for _, c := range []struct {
		name  string
		dial  func() (net.Conn, error)
		sends string
		waits bool // for the server to close
		n     uint64
	}{
		{"a good request", bare(plain), good, false, 0},
		{"one that is answered with an error", bare(plain), "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", true, 0},
		{"good ones, and then it is left idle", bare(plain), good + good, true, 0},
		{"nothing", bare(plain), "", false, 0},
		{"nothing, until it is closed", bare(plain), "", true, 0},
		{"no HTTP", bare(plain), "\x00\x01\x02\x03\r\n\r\n", true, 1},
		{"no host", bare(plain), "GET / HTTP/1.1\r\n\r\n", true, 1},
		{"a header that is none", bare(plain), "GET / HTTP/1.1\r\nHost: a.example\r\nX Y: z\r\n\r\n", true, 1},
		{"two lengths", bare(plain), "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", true, 1},
		{"an endless header", bare(plain), "GET / HTTP/1.1\r\nHost: a.example\r\nX: " + strings.Repeat("x", 64<<10), true, 1},
		{"half a request, and then it leaves", bare(plain), "GET / HTT", false, 1},
		{"half a request, and then nothing", bare(plain), "GET / HTT", true, 1},
		{"CONNECT", bare(plain), "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", false, 1},
		{"HTTP/2 without TLS", bare(plain), greeting, true, 1},
		{"a header of no proxy", bare(plain), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + good, true, 1},
		{"no TLS", bare(secured), "\x00\x01\x02\x03\r\n\r\n", true, 1},
		{"HTTP where TLS is spoken", bare(secured), good, true, 1},
		{"nothing where TLS is spoken", bare(secured), "", true, 0},
		{"TLS and nothing more", over("http/1.1"), "", false, 0},
		{"a good request over TLS", over("http/1.1"), good, false, 0},
		{"no HTTP over TLS", over("http/1.1"), "\x00\x01\x02\x03\r\n\r\n", true, 1},
		{"HTTP/2 that asks for nothing", over("h2"), greeting, false, 0},
		{"HTTP/2 that asks for nothing, until it is closed", over("h2"), greeting, true, 0},
		// HEADERS that end stream 1, with ":method: GET" and with all that is needed.
		{"HTTP/2 without a path", over("h2"), greeting + "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82", true, 1},
		{"a good request over HTTP/2", over("h2"), greeting + "\x00\x00\x0e\x01\x05\x00\x00\x00\x01\x82\x84\x87\x41\x09a.example", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.Connections().Malformed
			nc, err := c.dial()
			if err != nil {
				t.Fatal(err)
			}
			nc.SetDeadline(time.Now().Add(patience))
			io.WriteString(nc, c.sends) // which may be cut short
			if c.waits {
				io.Copy(io.Discard, nc)
			} else if c.n == 0 && c.sends != "" {
				nc.Read(make([]byte, 1))
			}
			nc.Close()
			within(t, "the connection's end", func() bool { return s.conns.size() == 0 })
			within(t, "the count", func() bool { return s.Connections().Malformed-before == c.n })
			time.Sleep(5 * time.Millisecond) // nor later
			if n := s.Connections().Malformed - before; n != c.n {
				t.Errorf("counted %d, want %d", n, c.n)
			}
		})
	}
}

// Who sends nothing but what is no request ends refused at accept; others, and
// whoever sends little of it, do not.
func TestMalformedEndsRefused(t *testing.T) {
	engine, err := deich.New(deich.Policy{Sources: deich.SourcesMin}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	ordered := make(chan deich.Order, 16)
	s, err := New(Options{
		Config: Config{Listen: []string{"127.0.0.1:0"}, Sites: []Site{{Origins: []string{origin(t, hello)}, Cache: cacheOff}}},
		Engine: engine, Keys: guard.NewKeys([32]byte{2}),
		Orders: func(list []deich.Order) {
			for _, o := range list {
				ordered <- o
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Shutdown(ctx)
	})
	addr := s.Addrs()[0].String()
	send := func(from, text string) error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
		nc, err := d.Dial("tcp", addr)
		if err != nil {
			return err
		}
		c := callerOn(t, nc)
		defer c.Close()
		io.WriteString(c, text)
		return c.hear("GET").err
	}
	const bad, good = "no request\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
	var judged deich.Order
	for end := time.Now().Add(3 * patience); judged.Until == 0; {
		for range 20 {
			send("127.0.0.66", bad)
		}
		for range 2 { // somebody's broken program
			send("127.0.0.67", bad)
		}
		if time.Now().After(end) {
			t.Fatal("no order went out")
		}
		select {
		case judged = <-ordered:
		case <-time.After(time.Second):
		}
	}
	if judged.Prefix != netip.MustParsePrefix("127.0.0.66/32") || judged.Reason != deich.BadRequest {
		t.Errorf("ordered %+v", judged)
	}
	within(t, "the source's refusal", func() bool { return send("127.0.0.66", good) != nil })
	for _, from := range []string{"127.0.0.67", "127.0.0.68"} {
		if err := send(from, good); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
	if s.Connections().Refused == 0 {
		t.Error("nobody was refused at accept")
	}
}

// What is answered before the guard is asked is counted and logged; and nobody is judged
// for it who comes as browsers do, however many stand behind one address.
func TestWhatIsAnsweredAside(t *testing.T) {
	cert, key := certifyFiles(t, t.TempDir(), "a.example")
	file := filepath.Join(t.TempDir(), "access.log")
	s := startUncached(t, Config{
		Listen: []string{"http://127.0.0.1:0", "https://127.0.0.1:0"}, HTTP3: switchOff, AccessLog: file,
		Sites: []Site{{Names: []string{"a.example"}, Origins: []string{origin(t, hello)}, Certificate: cert, Key: key}},
	})
	addr := s.Addrs()[0].String()
	const plain, stray, odd = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
	ask := func(conns, each int, request string, status int) {
		t.Helper()
		for range conns {
			c := call(t, addr)
			for range each {
				if h := c.ask("GET", request); h.resp == nil || h.resp.StatusCode != status {
					t.Fatalf("%v, want %d", h, status)
				}
			}
			c.Close()
		}
	}
	const forgiven = int(emptyFirst / emptyEvery)
	const crowd = forgiven + 100
	ask(crowd, 1, plain, http.StatusPermanentRedirect)
	ask(10, sentOnFirst, plain, http.StatusPermanentRedirect)
	ask(1, 50, stray, http.StatusNotFound)
	got := s.Connections()
	if got.Malformed != 0 || got.SentOn != uint64(crowd+10*sentOnFirst) || got.Unnamed != 50 {
		t.Errorf("first visits: %+v", got)
	}
	ask(1, sentOnFirst+forgiven+10, plain, http.StatusPermanentRedirect) // and not so many that the source is judged
	if got = s.Connections(); got.Malformed == 0 {
		t.Errorf("again and again on one connection: %+v", got)
	}
	before := got.Malformed
	ask(10, 1, plain, http.StatusPermanentRedirect)
	if got = s.Connections(); got.Malformed != before {
		t.Errorf("a first visit beside it: %+v", got)
	}
	ask(40, 1, stray, http.StatusNotFound)
	if got = s.Connections(); got.Malformed == before {
		t.Errorf("a flood for a name that is not served: %+v", got)
	}
	answers := s.guard.Counters().Statuses
	if answers[http.StatusPermanentRedirect] != got.SentOn || answers[http.StatusNotFound] != got.Unnamed {
		t.Errorf("%v, %+v", answers, got)
	}
	for _, request := range []string{plain, stray, odd} { // each with a line, as there are few
		time.Sleep(2 * deich.TickEvery)
		call(t, addr).ask("GET", request)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, want := range []string{`" 308 0 "-" "-" allow none stranger`, `" 404 0 "-" "-" deny no_site stranger`, `" 405 0 "-" "-" deny bad_request stranger`} {
		if line := lines[len(lines)-3+i]; !strings.Contains(line, want) {
			t.Errorf("%q, want %q", line, want)
		}
	}
}

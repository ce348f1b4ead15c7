package edge

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// TestEmptyConnectionsAreTold: whom a client leaves without a request, from
// where nobody is known, and no other, since of it a flood is made.
func TestEmptyConnectionsAreTold(t *testing.T) {
	cert, key, pool := selfSigned(t, "a.example")
	s := startUncached(t, Config{
		Listen: []string{"http://127.0.0.1:0", "https://127.0.0.1:0"}, PlainHTTP: true, HTTP3: switchOff,
		Sites:    []Site{{Origins: []string{origin(t, hello)}, Certificate: cert, Key: key}},
		Timeouts: Timeouts{ReadHeader: Lasting(300 * time.Millisecond), Idle: Lasting(300 * time.Millisecond)},
	})
	var known atomic.Bool
	s.conns.known = func(netip.Addr) bool { return known.Load() }
	plain, secured := s.Addrs()[0].String(), s.Addrs()[1].String()
	dial := func(t *testing.T, addr string) net.Conn {
		t.Helper()
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(patience))
		return nc
	}
	shaken := func(t *testing.T, c *tls.Config) *tls.Conn {
		t.Helper()
		nc := tls.Client(dial(t, secured), c)
		nc.Handshake() // which may be to fail
		return nc
	}
	trusting := func(protocol string) *tls.Config {
		return &tls.Config{RootCAs: pool, ServerName: "a.example", NextProtos: []string{protocol}}
	}
	const good = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
	for _, c := range []struct {
		name  string
		known bool
		do    func(*testing.T)
		want  deich.Connections
	}{
		{"one that says nothing and leaves", false, func(t *testing.T) { dial(t, plain).Close() }, deich.Connections{Empty: 1}},
		{"the same from where somebody is known", true, func(t *testing.T) { dial(t, plain).Close() }, deich.Connections{}},
		{"one that says nothing until it is closed", false, func(t *testing.T) {
			nc := dial(t, plain)
			io.Copy(io.Discard, nc)
			nc.Close()
		}, deich.Connections{}},
		{"a hello, and away", false, func(t *testing.T) {
			nc := dial(t, secured)
			nc.Write(hello1(t))
			nc.Close()
		}, deich.Connections{Empty: 1}},
		{"a hello, and away with the answer", false, func(t *testing.T) {
			nc := dial(t, secured)
			nc.Write(hello1(t))
			nc.Read(make([]byte, 1))
			nc.Close()
		}, deich.Connections{Empty: 1, Shaken: 1}},
		{"a handshake, and away", false, func(t *testing.T) { shaken(t, trusting("http/1.1")).Close() }, deich.Connections{Empty: 1, Shaken: 1}},
		{"a handshake, until it is closed", false, func(t *testing.T) {
			nc := shaken(t, trusting("http/1.1"))
			io.Copy(io.Discard, nc)
			nc.Close()
		}, deich.Connections{}},
		{"one that does not like the certificate", false, func(t *testing.T) {
			shaken(t, &tls.Config{ServerName: "b.example", RootCAs: pool}).Close()
		}, deich.Connections{}},
		{"HTTP/2 that asks for nothing, and away", false, func(t *testing.T) {
			nc := shaken(t, trusting("h2"))
			io.WriteString(nc, greeting)
			nc.Read(make([]byte, 1))
			nc.Close()
		}, deich.Connections{Empty: 1, Shaken: 1}},
		{"requests", false, func(t *testing.T) {
			nc := dial(t, plain)
			for range 2 {
				io.WriteString(nc, good)
				nc.Read(make([]byte, 1<<10))
			}
			nc.Close()
		}, deich.Connections{Asked: 1}},
		{"a request over TLS", false, func(t *testing.T) {
			nc := shaken(t, trusting("http/1.1"))
			io.WriteString(nc, good)
			nc.Read(make([]byte, 1<<10))
			nc.Close()
		}, deich.Connections{Asked: 1}},
		{"half a request, and away", false, func(t *testing.T) {
			nc := dial(t, plain)
			io.WriteString(nc, "GET / HTT")
			nc.Close()
		}, deich.Connections{Empty: 1}},
		{"a server's refusal", false, func(t *testing.T) {
			nc := dial(t, secured)
			io.WriteString(nc, good)
			io.Copy(io.Discard, nc)
			nc.Close()
		}, deich.Connections{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			known.Store(c.known)
			before := s.conns.empties.tell()
			since := func() deich.Connections {
				now := s.conns.empties.tell()
				return deich.Connections{Asked: now.Asked - before.Asked, Empty: now.Empty - before.Empty, Shaken: now.Shaken - before.Shaken, Refused: now.Refused - before.Refused}
			}
			c.do(t)
			within(t, "the connection's end", func() bool { return s.conns.size() == 0 })
			got := c.want
			within(t, "the count", func() bool { got = since(); return got.Asked+got.Empty >= c.want.Asked+c.want.Empty })
			time.Sleep(5 * time.Millisecond) // nor later
			got = since()
			// Whether its answer was on the way when it left is for the scheduler to say.
			if c.name == "a hello, and away" {
				got.Shaken = 0
			}
			if got != c.want {
				t.Errorf("told %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestEmptyQUICIsTold: the same of QUIC.
func TestEmptyQUICIsTold(t *testing.T) {
	s, pool := startQUIC(t, hello)
	s.conns.known = func(netip.Addr) bool { return false }
	for name, c := range map[string]struct {
		do   func()
		want deich.Connections
	}{
		"a request": {func() {
			client := overQUIC(t, s.Addrs()[0], pool)
			get(t, client, "https://a.test/")
			client.Transport.(*http3.Transport).Close()
		}, deich.Connections{Asked: 1}},
		"a handshake, and away": {func() {
			c, err := quic.DialAddr(t.Context(), s.Addrs()[0].String(), &tls.Config{RootCAs: pool, ServerName: "a.test", NextProtos: []string{http3.NextProtoH3}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.CloseWithError(0, "")
		}, deich.Connections{Empty: 1, Shaken: 1}},
	} {
		before := s.conns.empties.tell()
		c.do()
		within(t, name+" is over", func() bool { return s.quic.conns.size() == 0 })
		since := func() deich.Connections {
			now := s.conns.empties.tell()
			return deich.Connections{Asked: now.Asked - before.Asked, Empty: now.Empty - before.Empty, Shaken: now.Shaken - before.Shaken}
		}
		within(t, name, func() bool { n := since(); return n.Asked+n.Empty >= 1 })
		if got := since(); got != c.want {
			t.Errorf("%s: told %+v, want %+v", name, got, c.want)
		}
	}
}

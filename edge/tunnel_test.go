package edge

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const upgradeGet = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Accept: x\r\nDeich-Member: ada\r\n\r\n"

// closeWrite ends what c sends.
func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

func TestTunnelCarriesBothWaysUntilBothHaveEnded(t *testing.T) {
	o := play(t, func(c *playedConn) {
		c.request()
		c.say(switched + "early ")
		got, _ := io.ReadAll(c.br) // until the client has ended
		c.say("late " + string(got))
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}})
	c := call(t, s.Addrs()[0].String())
	h := c.ask("GET", upgradeGet+"with the request ")
	if h.resp == nil || h.resp.StatusCode != 101 || h.resp.Header.Get("Sec-Websocket-Accept") != "x" || h.resp.Header.Get("Deich-Member") != "" {
		t.Fatalf("%+v", h)
	}
	c.say("and behind it")
	closeWrite(t, c.Conn)
	if got, err := io.ReadAll(c.br); err != nil || string(got) != "early late with the request and behind it" {
		t.Errorf("%q %v", got, err)
	}
	within(t, "the tunnel has ended", func() bool { return s.proxy.tunnels.Load() == 0 })
}

func TestTunnelEchoes(t *testing.T) {
	o := play(t, func(c *playedConn) {
		c.request()
		c.say(switched)
		io.Copy(c.Conn, c.br)
	})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}})
	c := call(t, s.Addrs()[0].String())
	if h := c.ask("GET", upgradeGet); h.resp == nil || h.resp.StatusCode != 101 {
		t.Fatalf("%+v", h)
	}
	for _, n := range []int{1, 100, tunnelBytes, tunnelBytes + 1, 1 << 20} {
		message := strings.Repeat("m", n)
		go io.WriteString(c.Conn, message)
		got := make([]byte, n)
		if _, err := io.ReadFull(c.br, got); err != nil || string(got) != message {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// TestTunnelEndsWithEither: where one side breaks, the other is told.
func TestTunnelEndsWithEither(t *testing.T) {
	for _, who := range []string{"client", "origin", "silence"} {
		t.Run(who, func(t *testing.T) {
			began, gone := make(chan *playedConn, 1), make(chan struct{})
			o := play(t, func(c *playedConn) {
				c.request()
				c.say(switched)
				began <- c
				io.Copy(io.Discard, c.br)
				close(gone)
			})
			pause := time.Minute
			if who == "silence" {
				pause = 100 * time.Millisecond
			}
			s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}, Timeouts: Timeouts{Stream: Lasting(pause)}})
			c := call(t, s.Addrs()[0].String())
			c.ask("GET", upgradeGet)
			there := <-began
			switch who {
			case "client":
				breaksOff(c.Conn)
			case "origin":
				breaksOff(there.Conn)
			}
			select {
			case <-gone:
			case <-time.After(patience):
				t.Error("the origin still has its side")
			}
			if who != "client" && !c.ended() {
				t.Error("the client still has its side")
			}
			within(t, "the tunnel has ended", func() bool { return s.proxy.tunnels.Load() == 0 })
		})
	}
}

func TestUpgradeIsHandedOnOnlyWhereItIsOne(t *testing.T) {
	for _, c := range []struct {
		fields, want string
	}{
		{"Connection: Upgrade\r\nUpgrade: websocket\r\n", "websocket"},
		{"Connection: keep-alive, UPGRADE\r\nUpgrade: WebSocket/13\r\n", "WebSocket/13"},
		{"Upgrade: websocket\r\n", ""},
		{"Connection: Upgrade\r\n", ""},
		{"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", ""},
		{"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", ""},
		{"Connection: Upgrade\r\nUpgrade: h2c\r\n", ""},
		{"Connection: Upgrade\r\nUpgrade: H2C\r\n", ""},
		{"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", ""},
		{"Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n", ""},
	} {
		got := make(chan string, 1)
		up := origin(t, func(w http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Upgrade") })
		s := startUncached(t, Config{Sites: []Site{{Origins: []string{up}}}})
		call(t, s.Addrs()[0].String()).ask("GET", "GET / HTTP/1.1\r\nHost: a\r\n"+c.fields+"\r\n")
		if upgrade := <-got; upgrade != c.want {
			t.Errorf("%q: the origin saw %q", c.fields, upgrade)
		}
	}
}

// breaksOff ends a connection as a program does that dies.
func breaksOff(nc net.Conn) {
	nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
}

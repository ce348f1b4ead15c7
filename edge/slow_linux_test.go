package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/deichproject/deich/edge/h2"
	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// shedWithin is how long a client that is slow on purpose may last.
const shedWithin = 15 * time.Second

// phoneRate is what an honest, slow client moves in a second, in bytes.
const phoneRate = 2 << 10

// slowFront is a server over plain HTTP and TLS before a platform whose pages are
// of all lengths and whose events pause.
func slowFront(t *testing.T) (plain, secured string, s *Server) {
	cert, key := certifyFiles(t, t.TempDir(), "a.example")
	s = startUncached(t, Config{
		Listen: []string{"http://127.0.0.1:0", "https://127.0.0.1:0"}, PlainHTTP: true, HTTP3: switchOff,
		Sites: []Site{{Origins: []string{origin(t, func(w http.ResponseWriter, r *http.Request) {
			var n int
			switch {
			case r.URL.Path == "/events":
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, "data: 1\n\n")
				http.NewResponseController(w).Flush()
				time.Sleep(writeWindow + writeSlack + time.Second)
				io.WriteString(w, "data: 2\n\n")
			case r.URL.Path == "/pause":
				w.Header().Set("Content-Length", "8")
				io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
				time.Sleep(writeWindow + writeSlack + time.Second)
				io.WriteString(w, "half")
			case r.Method == "POST":
				n, err := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n, err)
			default:
				fmt.Sscanf(r.URL.Path, "/%d", &n)
				w.Write(bytes.Repeat([]byte{'.'}, n))
			}
		})}, Certificate: cert, Key: key}},
	})
	return s.Addrs()[0].String(), s.Addrs()[1].String(), s
}

// lasts says how long the server keeps a connection. Where its client drips, it
// says it again and again. (The client may never hear of the end: where it has no
// room for data, its kernel takes no reset either.)
func lasts(s *Server, nc net.Conn, drip string) time.Duration {
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > 2*shedWithin || time.Since(begun) > time.Second && !s.has(nc.LocalAddr()) {
			return time.Since(begun)
		}
		io.WriteString(nc, drip)
	}
}

// has says whether the connection from there is open.
func (s *Server) has(from net.Addr) bool {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	return slices.ContainsFunc(s.conns.open, func(c *conn) bool { return c.RemoteAddr().String() == from.String() })
}

func TestSlowOnPurposeIsShed(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs: who is slow is told after a quarter of a minute")
	}
	plain, secured, s := slowFront(t)
	t.Run("all", func(t *testing.T) {
		for name, begin := range map[string]func(t *testing.T) (net.Conn, string){
			"a long answer is not read": func(t *testing.T) (net.Conn, string) {
				nc := narrow(t, plain)
				io.WriteString(nc, "GET /30000000 HTTP/1.1\r\nHost: a.example\r\n\r\n")
				return nc, ""
			},
			"a short one is not read, and nothing more asked for": func(t *testing.T) (net.Conn, string) {
				nc := narrow(t, plain)
				io.WriteString(nc, "GET /100000 HTTP/1.1\r\nHost: a.example\r\n\r\n")
				return nc, ""
			},
			"a header that never ends": func(t *testing.T) (net.Conn, string) {
				nc := narrow(t, plain)
				io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a.example\r\n")
				return nc, "X: y\r\n"
			},
			"a body drop by drop": func(t *testing.T) (net.Conn, string) {
				nc := narrow(t, plain)
				io.WriteString(nc, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n")
				return nc, "."
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				nc, drip := begin(t)
				if after := lasts(s, nc, drip); after > shedWithin {
					t.Errorf("lasted %v", after)
				} else {
					t.Logf("shed after %v", after.Round(time.Second/10))
				}
			})
		}
		t.Run("HTTP/2: windows are not opened", func(t *testing.T) {
			t.Parallel()
			p := probe2(t, secured, "127.0.0.21", http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			p.onReset = make(chan uint32, 1)
			p.block = getBlock("/100000")
			begun := time.Now()
			p.open(true)
			select {
			case <-p.onReset:
				t.Logf("the stream ended after %v", time.Since(begun).Round(time.Second/10))
			case <-p.ended:
			case <-time.After(shedWithin):
				t.Error("it waits for ever")
			}
		})
		t.Run("HTTP/2: a header that never ends", func(t *testing.T) {
			t.Parallel()
			p := probe2(t, secured, "127.0.0.22")
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block[:1]})
			select {
			case <-p.ended:
			case <-time.After(shedWithin):
				t.Error("it waits for ever")
			}
		})
		t.Run("HTTP/2: a frame with a header that never ends", func(t *testing.T) {
			t.Parallel()
			p := probe2(t, secured, "127.0.0.23")
			p.nc.Write([]byte{0, 1, 0, h2.FrameHeaders, h2.FlagEndHeaders | h2.FlagEndStream, 0, 0, 0, 1, 0x82})
			select {
			case <-p.ended:
			case <-time.After(shedWithin):
				t.Error("it waits for ever")
			}
		})
	})
	t.Logf("%+v", s.Connections())
}

// narrow dials as somebody far away with little room does: with small segments and
// buffers, so that what is not read stays at the server.
func narrow(t testing.TB, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1460)
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10)
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10)
		})
	}}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

// phone moves phoneRate in either direction, by the clock: what a busy machine
// slept too long is made up for, so that it is as slow as said and no slower.
type phone struct {
	net.Conn
	reads, writes lane
}

// lane is one direction of a phone: when its next bytes may move.
type lane struct{ next time.Time }

// wait waits until the next tenth of a second's bytes may move.
func (l *lane) wait() {
	now := time.Now()
	if now.Sub(l.next) > 3*time.Second { // idle before, or longer asleep than is made up for
		l.next = now
	}
	l.next = l.next.Add(100 * time.Millisecond)
	time.Sleep(l.next.Sub(now))
}

func (p *phone) Read(b []byte) (int, error) {
	p.reads.wait()
	return p.Conn.Read(b[:min(len(b), phoneRate/10)])
}

func (p *phone) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		p.writes.wait()
		m, err := p.Conn.Write(b[:min(len(b), phoneRate/10)])
		n += m
		if err != nil {
			return n, err
		}
		b = b[m:]
	}
	return n, nil
}

// Who is slow, but moves, is served to the end; so is who waits for a platform that
// takes its time.
func TestHonestSlowClientsAreKept(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	plain, secured, s := slowFront(t)
	const most = 25 * phoneRate // longer than every window
	client := func(t *testing.T, addr string, h2 bool, slow bool) *http.Client {
		tr := &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.example"}, ForceAttemptHTTP2: h2,
		}
		tr.DialContext = dialTo(addr)
		if slow {
			tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return &phone{Conn: narrow(t, addr)}, nil }
		}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, Timeout: 2 * time.Minute}
	}
	t.Run("all", func(t *testing.T) {
		for name, base := range map[string]string{"HTTP/1.1": "http://" + plain, "HTTP/2": "https://" + secured} {
			h2 := strings.HasPrefix(base, "https")
			addr := base[strings.Index(base, "//")+2:]
			for path, want := range map[string]int{"/events": 18, "/pause": 8} {
				t.Run(name+path, func(t *testing.T) {
					t.Parallel()
					wholly(t, client(t, addr, h2, false), "GET", base+path, nil, want)
				})
			}
			t.Run(name+" read slowly", func(t *testing.T) {
				t.Parallel()
				wholly(t, client(t, addr, h2, true), "GET", base+fmt.Sprintf("/%d", most), nil, most)
			})
			t.Run(name+" sent slowly", func(t *testing.T) {
				t.Parallel()
				wholly(t, client(t, addr, h2, true), "POST", base, bytes.NewReader(make([]byte, most)), len(fmt.Sprint(most, nil)))
			})
		}
	})
	if c := s.Connections(); c.Slow+c.Abusive+c.Evicted > 0 {
		t.Errorf("%+v", c)
	}
}

func wholly(t *testing.T, c *http.Client, method, url string, body io.Reader, want int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || len(b) != want || resp.StatusCode != 200 {
		t.Errorf("after %v: %s, %d bytes of %d, %v", time.Since(begun), resp.Status, len(b), want, err)
	}
}

package edge

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

// bare is the proxy without a guard in front, as a handler of its own.
func bare(t testing.TB, s Site, change ...func(*Config)) *proxy {
	t.Helper()
	c := Config{Sites: []Site{s}}.Defaults()
	for _, f := range change {
		f(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	st, err := newState(c, nil, deich.OriginsMax)
	if err != nil {
		t.Fatal(err)
	}
	st.inForce(nil)
	t.Cleanup(func() {
		for _, g := range st.groups {
			g.retire()
		}
	})
	return &proxy{
		pressed: func(uint16) (bool, bool) { return false, false },
		state:   func() *state { return st }, via: "deich-test",
		fail: func(w http.ResponseWriter, r *http.Request, why deich.Reason) {
			status := http.StatusBadGateway
			switch why {
			case deich.OriginSlow:
				status = http.StatusGatewayTimeout
			case deich.BadRequest:
				status = http.StatusBadRequest
			case deich.SlowClient:
				status = http.StatusRequestTimeout
			}
			http.Error(w, why.String(), status)
		},
		streaming: func(http.ResponseWriter) {},
	}
}

// cannedOrigin answers every request without a body at once, so that what is
// measured is the proxy.
func cannedOrigin(t testing.TB, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	whole := []byte(answer)
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() {
				defer c.Close()
				buf := make([]byte, 4096)
				n := 0
				for {
					m, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					if n += m; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
						n = 0
						if _, err := c.Write(whole); err != nil {
							return
						}
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return "http://" + l.Addr().String()
}

func answerOf(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nCache-Control: no-cache\r\n\r\n%s", len(body), body)
}

func reverseProxy(t testing.TB, to string) http.Handler {
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Transport: tr,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		BufferPool: &slicePool{},
	}
}

type slicePool struct{ p sync.Pool }

func (s *slicePool) Get() []byte {
	if b, ok := s.p.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}
func (s *slicePool) Put(b []byte) { s.p.Put(&b) }

// BenchmarkProxy compares the way to the origin with the standard library's:
// the handler alone, and behind a server on a kept connection.
func BenchmarkProxy(b *testing.B) {
	for _, size := range []int{200, 10_000, 200_000} {
		up := cannedOrigin(b, answerOf(strings.Repeat("x", size)))
		for _, each := range []struct {
			name string
			h    http.Handler
		}{
			{"deich", bare(b, Site{Origins: []string{up}})},
			{"stdlib", reverseProxy(b, up)},
		} {
			b.Run(fmt.Sprintf("handler/%d/%s", size, each.name), func(b *testing.B) { benchHandler(b, each.h) })
			b.Run(fmt.Sprintf("server/%d/%s", size, each.name), func(b *testing.B) { benchServer(b, each.h, size) })
		}
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func benchHandler(b *testing.B, h http.Handler) {
	r := httptest.NewRequest("GET", "/path?q=1", nil)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("Cookie", "session=0123456789abcdef")
	ctx, cancel := context.WithCancel(context.WithValue(b.Context(), http.ServerContextKey, new(http.Server)))
	defer cancel()
	r = r.WithContext(ctx)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(discard{make(http.Header)}, r)
	}
}

func benchServer(b *testing.B, h http.Handler, size int) {
	s := httptest.NewServer(h)
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReaderSize(c, 64<<10)
	request := []byte("GET /path?q=1 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\nCookie: session=0123456789abcdef\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || int(n) != size {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkOrders(b *testing.B) {
	for _, n := range []int{0, 100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOrders()
			var list []deich.Order
			for i := range n {
				list = append(list, deich.Order{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), Until: 10})
			}
			o.apply(1, list)
			a := netip.MustParseAddr("192.0.2.1")
			b.ReportAllocs()
			for b.Loop() {
				if o.refuses(2, a) {
					b.Fatal("refused")
				}
			}
		})
	}
}

// BenchmarkEngine asks what guard and engine add to a proxied request: one server
// asks its guard, or passes it by, in turns of some fifty milliseconds that are
// compared in pairs, on one kept connection. Client and origin are in the same
// process. An operation is a pair.
//
// The guard's requests bring a pass. What is due at each tick is due whoever is
// asked: what the process uses while nobody asks is taken from those without, though
// the edge's own housekeeping is in it.
func BenchmarkEngine(b *testing.B) {
	const turn = 1000 // requests
	var guarded atomic.Bool
	s := benchEdge(b, cannedOrigin(b, answerOf(strings.Repeat("x", 1<<10))), func(s *Server) {
		s.h1.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if guarded.Load() {
				s.serveBy(s.guard, w, r)
			} else {
				s.serveBy(s.proxy, w, r)
			}
		})
	})
	c, err := net.Dial("tcp", s)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	request := func(cookie string) []byte {
		return fmt.Appendf(nil, "GET /timeline?page=2 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"+
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"+
			"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nCookie: session=0123456789abcdef%s\r\n\r\n", cookie)
	}
	ask := func(request []byte) *http.Response {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(resp, err)
		}
		return resp
	}
	requests := map[bool][]byte{false: request("")}
	guarded.Store(true)
	given := ask(requests[false]).Cookies()
	if len(given) != 1 {
		b.Fatal("no pass was given")
	}
	requests[true] = request("; " + given[0].Name + "=" + given[0].Value)
	spend := func(with bool) float64 {
		guarded.Store(with)
		before := cpuTime(b)
		for range turn {
			ask(requests[with])
		}
		return float64(cpuTime(b)-before) / turn
	}
	for range 4 { // until what is learned is learned, and the heap has been touched
		spend(true)
		spend(false)
	}
	var without, added, parts []float64
	begun, first := time.Now(), true
	for b.Loop() {
		var ns [2]float64 // without, with
		for _, i := range map[bool][2]int{true: {1, 0}, false: {0, 1}}[first] {
			ns[i] = spend(i == 1)
		}
		first = !first
		without, added = append(without, ns[0]), append(added, ns[1]-ns[0])
	}
	each := time.Since(begun).Seconds() / float64(2*turn*len(added))
	const rest = time.Second
	before := cpuTime(b)
	time.Sleep(rest)
	ticks := float64(cpuTime(b)-before) / rest.Seconds() * each
	for i := range added {
		without[i] -= ticks
		added[i] += ticks
		parts = append(parts, 100*added[i]/without[i])
	}
	for _, list := range [][]float64{without, added, parts} {
		slices.Sort(list)
	}
	n := len(added)
	b.ReportMetric(without[n/2], "without-ns")
	b.ReportMetric(added[n/2], "added-ns")
	b.ReportMetric(parts[n/4], "low-%")
	b.ReportMetric(parts[n*3/4], "high-%")
	b.ReportMetric(ticks, "ticks-ns")
}

// BenchmarkWitnessed holds what it costs in peace to watch answers pass against
// the same server without: of one page, and of pages that are each asked for once.
func BenchmarkWitnessed(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		answer := strings.Replace(answerOf(strings.Repeat("x", size)), "no-cache", "max-age=0", 1)
		for _, many := range []string{"", "/%d"} {
			for _, word := range []string{cacheOff, cacheWitnessed} {
				b.Run(fmt.Sprintf("%d%s/%s", size, many, word), func(b *testing.B) {
					c, err := net.Dial("tcp", benchEdge(b, cannedOrigin(b, answer), func(*Server) {}, word))
					if err != nil {
						b.Fatal(err)
					}
					defer c.Close()
					br := bufio.NewReader(c)
					n := 0
					ask := func() {
						n++
						path := "/timeline"
						if many != "" {
							path += fmt.Sprintf(many, n)
						}
						fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"+
							"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"+
							"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nUpgrade-Insecure-Requests: 1\r\n\r\n", path)
						resp, err := http.ReadResponse(br, nil)
						if err == nil {
							_, err = io.Copy(io.Discard, resp.Body)
						}
						if err != nil || resp.StatusCode != 200 {
							b.Fatal(resp, err)
						}
					}
					for range 2000 {
						ask()
					}
					b.ReportAllocs()
					before := cpuTime(b)
					for b.Loop() {
						ask()
					}
					b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}

// benchEdge runs a server, changed before it starts, and gives its address.
func benchEdge(b *testing.B, origin string, change func(*Server), cache ...string) string {
	engine, err := deich.New(deich.Policy{}, [32]byte{1})
	if err != nil {
		b.Fatal(err)
	}
	keys, err := guard.OpenKeys(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	c := Config{Listen: []string{"127.0.0.1:0"}, Sites: []Site{{Origins: []string{origin}}}}
	for _, word := range cache {
		c.Sites[0].Cache = word
	}
	s, err := New(Options{Config: c, Engine: engine, Keys: keys})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	change(s)
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s.Addrs()[0].String()
}

func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

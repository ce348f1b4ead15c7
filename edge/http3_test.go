package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// overQUIC gives a client that speaks HTTP/3 to addr, whatever the name.
func overQUIC(t testing.TB, addr net.Addr, pool *x509.CertPool) *http.Client {
	t.Helper()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	carrier := &quic.Transport{Conn: udp}
	tr := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		Dial: func(ctx context.Context, _ string, config *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			to := addr.(*net.TCPAddr)
			return carrier.Dial(ctx, &net.UDPAddr{IP: to.IP, Port: to.Port}, config, qc)
		},
	}
	t.Cleanup(func() { tr.Close(); carrier.Close(); udp.Close() })
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// startQUIC runs a server with HTTP/3 before a platform.
func startQUIC(t testing.TB, h http.HandlerFunc, before ...func(*Server)) (*Server, *x509.CertPool) {
	t.Helper()
	certFile, keyFile, pool := selfSigned(t, "a.test")
	return startKeeping(t, Config{
		Listen: []string{"https://127.0.0.1:0"},
		Sites:  []Site{{Origins: []string{origin(t, h)}, Certificate: certFile, Key: keyFile}},
	}, t.TempDir(), before...), pool
}

// facts are what the engine is told of a client by QUIC, and its software.
type facts struct {
	peer, client netip.Addr
	validated    bool
	fingerprint  string
}

// telling has a server tell the facts of each request by QUIC.
func telling(to chan<- facts) func(*Server) {
	return func(s *Server) {
		inner := s.quic.serve
		s.quic.serve = func(w http.ResponseWriter, r *http.Request) {
			peer, client, validated := s.addr(r)
			to <- facts{peer, client, validated, fingerprintOf(r)}
			inner(w, r)
		}
	}
}

func TestHTTP3(t *testing.T) {
	s, pool := startQUIC(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Alt-Svc", `h3=":1"`) // the origin's own
		fmt.Fprintf(w, "%s %s %s %s %d", r.Method, r.URL, r.Header.Get("X-Forwarded-For"), strings.Fields(r.Header.Get("Via"))[0], len(b))
	})
	byTCP := leadingTo(t, s.Addrs()[0], pool)
	resp, _ := get(t, byTCP, "https://a.test/")
	_, port := hostPort(s.Addrs()[0])
	if got, want := resp.Header["Alt-Svc"], fmt.Sprintf(`h3=":%d"; ma=86400`, port); len(got) != 1 || got[0] != want {
		t.Fatalf("announced %q, want %q", got, want)
	}
	c := overQUIC(t, s.Addrs()[0], pool)
	for range 3 {
		resp, body := get(t, c, "https://a.test/x?y")
		if want := "GET /x?y 127.0.0.1 3 0"; resp.StatusCode != 200 || body != want || resp.Proto != "HTTP/3.0" || resp.Header["Alt-Svc"] != nil {
			t.Fatalf("%s %d %q %v, want %q", resp.Proto, resp.StatusCode, body, resp.Header, want)
		}
	}
	for _, n := range []int{1, heldBodyMax + 1, 3 << 20} {
		resp, err := c.Post("https://a.test/p", "text/plain", bytes.NewReader(make([]byte, n)))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("POST /p 127.0.0.1 3 %d", n); string(body) != want {
			t.Fatalf("%d %q, want %q", resp.StatusCode, body, want)
		}
	}
}

func TestHTTP3LongAnswer(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	s, pool := startQUIC(t, func(w http.ResponseWriter, r *http.Request) { w.Write(want) })
	if _, body := get(t, overQUIC(t, s.Addrs()[0], pool), "https://a.test/"); body != string(want) {
		t.Fatalf("%d bytes of %d", len(body), len(want))
	}
}

func TestHTTP3Off(t *testing.T) {
	certFile, keyFile, pool := selfSigned(t, "a.test")
	s := start(t, Config{
		Listen: []string{"https://127.0.0.1:0"}, HTTP3: switchOff,
		Sites: []Site{{Origins: []string{origin(t, hello)}, Certificate: certFile, Key: keyFile}},
	})
	resp, _ := get(t, leadingTo(t, s.Addrs()[0], pool), "https://a.test/")
	if got := resp.Header["Alt-Svc"]; got != nil {
		t.Errorf("announced %q", got)
	}
	to := s.Addrs()[0].(*net.TCPAddr)
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: to.IP, Port: to.Port})
	if err != nil {
		t.Fatalf("somebody listens: %v", err)
	}
	udp.Close()
}

// What the engine is told of a client by QUIC: its address, proved, and its
// software.
func TestHTTP3Facts(t *testing.T) {
	got := make(chan facts, 1)
	s, pool := startQUIC(t, hello, telling(got))
	get(t, overQUIC(t, s.Addrs()[0], pool), "https://a.test/")
	f := <-got
	local := netip.MustParseAddr("127.0.0.1")
	if f.peer != local || f.client != local || !f.validated || !strings.HasPrefix(f.fingerprint, "q13d03") || len(f.fingerprint) != 36 {
		t.Errorf("%+v", f)
	}
	t.Logf("quic-go %s", f.fingerprint)
}

// While handshakes hang, an address has to be proved first; what hangs is then
// a bounded number, and real clients still come in.
func TestHTTP3UnderPressure(t *testing.T) {
	s, pool := startQUIC(t, hello)
	conns := s.quic.conns
	to := s.Addrs()[0].(*net.TCPAddr)
	first := firstPacket(t)
	udp, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: to.IP, Port: to.Port})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for i := range 4 * quicUnprovenMax {
		if _, err := udp.Write(first(i)); err != nil {
			t.Fatal(err)
		}
		if i%16 == 0 {
			time.Sleep(time.Millisecond) // the socket's buffer is short
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for conns.retried.Load() == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("nobody was asked to prove an address: %d connections", conns.size())
		}
		time.Sleep(time.Millisecond)
	}
	if n := conns.size(); n > quicUnprovenMax {
		t.Errorf("%d handshakes hang, at most %d may", n, quicUnprovenMax)
	}
	before := conns.retried.Load()
	if resp, body := get(t, overQUIC(t, s.Addrs()[0], pool), "https://a.test/"); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("a client that proves its address: %d", resp.StatusCode)
	}
	if conns.retried.Load() == before {
		t.Error("it was not asked")
	}
}

// firstPacket makes first packets of clients that never send a second: what a
// real one sends, caught, with connection ids of their own each.
func firstPacket(t *testing.T) func(i int) []byte {
	t.Helper()
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	return func(int) []byte {
		ctx, cancel := context.WithCancel(context.Background())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			quic.DialAddr(ctx, sink.LocalAddr().String(), &tls.Config{ServerName: "a.test", NextProtos: []string{"h3"}}, nil)
		}()
		b := make([]byte, 2048)
		n, err := sink.Read(b)
		if err != nil {
			t.Error(err)
		}
		cancel()
		<-gone
		for sink.SetReadDeadline(time.Now().Add(time.Millisecond)); ; { // the rest of it
			if _, err := sink.Read(make([]byte, 2048)); err != nil {
				break
			}
		}
		sink.SetReadDeadline(time.Time{})
		return b[:n]
	}
}

func TestHTTP3Orders(t *testing.T) {
	s, pool := startQUIC(t, hello)
	c := overQUIC(t, s.Addrs()[0], pool)
	get(t, c, "https://a.test/")
	source := netip.MustParsePrefix("127.0.0.1/32")
	s.Refuse([]deich.Order{{Prefix: source, Until: s.now().Add(time.Minute)}})
	if resp, err := c.Get("https://a.test/"); err == nil {
		resp.Body.Close()
		t.Errorf("a judged source was served on its connection: %d", resp.StatusCode)
	}
	if resp, err := overQUIC(t, s.Addrs()[0], pool).Get("https://a.test/"); err == nil {
		resp.Body.Close()
		t.Errorf("a judged source got a new connection: %d", resp.StatusCode)
	}
	s.Refuse([]deich.Order{{Prefix: source, Until: 0}})
	if resp, _ := get(t, overQUIC(t, s.Addrs()[0], pool), "https://a.test/"); resp.StatusCode != 200 {
		t.Errorf("after the order ended: %d", resp.StatusCode)
	}
}

// Requests that run end well; a client that has none is let go.
func TestHTTP3Shutdown(t *testing.T) {
	came, let := make(chan struct{}, 1), make(chan struct{})
	s, pool := startQUIC(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			came <- struct{}{}
			<-let
		}
		io.WriteString(w, "hello")
	})
	idle := overQUIC(t, s.Addrs()[0], pool)
	get(t, idle, "https://a.test/")
	busy := overQUIC(t, s.Addrs()[0], pool)
	var asking sync.WaitGroup
	asking.Go(func() {
		resp, err := busy.Get("https://a.test/slow")
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello" {
			t.Errorf("%q %v", body, err)
		}
	})
	<-came
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { ended <- s.Shutdown(ctx) }()
	time.AfterFunc(100*time.Millisecond, func() { close(let) })
	asking.Wait()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := s.quic.conns.size(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestQUICConnsAreBounded(t *testing.T) {
	now := deich.Time(0)
	limits, clock := Limits{Connections: 100, PeerConnections: 2}, func() deich.Time { return now }
	set := newQUICConns(limits, newConns(limits, clock, false), func(netip.Addr) bool { return false }, clock)
	come := func(i byte) (context.CancelFunc, error) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := set.admit(ctx, &quic.ClientInfo{RemoteAddr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, i)}})
		return cancel, err
	}
	var leave []context.CancelFunc
	for i := range byte(90) {
		cancel, err := come(7)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		leave = append(leave, cancel)
	}
	if _, err := come(7); err == nil {
		t.Error("one address got more than its share when connections were short")
	}
	if !set.doubts(nil) {
		t.Error("no address is doubted")
	}
	for i := range byte(10) {
		if _, err := come(100 + i); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if _, err := come(200); err == nil {
		t.Error("more than there may be")
	}
	for _, cancel := range leave {
		cancel()
	}
	deadline := time.Now().Add(5 * time.Second)
	for set.size() != 10 {
		if time.Now().After(deadline) {
			t.Fatalf("%d are left", set.size())
		}
		time.Sleep(time.Millisecond)
	}
	if set.doubts(nil) || len(set.peers) != 10 {
		t.Errorf("%d peers, %d unproven", len(set.peers), set.unproven)
	}
}

// Over HTTP/3 a client may leave a hundred requests, and is ended before a thousand.
func TestHTTP3ResetsEnd(t *testing.T) {
	asked := make(chan struct{}, 1)
	s, pool := startQUIC(t, func(w http.ResponseWriter, r *http.Request) {})
	inner := s.quic.serve
	s.quic.serve = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/held" {
			inner(w, r)
			return
		}
		asked <- struct{}{}
		<-r.Context().Done()
	}
	c := overQUIC(t, s.Addrs()[0], pool)
	left := 0
	for s.Connections().Abusive == 0 && left < offendingMost {
		if left == 100 {
			if resp, _ := get(t, c, "https://a.test/"); resp.StatusCode != http.StatusOK {
				t.Fatalf("after %d: %s", left, resp.Status)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", "https://a.test/held", nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := c.Do(r); err == nil {
				resp.Body.Close()
			}
		}()
		select {
		case <-asked:
		case <-done: // the connection was ended before it could
		case <-time.After(patience):
			t.Fatal("not asked")
		}
		cancel()
		<-done
		left++
	}
	t.Logf("ended after %d", left)
	if left >= offendingMost || left <= 100 {
		t.Errorf("ended after %d", left)
	}
}

// A connection that begins while they are short may hold less, and is served.
func TestHTTP3HoldsLessWhileConnectionsAreShort(t *testing.T) {
	s, pool := startQUIC(t, hello)
	config := s.quic.config(s.options.Config.Timeouts)
	for _, short := range []bool{false, true} {
		if short {
			s.quic.conns.mu.Lock()
			s.quic.conns.unproven += quicUnprovenMax
			s.quic.conns.mu.Unlock()
		}
		c, err := config.GetConfigForClient(&quic.ClientInfo{})
		if err != nil || (c.MaxIncomingStreams == h3StreamsShort && c.MaxConnectionReceiveWindow == h3WindowShort) != short {
			t.Errorf("short %v: %d requests, %d bytes, %v", short, c.MaxIncomingStreams, c.MaxConnectionReceiveWindow, err)
		}
		client := overQUIC(t, s.Addrs()[0], pool)
		if _, body := get(t, client, "https://a.test/"); body != "hello" {
			t.Errorf("short %v: %q", short, body)
		}
		resp, err := client.Post("https://a.test/", "text/plain", bytes.NewReader(make([]byte, 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("short %v: %d", short, resp.StatusCode)
		}
	}
}

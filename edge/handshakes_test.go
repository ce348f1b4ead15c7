package edge

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deichproject/deich"
)

// TestHandshakesTurns: known ones in turn, then the newest stranger; who waits too
// long, or is pushed out, has none.
func TestHandshakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHandshakes()
		s.atOnce = 1
		if err := s.enter(false); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		wait := func(name string, known bool) {
			go func() {
				err := s.enter(known)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					name += " refused"
				}
				order = append(order, name)
			}()
			synctest.Wait()
		}
		for _, name := range []string{"a", "b", "c"} {
			wait("stranger "+name, false)
			wait("known "+name, true)
		}
		told := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(order) != len(want) {
				t.Fatalf("%q, want %q", order, want)
			}
			for i := range want {
				if order[i] != want[i] {
					t.Fatalf("%q, want %q", order, want)
				}
			}
			order = nil
		}
		for range 4 {
			s.leave()
			synctest.Wait()
		}
		told("known a", "known b", "known c", "stranger c")
		time.Sleep(handshakeWait + 1)
		synctest.Wait()
		if len(order) != 2 {
			t.Fatalf("%q", order)
		}
		order = nil
		for range handshakesWaiting {
			wait("", false)
		}
		wait("last", false)
		told(" refused") // the oldest
		if !s.short() {
			t.Error("not short")
		}
		for range handshakesWaiting + 1 {
			s.leave()
		}
		synctest.Wait()
		if s.running != 0 || s.short() {
			t.Errorf("%d run, %d and %d wait", s.running, len(s.known), len(s.others))
		}
		if err := s.enter(false); err != nil {
			t.Error(err)
		}
	})
}

// hello1 is a ClientHello as the standard library says it.
func hello1(t testing.TB) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go tls.Client(far, &tls.Config{InsecureSkipVerify: true, ServerName: "a.example", NextProtos: []string{"h2"}}).Handshake()
	b := make([]byte, 4096)
	n, err := near.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// flood connects from many addresses, says something, and leaves at once, until stop.
func flood(t testing.TB, addr string, say []byte, nets int, stop <-chan struct{}) (n int) {
	for {
		for net3 := range nets {
			for host := range 200 {
				select {
				case <-stop:
					return n
				default:
				}
				d := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, byte(net3), byte(1+host))}}
				nc, err := d.DialContext(t.Context(), "tcp", addr)
				if err != nil {
					continue
				}
				if say != nil {
					nc.Write(say)
				}
				nc.Close()
				n++
			}
		}
	}
}

// While strangers connect and leave, or begin TLS and leave, as fast as they can,
// those who were served before open connections and are served.
func TestConnectionFloods(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs: two floods of some seconds each")
	}
	for name, say := range map[string][]byte{"connect and leave": nil, "ClientHello and leave": hello1(t)} {
		t.Run(name, func(t *testing.T) {
			s, addr := secureFront(t, hello)
			user := func(n int) (ok bool, took time.Duration) {
				tr := &http.Transport{
					TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.example"}, ForceAttemptHTTP2: true,
					DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 8, 0, byte(1+n%20))}}).DialContext,
				}
				defer tr.CloseIdleConnections()
				r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+addr, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = "a.example"
				begun := time.Now()
				resp, err := (&http.Client{Transport: tr, Timeout: 2 * patience}).Do(r) // the generator and others work on the same cores
				if err != nil {
					return false, time.Since(begun)
				}
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
				return err == nil && resp.StatusCode == http.StatusOK, time.Since(begun)
			}
			for n := range 20 {
				if ok, _ := user(n); !ok {
					t.Fatal("not served in peace")
				}
			}
			stop := make(chan struct{})
			var flooding sync.WaitGroup
			var sent atomic.Int64
			for range 2 {
				flooding.Go(func() { sent.Add(int64(flood(t, addr, say, 40, stop))) })
			}
			time.Sleep(time.Second)
			const asked = 200
			served, longest := 0, time.Duration(0)
			for n := range asked {
				ok, took := user(n)
				longest = max(longest, took)
				if ok {
					served++
				}
				time.Sleep(10 * time.Millisecond)
			}
			close(stop)
			flooding.Wait()
			t.Logf("%d of %d served, the longest took %v; %d came and left; %+v", served, asked, longest, sent.Load(), s.Connections())
			if served < asked*99/100 {
				t.Errorf("%d of %d served", served, asked)
			}
		})
	}
}

// Empty connections are forgiven as long as they are few, and told to the engine
// beyond.
func TestEmptyConnections(t *testing.T) {
	s := newConns(Config{}.Defaults().Limits, func() deich.Time { return 1 << 40 }, false)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for n := range int(emptyFirst / emptyEvery) {
		if s.empty(a) {
			t.Fatalf("the %dth is too many", n)
		}
	}
	if s.empty(a); !s.empty(a) {
		t.Error("none is too many")
	}
	if s.empty(b) {
		t.Error("another's are counted")
	}
	if s.short(s.now()) {
		t.Error("short")
	}
	for range emptiesMany {
		s.empty(b)
	}
	if !s.short(s.now()) {
		t.Error("not short")
	}
	// While they are: an address has its share, its network more, and neighbours in
	// other networks theirs.
	taken := func(from netip.Addr) (n int) {
		for n < 1<<16 && !s.overdrawn(s.now(), from) {
			n++
		}
		return n
	}
	one := int(acceptBurst / acceptEvery)
	if n := taken(a); n < one || n > one+1 {
		t.Errorf("one address connects %d times", n)
	}
	all := 0
	for host := range byte(250) {
		all += taken(netip.AddrFrom4([4]byte{198, 51, 100, host}))
	}
	if want := one * acceptNetwork; all < want || all > want+acceptNetwork {
		t.Errorf("one network connects %d times, want %d", all, want)
	}
	s.known = func(netip.Addr) bool { return true }
	if n := taken(netip.MustParseAddr("203.0.113.1")); n < one*acceptKnown || n > one*acceptKnown+acceptKnown {
		t.Errorf("a known address connects %d times", n)
	}
}

package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// turnsOf gives how many handshakes run, and how many wait in each row.
func turnsOf(s *handshakes) (running int, waiting [rows]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for row := range s.waiting {
		waiting[row] = len(s.waiting[row])
	}
	return s.running, waiting
}

func untilTurns(t *testing.T, s *handshakes, what string, running int, waiting [rows]int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		r, w := turnsOf(s)
		if r == running && w == waiting {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d run and %v wait, want %d and %v", what, r, w, running, waiting)
		}
	}
}

// asks has a client ask once, and gives what came of it.
func asks(c *http.Client) <-chan error {
	done := make(chan error, 1)
	go func() {
		resp, err := c.Get("https://a.test/")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		done <- err
	}()
	return done
}

// A handshake over QUIC waits for its turn like one over TCP, and gives it back once it is
// computed. An address that is not proved goes before nobody, whoever's it is.
func TestHTTP3TakesATurn(t *testing.T) {
	s, pool := startQUIC(t, hello)
	budget := s.conns.handshakes
	budget.mu.Lock()
	budget.atOnce = 1
	budget.mu.Unlock()
	s.conns.known = func(netip.Addr) bool { return true }
	if err := budget.enter(rowOther); err != nil {
		t.Fatal(err)
	}
	done := asks(overQUIC(t, s.Addrs()[0], pool))
	untilTurns(t, budget, "while another has the turn", 1, [rows]int{rowOther: 1})
	select {
	case err := <-done:
		t.Fatalf("it was answered without a turn: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	byTCP := asks(leadingTo(t, s.Addrs()[0], pool))
	untilTurns(t, budget, "beside one over TCP", 1, [rows]int{rowOther: 1, rowKnown: 1})
	budget.leave()
	for _, done := range []<-chan error{done, byTCP} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	untilTurns(t, budget, "in the end", 0, [rows]int{})
}

// While handshakes run short an address has to be proved before one is begun; then it goes
// before strangers where it is known.
func TestHTTP3WhileHandshakesAreShort(t *testing.T) {
	s, pool := startQUIC(t, hello)
	budget := s.conns.handshakes
	budget.mu.Lock()
	budget.atOnce = 1
	budget.mu.Unlock()
	s.conns.known = func(netip.Addr) bool { return true }
	if err := budget.enter(rowOther); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range handshakesShort {
		all.Go(func() {
			if budget.enter(rowOther) == nil {
				budget.leave()
			}
		})
	}
	untilTurns(t, budget, "strangers", 1, [rows]int{rowOther: handshakesShort})
	done := asks(overQUIC(t, s.Addrs()[0], pool))
	untilTurns(t, budget, "with one by QUIC", 1, [rows]int{rowKnown: 1, rowOther: handshakesShort})
	if s.quic.conns.retried.Load() == 0 {
		t.Error("it did not have to prove its address")
	}
	budget.leave()
	if err := <-done; err != nil {
		t.Error(err)
	}
	all.Wait()
	untilTurns(t, budget, "in the end", 0, [rows]int{})
}

// resumingQUIC gives a client over QUIC that remembers sessions, on a connection of its own
// at each call.
func resumingQUIC(t *testing.T, addr net.Addr, pool *x509.CertPool) func() (resumed bool) {
	t.Helper()
	sessions := tls.NewLRUClientSessionCache(1)
	return func() bool {
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		carrier := &quic.Transport{Conn: udp}
		defer func() { carrier.Close(); udp.Close() }()
		tr := &http3.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, ClientSessionCache: sessions},
			Dial: func(ctx context.Context, _ string, config *tls.Config, qc *quic.Config) (*quic.Conn, error) {
				to := addr.(*net.TCPAddr)
				return carrier.Dial(ctx, &net.UDPAddr{IP: to.IP, Port: to.Port}, config, qc)
			},
		}
		defer tr.Close()
		resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("https://a.test/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		time.Sleep(20 * time.Millisecond) // the ticket comes behind the handshake
		return resp.TLS.DidResume
	}
}

// A handshake that resumes a session signs nothing, and gives its turn back all the same.
func TestHTTP3ResumedGivesItsTurnBack(t *testing.T) {
	s, pool := startQUIC(t, hello)
	budget := s.conns.handshakes
	budget.mu.Lock()
	budget.atOnce = 1
	budget.mu.Unlock()
	ask := resumingQUIC(t, s.Addrs()[0], pool)
	if ask() {
		t.Fatal("the first resumed")
	}
	resumed := 0
	for range 5 {
		if ask() {
			resumed++
		}
	}
	if resumed == 0 {
		t.Error("none resumed")
	}
	untilTurns(t, budget, "in the end", 0, [rows]int{})
}

// Forty clients at once with one turn for all, over QUIC and over TCP: all are served, and
// no turn is lost or given back twice.
func TestHTTP3TurnsUnderLoad(t *testing.T) {
	s, pool := startQUIC(t, hello)
	budget := s.conns.handshakes
	budget.mu.Lock()
	budget.atOnce = 1
	budget.mu.Unlock()
	var done []<-chan error
	for range 20 {
		done = append(done, asks(overQUIC(t, s.Addrs()[0], pool)), asks(leadingTo(t, s.Addrs()[0], pool)))
	}
	most := 0
	for len(done) > 0 {
		r, _ := turnsOf(budget)
		most = max(most, r)
		done = slices.DeleteFunc(done, func(one <-chan error) bool {
			select {
			case err := <-one:
				if err != nil {
					t.Error(err)
				}
				return true
			default:
				return false
			}
		})
		time.Sleep(100 * time.Microsecond)
	}
	if most > 1 {
		t.Errorf("%d ran at once", most)
	}
	untilTurns(t, budget, "in the end", 0, [rows]int{})
}

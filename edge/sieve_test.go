package edge

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/deichproject/deich"
)

// accepts runs a listener and hands out what it accepts, until the test ends.
func accepts(t *testing.T, scheme string) (l *listener, set *conns, got chan net.Conn) {
	set = newConns(Config{}.Defaults().Limits, func() deich.Time { return 1 }, false)
	l, err := listen(t.Context(), listenAddr{scheme: scheme, addr: "127.0.0.1:0"}, set, func(netip.Addr) bool { return false }, func(netip.Addr) {})
	if err != nil {
		t.Fatal(err)
	}
	got = make(chan net.Conn)
	var running sync.WaitGroup
	running.Go(func() {
		defer close(got)
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			got <- c
		}
	})
	t.Cleanup(func() {
		l.Close()
		for c := range got {
			c.Close()
		}
		running.Wait()
	})
	return l, set, got
}

func dialFrom(t *testing.T, from string, l *listener) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// TestOrdersAtAccept goes through peace, orders and peace again: who is
// refused is reset, everyone else is served as ever.
func TestOrdersAtAccept(t *testing.T) {
	l, set, got := accepts(t, "http")
	served := func(from string) {
		t.Helper()
		c, err := dialFrom(t, from, l)
		if err != nil {
			t.Fatal(err)
		}
		s := <-got
		defer s.Close()
		if peer := s.(*conn).peer; peer != netip.MustParseAddr(from) {
			t.Fatalf("from %s: seen as %s", from, peer)
		}
		if _, err := c.Write([]byte("dike")); err != nil {
			t.Fatal(err)
		}
		var b [8]byte
		if n, err := s.Read(b[:]); err != nil || string(b[:n]) != "dike" {
			t.Fatalf("from %s: %q, %v", from, b[:n], err)
		}
	}
	served("127.0.0.2")
	under := netip.MustParsePrefix("127.0.0.2/32")
	for round := range 2 { // the second time the descriptor is a new one
		set.refuse([]deich.Order{{Prefix: under, Until: 10}})
		before := set.refused.Load()
		// The accept that waits takes the first, the sieve the others.
		for i := range uint64(3) {
			c, err := dialFrom(t, "127.0.0.2", l)
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("refused by %v", err)
			}
			if n := set.refused.Load() - before; n != i+1 {
				t.Fatalf("round %d: %d refused after %d", round, n, i+1)
			}
		}
		served("127.0.0.3")
		served("127.0.0.4")
		set.refuse([]deich.Order{{Prefix: under, Until: 0}})
		served("127.0.0.2")
		served("127.0.0.2")
	}
	if counts := set.orders.collect(1, nil); len(counts) != 0 {
		t.Errorf("revoked orders still count: %v", counts)
	}
}

// TestSieveEnds closes a listener that waits while orders are in force.
func TestSieveEnds(t *testing.T) {
	l, set, got := accepts(t, "http")
	set.refuse([]deich.Order{{Prefix: netip.MustParsePrefix("127.0.0.2/32"), Until: 10}})
	if _, err := dialFrom(t, "127.0.0.3", l); err != nil {
		t.Fatal(err)
	}
	(<-got).Close() // from here on it waits in the sieve
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, open := <-got; open {
		t.Error("accepted after its end")
	}
}

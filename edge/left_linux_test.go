package edge

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// Who said something and left is passed over at accept where TLS is spoken; without, it may
// have asked for something.
func TestWhoLeftIsNoneOfTLS(t *testing.T) {
	for scheme, want := range map[string]string{"http": "127.0.0.4", "https": "127.0.0.5"} {
		t.Run(scheme, func(t *testing.T) {
			l, set, got := accepts(t, scheme)
			set.refuse([]deich.Order{{Prefix: netip.MustParsePrefix("127.0.0.2/32"), Until: 10}})
			// The first is accepted without the sieve and waits to be taken, the others meet it.
			for _, from := range []string{"127.0.0.3", "127.0.0.4", "127.0.0.5"} {
				nc, err := dialFrom(t, from, l)
				if err != nil {
					t.Fatal(err)
				}
				if from == "127.0.0.4" {
					nc.Write([]byte("something"))
					nc.Close()
				}
			}
			(<-got).Close()
			second := <-got
			defer second.Close()
			if from := second.(*conn).peer.String(); from != want {
				t.Errorf("taken from %s, want %s", from, want)
			}
			if n := set.empties.all.Load(); n != map[string]uint64{"http": 0, "https": 1}[scheme] {
				t.Errorf("%d counted as empty", n)
			}
		})
	}
}

// Who left before its turn came is in no row.
func TestWhoLeftWaitsForNoTurn(t *testing.T) {
	l, set, got := accepts(t, "https")
	set.handshakes.mu.Lock()
	set.handshakes.atOnce = 1
	set.handshakes.mu.Unlock()
	if err := set.handshakes.enter(rowOther); err != nil {
		t.Fatal(err)
	}
	nc, err := dialFrom(t, "127.0.0.3", l)
	if err != nil {
		t.Fatal(err)
	}
	c := (<-got).(*conn)
	defer c.Close()
	nc.Close()
	for end := time.Now().Add(patience); !c.sock.hungUp(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("its end is not seen")
		}
	}
	if err := c.shake(); !errors.Is(err, errNoHandshake) {
		t.Errorf("%v", err)
	}
	if n := set.handshakes.refused.Load(); n != 0 {
		t.Errorf("%d waited in vain", n)
	}
	set.handshakes.leave()
}

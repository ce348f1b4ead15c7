package edge

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func orderOf(prefix string, until deich.Time) deich.Order {
	return deich.Order{Prefix: netip.MustParsePrefix(prefix), Until: until}
}

func TestOrdersTable(t *testing.T) {
	const now, later = deich.Time(100), deich.Time(200)
	for _, c := range []struct {
		name    string
		orders  []deich.Order
		addr    string
		refused bool
		missed  uint64
	}{
		{"its address", []deich.Order{orderOf("192.0.2.1/32", later)}, "192.0.2.1", true, 0},
		{"a neighbour", []deich.Order{orderOf("192.0.2.1/32", later)}, "192.0.2.2", false, 0},
		{"its network", []deich.Order{orderOf("192.0.2.0/24", later)}, "192.0.2.9", true, 0},
		{"its /64", []deich.Order{orderOf("2001:db8::1/64", later)}, "2001:db8::ffff", true, 0},
		{"another /64", []deich.Order{orderOf("2001:db8::/64", later)}, "2001:db8:0:1::1", false, 0},
		{"its /48", []deich.Order{orderOf("2001:db8::/48", later)}, "2001:db8:0:1::1", true, 0},
		{"IPv4 written as IPv6", []deich.Order{orderOf("::ffff:192.0.2.0/120", later)}, "192.0.2.7", true, 0},
		{"ended", []deich.Order{orderOf("192.0.2.1/32", later), orderOf("192.0.2.1/32", now)}, "192.0.2.1", false, 0},
		{"revoked", []deich.Order{orderOf("192.0.2.1/32", later), orderOf("192.0.2.1/32", 0)}, "192.0.2.1", false, 0},
		{"too wide", []deich.Order{orderOf("192.0.0.0/16", later)}, "192.0.2.1", false, 1},
		{"too narrow", []deich.Order{orderOf("2001:db8::1/128", later)}, "2001:db8::1", false, 1},
		{"wide enough for all", []deich.Order{orderOf("::/0", later), orderOf("0.0.0.0/0", later)}, "192.0.2.1", false, 2},
	} {
		o := newOrders()
		o.apply(now, c.orders)
		if got := o.refuses(now, netip.MustParseAddr(c.addr)); got != c.refused || o.missed.Load() != c.missed {
			t.Errorf("%s: refused %v, missed %d", c.name, got, o.missed.Load())
		}
		if o.refuses(later, netip.MustParseAddr(c.addr)) {
			t.Errorf("%s: refused after its end", c.name)
		}
	}
}

func TestOrdersTellWhatTheyRefused(t *testing.T) {
	o := newOrders()
	o.apply(0, []deich.Order{orderOf("192.0.2.0/24", 100), orderOf("198.51.100.1/32", 10)})
	for range 3 {
		o.refuses(1, netip.MustParseAddr("192.0.2.77"))
	}
	counts := o.collect(1, nil)
	if len(counts) != 1 || counts[0].Prefix.String() != "192.0.2.0/24" || counts[0].N != 3 {
		t.Errorf("%v", counts)
	}
	if counts = o.collect(50, counts[:0]); len(counts) != 0 || o.held.Load() != 1 {
		t.Errorf("%v, %d held", counts, o.held.Load())
	}
}

func TestOrdersAreBounded(t *testing.T) {
	o := newOrders()
	list := make([]deich.Order, ordersMax+3)
	for i := range list {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		list[i] = deich.Order{Prefix: netip.PrefixFrom(a, 32), Until: 10}
	}
	o.apply(0, list)
	if o.held.Load() != ordersMax || o.missed.Load() != 3 {
		t.Errorf("%d held, %d missed", o.held.Load(), o.missed.Load())
	}
}

// TestOrderIsCarriedOut: at accept, on a connection that is open already, and
// undone by its revocation.
func TestOrderIsCarriedOut(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{up}}}})
	addr := s.Addrs()[0].String()
	open := call(t, addr)
	if h := open.ask("GET", plainGet); h.body != "ok" {
		t.Fatal(h)
	}
	for _, prefix := range []string{"127.0.0.1/32", "::ffff:127.0.0.0/120"} {
		s.Refuse([]deich.Order{orderOf(prefix, s.now().Add(time.Minute))})
		refused := s.conns.refused.Load()
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.SetDeadline(time.Now().Add(patience))
			c.Write([]byte(plainGet))
			if _, err := c.Read(make([]byte, 1)); err == nil || timedOut(err) {
				t.Errorf("%s: a new connection was not refused: %v", prefix, err)
			}
			c.Close()
		}
		within(t, "refused", func() bool { return s.conns.refused.Load() > refused })

		open.say(plainGet)
		within(t, "stalled", func() bool { return s.conns.stalled.size() == 1 })
		s.Refuse([]deich.Order{orderOf(prefix, 0)})
		if !open.ended() {
			t.Errorf("%s: the stalled connection was left after the order was revoked", prefix)
		}
		if open = call(t, addr); open.ask("GET", plainGet).body != "ok" {
			t.Errorf("%s: refused after the order was revoked", prefix)
		}
		within(t, "its place in the ring is free", func() bool {
			s.conns.stalled.due(s.now().Add(time.Hour), 0)
			return s.conns.stalled.size() == 0
		})
	}
}

package edge

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deichproject/deich"
)

// TestHandshakesTurns: known ones in turn, then the newest of newcomers and then of other
// strangers; who waits too long, or is pushed out, has none.
func TestHandshakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHandshakes()
		s.mu.Lock()
		s.atOnce = 1
		s.mu.Unlock()
		if err := s.enter(rowOther); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		wait := func(name string, row int) {
			go func() {
				err := s.enter(row)
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
			wait("stranger "+name, rowOther)
			wait("newcomer "+name, rowFresh)
			wait("known "+name, rowKnown)
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
		for range 7 {
			s.leave()
			synctest.Wait()
		}
		told("known a", "known b", "known c", "newcomer c", "newcomer b", "newcomer a", "stranger c")
		time.Sleep(handshakeWait + 1)
		synctest.Wait()
		if len(order) != 2 {
			t.Fatalf("%q", order)
		}
		order = nil
		for range handshakesWaiting {
			wait("", rowOther)
		}
		wait("last", rowOther)
		told(" refused") // the oldest
		if !s.short() {
			t.Error("not short")
		}
		for range handshakesWaiting + 1 {
			s.leave()
		}
		synctest.Wait()
		if s.running != 0 || s.short() {
			t.Errorf("%d run, %v wait", s.running, s.waiting)
		}
		if err := s.enter(rowOther); err != nil {
			t.Error(err)
		}
	})
}

// hello1 is a ClientHello as the standard library says it.
func hello1(t testing.TB, groups ...tls.CurveID) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go tls.Client(far, &tls.Config{InsecureSkipVerify: true, ServerName: "a.example", NextProtos: []string{"h2"}, CurvePreferences: groups}).Handshake()
	b := make([]byte, 4096)
	n, err := near.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// withoutShare gives a ClientHello of one record whose shares are of groups that nobody
// has: the server has to ask for another.
func withoutShare(t testing.TB, hello []byte) []byte {
	t.Helper()
	b := bytes.Clone(hello)
	at := recordHeader + messageHeader + 2 + 32
	skip := func(bytes int) int { // a vector with its length
		n := int(b[at])
		if bytes == 2 {
			n = int(binary.BigEndian.Uint16(b[at:]))
		}
		begin := at + bytes
		at = begin + n
		return begin
	}
	skip(1) // the session
	skip(2) // ciphers
	skip(1) // compression
	for i, end := skip(2), at; i < end; {
		kind, size := binary.BigEndian.Uint16(b[i:]), int(binary.BigEndian.Uint16(b[i+2:]))
		if i += 4; kind == 51 { // key_share
			for share := i + 2; share < i+size; share += 4 + int(binary.BigEndian.Uint16(b[share+2:])) {
				binary.BigEndian.PutUint16(b[share:], 0x7a7a)
			}
			return b
		}
		i += size
	}
	t.Fatal("no shares")
	return nil
}

// A client that has to be asked for a second ClientHello waits for its turn twice: nothing
// of the second is computed without one, and none is held while the second is waited for.
func TestSecondHelloTakesATurn(t *testing.T) {
	s, addr := secureFront(t, hello)
	budget := s.conns.handshakes
	budget.mu.Lock()
	budget.atOnce = 1
	budget.mu.Unlock()
	state := func() (running, waiting int) {
		budget.mu.Lock()
		defer budget.mu.Unlock()
		return budget.running, len(slices.Concat(budget.waiting[:]...))
	}
	until := func(what string, running, waiting int) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			r, w := state()
			if r == running && w == waiting {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %d run, %d wait; want %d and %d", what, r, w, running, waiting)
			}
		}
	}
	second := hello1(t, tls.X25519) // with one share, as is right for a second
	first := withoutShare(t, second)
	second[2] = 3 // the version in a record's header is settled by then
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(2 * patience))
		return nc
	}
	send := func(nc net.Conn, b []byte) {
		t.Helper()
		if _, err := nc.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	// record gives the next one that is not the change_cipher_spec of old.
	record := func(nc net.Conn) (b []byte, err error) {
		for {
			var head [recordHeader]byte
			if _, err := io.ReadFull(nc, head[:]); err != nil {
				return nil, err
			}
			body := make([]byte, binary.BigEndian.Uint16(head[3:]))
			if _, err := io.ReadFull(nc, body); err != nil {
				return nil, err
			}
			if head[0] != 20 {
				return append(head[:], body...), nil
			}
		}
	}

	nc := dial()
	send(nc, first)
	if b, err := record(nc); err != nil || !asksAgain(b) {
		t.Fatalf("no HelloRetryRequest: %x, %v", b, err)
	}
	until("after the question", 0, 0)
	if err := budget.enter(rowOther); err != nil {
		t.Fatal(err)
	}
	send(nc, []byte{20, 3, 3, 0, 1, 1}) // as clients do
	// One byte is missing, whose absence would hold a turn for as long as its sender likes.
	send(nc, second[:len(second)-1])
	time.Sleep(50 * time.Millisecond)
	until("before the second is whole", 1, 0)
	send(nc, second[len(second)-1:])
	until("once it is", 1, 1)
	nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if b, err := record(nc); err == nil {
		t.Fatalf("answered without a turn: %x", b[:min(len(b), 60)])
	}
	nc.SetReadDeadline(time.Now().Add(2 * patience))
	budget.leave()
	if b, err := record(nc); err != nil || b[0] != recordHandshake || b[recordHeader] != helloServer || asksAgain(b) {
		t.Errorf("with its turn: %x, %v", b, err)
	}
	until("after the answer", 0, 0)

	// Who sends both at once is not asked.
	nc = dial()
	send(nc, append(bytes.Clone(first), second...))
	if b, err := record(nc); err == nil && b[0] == recordHandshake {
		t.Errorf("both at once are answered: %x", b[:min(len(b), 60)])
	}
	nc.Close()
	until("after that", 0, 0)

	// Who is refused at the second has no answer.
	budget.enter(rowOther)
	nc = dial()
	go func() { time.Sleep(50 * time.Millisecond); budget.leave() }()
	send(nc, first)
	if b, err := record(nc); err != nil || !asksAgain(b) {
		t.Fatalf("no HelloRetryRequest: %x, %v", b, err)
	}
	until("after the question", 0, 0)
	budget.enter(rowOther)
	before := budget.refused.Load()
	send(nc, second)
	until("it waits", 1, 1)
	nc.SetReadDeadline(time.Now().Add(handshakeWait + patience))
	if b, err := record(nc); err == nil && b[0] == recordHandshake {
		t.Errorf("answered without a turn: %x", b[:min(len(b), 60)])
	}
	if n := budget.refused.Load() - before; n != 1 {
		t.Errorf("%d refused, want 1", n)
	}
	budget.leave()
	until("in the end", 0, 0)
}

// However a hello is cut into records and reads, it is whole with its last byte.
func TestOpeningIsFollowed(t *testing.T) {
	whole := hello1(t)
	body := whole[recordHeader:]
	cut := func(sizes ...int) (b []byte) { // the same in several records
		rest := body
		for _, n := range append(sizes, len(body)) {
			n = min(n, len(rest))
			if n > 0 {
				b = append(append(b, 22, 3, 1, byte(n>>8), byte(n)), rest[:n]...)
				rest = rest[n:]
			}
		}
		return b
	}
	ccs := []byte{20, 3, 3, 0, 1, 1}
	for name, c := range map[string]struct {
		again bool
		sent  []byte
	}{
		"one record": {false, whole}, "two": {false, cut(700)}, "a header in pieces": {false, cut(1, 1, 1, 40)},
		"the second": {true, slices.Concat(ccs, whole)}, "the second, in two": {true, slices.Concat(ccs, cut(3))}, "no change of ciphers": {true, whole},
	} {
		for _, step := range []int{1, 3, 7, 512, 1 << 14} {
			g := opening{again: c.again}
			for at := 0; at < len(c.sent); at += step {
				if g.over {
					t.Fatalf("%s, by %d: over at %d of %d", name, step, at, len(c.sent))
				}
				g.take(c.sent[at:min(at+step, len(c.sent))])
			}
			if !g.over || g.beyond {
				t.Errorf("%s, by %d: over %v, beyond %v", name, step, g.over, g.beyond)
			}
		}
		g := opening{again: c.again}
		if g.take(append(bytes.Clone(c.sent), 22)); !g.over || !g.beyond {
			t.Errorf("%s and more: over %v, beyond %v", name, g.over, g.beyond)
		}
	}
	// A message that is whole in a record that is not is not read yet by the standard library.
	g := opening{}
	g.take(append([]byte{22, 3, 1, byte((len(body) + 1) >> 8), byte(len(body) + 1)}, body...))
	if g.over {
		t.Error("over although a byte of the record is missing")
	}
	plain := opening{}
	if plain.take([]byte("G")); !plain.over {
		t.Error("what is no TLS is followed")
	}
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

// Who hardly begins handshakes goes before those who begin many, by address or by network,
// and after those known.
func TestRowsOfHandshakes(t *testing.T) {
	now := deich.Time(1 << 40)
	s := newConns(Config{}.Defaults().Limits, func() deich.Time { return now }, false)
	fresh := func(a netip.Addr) (n int) {
		for n < 1<<12 && s.rowOf(a) == rowFresh {
			n++
		}
		return n
	}
	one := int(turnFirst / turnEvery)
	a := netip.MustParseAddr("192.0.2.1")
	if n := fresh(a); n != one {
		t.Errorf("one address is a newcomer for %d, want %d", n, one)
	}
	if n := fresh(netip.MustParseAddr("192.0.2.2")); n != one {
		t.Errorf("its neighbour for %d, want %d", n, one)
	}
	all := 0
	for host := range byte(200) {
		all += fresh(netip.AddrFrom4([4]byte{198, 51, 100, host}))
	}
	if want := one * acceptNetwork; all < want/2 || all > want {
		t.Errorf("one network for %d, want at most %d", all, want)
	}
	v6 := netip.MustParseAddr("2001:db8::1")
	fresh(v6)
	if n := fresh(netip.MustParseAddr("2001:db8::2")); n != 0 {
		t.Errorf("another address of the same /64 for %d", n)
	}
	// It takes a while to become one again, the longer the more were begun.
	for range 100 {
		s.rowOf(a)
	}
	now = now.Add(turnFirst + turnEvery)
	if s.rowOf(a) != rowOther {
		t.Error("who begins many is a newcomer again at once")
	}
	now = now.Add(200 * turnEvery)
	if s.rowOf(a) != rowFresh {
		t.Error("who began many is never a newcomer again")
	}
	s.known = func(netip.Addr) bool { return true }
	if s.rowOf(a) != rowKnown {
		t.Error("who is known is not")
	}
}

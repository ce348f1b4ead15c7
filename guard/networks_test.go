package guard

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func TestNetworkNames(t *testing.T) {
	for given, want := range map[string]string{
		"203.0.113.7": "203.0.113.0/24", "::ffff:203.0.113.7": "203.0.113.0/24", "0.0.0.0": "0.0.0.0/24", "255.255.255.255": "255.255.255.0/24",
		"2001:db8:1:2::3": "2001:db8:1::/48", "::": "::/48", "ffff:ffff:ffff:ffff::": "ffff:ffff:ffff::/48", "fe80::1%eth0": "fe80::/48",
	} {
		if got := networkOf(networkName(netip.MustParseAddr(given))); got != netip.MustParsePrefix(want) {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	if networkName(netip.Addr{}) != 0 {
		t.Error("no address has a network")
	}
	if int(deich.Drop)+1 != len(deich.Acts()) {
		t.Error("there is an act behind drop: nothing counts it")
	}
}

// Networks that send much are counted nearly whole, however many send little;
// what is told is two spans old at most.
func TestHeavyNetworksStay(t *testing.T) {
	h := &Handler{}
	second := deich.Time(time.Second)
	h.networks.init(second, networksMax)
	random := rand.New(rand.NewPCG(1, 2))
	const heavy, each, strewn = 50, 1000, 500_000
	many := make([]netip.Addr, 0, heavy*each+strewn)
	for i := range heavy {
		for range each {
			many = append(many, netip.AddrFrom4([4]byte{10, 0, byte(i), byte(random.Uint32())}))
		}
	}
	for range strewn {
		many = append(many, netip.AddrFrom4([4]byte{byte(20 + random.IntN(200)), byte(random.Uint32()), byte(random.Uint32()), 1}))
	}
	random.Shuffle(len(many), func(i, k int) { many[i], many[k] = many[k], many[i] })
	for i, a := range many {
		h.networks.note(a, i%fates, 1)
	}
	all, since := h.Networks()
	if since != second || len(all) > networksMax {
		t.Fatalf("%d networks since %d", len(all), since)
	}
	for _, n := range all[:heavy] {
		if b := n.Prefix.Addr().As4(); b[0] != 10 || n.All() < each*9/10 || n.All() > each+each/10 {
			t.Errorf("%s sent %d, it is told", n.Prefix, n.All())
		}
	}
	h.networks.turn(second + deich.Time(networkSpan) - 1)
	if h.networks.newest.Load() != 0 {
		t.Fatal("it turned before its time")
	}
	h.networks.turn(second + deich.Time(networkSpan))
	six := netip.MustParseAddr("2001:db8::1")
	h.Seen([]deich.Count{{Prefix: netip.PrefixFrom(six, 64), N: 5_000}})
	h.networks.note(many[0], int(deich.Allow), 1)
	all, since = h.Networks()
	if since != second || all[0].Prefix.String() != "2001:db8::/48" || all[0].Before != 5_000 || all[0].All() != 5_000 {
		t.Errorf("after a span: %+v since %d", all[0], since)
	}
	h.networks.turn(second + 2*deich.Time(networkSpan))
	if all, since = h.Networks(); len(all) != 2 || since != second+deich.Time(networkSpan) {
		t.Errorf("after two spans: %d since %d", len(all), since)
	}
	h.networks.turn(second + 3*deich.Time(networkSpan))
	if all, _ = h.Networks(); len(all) != 0 {
		t.Errorf("after three spans: %d", len(all))
	}
}

// What one network takes from another's lead, when all send at once, is told of
// nobody as more than came.
func TestNetworksAtOnce(t *testing.T) {
	h := &Handler{}
	h.networks.init(1, networksMax)
	var all sync.WaitGroup
	const senders, each = 8, 2000
	for i := range senders {
		all.Go(func() {
			for k := range each {
				h.networks.note(netip.AddrFrom4([4]byte{10, byte(i), byte(k), 1}), int(deich.Deny), 1)
				if k%500 == 0 {
					h.networks.turn(deich.Time(k) * deich.Time(time.Second))
					h.Networks()
				}
			}
		})
	}
	all.Wait()
	list, _ := h.Networks()
	var told uint64
	for _, n := range list {
		told += n.All()
	}
	if told == 0 || told > senders*each {
		t.Errorf("%d came, and %d are told", senders*each, told)
	}
}

// Every verdict that is carried out counts for the client's network.
func TestRequestsCountForTheirNetwork(t *testing.T) {
	s := newScript()
	h := scripted(t, s, func(http.ResponseWriter, *http.Request) {})
	for i := range 5 {
		if i == 3 {
			s.verdict = refusing(deich.Verdict{Act: deich.Deny, Reason: deich.ByHand})
		}
		r := get("/")
		r.RemoteAddr = fmt.Sprintf("203.0.113.%d:1000", i)
		ask(h, r)
	}
	if all, _ := h.Networks(); len(all) != 1 || all[0].Prefix.String() != "203.0.113.0/24" || all[0].Acts[deich.Allow] != 3 || all[0].Acts[deich.Deny] != 2 {
		t.Errorf("%+v", all)
	}
	s.check(t)
}

// Where a request comes from reaches the engine as hashes, and is counted for
// operator and country, also where it is refused before it is a request; what
// cannot be told is neither.
func TestWhenceIsReadAndCounted(t *testing.T) {
	s := newScript()
	places := map[string]struct {
		operator uint32
		country  uint16
	}{
		"203.0.113.1": {64500, 'D'<<8 | 'E'}, "203.0.113.2": {64500, 'F'<<8 | 'R'}, "198.51.100.1": {64501, 'F'<<8 | 'R'}, "192.0.2.1": {0, 'F'<<8 | 'R'},
	}
	h, err := newHandler(Options{Keys: testKeys(), Next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Whence: func(a netip.Addr) (uint32, uint16) {
		return places[a.String()].operator, places[a.String()].country
	}}, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"203.0.113.1", "203.0.113.2", "198.51.100.1", "192.0.2.1"} {
		r := get("/")
		r.RemoteAddr = a + ":1000"
		ask(h, r)
	}
	h.Seen([]deich.Count{{Prefix: netip.MustParsePrefix("198.51.100.1/32"), N: 10}})
	operator := func(i int) uint32 { return s.asked[i].Traits[deich.TraitASN] }
	country := func(i int) uint32 { return s.asked[i].Traits[deich.TraitCountry] }
	if operator(0) == 0 || operator(0) != operator(1) || operator(1) == operator(2) || operator(3) != 0 || operator(0) == 64500 {
		t.Errorf("operators: %d %d %d %d", operator(0), operator(1), operator(2), operator(3))
	}
	if country(0) == 0 || country(0) == country(1) || country(1) != country(2) || country(2) != country(3) {
		t.Errorf("countries: %d %d %d %d", country(0), country(1), country(2), country(3))
	}
	operators, _ := h.Operators()
	if len(operators) != 2 || operators[0].Number != 64501 || operators[0].Before != 10 || operators[0].All() != 11 || operators[1].All() != 2 {
		t.Errorf("%+v", operators)
	}
	countries, _ := h.Countries()
	if len(countries) != 2 || countries[0].Code != 'F'<<8|'R' || countries[0].All() != 13 || countries[1].Acts[deich.Allow] != 1 {
		t.Errorf("%+v", countries)
	}
	s.check(t)
}

// BenchmarkWhence is what it costs a refused request to be told where it comes from.
func BenchmarkWhence(b *testing.B) {
	for name, whence := range map[string]func(netip.Addr) (uint32, uint16){
		"without": nil, "with": func(netip.Addr) (uint32, uint16) { return 64500, 'D'<<8 | 'E' },
	} {
		b.Run(name, func(b *testing.B) {
			s := &instant{deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut, RetryAfter: 2e9}}
			h, err := newHandler(Options{Keys: testKeys(), Next: http.NotFoundHandler(), Whence: whence}, s)
			if err != nil {
				b.Fatal(err)
			}
			r, w := get("/a", "Accept", "*/*", "User-Agent", "x"), &blank{make(http.Header)}
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}

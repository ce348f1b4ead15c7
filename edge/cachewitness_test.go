package edge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// from gives the headers of a reader at an address behind a proxy that is trusted.
func from(network int, head ...string) []string {
	return append([]string{"X-Forwarded-For", fmt.Sprintf("198.18.%d.7", network)}, head...)
}

func startWitnessed(t testing.TB, up string, change ...func(*Config)) (*Server, *weather) {
	return startCached(t, Site{Origins: []string{up}}, append(change, func(c *Config) { c.TrustedProxies = []string{"127.0.0.1"} })...)
}

// In peace the origin is asked by readers alone, as themselves; what three of
// them got is readable by a fourth when it is down; and then its own words again.
func TestWitnessedCopies(t *testing.T) {
	var asked, ahead atomic.Int64
	var down atomic.Bool
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		asked.Add(1)
		if strings.HasPrefix(r.Header.Get("User-Agent"), "Deich") || r.Header.Get("X-Real-Ip") == "" {
			t.Errorf("a request that no reader sent: %v", r.Header)
		}
		fmt.Fprint(w, "page ", ahead.Load())
	})
	s, now := startWitnessed(t, up)
	c := client(t)
	agent := []string{"User-Agent", "a browser", "Accept-Language", "de"}
	for i := range witnessesLeast {
		if resp, _ := ask(t, c, "GET", s.url()+"/", from(i, agent...)...); resp.Header.Get("Cache-Status") != "" {
			t.Fatalf("in peace: %v", resp.Header)
		}
	}
	if asked.Load() != witnessesLeast || s.CacheCounters().Stored != 1 {
		t.Fatalf("asked %d times, %+v", asked.Load(), s.CacheCounters())
	}
	now.pressure.Store(true)
	resp, body := ask(t, c, "GET", s.url()+"/", from(9, agent...)...)
	if !fromMemory(resp) || body != "page 0" || resp.Header.Get("Age") == "" || asked.Load() != witnessesLeast {
		t.Errorf("under pressure: %q %v", body, resp.Header)
	}
	for _, other := range [][]string{
		{"User-Agent", "another browser", "Accept-Language", "de"}, {"User-Agent", "a browser"},
		append([]string{"X-Anything", "at all"}, agent...), append([]string{"Cookie", "session=1"}, agent...),
	} {
		if resp, _ := ask(t, c, "GET", s.url()+"/", from(9, other...)...); fromMemory(resp) {
			t.Errorf("a copy for %q, which nobody like that was given", other)
		}
	}
	occasion := append([]string{"Referer", "http://elsewhere/", "Cache-Control", "no-cache"}, agent...)
	if resp, _ := ask(t, c, "GET", s.url()+"/", from(9, occasion...)...); !fromMemory(resp) {
		t.Errorf("where a reader comes from makes another of them: %v", resp.Header)
	}
	// It gets old: one asks the origin for all, as themselves.
	now.ahead.Add(int64(pressureFresh + time.Second))
	before := asked.Load()
	for range 5 {
		ask(t, c, "GET", s.url()+"/", from(10, agent...)...)
	}
	if n := asked.Load() - before; n != 1 {
		t.Errorf("%d asked the origin for what was 3 s old", n)
	}
	now.pressure.Store(false)
	now.ahead.Add(int64(50 * time.Second))
	down.Store(true)
	now.down.Store(true)
	resp, body = ask(t, c, "GET", s.url()+"/", from(11, agent...)...)
	if !fromMemory(resp) || body != "page 0" || !strings.Contains(resp.Header.Get("Deich-Notice"), "Kopie von") {
		t.Errorf("down: %q %v", body, resp.Header)
	}
	errands(t, s)
	if resp, _ := ask(t, c, "GET", s.url()+"/unread", from(11, agent...)...); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("what nobody read: %d", resp.StatusCode)
	}
	ahead.Store(1)
	down.Store(false)
	now.down.Store(false)
	if resp, body := ask(t, c, "GET", s.url()+"/", from(11, agent...)...); fromMemory(resp) || body != "page 1" {
		t.Errorf("back: %q %v", body, resp.Header)
	}
}

// A page that shows who asks, or is another each time, is nobody else's; nor is
// one whose readers came from fewer networks, or that was now this, now that.
func TestWitnessesMustAgree(t *testing.T) {
	var n, swing atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch r.URL.Path {
		case "/address":
			fmt.Fprint(w, r.Header.Get("X-Real-Ip"))
		case "/token":
			fmt.Fprint(w, n.Add(1))
		case "/cookie":
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		case "/private":
			h.Set("Cache-Control", "private")
		case "/header":
			h.Set("X-Token", fmt.Sprint(n.Add(1)))
		case "/swing":
			fmt.Fprint(w, swing.Add(1)%2)
		case "/referer":
			h.Set("Vary", "Referer")
		case "/short":
			h.Set("Content-Length", "10")
			fmt.Fprint(w, "four")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/near", "/few", "/once":
		case "/chunks":
			fmt.Fprint(w, "one ")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "two")
		case "/long":
			w.Write(make([]byte, 200_000))
		}
	})
	s, now := startWitnessed(t, up)
	c := client(t)
	read := func(path, address string) bool {
		r, err := http.NewRequest("GET", s.url()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", address)
		resp, err := c.Do(r)
		if err != nil {
			return false // it broke off before its end
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return fromMemory(resp)
	}
	reads := func(path string, networks int) {
		now.pressure.Store(false)
		for i := range networks {
			if path == "/near" {
				read(path, fmt.Sprintf("10.0.%d.1", i))
			} else {
				read(path, fmt.Sprintf("198.18.%d.7", i))
			}
		}
		now.pressure.Store(true)
	}
	for path, want := range map[string]bool{
		"/plain": true, "/chunks": true, "/long": true,
		"/address": false, "/token": false, "/cookie": false, "/private": false, "/header": false, "/swing": false,
		"/referer": false, "/near": false, "/short": false,
	} {
		reads(path, 4*witnessesLeast)
		if got := read(path, "198.18.99.9"); got != want {
			t.Errorf("%s: from memory %v", path, got)
		}
	}
	reads("/near", 4*witnessesLeast)
	if !read("/near", "10.0.99.1") {
		t.Error("no copy among those of an own network")
	}
	reads("/few", witnessesLeast-1)
	reads("/few", witnessesLeast-1)
	if read("/few", "198.18.99.9") {
		t.Error("a copy that too few networks got")
	}
}

// An origin makes of a request whatever it likes: of the headers that it looks at,
// whole or up to a comma, and of the address or not. Whatever requests came
// before, from as many networks as there are, nobody is given another answer than
// the origin's to what they sent themselves, or to that without what only tells
// the occasion.
func FuzzWitnessRule(f *testing.F) {
	given := 0
	for seed := range 200 {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		// Four kinds of requests that differ in little, so that some are alike.
		kinds := rng.Uint64()
		kinds = kinds&rng.Uint64()&rng.Uint64() ^ kinds>>48*0x0001_0001_0001_0001
		looks := uint16(rng.Uint32() & rng.Uint32())
		if seed%4 < 2 { // in one header, at which the origin looks, up to a comma
			one := seed / 4 % 8
			looks = 1<<one | 1<<(8+one%4)
			kinds = kinds>>48*0x0001_0001_0001_0001&^(3*0x0001_0001_0001_0001<<(2*one)) | 0x0003_0002_0001_0000<<(2*one)
		}
		ops := make([]byte, 300)
		for i := range ops {
			ops[i] = byte(rng.Uint32())
			if i%3 == 1 {
				at := ops[i-1] % 4 * 16
				ops[i-1], ops[i] = byte(kinds>>at>>8), byte(kinds>>at)
			}
		}
		given += witnessRule(f, ops, looks, seed%2 == 0)
		f.Add(ops, looks, seed%2 == 0)
	}
	if given < 1000 {
		f.Fatalf("%d requests were given a copy: this tries nothing", given)
	}
	f.Fuzz(func(t *testing.T, ops []byte, looks uint16, trusted bool) { witnessRule(t, ops, looks, trusted) })
}

// what requests in the fuzz test may say, each header one of three ways.
var witnessSays = []struct {
	name   string
	values [2][]string // beside none
}{
	{"User-Agent", [2][]string{{"a"}, {"evil, %d"}}},
	{"X-Host", [2][]string{{"a"}, {"evil, %d"}}},
	{"Referer", [2][]string{{"a"}, {"evil, %d"}}},
	{"X-Forwarded-For", [2][]string{{"evil"}, {"192.0.2.1"}}},
	{"Accept-Language", [2][]string{{"de"}, {"de", "evil"}}},
	{"X-Forwarded-Proto", [2][]string{{"https"}, {"evil"}}},
	{"Via", [2][]string{{"evil"}, {"evil, %d"}}},
	{"Forwarded", [2][]string{{"for=evil"}, {"for=192.0.2.1"}}},
}

func witnessRule(t testing.TB, ops []byte, looks uint16, trusted bool) (given int) {
	c := Config{Sites: []Site{{Origins: []string{"http://127.0.0.1:1"}}}}
	if trusted {
		c.TrustedProxies = []string{"127.0.0.1"}
	}
	st, err := newState(c.Defaults(), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{via: "deich-test"}
	ca := newCache(1<<20, func() *state { return st }, nil, nil)
	ca.proxy = p
	now := deich.Time(1)
	for i := 0; i+2 < len(ops); i += 3 {
		now = now.Add(copyHeld * 2 / 3) // far enough apart that changes are no swinging
		shape, network := uint16(ops[i])<<8|uint16(ops[i+1]), int(ops[i+2]%16)
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = fmt.Sprintf("198.18.%d.7:1", network)
		if trusted {
			r.RemoteAddr = "127.0.0.1:1"
		}
		for j, says := range witnessSays {
			switch way := shape >> (2 * j) & 3; {
			case way == 0 || way == 3:
			default:
				for _, v := range says.values[way-1] {
					r.Header.Add(says.name, strings.ReplaceAll(v, "%d", fmt.Sprint(network)))
				}
			}
		}
		if trusted {
			r.Header.Add("X-Forwarded-For", fmt.Sprintf("198.18.%d.7", network))
		}
		if !st.anonymous(r, st.other) {
			t.Fatal("not anonymous")
		}
		rd := reading{st: st, site: st.other, r: r, now: now}
		ps, ok := ca.printsOf(&rd)
		if !ok {
			t.Fatal("no prints")
		}
		h := p.headOf(st, st.other, r)
		sent := originReads(t, &h, r)
		if e := ca.store.witnessed([]byte("k"), ps, now); e != nil {
			given++
			bare := sent.Clone()
			for name := range bare {
				if name == "Referer" {
					delete(bare, name)
				}
			}
			if got := string(e.body); got != made(sent, looks) && got != made(bare, looks) {
				t.Fatalf("request %d with %v is given %q, and is due %q", i/3, sent, got, made(sent, looks))
			}
		}
		body := made(sent, looks)
		w := &sighting{key: []byte("k"), print: ps.full, network: netip.PrefixFrom(h.client, 24).Masked(), bytes: digestOf([]byte(body)), resp: &http.Response{StatusCode: 200, Header: header()}, asked: now, got: now}
		ca.store.saw(w, []byte(body))
	}
	return given
}

// originReads gives the header as an origin reads it off the wire.
func originReads(t testing.TB, h *head, r *http.Request) http.Header {
	wire, err := h.append(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
	if err != nil {
		t.Fatal(err)
	}
	return got.Header
}

// made is what the origin makes of a header.
func made(h http.Header, looks uint16) string {
	out := ""
	for j, says := range witnessSays {
		if looks>>j&1 == 0 {
			continue
		}
		v := strings.Join(h[says.name], "; ")
		if looks>>(8+j%4)&1 == 1 {
			v, _, _ = strings.Cut(v, ",")
		}
		out += v + "\n"
	}
	if looks>>15&1 == 1 {
		out += h.Get("X-Real-Ip")
	}
	return out
}

// A flood of kinds of requests, each seen once, pushes out none that serves.
func TestWitnessFlood(t *testing.T) {
	s := newStore(1 << 20)
	now := deich.Time(1)
	saw := func(print string, network int, body string) {
		now += deich.Time(time.Millisecond)
		s.saw(&sighting{
			key: []byte("k"), print: digestOf([]byte(print)), bytes: digestOf([]byte(body)), got: now, asked: now,
			network: netip.MustParsePrefix(fmt.Sprintf("198.%d.%d.0/24", network>>8, network&255)), resp: &http.Response{StatusCode: 200, Header: header()},
		}, []byte(body))
	}
	given := func() bool {
		p := digestOf([]byte("honest"))
		return s.witnessed([]byte("k"), prints{p, p}, now) != nil
	}
	for i := range witnessesLeast {
		saw("honest", i, "page")
	}
	if !given() {
		t.Fatal("no copy")
	}
	for i := range 10 * sightsMax {
		saw(fmt.Sprint("evil ", i), i, fmt.Sprint("evil ", i/4))
	}
	if !given() {
		t.Error("the copy is gone")
	}
	if r := s.shards[func() uint64 { _, h := s.shard([]byte("k")); return h % storeShards }()].table["k"]; len(r.sights) > sightsMax || len(r.versions) > versionsMax {
		t.Errorf("%d sights, %d versions", len(r.sights), len(r.versions))
	}
}

// Whoever reads slowly makes the edge hold no more than inHandMax for copies.
func TestWitnessesInHandAreBounded(t *testing.T) {
	const slow = 2*inHandMax/entryBytesMax + 2
	page := strings.Repeat("x", entryBytesMax-1)
	var holds atomic.Bool // the rest of each page, which the kernel's buffers may hold whole
	rest := make(chan struct{})
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		io.WriteString(w, page[:len(page)/2])
		if holds.Load() {
			http.NewResponseController(w).Flush()
			<-rest
		}
		io.WriteString(w, page[len(page)/2:])
	})
	s, now := startWitnessed(t, up)
	c := client(t)
	now.pressure.Store(true)
	for i := range witnessesLeast - 1 {
		ask(t, c, "GET", s.url()+"/", from(i)...)
	}
	held := make([]io.Closer, 0, slow)
	holds.Store(true)
	defer close(rest)
	for range slow { // of a known network: none of them settles it
		req, _ := http.NewRequest("GET", s.url()+"/", nil)
		for h := from(0); len(h) > 0; h = h[2:] {
			req.Header.Set(h[0], h[1])
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, resp.Body)
	}
	if in := s.cache.inHand.Load(); in == 0 || in > inHandMax {
		t.Errorf("%d bytes in hand for %d slow readers; the bound is %d", in, slow, inHandMax)
	}
	for _, body := range held {
		body.Close()
	}
	until(t, "what was collected is let go", func() bool { return s.cache.inHand.Load() == 0 })
}

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/sys/unix"
)

// The kinds of people, of twenty each so many.
const (
	kindH2      = 0  // to 7: browsers that keep a connection of HTTP/2
	kindH1      = 8  // to 12: of HTTP/1.1 with TLS
	kindPlain   = 13 // to 14: without TLS
	kindProgram = 15 // to 16: programs with a credential and no cookies
	kindFresh   = 17 // to 18: a new connection for each request, with TLS
	kindH3      = 19 // HTTP/3
	kinds       = 20

	// anew is after how many requests a person's connections are made anew.
	anew = 120

	// lastingKinds are: an event stream, a tunnel, a phone that reads slowly,
	// one that sends slowly; lastingEach of each at any time.
	lastingKinds, lastingEach = 4, 8
	// restMost is how long people wait at most before they ask again.
	restMost = 20 * time.Second
	// sign is how often what lasts gives a sign of life, silence after which it
	// counts as broken off.
	sign, silence = time.Second, 15 * time.Second
	// uploadBytes and downloadBytes are what is sent and read at one go.
	uploadBytes, downloadBytes = 200 << 10, 96 << 10
)

// unverified is how people here speak TLS: whose certificate it is changes
// with each reload, and is for other tests.
var unverified = &tls.Config{InsecureSkipVerify: true}

// person is one of the platform's users, known by an address and mostly by a pass.
type person struct {
	s      *soak
	kind   int
	addr   net.IP
	base   string
	client *http.Client
	random *rand.Rand
	asked  int
	first  time.Duration // when it was served first; 0: not yet
	passer bool          // is gone before it could be known
	rest   time.Duration // after a refusal, as it was asked for
	close  func()
}

// newPerson is the n-th; each has a /24 of its own.
func newPerson(n int, s *soak) *person {
	u := &person{s: s, kind: n % kinds, addr: net.IPv4(127, byte(32+n>>8), byte(n), 10), random: rand.New(rand.NewPCG(uint64(n), 7))}
	jar, _ := cookiejar.New(nil) // without options it cannot fail
	u.client = &http.Client{Timeout: patience, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	u.base = s.secure
	if u.kind >= kindPlain && u.kind < kindProgram {
		u.base = s.plain
	}
	if u.kind >= kindProgram && u.kind < kindFresh {
		u.client.Jar = nil
	}
	u.arrive()
	return u
}

// bound is a dialer from an address of this machine.
func bound(addr net.IP) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: addr}, Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		// The port is chosen at connect: many connections fit behind one address.
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) })
	}}
}

// arrive makes connections anew.
func (u *person) arrive() {
	if u.kind == kindH3 {
		u.arriveQUIC()
		return
	}
	tr := &http.Transport{
		DialContext: bound(u.addr).DialContext, TLSClientConfig: unverified.Clone(), MaxIdleConnsPerHost: 2,
		ForceAttemptHTTP2: u.kind < kindH1, DisableKeepAlives: u.kind >= kindFresh && u.kind < kindH3,
	}
	u.client.Transport, u.close = tr, tr.CloseIdleConnections
}

func (u *person) arriveQUIC() {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: u.addr})
	if err != nil {
		u.s.t.Error(err)
		return
	}
	below := &quic.Transport{Conn: c}
	tr := &http3.Transport{TLSClientConfig: unverified.Clone()}
	tr.Dial = func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
		return below.DialEarly(ctx, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: u.s.udp}, t, q)
	}
	u.client.Transport = tr
	u.close = func() { tr.Close(); below.Close(); c.Close() }
}

func (u *person) leave() { u.close() }

// live visits with pauses around gap, from begin on until stop.
func (u *person) live(stop chan struct{}, begin, gap time.Duration) {
	if !sleep(stop, begin) {
		return
	}
	for {
		// Pauses between half and one and a half, lest all come in step.
		if gap > 0 && !sleep(stop, u.rest+gap/2+time.Duration(u.random.Int64N(int64(gap)))) {
			return
		}
		select {
		case <-stop:
			return
		default:
		}
		u.visit()
		if u.asked++; u.asked%anew == 0 {
			u.leave()
			u.arrive()
		}
	}
}

func sleep(stop chan struct{}, long time.Duration) bool {
	t := time.NewTimer(long)
	defer t.Stop()
	select {
	case <-stop:
		return false
	case <-t.C:
		return true
	}
}

// visit sends one request of the kinds that people send, and tells how it went.
func (u *person) visit() {
	method, path, body, kind := "GET", "/", []byte(nil), "navigate document text/html"
	switch n := u.random.IntN(100); {
	case u.kind >= kindProgram && u.kind < kindFresh:
		path, kind = fmt.Sprint("/api/items?after=", u.random.IntN(1000)), ""
	case u.first == 0: // it comes by the front page
	case n < 45:
		path = fmt.Sprint("/posts/", u.random.IntN(500))
	case n < 70:
		path, kind = fmt.Sprintf("/static/%d.css", u.random.IntN(20)), "no-cors style text/css"
	case n < 84:
		path, kind = fmt.Sprint("/api/items?after=", u.random.IntN(1000)), "cors empty application/json"
	case n < 94:
	case n < 98:
		method, path, body = "POST", "/posts", []byte("title=a&text="+strings.Repeat("x", 900))
	case n < 99:
		method, path, body = "POST", "/upload", make([]byte, uploadBytes)
	default:
		path = fmt.Sprintf("/search?q=%x", u.random.Uint32())
	}
	u.s.told(u, func() (*http.Response, error) { return u.send(method, path, kind, body) })
}

func (u *person) send(method, path, kind string, body []byte) (*http.Response, error) {
	r, err := http.NewRequest(method, u.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	u.dress(r, kind)
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return u.client.Do(r)
}

// dress sets the headers that a browser sends for a kind of request (mode,
// destination, what it accepts), or for none those of a program.
func (u *person) dress(r *http.Request, kind string) {
	if f := strings.Fields(kind); len(f) == 3 {
		r.Header.Set("Sec-Fetch-Mode", f[0])
		r.Header.Set("Sec-Fetch-Dest", f[1])
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Accept", f[2])
		r.Header.Set("Accept-Language", "de,en;q=0.8")
		r.Header.Set("User-Agent", agents[int(u.addr[len(u.addr)-2])%len(agents)])
	} else {
		r.Header.Set("Authorization", "Bearer of "+u.addr.String())
		r.Header.Set("User-Agent", "Notifier/2.1")
	}
}

var agents = []string{
	"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
}

// told sends a request, reads its answer to the end, and counts how it went.
func (s *soak) told(u *person, send func() (*http.Response, error)) bool {
	began := s.at()
	a, err := send()
	if err == nil {
		_, err = io.Copy(io.Discard, a.Body)
		a.Body.Close()
	}
	return s.counted(u, began, a, err)
}

// counted counts how a request went; it says whether it was served.
func (s *soak) counted(u *person, began time.Duration, a *http.Response, err error) bool {
	c := &s.tally
	peace := !s.plan.flooding(began, s.plan.calmAfter) && s.peace()
	reason := ""
	if err == nil {
		reason = a.Header.Get("Deich-Reason")
	}
	known := u.first > 0 && began > u.first+s.plan.knownAfter && !u.passer
	u.rest = 0
	if known && peace {
		c.askedPeace.Add(1)
	} else if known {
		c.askedFlood.Add(1)
	}
	if err == nil && a.StatusCode >= 400 {
		// Whoever asks again at once is taken for what does not listen.
		seconds, _ := strconv.Atoi(a.Header.Get("Retry-After")) // absent: the usual pause
		u.rest = min(time.Duration(seconds)*time.Second, restMost)
	}
	switch {
	case err != nil || a.StatusCode >= 400 && (reason == "" || strings.HasPrefix(reason, "origin_")):
		c.broken.Add(1)
		c.example("broken", fmt.Sprintf("%.1f s, %s: %v", began.Seconds(), u.addr, said(a, err, reason)))
		return false
	case a.StatusCode < 400:
		c.served.Add(1)
		if u.first == 0 {
			u.first = s.at()
		}
		return true
	case !known:
		if !u.passer {
			c.newWaited.Add(1)
		} // else whoever sent it says whether that is right
	case !peace:
		c.refusedFlood.Add(1)
		c.reason(reason)
	case denies(a, reason):
		c.deniedPeace.Add(1)
		c.example("denied", fmt.Sprintf("%.1f s, %s: %s\n%s", began.Seconds(), u.addr, said(a, err, reason), s.explain(a)))
	default:
		c.waitedPeace.Add(1)
		c.example("waited", fmt.Sprintf("%.1f s, %s: %s\n%s", began.Seconds(), u.addr, said(a, err, reason), s.explain(a)))
	}
	return false
}

func said(a *http.Response, err error, reason string) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %s %s: %s", a.Request.Method, a.Request.URL.Path, a.Status, reason)
}

// explain is what the operator is told of a refusal, the first few.
func (s *soak) explain(a *http.Response) string {
	if s.explained.Add(1) > 3*examplesMost {
		return ""
	}
	ref := a.Header.Get("Deich-Reference")
	if ref == "" {
		return ""
	}
	out, errs, _ := s.b.run(s.t, "explain", ref, "--data", s.p.data)
	s.note()
	return out + errs
}

// newcomers come one a second, see three pages and are not seen again. Where
// there is no pressure and no rule nobody may be refused.
func (s *soak) newcomers(stop chan struct{}) {
	for n := 0; sleep(stop, time.Second); n++ {
		u := newPerson(kindPlain+n%2*(kindH1-kindPlain), s)
		u.addr, u.passer = net.IPv4(127, byte(208+n>>8&31), byte(n), 20), true
		u.leave()
		u.arrive()
		for range 3 {
			calm := s.calm()
			began := s.at()
			a, err := u.send("GET", fmt.Sprint("/posts/", u.random.IntN(500)), "navigate document text/html", nil)
			if err == nil {
				_, err = io.Copy(io.Discard, a.Body)
				a.Body.Close()
			}
			s.tally.newAsked.Add(1)
			if s.counted(u, began, a, err) || err != nil {
				continue
			}
			if calm && s.calm() && s.peace() {
				if denies(a, a.Header.Get("Deich-Reason")) {
					s.tally.newDenied.Add(1)
				} else {
					s.tally.newCalmWaited.Add(1)
				}
				s.tally.example("newcomer", fmt.Sprintf("%.1f s, %s: %s\n%s", began.Seconds(), u.addr, said(a, err, a.Header.Get("Deich-Reason")), s.explain(a)))
			} else {
				s.tally.newWaited.Add(1)
			}
		}
		u.leave()
	}
}

// calm says that Deich knows of no pressure and of no rule.
func (s *soak) calm() bool {
	one, err := s.p.sample(0)
	return err == nil && one.Pressure == 0 && one.Rules == 0
}

// flooder sends searches from many addresses while a flood is planned.
func (s *soak) flooder(stop chan struct{}) {
	var bots sync.WaitGroup
	defer bots.Wait()
	room := make(chan struct{}, 256) // at once; a busy machine sends fewer
	each := time.NewTicker(time.Second / floodRate)
	defer each.Stop()
	random := rand.New(rand.NewPCG(1, 2))
	for {
		select {
		case <-stop:
			return
		case <-each.C:
		}
		if !s.plan.flooding(s.at(), 0) {
			continue
		}
		n, word := random.IntN(floodSources), random.Uint32()
		select {
		case room <- struct{}{}:
		default:
			continue
		}
		bots.Go(func() {
			defer func() { <-room }()
			s.floods.Add(1)
			if !s.bot(net.IPv4(127, byte(160+n>>8), byte(n), 100), word) {
				s.turned.Add(1)
			}
		})
	}
}

// bot sends one search on a connection of its own; whether it was served.
func (s *soak) bot(addr net.IP, word uint32) bool {
	c, err := bound(addr).Dial("tcp", strings.TrimPrefix(s.plain, "http://"))
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "GET /search?q=%x HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: %s\r\nAccept: text/html\r\nConnection: close\r\n\r\n", word, agents[1])
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return false
	}
	defer a.Body.Close()
	_, _ = io.Copy(io.Discard, a.Body)
	return a.StatusCode < 400
}

// lasting holds one connection that lasts after the other, each from half a
// minute to one and a half, or a share of a short soak.
func (s *soak) lasting(stop chan struct{}, n int) {
	random := rand.New(rand.NewPCG(uint64(n), 9))
	unit := min(s.plan.length/8, 30*time.Second)
	u := newPerson(kindH1, s)
	u.addr = net.IPv4(127, 30, byte(n), 10)
	u.leave()
	u.arrive()
	defer u.leave()
	for sleep(stop, u.rest+time.Duration(random.Int64N(int64(2*time.Second)))) {
		// A page comes first, as in life; it also brings the pass.
		if !s.told(u, func() (*http.Response, error) { return u.send("GET", "/", "navigate document text/html", nil) }) {
			continue
		}
		until := time.Now().Add(unit + time.Duration(random.Int64N(int64(2*unit))))
		switch n % lastingKinds {
		case 0:
			s.listens(stop, u, until)
		case 1:
			s.echoes(stop, u, until)
		case 2:
			s.readsSlowly(stop, u)
		default:
			s.sendsSlowly(u)
		}
	}
}

// broke counts what lasts and was broken off, unless the soak just ends.
func (s *soak) broke(addr net.IP, what string, err error) {
	s.tally.broken.Add(1)
	s.tally.example("broken", fmt.Sprintf("%.1f s, %s: %s: %v", s.at().Seconds(), addr, what, err))
}

func (s *soak) listens(stop chan struct{}, u *person, until time.Time) {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	r, _ := http.NewRequestWithContext(ctx, "GET", s.secure+"/events", nil) // well formed
	u.dress(r, "cors empty text/event-stream")
	began := s.at()
	long := *u.client
	long.Timeout = 0
	a, err := long.Do(r)
	if err == nil {
		defer a.Body.Close()
	}
	if !s.counted(u, began, a, err) {
		return
	}
	lines := bufio.NewReader(a.Body)
	for time.Now().Before(until) {
		quiet := time.AfterFunc(silence, end)
		_, err := lines.ReadString('\n')
		quiet.Stop()
		if err != nil {
			s.broke(u.addr, "event stream", err)
			return
		}
		s.tally.signs.Add(1)
		select {
		case <-stop:
			return
		default:
		}
	}
}

func (s *soak) echoes(stop chan struct{}, u *person, until time.Time) {
	began := s.at()
	raw, err := bound(u.addr).Dial("tcp", strings.TrimPrefix(s.secure, "https://"))
	if err != nil {
		s.broke(u.addr, "tunnel", err)
		return
	}
	c := tls.Client(raw, unverified)
	defer c.Close()
	c.SetDeadline(time.Now().Add(silence))
	in := bufio.NewReader(c)
	ask, _ := http.NewRequest("GET", s.secure+"/tunnel", nil) // well formed
	u.dress(ask, "websocket websocket */*")
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Accept-Encoding": "gzip, deflate, br", "Origin": s.secure,
	} {
		ask.Header.Set(name, value)
	}
	for _, cookie := range u.client.Jar.Cookies(ask.URL) {
		ask.AddCookie(cookie)
	}
	if err := ask.Write(c); err != nil {
		s.broke(u.addr, "tunnel", err)
		return
	}
	a, err := http.ReadResponse(in, ask)
	if !s.counted(u, began, a, err) {
		return
	}
	for time.Now().Before(until) && sleep(stop, sign) {
		c.SetDeadline(time.Now().Add(silence))
		fmt.Fprint(c, "are you there?\n")
		if line, err := in.ReadString('\n'); err != nil || line != "are you there?\n" {
			s.broke(u.addr, "tunnel", fmt.Errorf("%q %w", line, err))
			return
		}
		s.tally.signs.Add(1)
	}
}

// readsSlowly takes an answer over some seconds.
func (s *soak) readsSlowly(stop chan struct{}, u *person) {
	began := s.at()
	a, err := u.send("GET", "/download", "navigate document text/html", nil)
	if err == nil {
		defer a.Body.Close()
		piece := make([]byte, downloadBytes/16)
		for a.StatusCode < 400 && err == nil {
			if _, err = io.ReadFull(a.Body, piece); err == nil && !sleep(stop, 200*time.Millisecond) {
				_, err = io.Copy(io.Discard, a.Body)
				break
			}
		}
		if err == io.EOF {
			err = nil
		}
	}
	s.counted(u, began, a, err)
}

// slowly gives a body piece by piece.
type slowly struct{ left int }

func (b *slowly) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(250 * time.Millisecond)
	n := min(len(p), 2<<10, b.left)
	b.left -= n
	return n, nil
}

func (s *soak) sendsSlowly(u *person) {
	s.told(u, func() (*http.Response, error) {
		r, err := http.NewRequest("POST", s.secure+"/upload", &slowly{24 << 10})
		if err != nil {
			return nil, err
		}
		r.ContentLength = 24 << 10
		u.dress(r, "cors empty */*")
		r.Header.Set("Content-Type", "application/octet-stream")
		return u.client.Do(r)
	})
}

// denies says whether a refusal denies (over_budget, by_hand, …) and does not ask to wait.
func denies(a *http.Response, reason string) bool { return reason == "rule" || a.StatusCode < 500 }

// examplesMost bounds what is kept to show of each kind of failure.
const examplesMost = 10

// tally counts how requests went. It is safe for concurrent use.
type tally struct {
	served, broken, signs                atomic.Int64
	askedPeace, deniedPeace, waitedPeace atomic.Int64 // of known users
	askedFlood, refusedFlood             atomic.Int64 // of known users
	newAsked, newWaited                  atomic.Int64
	newDenied, newCalmWaited             atomic.Int64 // while no rule held and the origin was not pressed
	mu                                   sync.Mutex
	kept                                 map[string][]string
	reasons                              map[string]int
}

func (c *tally) example(of, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = make(map[string][]string)
	}
	if len(c.kept[of]) < examplesMost {
		c.kept[of] = append(c.kept[of], text)
		fmt.Fprintf(os.Stderr, "soak: %s: %s\n", of, text) // an hour is long to wait for it
	}
}

func (c *tally) examples(of string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.kept[of], "\n")
}

// reason counts why known users were refused in floods.
func (c *tally) reason(r string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reasons == nil {
		c.reasons = make(map[string]int)
	}
	c.reasons[r]++
}

func (c *tally) reset() {
	for _, n := range []*atomic.Int64{&c.served, &c.broken, &c.signs, &c.askedPeace, &c.deniedPeace, &c.waitedPeace,
		&c.askedFlood, &c.refusedFlood, &c.newAsked, &c.newWaited, &c.newDenied, &c.newCalmWaited} {
		n.Store(0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.kept)
	clear(c.reasons)
}

func (c *tally) String() string {
	return fmt.Sprintf("%d served, %d broken off; of known users' %d were denied in peace and %d told to wait, %d of %d refused in floods",
		c.served.Load(), c.broken.Load(), c.deniedPeace.Load(), c.waitedPeace.Load(), c.refusedFlood.Load(), c.askedFlood.Load())
}

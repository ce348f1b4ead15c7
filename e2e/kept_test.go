package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// inbox is a platform that takes messages, can go down and come back at the
// same address, and tells what it has.
type inbox struct {
	addr    string
	honours bool // a key is stored once
	port    int  // of the Deich in front

	mu     sync.Mutex
	server *httptest.Server // nil: down
	texts  []string
	keys   map[string]int
	odd    func(w http.ResponseWriter, store func()) bool // true: it has answered
}

func newInbox(t *testing.T) *inbox {
	i := &inbox{addr: "127.0.0.1:0", keys: make(map[string]int)}
	i.up(t)
	t.Cleanup(func() { i.down() })
	return i
}

func (i *inbox) up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", i.addr)
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); l, err = net.Listen("tcp", i.addr) {
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: i}}
	s.Start()
	i.mu.Lock()
	i.addr, i.server = l.Addr().String(), s
	i.mu.Unlock()
}

func (i *inbox) down() {
	i.mu.Lock()
	s := i.server
	i.server = nil
	i.mu.Unlock()
	if s != nil {
		s.Listener.Close()
		s.CloseClientConnections()
		s.Close()
	}
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	key := r.URL.Query().Get("key")
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/messages" && key != "":
		i.mu.Lock()
		n := i.keys[key]
		i.mu.Unlock()
		if n == 0 {
			http.NotFound(w, r)
		}
		return
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>Inbox</title>")
		return
	}
	key = r.Header.Get("Idempotency-Key")
	store := func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.keys[key]++; key == "" || i.keys[key] == 1 || !i.honours {
			i.texts = append(i.texts, string(body))
		}
	}
	i.mu.Lock()
	odd := i.odd
	i.mu.Unlock()
	if odd != nil && odd(w, store) {
		return
	}
	store()
	w.WriteHeader(http.StatusCreated)
}

func (i *inbox) act(odd func(http.ResponseWriter, func()) bool) {
	i.mu.Lock()
	i.odd = odd
	i.mu.Unlock()
}

func (i *inbox) has() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.texts...)
}

// keeping starts a Deich that keeps what is posted to /messages. more goes into the route.
func (b binary) keeping(t *testing.T, dir string, i *inbox, more string) *process {
	t.Helper()
	file := filepath.Join(dir, "deich.yaml")
	if i.port == 0 {
		i.port = freePort(t) // the same after each restart: a site does not change its name
	}
	writeFile(t, file, fmt.Sprintf(`listen: ["http://127.0.0.1:%d"]
sites:
  - origins: ["http://%s"]
console: 127.0.0.1:0
data: state
spool:
  keep:
    - route: POST /messages
%s`, i.port, i.addr, more))
	return b.start(t, filepath.Join(dir, "state"), "run", "--config", file)
}

// author is somebody with a pass who posts numbered messages.
type author struct {
	*http.Client
	name  string
	next  int
	users string
}

// newAuthor gives the n-th, from an address and a network of their own.
func newAuthor(t *testing.T, n int, users string) *author {
	t.Helper()
	return newAuthorFrom(t, from(127, 20+byte(n>>8), byte(n), 1), fmt.Sprintf("a%03d", n), users)
}

func newAuthorFrom(t *testing.T, c *http.Client, name, users string) *author {
	t.Helper()
	c.Timeout = 20 * time.Second
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Jar = jar
	a := &author{Client: c, name: name, users: users}
	r, err := http.NewRequest("GET", users+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	answer, err := a.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if len(answer.Cookies()) == 0 {
		t.Fatalf("%s has no pass: %s", a.name, answer.Status)
	}
	return a
}

// post sends the next message; its text is the author and a number. An error is
// no answer.
func (a *author) post(keyed bool) (text string, status int, receipt string, err error) {
	a.next++
	text = fmt.Sprintf("%s-%06d", a.name, a.next)
	r, err := http.NewRequest("POST", a.users+"/messages", strings.NewReader(text))
	if err != nil {
		return text, 0, "", err
	}
	r.Header.Set("Content-Type", "text/plain")
	if keyed {
		r.Header.Set("Idempotency-Key", "key-"+text)
	}
	answer, err := a.Do(r)
	if err != nil {
		return text, 0, "", err
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return text, answer.StatusCode, answer.Header.Get("Location"), nil
}

// receiptState asks for a receipt; "" where it is none of this author's.
func (a *author) receiptState(t *testing.T, path string) (state, text string) {
	t.Helper()
	r, body := get(t, a.Client, a.users+path)
	if r.StatusCode != 200 {
		return "", ""
	}
	var v struct{ State, Text string }
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v.State, v.Text
}

// drained waits until nothing is kept any more, as an operator would see it.
func drained(t *testing.T, b binary, p *process) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		var list struct{ All int }
		if err := json.Unmarshal([]byte(b.must(t, "spool", "list", "--json", "--data", p.data)), &list); err != nil {
			t.Fatal(err)
		}
		if list.All == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages still wait", list.All)
		}
	}
}

// inOrder finds who got out of order, and what came twice.
func inOrder(t *testing.T, texts []string) map[string]int {
	t.Helper()
	count, last := map[string]int{}, map[string]string{}
	for _, text := range texts {
		count[text]++
		name, _, _ := strings.Cut(text, "-")
		if count[text] == 1 && text < last[name] {
			t.Errorf("%s arrived after %s", text, last[name])
		}
		last[name] = max(last[name], text)
	}
	return count
}

// The platform is down for a while, strangers flood it, known users go on posting:
// every 202 arrives exactly once and in order, and while they are delivered live
// users are served.
func TestOutageUnderAFloodLosesNothing(t *testing.T) {
	b, i := build(t), newInbox(t)
	p := b.keeping(t, t.TempDir(), i, "      confirm: GET /messages?key={key}\n")
	people, outage, drain, pause := 40, 6*time.Second, 6*time.Second, 200*time.Millisecond
	if os.Getenv("DEICH_EXAM") != "" {
		people, outage, drain, pause = 200, time.Minute, 20*time.Second, time.Second
	}
	authors := make([]*author, people)
	for n := range authors {
		authors[n] = newAuthor(t, n, p.users)
	}

	// A flood of strangers: at most 400 a second, as long as the test lasts.
	over := make(chan struct{})
	var going sync.WaitGroup
	var flooded atomic.Int64
	for w := range 8 {
		going.Go(func() {
			c := from(127, 66, byte(w), 1)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-over:
					return
				case <-tick.C:
				}
				if r, err := c.Post(p.users+"/messages", "text/plain", strings.NewReader("flood")); err == nil {
					r.Body.Close()
					flooded.Add(1)
				}
			}
		})
	}

	var mu sync.Mutex
	accepted, served := map[string]string{}, map[string]bool{} // text to receipt; text
	owner := map[string]*author{}
	var live, failed, lateLive, lateFailed atomic.Int64
	var draining atomic.Bool
	stop := make(chan struct{})
	for _, a := range authors {
		going.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(pause*3/4 + rand.N(pause/2)):
				}
				text, status, receipt, err := a.post(true)
				good := err == nil && (status == 201 || status == 202)
				live.Add(1)
				if !good {
					failed.Add(1)
				}
				if draining.Load() {
					lateLive.Add(1)
					if !good {
						lateFailed.Add(1)
					}
				}
				mu.Lock()
				switch {
				case err == nil && status == 202:
					accepted[text], owner[text] = receipt, a
				case err == nil && status == 201:
					served[text] = true
				}
				mu.Unlock()
			}
		})
	}
	time.Sleep(time.Second)
	i.down()
	time.Sleep(outage)
	i.up(t)
	draining.Store(true)
	time.Sleep(drain)
	close(stop)
	close(over)
	going.Wait()
	drained(t, b, p)

	count := inOrder(t, i.has())
	for text, receipt := range accepted {
		if count[text] != 1 {
			t.Errorf("%s was answered with 202 and is there %d times", text, count[text])
		}
		if state, _ := owner[text].receiptState(t, receipt); state != "delivered" {
			t.Errorf("%s: its receipt says %q", text, state)
		}
	}
	for text := range served {
		if count[text] != 1 {
			t.Errorf("%s was answered with 201 and is there %d times", text, count[text])
		}
	}
	if len(accepted) < people {
		t.Errorf("only %d messages were kept", len(accepted))
	}
	t.Logf("%d posts, %d kept, %d failed; while delivering %d posts, %d failed; %d of the flood", live.Load(), len(accepted), failed.Load(), lateLive.Load(), lateFailed.Load(), flooded.Load())
	if n := lateLive.Load(); float64(lateFailed.Load()) > 0.005*float64(n) {
		t.Errorf("while delivering, %d of %d live posts failed", lateFailed.Load(), n)
	}
	if strange := count["flood"]; p.metric(t, "deich_spool_kept_total") < float64(len(accepted)) {
		t.Errorf("the metric says %v kept; %d of the flood arrived", p.metric(t, "deich_spool_kept_total"), strange)
	}
	// Nobody else can read a receipt.
	for text, receipt := range accepted {
		other := authors[0]
		if owner[text] == other {
			other = authors[1]
		}
		if state, _ := other.receiptState(t, receipt); state != "" {
			t.Errorf("%s can read the receipt of %s", other.name, text)
		}
		break
	}
}

// Whoever was answered under a key is given that answer again, by a Deich that was
// killed the moment the answer came, too, and by one whose platform is down: the
// platform hears of it once.
func TestAnsweredOnceOverAKill(t *testing.T) {
	b, i, dir := build(t), newInbox(t), t.TempDir()
	i.act(func(w http.ResponseWriter, store func()) bool {
		store()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/messages/17")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"stored":%d}`, len(i.has()))
		return true
	})
	p := b.keeping(t, dir, i, "")
	a := newAuthor(t, 1, p.users)
	send := func(key, text string) (*http.Response, string) {
		t.Helper()
		return request(t, a.Client, "POST", p.users+"/messages", text, "Content-Type", "text/plain", "Idempotency-Key", key)
	}
	again := func(when string) {
		t.Helper()
		r, body := send("key-1", "text")
		if r.StatusCode != 201 || body != `{"stored":1}` || r.Header.Get("Location") != "/messages/17" || r.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: %s, %q, %v", when, r.Status, body, r.Header)
		}
		if r, _ := send("key-1", "another text"); r.StatusCode != 422 {
			t.Errorf("%s, with another text: %s", when, r.Status)
		}
	}
	for round := range 3 {
		key, text := fmt.Sprint("key-", round+1), "text"
		if r, body := send(key, text); r.StatusCode != 201 || body != fmt.Sprintf(`{"stored":%d}`, round+1) || r.Header.Get("Idempotent-Replayed") != "" {
			t.Fatalf("round %d: %s, %q", round, r.Status, body)
		}
		p.signal(t, syscall.SIGKILL)
		p.end(t)
		p = b.keeping(t, dir, i, "")
		again(fmt.Sprintf("after kill %d", round+1))
	}
	i.down()
	if r, _ := send("key-9", "text"); r.StatusCode != 202 {
		t.Fatalf("while the platform is down: %s, want 202", r.Status)
	}
	again("while the platform is down")
	i.up(t)
	drained(t, b, p)
	if got := len(i.has()); got != 4 {
		t.Errorf("the platform has %d messages, want 4", got)
	}
	if n := p.metric(t, "deich_spool_keys"); n != 3 {
		t.Errorf("%v keys are remembered, want 3", n)
	}
}

// torture is how many rounds the long tests take.
func torture(t *testing.T, usual int) int {
	if n, err := strconv.Atoi(os.Getenv("DEICH_TORTURE")); err == nil {
		return n
	}
	if testing.Short() {
		return min(usual, 2)
	}
	return usual
}

// Deich is killed again and again, at random, while messages are kept and
// delivered and the platform comes, goes and misbehaves. Nothing that was
// promised is lost, and nothing arrives twice. A round begins with the platform there, so
// that what the last one left is delivered at once; it goes and comes at random.
func TestKilledLosesNothing(t *testing.T) {
	b := build(t)
	for _, test := range []struct {
		name, route string
		honours     bool
	}{
		{"with a lookup", "      confirm: GET /messages?key={key}\n", false},
		{"at most once", "", false},
		{"at least once, keys honoured", "      unknown: at-least-once\n", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			killedLosesNothing(t, b, test.route, test.honours)
		})
	}
}

func killedLosesNothing(t *testing.T, b binary, route string, honours bool) {
	dir, i := t.TempDir(), newInbox(t)
	i.honours = honours
	var n atomic.Int64
	i.act(func(w http.ResponseWriter, store func()) bool {
		switch n.Add(1) % 12 {
		case 1:
			store()
			panic(http.ErrAbortHandler) // it dies before it answers
		case 4:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 6:
			store()
			time.Sleep(50 * time.Millisecond)
			w.WriteHeader(http.StatusCreated)
			return true
		case 9:
			store()
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	var mu sync.Mutex
	promised, owner := map[string]string{}, map[string]*author{}
	var authors []*author
	rounds, began := torture(t, 50), time.Now()
	for round := range rounds {
		p := b.keeping(t, dir, i, route)
		for k := range 8 {
			if round == 0 {
				authors = append(authors, newAuthor(t, k, p.users))
			}
		}
		stop := make(chan struct{})
		var going sync.WaitGroup
		for _, a := range authors {
			going.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(10*time.Millisecond + rand.N(40*time.Millisecond)):
					}
					text, status, receipt, err := a.post(true)
					if err != nil || status != 202 {
						continue
					}
					mu.Lock()
					promised[text], owner[text] = receipt, a
					mu.Unlock()
				}
			})
		}
		killed := time.After(100*time.Millisecond + rand.N(700*time.Millisecond))
		gone := time.After(rand.N(500 * time.Millisecond))
		back := time.After(500*time.Millisecond + rand.N(500*time.Millisecond))
	round:
		for {
			select {
			case <-gone:
				i.down()
			case <-back:
				i.down() // on a busy machine both times may have come
				i.up(t)
			case <-killed:
				break round
			}
		}
		p.signal(t, syscall.SIGKILL)
		p.end(t)
		close(stop)
		going.Wait()
		i.down()
		i.up(t)
	}
	took := time.Since(began)
	i.act(nil)
	p := b.keeping(t, dir, i, route)
	drained(t, b, p)
	count := inOrder(t, i.has())
	states := map[string]int{}
	for text, receipt := range promised {
		a := owner[text]
		state, kept := a.receiptState(t, receipt)
		states[state]++
		switch {
		case state == "delivered" && count[text] != 1:
			t.Errorf("%s is delivered and there %d times", text, count[text])
		case state == "unconfirmed" && (kept != text || count[text] > 1):
			t.Errorf("%s is unconfirmed, there %d times, and its text is %q", text, count[text], kept)
		case state != "delivered" && state != "unconfirmed":
			t.Errorf("%s: its receipt says %q", text, state)
		}
	}
	for text, n := range count {
		if n > 1 {
			t.Errorf("%s arrived %d times", text, n)
		}
	}
	if len(promised) < rounds {
		t.Errorf("only %d were promised in %d rounds", len(promised), rounds)
	}
	if route != "" && states["unconfirmed"] > 0 && !honours {
		t.Errorf("%d are unconfirmed, though it could be asked", states["unconfirmed"])
	}
	t.Logf("%d rounds in %v, %d promised: %v; %d arrived", rounds, took.Round(time.Second), len(promised), states, len(count))
}

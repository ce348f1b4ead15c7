package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// platform is a small origin that counts what it stored and can be told to
// misbehave.
type platform struct {
	*httptest.Server
	addr string

	mu      sync.Mutex
	honours bool // a key is stored once
	stored  []string
	keys    map[string]int
	padding int                                                    // before what a search found
	breaks  int                                                    // how many answers to a search break off
	behave  func(w http.ResponseWriter, text string, store func()) // nil: stores and says 201
}

func newPlatform(t *testing.T) *platform {
	p := &platform{keys: make(map[string]int)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().String()
	p.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: p}}
	p.Start()
	t.Cleanup(func() { p.Close() })
	return p
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	key := r.Header.Get("Idempotency-Key")
	p.mu.Lock()
	behave := p.behave
	p.mu.Unlock()
	if r.Method == http.MethodGet {
		if asked := r.URL.Query().Get("key"); r.URL.Path == "/messages" && asked != "" {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.keys[asked] == 0 {
				http.NotFound(w, r)
			}
		}
		if asked := r.URL.Query().Get("filter"); asked != "" { // a search: 200 in any case
			p.mu.Lock()
			defer p.mu.Unlock()
			fmt.Fprint(w, strings.Repeat(" ", p.padding), `{"items":[`)
			if p.breaks--; p.breaks >= 0 {
				breakOff(w)
			}
			if key := strings.TrimSuffix(strings.TrimPrefix(asked, "(key='"), "')"); p.keys[key] != 0 {
				fmt.Fprintf(w, `{"key":%q}`, key)
			}
			fmt.Fprint(w, `]}`)
		}
		return
	}
	store := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.keys[key]++; p.keys[key] == 1 || !p.honours {
			p.stored = append(p.stored, string(body))
		}
	}
	if behave != nil {
		behave(w, string(body), store)
		return
	}
	store()
	w.Header().Set("Location", "/p/1")
	w.WriteHeader(http.StatusCreated)
}

// breakOff ends an answer that has begun.
func breakOff(w http.ResponseWriter) {
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (p *platform) set(b func(http.ResponseWriter, string, func())) {
	p.mu.Lock()
	p.behave = b
	p.mu.Unlock()
}

func (p *platform) has() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.stored)
}

// way is a courier's way to one platform over real sockets, a connection each.
func (p *platform) way() Way {
	client := &http.Client{
		Timeout:       2 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return Way{
		Lane: func(string) string { return "one" },
		Send: func(ctx context.Context, m *Request, ready func() error) Answer {
			if ready() != nil {
				return Answer{}
			}
			r, err := http.NewRequestWithContext(ctx, m.Method, "http://"+p.addr+m.URI, bytes.NewReader(m.Body))
			if err != nil {
				return Answer{Fate: NotSent}
			}
			r.Header = m.Header
			answer, err := client.Do(r)
			var op *net.OpError
			if errors.As(err, &op) && op.Op == "dial" {
				return Answer{Fate: NotSent}
			}
			if err != nil {
				return Answer{Fate: Lost}
			}
			defer answer.Body.Close()
			a := Answer{Fate: Answered, Status: answer.StatusCode, Location: answer.Header.Get("Location")}
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				return Answer{Fate: Lost}
			}
			a.Body = body[:min(len(body), m.Want)]
			a.Whole = len(a.Body) == len(body)
			return a
		},
	}
}

// deliver runs a courier until nothing waits.
func deliver(t *testing.T, s *Store, p *platform, route *Route) {
	t.Helper()
	routes, err := NewRoutes(Config{Keep: []Route{*route}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	c := NewCourier(s, p.way(), func() *Routes { return routes })
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer stop()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if st := s.Stats(); st.Waiting == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("still waiting: %+v", s.Stats())
			return
		}
	}
}

// stateOf asks as the sender would.
func stateOf(t *testing.T, s *Store, id ID, from uint64) Entry {
	t.Helper()
	_, now, ok := s.look(id, Sender{Pass: from})
	if !ok {
		t.Fatal("no receipt")
	}
	return now
}

func TestDeliveredInOrder(t *testing.T) {
	s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
	for i := range 200 {
		put(t, s, letter(uint64(1+i%7), "", fmt.Sprintf("%d %03d", i%7, i)))
	}
	deliver(t, s, p, oneRoute())
	got := p.has()
	if len(got) != 200 {
		t.Fatalf("%d arrived", len(got))
	}
	last := map[string]string{}
	for _, text := range got {
		from, n, _ := strings.Cut(text, " ")
		if n <= last[from] {
			t.Errorf("sender %s: %s after %s", from, n, last[from])
		}
		last[from] = n
	}
}

// What an origin may answer, and what becomes of the message then.
func TestOutcomes(t *testing.T) {
	once := func(first func(http.ResponseWriter, func())) func(http.ResponseWriter, string, func()) {
		var n atomic.Int32
		return func(w http.ResponseWriter, _ string, store func()) {
			if n.Add(1) == 1 {
				first(w, store)
				return
			}
			store()
			w.WriteHeader(http.StatusCreated)
		}
	}
	status := func(code int, also ...string) func(http.ResponseWriter, func()) {
		return func(w http.ResponseWriter, _ func()) {
			if len(also) > 0 {
				w.Header().Set("Location", also[0])
			}
			w.WriteHeader(code)
		}
	}
	cut := func(stores bool) func(http.ResponseWriter, func()) {
		return func(_ http.ResponseWriter, store func()) {
			if stores {
				store()
			}
			panic(http.ErrAbortHandler)
		}
	}
	broken := func(w http.ResponseWriter, store func()) {
		store()
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id":`)
		breakOff(w)
	}
	storedThen500 := func(w http.ResponseWriter, store func()) { store(); w.WriteHeader(500) }
	confirm := func(r *Route) { r.Confirm = "GET /messages?key={key}" }
	search := func(r *Route) {
		r.Confirm, r.Found = "GET /messages?filter=(key='{key}')", `"key":"{key}"`
	}
	atLeast := func(r *Route) { r.Unknown = atLeastOnce }
	tests := []struct {
		name    string
		route   func(*Route)
		honours bool
		answer  func(http.ResponseWriter, func())
		want    State
		arrived int
		login   bool
	}{
		{"created", nil, false, status(201), Delivered, 0, false}, // a platform's 201 is its word
		{"see other", nil, false, status(303, "/p/1"), Delivered, 0, false},
		{"to a login", nil, false, status(303, "/login?next=/"), Rejected, 0, true},
		{"moved", nil, false, status(308, "/elsewhere"), Rejected, 0, false},
		{"not logged in", nil, false, status(401), Rejected, 0, true},
		{"not wanted", nil, false, status(422), Rejected, 0, false},
		{"too many", nil, false, status(429), Delivered, 1, false},
		{"overloaded", nil, false, status(503), Delivered, 1, false},
		{"500, at most once", nil, false, storedThen500, Unconfirmed, 1, false},
		{"500, asked, it has it", confirm, false, storedThen500, Delivered, 1, false},
		{"500, asked, it has it not", confirm, false, status(500), Delivered, 1, false},
		{"500, searched, it has it", search, false, storedThen500, Delivered, 1, false},
		{"500, searched, it has it not", search, false, status(500), Delivered, 1, false},
		{"500, at least once, keys honoured", atLeast, true, storedThen500, Delivered, 1, false},
		{"500, at least once, keys ignored", atLeast, false, storedThen500, Delivered, 2, false},
		{"cut off after it stored, at most once", nil, false, cut(true), Unconfirmed, 1, false},
		{"cut off before it stored, at most once", nil, false, cut(false), Unconfirmed, 0, false},
		{"201 that breaks off, at most once", nil, false, broken, Unconfirmed, 1, false},
		{"201 that breaks off, asked", confirm, false, broken, Delivered, 1, false},
		{"cut off after it stored, asked", confirm, false, cut(true), Delivered, 1, false},
		{"cut off before it stored, asked", confirm, false, cut(false), Delivered, 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			route := oneRoute()
			if test.route != nil {
				route = oneRoute(test.route)
			}
			s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
			p.honours = test.honours
			p.set(once(test.answer))
			m := letter(1, "key", "text")
			m.Route = route
			id := put(t, s, m)
			deliver(t, s, p, route)
			now := stateOf(t, s, id, 1)
			if now.State != test.want || now.Login != test.login {
				t.Errorf("%s, login %v: want %s, %v", now.State, now.Login, test.want, test.login)
			}
			if got := len(p.has()); got != test.arrived {
				t.Errorf("the platform stored it %d times, want %d", got, test.arrived)
			}
			if now.State != Delivered && bodyOf(t, s, id) != "text" {
				t.Error("the text is not there for its sender")
			}
			if now.State == Delivered && bodyOf(t, s, id) != "" {
				t.Error("the text was not erased")
			}
		})
	}
}

// An origin that answers 500 to every repeated key, and never says more, ends
// as unconfirmed; it is not asked for ever.
func TestRepeatedKeyAnswered500(t *testing.T) {
	if testing.Short() {
		t.Skip("short: the pauses between repeats add up")
	}
	s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
	p.honours = true
	p.set(func(w http.ResponseWriter, _ string, store func()) { store(); w.WriteHeader(500) })
	m := letter(1, "key", "text")
	m.Route = oneRoute(func(r *Route) { r.Unknown = atLeastOnce })
	id := put(t, s, m)
	s.entry(id).Repeats = repeatsMax - 2
	deliver(t, s, p, m.Route)
	if now := stateOf(t, s, id, 1); now.State != Unconfirmed || len(p.has()) != 1 {
		t.Errorf("%s, stored %d times", now.State, len(p.has()))
	}
}

// Where Deich ends, a platform that takes what it is sent and is silent holds nothing up for
// longer than it is given: what is on its way is waited for until Cut. Then it is in
// doubt, and that is on disk.
func TestWhatIsOnItsWayIsCut(t *testing.T) {
	asked := oneRoute(func(r *Route) { r.Confirm = "GET /messages?key={key}" })
	for _, test := range []struct {
		name  string
		route *Route
		cut   State // then
		want  State // after the next start
	}{{"at most once", oneRoute(), Unconfirmed, Unconfirmed}, {"asked, it has it", asked, Kept, Delivered}} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s, p := open(t, dir, Options{}), newPlatform(t)
			m := letter(1, "key", "text")
			m.Route = test.route
			id := put(t, s, m)
			routes, err := NewRoutes(Config{Keep: []Route{*test.route}})
			if err != nil {
				t.Fatal(err)
			}
			came := make(chan struct{})
			c := NewCourier(s, Way{Lane: p.way().Lane, Send: func(ctx context.Context, r *Request, ready func() error) Answer {
				if r.Method == http.MethodGet {
					return Answer{Fate: Answered, Status: http.StatusOK}
				}
				if err := ready(); err != nil {
					t.Error(err)
				}
				p.mu.Lock()
				p.keys["key"], p.stored = 1, []string{"text"}
				p.mu.Unlock()
				close(came)
				<-ctx.Done()
				return Answer{Fate: Lost}
			}}, func() *Routes { return routes })
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); c.Run(ctx) }()
			<-came
			stop()
			select {
			case <-ended:
				t.Error("what is on its way is not waited for")
			case <-time.After(50 * time.Millisecond):
			}
			c.Cut()
			<-ended
			if now := stateOf(t, s, id, 1); now.State != test.cut || !now.Doubt {
				t.Errorf("cut: %s, doubt %v", now.State, now.Doubt)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir, Options{})
			if now := stateOf(t, s, id, 1); now.State != test.cut || !now.Doubt {
				t.Errorf("on disk: %s, doubt %v", now.State, now.Doubt)
			}
			deliver(t, s, p, test.route)
			if now := stateOf(t, s, id, 1); now.State != test.want || len(p.has()) != 1 {
				t.Errorf("after the next start: %s, stored %d times", now.State, len(p.has()))
			}
		})
	}
}

// Where Deich ends, questions are left, and nothing more is handed over: neither what had not
// got its place yet, nor what a question had just allowed.
func TestEndingBeginsNothing(t *testing.T) {
	route := oneRoute(func(r *Route) { r.Confirm = "GET /messages?key={key}" })
	for _, test := range []struct {
		name   string
		doubt  bool
		silent string // the path whose question is not answered
		missed bool   // the platform says that it has no such message, when Deich ends
	}{
		{"a look whether it answers", false, "/", false},
		{"a question for a message", true, "/messages?key=key", false},
		{"its answer", true, "/messages?key=key", true},
		{"a message without a place", false, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, t.TempDir(), Options{})
			m := letter(1, "key", "text")
			m.Route = route
			id := put(t, s, m)
			if err := s.change(s.entry(id), func(n *Entry) { n.Doubt = test.doubt }); err != nil {
				t.Fatal(err)
			}
			routes, err := NewRoutes(Config{Keep: []Route{*route}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			came := make(chan struct{})
			come := sync.OnceFunc(func() { close(came) })
			c := NewCourier(s, Way{Lane: func(string) string { return "one" }, Send: func(its context.Context, r *Request, ready func() error) Answer {
				switch {
				case r.Method == http.MethodGet && r.URI == test.silent:
					come()
					<-its.Done()
					if test.missed {
						return Answer{Fate: Answered, Status: http.StatusNotFound}
					}
					return Answer{Fate: Lost}
				case r.Method == http.MethodGet:
					return Answer{Fate: Answered, Status: http.StatusOK}
				case test.silent == "":
					come()
					<-ctx.Done()
				}
				if ready() == nil {
					t.Error("it is handed over")
				}
				return Answer{Fate: NoPlace}
			}}, func() *Routes { return routes })
			ended := make(chan struct{})
			go func() { defer close(ended); c.Run(ctx) }()
			<-came
			stop()
			<-ended // without a cut
			if now := stateOf(t, s, id, 1); now.State != Kept || now.Doubt != test.doubt {
				t.Errorf("%s, doubt %v: want kept, %v", now.State, now.Doubt, test.doubt)
			}
		})
	}
}

// A platform that is down is looked at, not sent to; when it is back everything arrives.
func TestPlatformDownThenBack(t *testing.T) {
	s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
	p.Server.Close()
	var ids []ID
	for i := range 50 {
		ids = append(ids, put(t, s, letter(uint64(1+i%5), "", fmt.Sprint(i))))
	}
	time.AfterFunc(1500*time.Millisecond, func() {
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			t.Error(err)
			return
		}
		p.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: p}}
		p.Start()
	})
	deliver(t, s, p, oneRoute())
	if got := len(p.has()); got != 50 {
		t.Errorf("%d arrived", got)
	}
	for i, id := range ids {
		if now := stateOf(t, s, id, uint64(1+i%5)); now.State != Delivered {
			t.Errorf("message %d is %s", i, now.State)
		}
	}
}

// Stopped between handing over and the answer, nobody knows: at most once it
// stays unconfirmed, with a lookup it is delivered, and never twice.
func TestDoubtAfterACrash(t *testing.T) {
	for _, test := range []struct {
		name    string
		route   *Route
		arrived bool // before the crash
		want    State
		stored  int
	}{
		{"at most once", oneRoute(), true, Unconfirmed, 1},
		{"asked, it has it", oneRoute(func(r *Route) { r.Confirm = "GET /messages?key={key}" }), true, Delivered, 1},
		{"asked, it has it not", oneRoute(func(r *Route) { r.Confirm = "GET /messages?key={key}" }), false, Delivered, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s, p := open(t, dir, Options{}), newPlatform(t)
			m := letter(1, "key", "text")
			m.Route = test.route
			id := put(t, s, m)
			if err := s.change(s.entry(id), func(n *Entry) { n.State, n.Doubt = Delivering, true }); err != nil {
				t.Fatal(err)
			}
			if test.arrived {
				p.keys["key"], p.stored = 1, []string{"text"}
			}
			s.Close()
			s = open(t, dir, Options{})
			deliver(t, s, p, test.route)
			if now := stateOf(t, s, id, 1); now.State != test.want || len(p.has()) != test.stored {
				t.Errorf("%s, stored %d times: want %s, %d", now.State, len(p.has()), test.want, test.stored)
			}
		})
	}
}

// What the platform was handed without a key, and did not answer, it cannot be asked
// for by a key that it never saw: its sender is told.
func TestHandedOverWithoutAKey(t *testing.T) {
	s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
	m := letter(1, "", "text")
	m.Sent, m.Route = true, oneRoute(func(r *Route) { r.Confirm = "GET /messages?key={key}" })
	p.keys[""], p.stored = 1, []string{"text"}
	id := put(t, s, m)
	deliver(t, s, p, m.Route)
	if now := stateOf(t, s, id, 1); now.State != Unconfirmed || len(p.has()) != 1 {
		t.Errorf("%s, stored %d times: want unconfirmed, once", now.State, len(p.has()))
	}
}

// A search whose answer breaks off says neither yes nor no: the platform is asked again.
func TestASearchThatBreaksOff(t *testing.T) {
	for _, has := range []bool{true, false} {
		s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
		m := letter(1, "key", "text")
		m.Route = oneRoute(func(r *Route) { r.Confirm, r.Found = "GET /messages?filter=(key='{key}')", `"key":"{key}"` })
		if p.breaks = 1; has {
			p.keys["key"], p.stored = 1, []string{"text"}
		}
		id := put(t, s, m)
		if err := s.change(s.entry(id), func(n *Entry) { n.State, n.Doubt = Kept, true }); err != nil {
			t.Fatal(err)
		}
		deliver(t, s, p, m.Route)
		if now := stateOf(t, s, id, 1); now.State != Delivered || len(p.has()) != 1 {
			t.Errorf("it has it %v: %s, stored %d times", has, now.State, len(p.has()))
		}
	}
}

// What cannot be asked for is not sent again: a key that would not stand in the
// answer as it is, or one that the platform takes from a field and was not given. An
// answer too long to be read to its end says neither yes nor no.
func TestWhatCannotBeAskedFor(t *testing.T) {
	search := oneRoute(func(r *Route) {
		r.Confirm, r.Found, r.Key = "GET /messages?filter=(key='{key}')", `"key":"{key}"`, "key"
	})
	for _, key := range []string{`a"b`, "a'b", "a b", "a<b", "ä", ""} {
		s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
		m := letter(1, key, "text")
		m.Route = search
		id := put(t, s, m)
		if err := s.change(s.entry(id), func(n *Entry) { n.State, n.Doubt = Kept, true }); err != nil {
			t.Fatal(err)
		}
		deliver(t, s, p, search)
		if now := stateOf(t, s, id, 1); now.State != Unconfirmed || len(p.has()) != 0 {
			t.Errorf("%q: %s, stored %d times", key, now.State, len(p.has()))
		}
	}
	s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
	p.padding, p.keys["key"] = foundWithinMax, 1
	m := letter(1, "key", "text")
	m.Route = search
	id := put(t, s, m)
	if err := s.change(s.entry(id), func(n *Entry) { n.State, n.Doubt = Kept, true }); err != nil {
		t.Fatal(err)
	}
	routes, err := NewRoutes(Config{Keep: []Route{*search}})
	if err != nil {
		t.Fatal(err)
	}
	c := NewCourier(s, p.way(), func() *Routes { return routes })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	c.Run(ctx)
	if now := stateOf(t, s, id, 1); now.State != Kept || len(p.has()) != 0 {
		t.Errorf("after an answer too long: %s, stored %d times", now.State, len(p.has()))
	}
}

func TestKeyOfABody(t *testing.T) {
	r := oneRoute(func(r *Route) { r.Key = "key" })
	for _, c := range []struct{ kind, body, want string }{
		{"application/x-www-form-urlencoded", "text=a&key=b", "b"},
		{"application/json", `{"text":"a","key":"b"}`, "b"},
		{"application/json; charset=utf-8", `{"key":"b"}`, "b"},
		{"application/json", `{"key":7}`, ""},
		{"application/json", `{"text":"a"}`, ""},
		{"application/json", `["key","b"]`, ""},
		{"application/json", `{"key":"b"`, ""},
		{"text/plain", `{"key":"b"}`, ""},
	} {
		header := http.Header{"Content-Type": {c.kind}}
		if got, ok := r.KeyOf(header, []byte(c.body)); got != c.want || !ok {
			t.Errorf("%s %s: %q", c.kind, c.body, got)
		}
		header.Set("Idempotency-Key", "of the header")
		if got, _ := r.KeyOf(header, []byte(c.body)); got != "of the header" {
			t.Errorf("%s %s with a header: %q", c.kind, c.body, got)
		}
	}
}

func TestAskingByKey(t *testing.T) {
	for _, c := range []struct{ confirm, key, want string }{
		{"GET /messages?key={key}", "a b&c", "/messages?key=a+b%26c"},
		{"GET /messages/{key}", "a b/c?d", "/messages/a%20b%2Fc%3Fd"},
		{"GET /m/{key}?by={key}", "a b", "/m/a%20b?by=a+b"},
	} {
		r := oneRoute(func(r *Route) { r.Confirm = c.confirm })
		if got, _, can := r.asks(c.key, false); got != c.want || !can {
			t.Errorf("%s for %q: %q", c.confirm, c.key, got)
		}
	}
}

// Half of the connections drop; nothing is lost and, with a lookup, nothing doubled.
func TestHalfOfTheConnectionsDrop(t *testing.T) {
	s, p := open(t, t.TempDir(), Options{}), newPlatform(t)
	var n atomic.Int32
	p.set(func(w http.ResponseWriter, _ string, store func()) {
		switch n.Add(1) % 4 {
		case 0:
			store()
			panic(http.ErrAbortHandler)
		case 1:
			panic(http.ErrAbortHandler)
		}
		store()
		w.WriteHeader(http.StatusCreated)
	})
	route := oneRoute(func(r *Route) { r.Confirm = "GET /messages?key={key}" })
	const all = 24
	for i := range all {
		m := letter(uint64(1+i%8), fmt.Sprint("key ", i), fmt.Sprint(i))
		m.Route = route
		put(t, s, m)
	}
	deliver(t, s, p, route)
	got := p.has()
	slices.Sort(got)
	if len(got) != all || len(slices.Compact(got)) != all {
		t.Errorf("%d stored, %d different: want %d", len(got), len(slices.Compact(got)), all)
	}
}

func TestReceiptsAreTheSendersAlone(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	rs, err := NewReceipts(s, func(_ string, b []byte) string { return string(b) }, func(string) string { return "de" })
	if err != nil {
		t.Fatal(err)
	}
	id := put(t, s, letter(7, "", "text"))
	ask := func(name string, who Sender, accept string) *http.Response {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", ReceiptsPath+name, nil)
		r.Header.Set("Accept", accept)
		rs.ServeReceipt(w, r, name, who)
		return w.Result()
	}
	foreign, unknown := ask(id.String(), Sender{Pass: 8}, "text/html"), ask(newID().String(), Sender{Pass: 8}, "text/html")
	if foreign.StatusCode != 404 || unknown.StatusCode != 404 || fmt.Sprint(foreign.Header) != fmt.Sprint(unknown.Header) {
		t.Errorf("foreign %v, unknown %v: one answer for both", foreign, unknown)
	}
	if got := ask(id.String(), Sender{}, "text/html"); got.StatusCode != 404 {
		t.Errorf("nobody gets %d", got.StatusCode)
	}
	page := ask(id.String(), Sender{Pass: 7}, "text/html")
	b, _ := io.ReadAll(page.Body)
	if page.StatusCode != 200 || !bytes.Contains(b, []byte("Ihre Nachricht ist hier gespeichert")) || page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the sender gets %d %s", page.StatusCode, b)
	}
	for _, name := range []string{"receipt.js", "keep.js"} { // for everybody
		if got := ask(name, Sender{}, "*/*"); got.StatusCode != 200 || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/javascript") {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.Header.Get("Content-Type"))
		}
	}
	if got := ask(id.String(), Sender{Pass: 7}, "*/*"); got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a program gets %s", got.Header.Get("Content-Type"))
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		route Route
		path  string
	}{
		{Route{Route: "GET /messages"}, "keep[0].route"},
		{Route{Route: "/messages"}, "keep[0].route"},
		{Route{Route: "POST /a/{b"}, "keep[0].route"},
		{Route{Route: "POST /m", Confirm: "POST /m?key={key}"}, "keep[0].confirm"},
		{Route{Route: "POST /m", Confirm: "GET /m"}, "keep[0].confirm"},
		{Route{Route: "POST /m", Found: "{key}"}, "keep[0].found"},
		{Route{Route: "POST /m", Confirm: "GET /m?key={key}", Found: "yes"}, "keep[0].found"},
		{Route{Route: "POST /m", Unknown: "twice"}, "keep[0].unknown"},
		{Route{Route: "POST /m", Hours: 9999}, "keep[0].hours"},
		{Route{Route: "POST /m", BodyMax: 1 << 40}, "keep[0].body_max"},
		{Route{Route: "POST /m", Probe: "health"}, "keep[0].probe"},
	} {
		err := Config{Keep: []Route{c.route}}.Defaults().Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.path+":") {
			t.Errorf("%+v: %v: want an error at %s", c.route, err, c.path)
		}
	}
	twice := Config{Keep: []Route{{Route: "POST /m"}, {Route: "POST /m"}}}.Defaults()
	if err := twice.Validate(); err == nil || !strings.Contains(err.Error(), "keep[1].route") {
		t.Errorf("one route twice: %v", err)
	}
	rs, err := NewRoutes(Config{Keep: []Route{{Route: "POST /t/{id}/messages"}, {Route: "PUT example.org/x"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, url string
		kept        bool
	}{
		{"POST", "http://a/t/7/messages", true}, {"POST", "http://a/t/7/messages/8", false}, {"GET", "http://a/t/7/messages", false},
		{"PUT", "http://example.org/x", true}, {"PUT", "http://other.org/x", false},
	} {
		if got := rs.Of(httptest.NewRequest(test.method, test.url, nil)) != nil; got != test.kept {
			t.Errorf("%s %s: kept %v", test.method, test.url, got)
		}
	}
}

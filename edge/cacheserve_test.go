package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

// weather is what the test says of origins, instead of the engine.
type weather struct {
	pressure, down atomic.Bool
	ahead          atomic.Int64 // ns, of the cache's clock
	still          atomic.Int64 // where that stands, however slow the machine is; 0: it goes
}

// startCached runs a server whose cache sees the weather that the test makes.
func startCached(t testing.TB, s Site, change ...func(*Config)) (*Server, *weather) {
	t.Helper()
	c := Config{Listen: []string{"127.0.0.1:0"}, Sites: []Site{s}}
	for _, f := range change {
		f(&c)
	}
	engine, err := deich.New(deich.Policy{Origins: 2, Sources: deich.SourcesMin}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := New(Options{Config: c, Engine: engine, Origins: 2, Keys: guard.NewKeys([32]byte{2})})
	if err != nil {
		t.Fatal(err)
	}
	w := new(weather)
	srv.cache.pressed = func(uint16) (bool, bool) { return w.pressure.Load(), w.down.Load() }
	clock := srv.cache.now
	srv.cache.now = func() deich.Time {
		if at := w.still.Load(); at != 0 {
			return deich.Time(at + w.ahead.Load())
		}
		return clock() + deich.Time(w.ahead.Load())
	}
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		srv.Shutdown(ctx)
	})
	return srv, w
}

// ask sends a request with the named headers and gives the answer with its body.
func ask(t testing.TB, c *http.Client, method, url string, head ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(head); i += 2 {
		r.Header.Add(head[i], head[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func fromMemory(r *http.Response) bool {
	return strings.Contains(r.Header.Get("Cache-Status"), "deich; hit")
}

// until waits for what another goroutine brings about.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for late := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestCacheAlways(t *testing.T) {
	var asked atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		h := w.Header()
		for name, values := range r.URL.Query() {
			h[http.CanonicalHeaderKey(name)] = values
		}
		h.Set("Etag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, "0123456789 %d", n)
	})
	s, _ := startCached(t, Site{Origins: []string{up}, Cache: cacheAlways})
	c := client(t)
	fresh := s.url() + "/fresh?cache-control=max-age=60"
	resp, first := ask(t, c, "GET", fresh)
	if got := resp.Header.Get("Cache-Status"); got != "deich; fwd=uri-miss; fwd-status=200; stored" {
		t.Errorf("the first: %q", got)
	}
	resp, body := ask(t, c, "GET", fresh)
	if body != first || !fromMemory(resp) || resp.Header.Get("Age") == "" || resp.Header.Get("Etag") != `"v1"` {
		t.Errorf("the second: %q %v", body, resp.Header)
	}
	for _, each := range []struct {
		name, method string
		head         []string
		status       int
		body         string
	}{
		{"HEAD", "HEAD", nil, 200, ""},
		{"the same still", "GET", []string{"If-None-Match", `W/"v1"`}, 304, ""},
		{"another", "GET", []string{"If-None-Match", `"v2"`}, 200, first},
		{"a range", "GET", []string{"Range", "bytes=2-4"}, 206, "234"},
		{"the end", "GET", []string{"Range", "bytes=-1"}, 206, first[len(first)-1:]},
		{"beyond the end", "GET", []string{"Range", "bytes=99-"}, 416, ""},
		{"a range of this version", "GET", []string{"Range", "bytes=0-0", "If-Range", `"v1"`}, 206, "0"},
		{"a range of another", "GET", []string{"Range", "bytes=0-0", "If-Range", `"v2"`}, 200, first},
		{"a range in another unit", "GET", []string{"Range", "lines=1-2"}, 200, first},
	} {
		resp, body := ask(t, c, each.method, fresh, each.head...)
		if resp.StatusCode != each.status || each.status != 416 && body != each.body || !fromMemory(resp) {
			t.Errorf("%s: %d %q %v", each.name, resp.StatusCode, body, resp.Header)
		}
		if each.method == "HEAD" && resp.ContentLength != int64(len(first)) {
			t.Errorf("%s: length %d", each.name, resp.ContentLength)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	stale := s.url() + "/stale?cache-control=max-age=0"
	_, first = ask(t, c, "GET", stale)
	resp, body = ask(t, c, "GET", stale)
	if body != first || resp.Header.Get("Cache-Status") != "deich; fwd=stale; fwd-status=304; stored" || asked.Load() != 3 {
		t.Errorf("validated: %q %v", body, resp.Header)
	}
	ask(t, c, "POST", fresh)
	if resp, _ := ask(t, c, "GET", fresh); fromMemory(resp) {
		t.Error("what a POST may have changed is still given")
	}
	if got := s.CacheCounters(); got.Hits != 10 || got.Keys != 2 || got.Bytes <= 0 {
		t.Errorf("%+v", got)
	}
}

// Answers that come in pieces are kept only when they ended; too long ones not.
func TestCacheKeepsWholeAnswersOnly(t *testing.T) {
	var asked atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "one ")
		w.(http.Flusher).Flush()
		switch r.URL.Path {
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/long":
			w.Write(make([]byte, entryBytesMax))
		}
		io.WriteString(w, "two")
	})
	s, _ := startCached(t, Site{Origins: []string{up}, Cache: cacheAlways})
	c := client(t)
	for path, kept := range map[string]bool{"/whole": true, "/long": false, "/broken": false} {
		for i := range 2 {
			resp, err := c.Get(s.url() + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if (path == "/broken") != (err != nil) {
				t.Errorf("%s: %v", path, err)
			}
			if hit := fromMemory(resp); hit != (kept && i == 1) {
				t.Errorf("%s, %d: from memory %v", path, i, hit)
			}
			if path == "/whole" && string(body) != "one two" {
				t.Errorf("%q", body)
			}
		}
	}
}

// Many who want the same at once ask the origin once; each who varies gets
// their own; and the origin learns nothing of who they are.
func TestCacheCollapses(t *testing.T) {
	const readers = 50
	var asked atomic.Int64
	go1 := make(chan struct{})
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-go1
		w.Header().Set("Vary", "Accept-Language")
		fmt.Fprint(w, r.Header.Get("Accept-Language"), r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Real-Ip"), r.Header.Get("Referer"))
	})
	s, now := startCached(t, Site{Origins: []string{up}, Cache: cachePressure})
	now.pressure.Store(true)
	c := client(t)
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() {
			want := []string{"de", "en"}[i%2]
			_, body := ask(t, c, "GET", s.url()+"/", "Accept-Language", want, "Referer", fmt.Sprint("http://", i))
			if body != want {
				t.Errorf("%q, want %q", body, want)
			}
		})
	}
	until(t, "all but two wait", func() bool { return s.cache.waiting.Load() == readers-2 })
	close(go1)
	all.Wait()
	if n, got := asked.Load(), s.CacheCounters(); n != 2 || got.Collapsed != readers-2 {
		t.Errorf("the origin was asked %d times: %+v", n, got)
	}
}

// Where answers are not for all, nobody waits for another's a second time.
func TestCacheDoesNotWaitForWhatIsPrivate(t *testing.T) {
	var asked atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(asked.Add(1))})
		io.WriteString(w, "for you")
	})
	s, now := startCached(t, Site{Origins: []string{up}, Cache: cachePressure})
	now.pressure.Store(true)
	seen := make(map[string]bool)
	for range 5 {
		resp, _ := ask(t, client(t), "GET", s.url()+"/")
		for _, cookie := range resp.Cookies() {
			if cookie.Name == "session" {
				seen[cookie.Value] = true
			}
		}
	}
	if got := s.CacheCounters(); len(seen) != 5 || got.Misses != 1 || got.Stored != 0 {
		t.Errorf("%d sessions, %+v", len(seen), got)
	}
}

// One who leads and is turned away passes the lead on; one who leaves too.
func TestFlightPassesTheLeadOn(t *testing.T) {
	sh := &newStore(1 << 20).shards[0]
	f, leads := sh.join("a")
	if _, again := sh.join("a"); !leads || again {
		t.Fatal("two lead")
	}
	f.pass()
	<-f.lead // the second takes it
	f.leave()
	f.pass() // and nobody is left
	select {
	case <-f.over:
	default:
		t.Fatal("it is not over")
	}
	if f, leads = sh.join("a"); !leads {
		t.Fatal("the old flight is still there")
	}
	sh.join("a")
	f.pass()
	f.leave() // the one who could have led has gone
	if _, leads = sh.join("a"); !leads || len(sh.flights) != 1 {
		t.Fatal("nobody leads, and everybody waits")
	}
}

// What has trailers is not kept, whether they were announced or not.
func TestCacheKeepsNothingWithTrailers(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/announced" {
			h.Set("Trailer", "X-Sum")
		}
		io.WriteString(w, "one ")
		w.(http.Flusher).Flush()
		io.WriteString(w, "two")
		switch r.URL.Path {
		case "/announced":
			h.Set("X-Sum", "7")
		case "/unannounced":
			h.Set(http.TrailerPrefix+"X-Sum", "7")
		}
	})
	s, _ := startCached(t, Site{Origins: []string{up}, Cache: cacheAlways})
	c := client(t)
	for path, sum := range map[string]string{"/announced": "7", "/unannounced": "7", "/without": ""} {
		for i := range 2 {
			resp, body := ask(t, c, "GET", s.url()+path)
			if body != "one two" || resp.Trailer.Get("X-Sum") != sum {
				t.Errorf("%s, %d: %q, trailers %v", path, i, body, resp.Trailer)
			}
			if hit := fromMemory(resp); hit != (sum == "" && i == 1) {
				t.Errorf("%s, %d: from memory %v", path, i, hit)
			}
		}
	}
}

// What the origin does not say of its bytes is not guessed when they come from memory
// either: a guess can make a page, with scripts, of a text.
func TestCacheGuessesNoContentType(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "<!DOCTYPE html><script>alert(1)</script>")
	})
	s, _ := startCached(t, Site{Origins: []string{up}, Cache: cacheAlways})
	for i, head := range [][]string{nil, nil, {"Range", "bytes=0-30"}} {
		resp, body := ask(t, client(t), "GET", s.url()+"/text", head...)
		if said, ok := resp.Header["Content-Type"]; ok || fromMemory(resp) != (i > 0) || !strings.HasPrefix(body, "<!DOCTYPE html>") {
			t.Errorf("%d: Content-Type %q, %d %q %v", i, said, resp.StatusCode, body, resp.Header)
		}
	}
}

// After a reload nothing is given that came from elsewhere, or came to be kept by other
// rules, also not after a further one that takes it back; one that changes neither, or
// only one backend of several, forgets nothing.
func TestReloadForgetsWhatIsOther(t *testing.T) {
	page := func(name string) string {
		return origin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, name+" "+r.Host)
		})
	}
	one, two := page("one"), page("two")
	always := func(names string, origins ...string) Site {
		return Site{Names: strings.Fields(names), Origins: origins, Cache: cacheAlways}
	}
	s, _ := startCached(t, always("", one))
	c := client(t)
	for i, step := range []struct {
		sites []Site
		host  string
		body  string
		kept  bool
	}{
		{[]Site{always("", one)}, "a", "one a", false},
		{[]Site{always("a", one)}, "a", "one a", true},
		{[]Site{always("a", one, two)}, "a", "one a", true}, // one was added
		{[]Site{always("a", two)}, "a", "one a", true},      // one was taken out
		{[]Site{always("a", one)}, "a", "one a", false},
		{[]Site{always("a", two)}, "a", "two a", false},
		{[]Site{{Origins: []string{two}, Cache: cacheAlways, OriginHost: "inner"}}, "a", "two inner", false},
		{[]Site{{Origins: []string{two}, Cache: cacheAlways, CacheTrustVary: true}}, "a", "two a", false},
		{[]Site{{Origins: []string{two}, Cache: cacheOff}}, "a", "two a", false},
		{[]Site{always("", two)}, "a", "two a", false},

		{[]Site{always("a b", two)}, "b", "two b", false},
		{[]Site{always("a", two), always("b", one)}, "a", "two a", true}, // the names of one are two's
		{[]Site{always("a", two), always("b", one)}, "b", "one b", false},
		{[]Site{always("a b", two)}, "b", "two b", false}, // and are one's again
		{[]Site{always("a", two), always("b", two)}, "b", "two b", true},
		{[]Site{always("b a", two)}, "b", "two b", true},
		{[]Site{always("b", one), always("", two)}, "b", "one b", false},
		{[]Site{always("", two)}, "b", "two b", false}, // it has no name, and is the same
		{[]Site{always("b", one), always("", two)}, "b", "one b", false},
		{[]Site{always("b", one), always("c.d", two)}, "c.d", "two c.d", false},
		{[]Site{always("*.d", two)}, "c.d", "two c.d", true},
		{[]Site{always("*.d", two), always("c.d", one)}, "c.d", "one c.d", false},
		{[]Site{always("*.d", two)}, "c.d", "two c.d", false},
	} {
		config := s.options.Config
		config.Sites = step.sites
		if err := s.Swap(config, guard.Config{}); err != nil {
			t.Fatal(err)
		}
		resp, body := ask(t, c, "GET", s.url()+"/", "Host", step.host)
		if body != step.body || fromMemory(resp) != step.kept {
			t.Errorf("step %d: %q %v", i, body, resp.Header)
		}
	}
}

// A dead backend can be taken out in the middle of an outage: what was readable is
// readable, and no longer than it would have been.
func TestReloadInAnOutage(t *testing.T) {
	var down atomic.Bool
	page := func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "hello")
	}
	one, two := origin(t, page), origin(t, page)
	s, now := startCached(t, Site{Origins: []string{one, two}, Cache: cachePressure})
	c := client(t)
	ask(t, c, "GET", s.url()+"/long-ago")
	errands(t, s)
	now.ahead.Store(int64(copyHeld + time.Minute))
	ask(t, c, "GET", s.url()+"/")
	errands(t, s)
	down.Store(true)
	now.down.Store(true)
	ask(t, c, "GET", s.url()+"/unread")
	now.ahead.Add(int64(copyHeld + time.Minute))
	for i, origins := range [][]string{{one, two}, {two}} {
		config := s.options.Config
		config.Sites = []Site{{Origins: origins, Cache: cachePressure}}
		if err := s.Swap(config, guard.Config{}); err != nil {
			t.Fatal(err)
		}
		if resp, body := ask(t, c, "GET", s.url()+"/"); body != "hello" || !fromMemory(resp) {
			t.Errorf("reload %d: %d %q %v", i, resp.StatusCode, body, resp.Header)
		}
		if resp, _ := ask(t, c, "GET", s.url()+"/long-ago"); fromMemory(resp) {
			t.Errorf("reload %d: what was too old when the platform fell silent is given", i)
		}
	}
}

// Who was on their way across a reload asks the new platform about nothing of the old
// one's: it may call something else the same.
func TestReloadAsksNothingOfTheOld(t *testing.T) {
	page := func(name string) string {
		return origin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			io.WriteString(w, name)
		})
	}
	s, _ := startCached(t, Site{Origins: []string{page("one")}, Cache: cacheAlways})
	ask(t, client(t), "GET", s.url()+"/", "Host", "a")
	r := httptest.NewRequest("GET", "http://a/", nil)
	r.Header.Set("Accept-Encoding", "gzip") // as client says
	st := s.state.Load()
	rd := reading{st: st, site: st.site("a"), r: r}
	if s.cache.look(&rd, nil); validated(rd.entry) == nil {
		t.Fatal("nothing is kept that could be asked about")
	}
	config := s.options.Config
	config.Sites = []Site{{Origins: []string{page("two")}, Cache: cacheAlways}}
	if err := s.Swap(config, guard.Config{}); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if !s.cache.ask(w, &rd) || w.Body.String() != "two" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}

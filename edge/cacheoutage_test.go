package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What was read is readable while the origin is down, and says so; the rest
// gets a clear page at once; and when the origin is back, its own words.
func TestOutage(t *testing.T) {
	for _, cache := range []string{cachePressure, cacheWitnessed} {
		t.Run(cache, func(t *testing.T) { outage(t, cache) })
	}
}

func outage(t *testing.T, cache string) {
	var down atomic.Bool
	var version atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%s, version %d", r.URL.Path, version.Load())
	})
	c := client(t)
	s := start(t, Config{Sites: []Site{{Origins: []string{up}, Cache: cache}}, TrustedProxies: []string{"127.0.0.1"}}) // the engine finds out by itself
	for i := range 5 * witnessesLeast {
		resp, _ := ask(t, c, "GET", fmt.Sprint(s.url(), "/p/", i%5), from(i/5, "Accept-Language", "de", "Accept", "text/html")...)
		if resp.StatusCode != 200 || resp.Header.Get("Cache-Status") != "" {
			t.Fatalf("in peace: %d %v", resp.StatusCode, resp.Header)
		}
	}
	errands(t, s)
	down.Store(true)
	read := func(path string) (*http.Response, string) {
		return ask(t, c, "GET", s.url()+path, from(9, "Accept-Language", "de", "Accept", "text/html")...)
	}
	until(t, "the engine sees that the origin is down", func() bool {
		resp, body := read("/p/3")
		if resp.StatusCode != 200 || body != "/p/3, version 0" || !fromMemory(resp) {
			t.Fatalf("during the outage: %d %q %v", resp.StatusCode, body, resp.Header)
		}
		read("/unread")
		_, seen := s.options.Engine.Pressed(0)
		return seen
	})
	resp, _ := read("/p/4")
	if notice := resp.Header.Get("Deich-Notice"); !strings.HasPrefix(notice, "Sie lesen eine Kopie von ") || resp.Header.Get("Age") == "" {
		t.Errorf("it does not say that it is a copy: %v", resp.Header)
	}
	began := time.Now()
	resp, body := read("/unread")
	if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Deich-Reason") != "origin_down" || time.Since(began) > time.Second {
		t.Errorf("what nobody read: %d after %v: %.100q", resp.StatusCode, time.Since(began), body)
	}
	if post, err := c.Post(s.url()+"/p/3", "text/plain", strings.NewReader("x")); err != nil || post.StatusCode != http.StatusBadGateway {
		t.Errorf("a message: %v %v", post, err)
	} else {
		post.Body.Close()
	}
	version.Store(1)
	down.Store(false)
	back := time.Now()
	until(t, "the origin's own words", func() bool {
		_, body := read("/p/3")
		return body == "/p/3, version 1"
	})
	if took := time.Since(back); took > 2*time.Second {
		t.Errorf("full service after %v", took)
	}
}

// An origin that answers 503 itself is covered the same way; one broken page is not.
func TestOutageByStatus(t *testing.T) {
	var status atomic.Int64
	status.Store(200)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(int(status.Load()))
		io.WriteString(w, "hello")
	})
	s, _ := startCached(t, Site{Origins: []string{up}, Cache: cachePressure})
	c := client(t)
	ask(t, c, "GET", s.url()+"/")
	errands(t, s)
	for code, want := range map[int64]int{502: 200, 503: 200, 504: 200, 500: 500, 501: 501, 404: 404} {
		status.Store(code)
		if resp, _ := ask(t, c, "GET", s.url()+"/"); resp.StatusCode != want || fromMemory(resp) != (want == 200) {
			t.Errorf("the origin answers %d, the reader gets %d %v", code, resp.StatusCode, resp.Header)
		}
	}
	// Without a copy the origin's own answer stands.
	status.Store(503)
	if resp, body := ask(t, c, "GET", s.url()+"/unread"); resp.StatusCode != 503 || body != "hello" {
		t.Errorf("without a copy: %d %q", resp.StatusCode, body)
	}
}

// What the origin forbids to be given stale is not.
func TestOutageObeysTheOrigin(t *testing.T) {
	var down atomic.Bool
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Cache-Control", r.URL.Query().Get("c"))
	})
	said := map[string]bool{
		"no-store": false, "private": false, "no-cache": false, "must-revalidate": false, "max-age=0, proxy-revalidate": false,
		"s-maxage=0": false, "s-maxage=0, stale-if-error=60": true, "max-age=0": true, "public": true,
		"max-age=0, stale-if-error=60, must-revalidate": false,
	}
	s, now := startCached(t, Site{Origins: []string{up}, Cache: cachePressure})
	c := client(t)
	url := func(said string) string { return s.url() + "/?c=" + strings.ReplaceAll(said, " ", "%20") }
	for directives := range said {
		ask(t, c, "GET", url(directives))
	}
	errands(t, s)
	down.Store(true)
	now.down.Store(true)
	for directives, kept := range said {
		if resp, _ := ask(t, c, "GET", url(directives)); fromMemory(resp) != kept {
			t.Errorf("%s: %d %v", directives, resp.StatusCode, resp.Header)
		}
	}
}

// Under pressure an answer serves all for a moment, and is renewed by one
// request beside them.
func TestPressure(t *testing.T) {
	var asked atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, asked.Add(1)) })
	s, now := startCached(t, Site{Origins: []string{up}, Cache: cachePressure})
	now.pressure.Store(true)
	c := client(t)
	for range 20 {
		if _, body := ask(t, c, "GET", s.url()+"/"); body != "1" {
			t.Fatalf("%q", body)
		}
	}
	now.ahead.Add(int64(pressureFresh + time.Second))
	for range 5 {
		if resp, body := ask(t, c, "GET", s.url()+"/"); body != "1" && body != "2" || !fromMemory(resp) {
			t.Fatalf("%q %v", body, resp.Header)
		}
	}
	errands(t, s)
	if _, body := ask(t, c, "GET", s.url()+"/"); body != "2" || asked.Load() != 2 {
		t.Errorf("%q; the origin was asked %d times", body, asked.Load())
	}
	now.ahead.Add(int64(pressureStale + time.Second))
	if resp, body := ask(t, c, "GET", s.url()+"/"); body != "3" || fromMemory(resp) {
		t.Errorf("what is too old is given: %q %v", body, resp.Header)
	}
	now.pressure.Store(false)
	if resp, body := ask(t, c, "GET", s.url()+"/"); body != "4" || resp.Header.Get("Cache-Status") != "" {
		t.Errorf("in peace: %q %v", body, resp.Header)
	}
}

// Copies are bounded: they cost the origin one request in copyShare.
func TestCopiesAreFew(t *testing.T) {
	var own, all atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		all.Add(1)
		if r.Header.Get("User-Agent") == cacheAgent {
			own.Add(1)
		}
	})
	s, _ := startCached(t, Site{Origins: []string{up}, Cache: cachePressure})
	c := client(t)
	const reads = 1000
	for i := range reads {
		ask(t, c, "GET", fmt.Sprint(s.url(), "/", i))
		if i%10 == 0 {
			errands(t, s)
		}
	}
	errands(t, s)
	if n := own.Load(); n > reads/copyShare+copyBurst || n < reads/copyShare/2 || all.Load() != reads+n {
		t.Errorf("%d copies of %d reads", n, reads)
	}
	before := own.Load()
	for range 100 {
		ask(t, c, "GET", s.url()+"/0")
	}
	errands(t, s)
	if n := own.Load() - before; n > 1 {
		t.Errorf("one page was copied %d times", n)
	}
}

// The cache can be turned off.
func TestCacheOff(t *testing.T) {
	var asked atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		asked.Add(1)
	})
	s, now := startCached(t, Site{Origins: []string{up}, Cache: cacheOff})
	now.pressure.Store(true)
	for range 3 {
		ask(t, client(t), "GET", s.url()+"/")
	}
	if got := s.CacheCounters(); asked.Load() != 3 || got.Keys != 0 {
		t.Errorf("asked %d times, %+v", asked.Load(), got)
	}
	err := Config{Sites: []Site{{Origins: []string{up}, Cache: "sometimes"}}}.Defaults().Validate()
	if err == nil || !strings.Contains(err.Error(), `sites[0].cache: "sometimes": write "witnessed", "pressure", "always" or "off"`) {
		t.Errorf("%v", err)
	}
}

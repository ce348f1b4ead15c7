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

package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a whole server in front of the sites of c, until the test ends.
func start(t testing.TB, c Config) *Server {
	t.Helper()
	return startWith(t, c, guard.Config{})
}

// startUncached is start without the cache, whose own requests to the origin
// come beside those of a test that counts them.
func startUncached(t testing.TB, c Config, g ...guard.Config) *Server {
	t.Helper()
	c.Sites = slices.Clone(c.Sites)
	for i := range c.Sites {
		c.Sites[i].Cache = cacheOff
	}
	return startWith(t, c, append(g, guard.Config{})[0])
}

func startWith(t testing.TB, c Config, g guard.Config) *Server {
	t.Helper()
	if len(c.Listen) == 0 {
		c.Listen = []string{"127.0.0.1:0"}
	}
	engine, err := deich.New(deich.Policy{Origins: max(c.OriginGroups(), 2), Sources: deich.SourcesMin}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Config: c, Guard: g, Engine: engine, Keys: guard.NewKeys([32]byte{2}), Origins: max(c.OriginGroups(), 2)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		s.Shutdown(ctx)
	})
	return s
}

// origin runs a platform for the test.
func origin(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	o := httptest.NewServer(h)
	t.Cleanup(o.Close)
	return o.URL
}

// client gives one that keeps nothing open after the test.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (s *Server) url() string { return "http://" + s.Addrs()[0].String() }

func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
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

func TestServesAndForwards(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %q", r.Method, r.URL, r.Header.Get("X-Forwarded-For"), b)
	})
	s := start(t, Config{Sites: []Site{{Origins: []string{up}}}})
	c := client(t)
	for range 3 {
		resp, body := get(t, c, s.url()+"/a?b=c")
		if want := `GET /a?b=c 127.0.0.1 ""`; resp.StatusCode != 200 || body != want {
			t.Fatalf("%d %q, want %q", resp.StatusCode, body, want)
		}
	}
	for _, n := range []int{1, heldBodyMax, heldBodyMax + 1, 3 << 20} {
		resp, err := c.Post(s.url()+"/p", "text/plain", strings.NewReader(strings.Repeat("x", n)))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf(`POST /p 127.0.0.1 %q`, strings.Repeat("x", n)); string(body) != want {
			t.Fatalf("%d: %d %.100q", n, resp.StatusCode, body)
		}
	}
}

// What leads up does not get out of the path that an origin's URL has, however it is written.
func TestOriginsPathIsNotLeft(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	s := startUncached(t, Config{Sites: []Site{
		{Names: []string{"a.example"}, Origins: []string{up + "/app"}},
		{Names: []string{"b.example"}, Origins: []string{up}},
	}})
	ask := func(host, target string) heard {
		return call(t, s.Addrs()[0].String()).ask("GET", "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	}
	for _, target := range []string{"/..", "/../admin", "/x/../../admin", "/%2e%2e/admin", "/..%2fadmin", "/.%2E/admin", `/..\admin`, "/..;/admin"} {
		if h := ask("a.example", target); h.resp == nil || h.resp.StatusCode != http.StatusBadRequest || h.resp.Header.Get("Deich-Reason") != "bad_request" {
			t.Errorf("%s: %v %q", target, h.resp, h.body)
		}
	}
	for _, c := range [][3]string{{"a.example", "/x/.y/...?a=/../b", "/app/x/.y/...?a=/../b"}, {"b.example", "/x/../admin", "/x/../admin"}} {
		if h := ask(c[0], c[1]); h.body != c[2] {
			t.Errorf("%s: %q, want %q", c[1], h.body, c[2])
		}
	}
}

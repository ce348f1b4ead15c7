package edge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"sync"
	"testing"

	"github.com/deichproject/deich/guard"
)

// overH2 gives a client of a platform that speaks HTTP/2.
func overH2(t testing.TB, up string) *http.Client {
	t.Helper()
	file, key := certifyFiles(t, t.TempDir(), "a.example")
	s := startUncached(t, Config{Listen: []string{"https://127.0.0.1:0"},
		Sites: []Site{{Names: []string{"a.example"}, Origins: []string{up}, Certificate: file, Key: key}}})
	return secured(t, s, true, file)
}

// Events leave as they come: nothing waits for more.
func TestEventsOverHTTP2AreHandedOnAtOnce(t *testing.T) {
	next := make(chan struct{})
	o := play(t, func(c *playedConn) {
		if c.request() == nil {
			return
		}
		c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := range 100 {
			<-next // told by the client that it has all so far
			c.say(chunk(fmt.Sprintf("data: %d\n\n", i)))
		}
	})
	resp, err := overH2(t, o.url()).Get("https://a.example/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for i := range 100 {
		next <- struct{}{}
		line, err := br.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); line != want {
			t.Fatalf("%q %v, want %q", line, err, want)
		}
		br.ReadString('\n')
	}
}

// TestEarlyHintsOverHTTP2ComeFirst: the client has them while the platform
// still thinks.
func TestEarlyHintsOverHTTP2ComeFirst(t *testing.T) {
	hinted := make(chan struct{})
	o := play(t, func(c *playedConn) {
		if c.request() == nil {
			return
		}
		c.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
		<-hinted
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code != http.StatusEarlyHints || h.Get("Link") != "</a.css>" {
			t.Error(code, h)
		}
		close(hinted)
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "https://a.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := overH2(t, o.url()).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "ok" {
		t.Fatalf("%q %v", body, err)
	}
}

// TestBodiesOverHTTP2Together: answers of all lengths over one connection at
// once, each whole and unmixed.
func TestBodiesOverHTTP2Together(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		if n%2 == 0 {
			w.Header().Set("Content-Length", fmt.Sprint(n))
		}
		w.Write(bytes.Repeat([]byte{byte(n)}, n))
	})
	c := overH2(t, up)
	var all sync.WaitGroup
	for _, n := range []int{0, 1, 1000, 4095, 4096, 16383, 16385, 20001, 65536, 1<<20 + 1} {
		for range 2 {
			all.Go(func() {
				resp, err := c.Get(fmt.Sprintf("https://a.example/%d", n))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || len(body) != n || slices.ContainsFunc(body, func(b byte) bool { return b != byte(n) }) {
					t.Errorf("%d: %d bytes, %v", n, len(body), err)
				}
			})
		}
	}
	all.Wait()
}

// TestShutdownWritesWhatIsHeld: an answer that was given is received, although
// the server ends behind it.
func TestShutdownWritesWhatIsHeld(t *testing.T) {
	file, key := certifyFiles(t, t.TempDir(), "a.example")
	asked := make(chan struct{})
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		io.WriteString(w, "last words")
	})
	s := startWith(t, Config{Listen: []string{"https://127.0.0.1:0"},
		Sites: []Site{{Names: []string{"a.example"}, Origins: []string{up}, Certificate: file, Key: key}}}, guard.Config{})
	c := secured(t, s, true, file)
	ended := make(chan error)
	go func() {
		<-asked
		ended <- s.Shutdown(t.Context())
	}()
	if _, body := get(t, c, "https://a.example/"); body != "last words" {
		t.Errorf("%q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package edge

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestEachHasItsOwnAnswer: what carried a request is used again by others, also of
// those that failed.
func TestEachHasItsOwnAnswer(t *testing.T) {
	o := play(t, func(c *playedConn) {
		for r := c.request(); r != nil; r = c.request() {
			body, _ := io.ReadAll(r.Body)
			said := r.URL.Path + " " + r.Header.Get("X-Who") + " " + string(body)
			switch {
			case strings.HasSuffix(r.URL.Path, "/dies"):
				return
			case strings.HasSuffix(r.URL.Path, "/short"):
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
				return
			case strings.HasSuffix(r.URL.Path, "/chunks"):
				c.say("HTTP/1.1 200 OK\r\nX-Who: " + r.Header.Get("X-Who") + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(said) + chunk(""))
			default:
				c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Who: %s\r\nContent-Length: %d\r\n\r\n%s", r.Header.Get("X-Who"), len(said), said))
			}
		}
	})
	front := httptest.NewServer(bare(t, Site{Origins: []string{o.url()}}))
	defer front.Close()
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 60 {
				who, body := fmt.Sprintf("%d-%d", n, i), ""
				path := "/" + who + []string{"", "/dies", "/chunks", "/short", "/post", "/upload"}[i%6]
				method := "GET"
				switch i % 6 {
				case 4:
					method, body = "POST", who
				case 5:
					method, body = "PUT", strings.Repeat(who, 20_000)
				}
				r, err := http.NewRequest(method, front.URL+path, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("X-Who", who)
				resp, err := front.Client().Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if i%6 == 1 || i%6 == 3 {
					if resp.StatusCode != http.StatusBadGateway {
						t.Errorf("%s: answered %d %q", path, resp.StatusCode, got)
					}
					continue
				}
				if want := path + " " + who + " " + body; err != nil || resp.Header.Get("X-Who") != who || string(got) != want {
					t.Errorf("%s: answered %d %.100q for %q, %v", path, resp.StatusCode, got, resp.Header.Get("X-Who"), err)
				}
			}
		})
	}
	all.Wait()
}

// slowly takes a piece only once it is told.
type slowly struct {
	http.ResponseWriter
	may chan struct{}
}

func (s slowly) Write(b []byte) (int, error) {
	<-s.may
	return len(b), nil
}

// TestNobodySpeaksOfAnAnswerThatIsOver: that its client is slow is said on another
// goroutine, which has ended when the piece is written.
func TestNobodySpeaksOfAnAnswerThatIsOver(t *testing.T) {
	w := slowly{httptest.NewRecorder(), make(chan struct{})}
	begun, end, written := make(chan struct{}), make(chan struct{}), make(chan error)
	var said atomic.Bool
	p := &proxy{streaming: func(http.ResponseWriter) {
		close(begun)
		<-end
		said.Store(true)
	}}
	c := &copier{x: &exchange{proxy: p, w: w}}
	go func() { written <- c.write(make([]byte, quickWrite+1)) }()
	<-begun
	close(w.may)
	select {
	case <-written:
		t.Fatal("written, while it is still said that its client is slow")
	case <-time.After(20 * time.Millisecond):
	}
	close(end)
	if err := <-written; err != nil || !said.Load() {
		t.Errorf("written: %v; said: %v", err, said.Load())
	}
	if !c.long {
		t.Error("it does not count as long-lived")
	}
}

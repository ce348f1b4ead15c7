package edge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// stubborn is a client that takes nothing of its answer until it is cut.
type stubborn struct {
	header http.Header
	cut    chan struct{}
	once   sync.Once
}

func (s *stubborn) Header() http.Header { return s.header }
func (s *stubborn) WriteHeader(int)     {}
func (s *stubborn) Write([]byte) (int, error) {
	<-s.cut
	return 0, os.ErrDeadlineExceeded
}

func (s *stubborn) SetWriteDeadline(time.Time) error {
	s.once.Do(func() { close(s.cut) })
	return nil
}

// Who reads slowly holds what the store let go long ago: only so much of it, and not for
// as long as they like. What is short is kept all the same.
func TestSlowReadersDoNotHoldTheCache(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Header().Set("Content-Length", strconv.Itoa(n))
		if r.URL.Path == "/pieces" {
			delete(w.Header(), "Content-Length")
			w.(http.Flusher).Flush()
		}
		w.Write(make([]byte, n))
	})
	s, now := startCached(t, Site{Origins: []string{up}, Cache: cacheAlways}, func(c *Config) { c.Limits.CacheBytes = 8 << 20 })
	limit := s.cache.store.limit()
	const length = 100 << 10
	r := httptest.NewRequest("GET", "/", nil)
	var clients []*stubborn
	var all sync.WaitGroup
	for range limit/length + 10 {
		e := newEntry(200, header(), make([]byte, length), 1, 1)
		for range 2 { // two to whom it is given take it once
			w := &stubborn{header: make(http.Header), cut: make(chan struct{})}
			clients = append(clients, w)
			all.Go(func() { s.cache.give(w, r, e, how{}) })
		}
	}
	held := func() int64 {
		s.cache.loans.mu.Lock()
		defer s.cache.loans.mu.Unlock()
		return s.cache.loans.bytes
	}
	until(t, "all are being given", func() bool { return held() == (limit/length+10)*length })
	kept := func(path string) bool {
		t.Helper()
		ask(t, client(t), "GET", s.url()+path)
		resp, _ := ask(t, client(t), "GET", s.url()+path)
		return fromMemory(resp)
	}
	if kept(fmt.Sprint("/long?n=", length)) || kept(fmt.Sprint("/pieces?n=", length)) || !kept(fmt.Sprint("/short?n=", copyBytes)) || !kept("/pieces?n=9") {
		t.Error("what is long is kept while slow readers hold as much as the cache may, or what is short is not")
	}
	s.cache.callIn()
	if n := held(); n <= limit {
		t.Errorf("cut before their time: %d bytes are held", n)
	}
	now.ahead.Store(int64(lendFor))
	s.cache.callIn()
	if n := held(); n >= limit || n < limit-2*length {
		t.Errorf("%d bytes are held, of %d", n, limit)
	}
	cut := 0
	for _, w := range clients {
		select {
		case <-w.cut:
			cut++
		default:
		}
	}
	if cut < 2*10 || cut == len(clients) {
		t.Errorf("%d of %d were cut", cut, len(clients))
	}
	if !kept(fmt.Sprint("/again?n=", length)) {
		t.Error("there is room, and nothing long is kept")
	}
	for _, w := range clients {
		w.SetWriteDeadline(time.Time{})
	}
	all.Wait()
	until(t, "nothing is held in the end", func() bool { return held() == 0 })
}

// What was found to hold, and what was seen again, is another entry with the same body:
// that takes its room once.
func TestLoansCountABodyOnce(t *testing.T) {
	const length = 2 * copyBytes
	e := newEntry(200, header("Etag", `"a"`), make([]byte, length), 1, 1)
	again := e.freshened(header("Etag", `"a"`), 2, 2)
	other := newEntry(200, header(), make([]byte, length), 1, 1)
	var s loans
	var open []*loan
	for i, step := range []struct {
		entry *entry
		bytes int64
	}{{e, length}, {again, length}, {e, length}, {other, 2 * length}} {
		open = append(open, s.begin(step.entry, 1, func() {}))
		if s.bytes != step.bytes {
			t.Errorf("%d begun: %d bytes", i+1, s.bytes)
		}
	}
	for i, bytes := range []int64{2 * length, 2 * length, length, 0} {
		s.end(open[i])
		if s.bytes != bytes {
			t.Errorf("%d ended: %d bytes", i+1, s.bytes)
		}
	}
	if len(s.lent) != 0 {
		t.Errorf("%d bodies are remembered", len(s.lent))
	}
}

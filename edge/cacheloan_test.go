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

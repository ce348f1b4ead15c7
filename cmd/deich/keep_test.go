package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/spool"
)

// keepingFor stands in front of a platform and keeps what is posted to /messages.
func keepingFor(t *testing.T, platform http.HandlerFunc, change ...func(*settings)) *station {
	t.Helper()
	origin := httptest.NewServer(platform)
	t.Cleanup(origin.Close)
	return standing(t, t.TempDir(), append(change, func(s *settings) {
		s.Sites[0].Origins = []string{origin.URL}
		s.Spool.Keep = []spool.Route{{Route: "POST /messages"}}
	})...)
}

// An answer that breaks off is none, whatever it began with: a lookup's would be taken for
// "it is not there", and a delivery's for the platform's word. One that comes in pieces is one.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	s := keepingFor(t, func(w http.ResponseWriter, r *http.Request) {
		cut := r.URL.Path == "/cut"
		if length := r.URL.Query().Get("length"); length != "" {
			w.Header().Set("Content-Length", length)
		}
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, `{"items":[`)
		if cut {
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		if r.URL.Path == "/pieces" {
			http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond) // so that the next one is waited for
		}
		io.WriteString(w, `]}`)
	})
	for _, method := range []string{"GET", "POST"} {
		for uri, want := range map[string]spool.Fate{
			"/whole": spool.Answered, "/whole?length=12": spool.Answered, "/pieces": spool.Answered,
			"/cut": spool.Lost, "/cut?length=100": spool.Lost, "/cut?length=" + strconv.Itoa(1<<20): spool.Lost,
		} {
			m := &spool.Request{
				Method: method, URI: uri, Host: "example.org", Client: netip.MustParseAddr("192.0.2.7"), Header: http.Header{}, Want: 1 << 10,
			}
			a := s.keeping.send(t.Context(), m, func() error { return nil })
			if a.Fate != want || a.Whole != (want == spool.Answered) || a.Whole && !strings.HasSuffix(string(a.Body), "]}") {
				t.Errorf("%s %s: %+v, want fate %d", method, uri, a, want)
			}
		}
	}
}

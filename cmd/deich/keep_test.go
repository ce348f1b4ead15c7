package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/guard"
	"github.com/deichproject/deich/spool"
)

// keepingFor stands in front of a platform and keeps what is posted to /messages.
func keepingFor(t *testing.T, platform http.HandlerFunc, change ...func(*settings)) *station {
	t.Helper()
	origin := httptest.NewServer(platform)
	t.Cleanup(origin.Close)
	return standing(t, t.TempDir(), append([]func(*settings){func(s *settings) {
		s.Sites[0].Origins = []string{origin.URL}
		s.Spool.Keep = []spool.Route{{Route: "POST /messages"}}
	}}, change...)...)
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

// A partner without a pass or a key, known by where it comes from, is told 202 for what is kept,
// and sees its receipt: else it would send again and again what was kept the first time.
func TestAPartnerSeesItsReceipt(t *testing.T) {
	s := keepingFor(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, func(s *settings) {
		s.Spool.Keep[0].Unknown = "at-least-once" // what is cut off is kept
		s.Guard.Partners = []guard.Partner{{Name: "hooks", Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}
	})
	users := "http://" + s.edge.Addrs()[0].String()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Post(users+"/messages", "text/plain", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("what was kept is answered with %s", answer.Status)
	}
	answer, err = c.Get(users + answer.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("its receipt is answered with %s", answer.Status)
	}
}

// A folder of kept messages that the disk does not give back is no reason to leave the
// platform without its dike.
func TestTheEdgeStandsWithoutItsSpool(t *testing.T) {
	data := t.TempDir()
	folder := filepath.Join(data, spoolFolder)
	kept, err := spool.Open(folder, spool.Options{}) // makes its keys
	if err == nil {
		err = errors.Join(kept.Close(), os.Mkdir(filepath.Join(folder, "0000000000000001.spool"), 0o700))
	}
	if err != nil {
		t.Fatal(err)
	}
	s := standing(t, data, func(s *settings) { s.Spool.Keep = []spool.Route{{Route: "POST /messages"}} })
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Post("http://"+s.edge.Addrs()[0].String()+"/messages", "text/plain", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("a message to the platform is answered with %s", answer.Status)
	}
	if state := s.spoolState(); state == nil || state.Keeping {
		t.Errorf("the console says %+v: want that nothing is kept", state)
	}
}

// A platform that takes a message and is silent holds the end up for no longer than that may
// take. What became of the message nobody knows, and its state says so.
func TestKeepingStopsInTime(t *testing.T) {
	came := make(chan struct{})
	k := keepingFor(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.Copy(io.Discard, r.Body)
			close(came)
			<-r.Context().Done()
		}
	}).keeping
	id, _, err := k.store.Put(&spool.Message{
		Sender: spool.Sender{Pass: 1}, Route: k.routes.Load().Named("POST /messages"), Method: "POST", URI: "/messages", Host: "example.org",
		Client: netip.MustParseAddr("192.0.2.7"), Header: http.Header{}, Key: "key", Body: []byte("text"),
	})
	if err != nil {
		t.Fatal(err)
	}
	<-came
	if state := k.store.StateOf(id); state != spool.Delivering {
		t.Errorf("on its way: %s", state)
	}
	drain, over := context.WithCancel(t.Context())
	over()
	k.stop(drain)
	if state := k.store.StateOf(id); state != spool.Unconfirmed {
		t.Errorf("cut: %s", state)
	}
}

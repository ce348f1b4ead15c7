package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/deichproject/deich/spool"
)

// keepingFor stands in front of a platform and keeps messages for it.
func keepingFor(t *testing.T, origin http.HandlerFunc) *keeping {
	t.Helper()
	platform := httptest.NewServer(origin)
	t.Cleanup(platform.Close)
	return standing(t, t.TempDir(), func(c *settings) {
		c.Sites[0].Origins = []string{platform.URL}
		c.Spool.Keep = []spool.Route{{Route: "POST /messages"}}
	}).keeping
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
	})
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

// An answer that broke off is not whole: a search that was cut has not said that a message is not there.
func TestBrokenAnswerIsNotWhole(t *testing.T) {
	k := keepingFor(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
		if http.NewResponseController(w).Flush(); r.URL.RawQuery == "cut" {
			panic(http.ErrAbortHandler)
		}
	})
	for uri, whole := range map[string]bool{"/messages?whole": true, "/messages?cut": false} {
		a := k.send(t.Context(), &spool.Request{Method: "GET", URI: uri, Host: "example.org", Header: http.Header{}, Want: 1 << 10}, func() error { return nil })
		if a.Fate != spool.Answered || a.Status != http.StatusOK || string(a.Body) != "hello" || a.Whole != whole {
			t.Errorf("%s: %+v", uri, a)
		}
	}
}

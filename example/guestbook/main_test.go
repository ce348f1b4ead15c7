package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// stand runs the server as main does, until the test ends.
func stand(t *testing.T, data string) (address string, end func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l, data) }()
	return "http://" + l.Addr().String() + "/", func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("it does not end")
		}
	}
}

func read(t *testing.T, r *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A visitor signs the book, is given a pass, and is known by it after a restart.
func TestVisitorSignsAndIsKnown(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	visitor := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	defer visitor.CloseIdleConnections()
	data := t.TempDir()
	address, end := stand(t, data)
	r, err := visitor.PostForm(address, url.Values{"text": {"I was <here>"}})
	if body := read(t, r, err); r.StatusCode != 200 || !strings.Contains(body, "<li>I was &lt;here&gt;") {
		t.Errorf("%s %s", r.Status, body)
	}
	ask, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Accept", "text/html")
	r, err = visitor.Do(ask)
	read(t, r, err)
	site, _ := url.Parse(address)
	held := jar.Cookies(site)
	if len(held) == 0 || held[0].Name != "deich" {
		t.Fatalf("a browser was given no pass: %v", held)
	}
	r, err = visitor.Get(address + ".well-known/deich/challenge.js")
	if body := read(t, r, err); r.StatusCode != 200 || len(body) == 0 {
		t.Errorf("what Deich's own pages need: %s", r.Status)
	}
	visitor.CloseIdleConnections()
	end()

	// Forged passes are told so; this one is right, and nobody is given another.
	address, end = stand(t, data)
	defer end()
	ask, _ = http.NewRequest("GET", address, nil)
	ask.Header.Set("Accept", "text/html")
	ask.AddCookie(held[0])
	r, err = http.DefaultClient.Do(ask)
	read(t, r, err)
	if r.StatusCode != 200 || len(r.Cookies()) != 0 {
		t.Errorf("with the pass from before the restart: %s %v", r.Status, r.Cookies())
	}
	http.DefaultClient.CloseIdleConnections()
}

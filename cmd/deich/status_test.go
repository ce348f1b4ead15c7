package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/status"
)

// pageData is a data folder that tells the page something.
func pageData(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	b, err := json.Marshal(status.Document{Heard: time.Now(), Days: []status.Day{{Day: "2026-03-07"}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(data, status.File), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// serving has a command serve the page on loopback until stop, which gives what became of it.
func serving(t *testing.T, c *statusServeCommand, errs io.Writer) (page string, stop context.CancelFunc, ended chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- c.serve(ctx, &terminal{io.Discard, errs}, l) }()
	return "http://" + l.Addr().String(), stop, ended
}

// What is wrong with subscriptions costs them, and not the page; what is wrong with
// the flags is told who gave them.
func TestThePageIsServedWithoutSubscribers(t *testing.T) {
	for name, prepare := range map[string]func(c *statusServeCommand) error{
		"they are damaged": func(c *statusServeCommand) error {
			return os.WriteFile(filepath.Join(c.Data, "subscribers.json"), []byte("{"), 0o600)
		},
		"their key is damaged": func(c *statusServeCommand) error {
			return os.WriteFile(filepath.Join(c.Data, "subscribe.key"), []byte("key"), 0o600)
		},
		"another one tells them": func(c *statusServeCommand) error {
			lock, err := os.Create(filepath.Join(c.Data, subscribersLock))
			if err == nil {
				t.Cleanup(func() { lock.Close() })
				err = lockNow(lock)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &statusServeCommand{URL: "https://status.example.org/", Webhooks: true}
			c.Data = pageData(t)
			if err := prepare(c); err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			page, stop, ended := serving(t, c, &errs)
			for path, want := range map[string]int{"/": http.StatusOK, "/subscribe": http.StatusNotFound} {
				r, err := http.Get(page + path)
				if err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				if r.StatusCode != want {
					t.Errorf("%s: %s", path, r.Status)
				}
			}
			stop()
			if err := <-ended; err != nil || !strings.Contains(errs.String(), "nobody can subscribe") {
				t.Errorf("%v, %q", err, errs.String())
			}
		})
	}
	for want, c := range map[string]*statusServeCommand{
		"where the public finds the page": {Webhooks: true},
		"as in https://":                  {Webhooks: true, URL: "status.example.org"},
		"--from":                          {SMTP: "127.0.0.1:25", URL: "https://status.example.org/"},
	} {
		c.Data = pageData(t)
		_, stop, ended := serving(t, c, io.Discard)
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("it serves, and does not say %s", want)
		}
		stop()
	}
}

// The next page starts once the pid file is free: by then nobody tells the subscribers, also
// where a letter was on its way to a server that says nothing.
func TestThePidFileIsFreedLast(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	called := make(chan net.Conn, 1)
	go func() {
		if c, err := silent.Accept(); err == nil {
			called <- c
		}
	}()
	c := &statusServeCommand{URL: "https://status.example.org/", SMTP: silent.Addr().String(), From: "status@example.org", Child: true}
	c.Data = pageData(t)
	page, stop, ended := serving(t, c, io.Discard)
	r, err := http.PostForm(page+"/subscribe", url.Values{"mail": {"ada@example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	defer (<-called).Close()
	if p, _ := survivor(c.Data); p == nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s, or it holds no pid file", r.Status)
	}
	stop()
	for end := time.Now().Add(statusStartWait); ; time.Sleep(time.Millisecond) {
		if p, _ := survivor(c.Data); p == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not end in time")
		}
	}
	lock, err := os.OpenFile(filepath.Join(c.Data, subscribersLock), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if lockNow(lock) != nil {
		t.Error("the next one may start, and this one tells the subscribers still")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

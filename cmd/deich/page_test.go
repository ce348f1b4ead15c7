package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// pageFor has a page be served in a data folder of its own until the test ends; heard is
// closed when its terminal is told words.
func pageFor(t *testing.T, words string, want statusServeCommand) (k *pageKeeper, heard chan struct{}) {
	t.Helper()
	said := &signalled{words: words, heard: make(chan struct{})}
	want.Listen, want.Data = "127.0.0.1:0", t.TempDir()
	k, err := openPage(&want, &terminal{io.Discard, said})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.end() })
	if err := k.start(); err != nil {
		t.Fatal(err)
	}
	return k, said.heard
}

// A page whose process was killed is served again, at the same place, and that is said.
func TestPageIsStartedAnew(t *testing.T) {
	k, heard := pageFor(t, "was started anew", statusServeCommand{})
	first := k.serving
	ctx, stop := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { k.keep(ctx) })
	first.process.Kill()
	<-heard
	stop()
	keeping.Wait()
	if k.serving == nil || k.serving.process.Pid == first.process.Pid || k.serving.address != first.address {
		t.Fatalf("%+v after %+v", k.serving, first)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + first.address + "/")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
}

// A page that cannot read its mail server's password is served all the same, and says so.
func TestPageGoesWithoutMail(t *testing.T) {
	k, heard := pageFor(t, "subscribers by e-mail are told nothing until this is right: mail: the password: open ", statusServeCommand{
		URL: "https://status.example.org/", SMTP: "127.0.0.1:1", From: "status@example.org", SMTPUser: "status", Password: filepath.Join(t.TempDir(), "none"),
	})
	<-heard
	if k.serving == nil {
		t.Error("there is none")
	}
}

// A page's process is found by the lock that it holds, not by what a file says.
func TestSurvivorHoldsItsLock(t *testing.T) {
	data := t.TempDir()
	name := filepath.Join(data, statusPidFile)
	if p, _ := survivor(data); p != nil {
		t.Error("without a file there is one")
	}
	lock, err := takePidFile(name, ":2021", "[::]:2021")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takePidFile(name, ":2022", "[::]:2022"); err == nil {
		t.Error("two serve one data folder")
	}
	p, listen := survivor(data)
	if p == nil || p.process.Pid != os.Getpid() || listen != ":2021" || p.address != "[::]:2021" || !p.before {
		t.Errorf("%+v, %q", p, listen)
	}
	lock.Close()
	if p, _ := survivor(data); p != nil {
		t.Error("a file that nobody locks names a living process")
	}
}

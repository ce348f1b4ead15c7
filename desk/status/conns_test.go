package status

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// from is a connection of somebody.
type from struct {
	net.Conn
	address string
}

func (f from) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", f.address)
	if err != nil {
		panic(err)
	}
	return a
}

func (f from) Close() error { return nil }

// Whoever takes the places loses them: first what waits longest, and a proxy with all
// readers behind it no request that is being answered.
func TestPlacesAreMade(t *testing.T) {
	for _, c := range []struct {
		name string
		open []string // in order of time; * is busy
		want string   // which one is closed for one more
	}{
		{"one address has all", []string{"198.51.100.1:1", "198.51.100.1:2", "198.51.100.1:3", "198.51.100.1:4"}, "198.51.100.1:1"},
		{"one has most, and came last", []string{"198.51.100.7:1", "198.51.100.8:1", "198.51.100.1:1", "198.51.100.1:2"}, "198.51.100.1:1"},
		{"one has most, and is answered", []string{"198.51.100.7:1", "198.51.100.8:1", "198.51.100.1:1*", "198.51.100.1:2"}, "198.51.100.1:2"},
		{"it takes no answer", []string{"198.51.100.7:1", "198.51.100.8:1", "198.51.100.1:1*", "198.51.100.1:2*"}, "198.51.100.1:1"},
		{"all have one", []string{"198.51.100.7:1*", "198.51.100.8:1", "198.51.100.1:1", "198.51.100.9:1*"}, "198.51.100.8:1"},
		{"a network of IPv6 is one", []string{"198.51.100.7:1", "[2001:db8::1]:1", "198.51.100.9:1", "[2001:db8::2]:1"}, "[2001:db8::1]:1"},
		{"IPv4 in IPv6 is IPv4", []string{"[::ffff:198.51.100.7]:1", "[::ffff:198.51.100.8]:1", "198.51.100.9:1", "198.51.100.9:2"}, "198.51.100.9:1"},
	} {
		s := newConns(nil, len(c.open))
		var answered []*conn
		for _, address := range c.open {
			is, busy := strings.CutSuffix(address, "*")
			if one, _ := s.add(from{address: is}); busy {
				answered = append(answered, one)
			}
		}
		for _, one := range answered {
			s.state(one, http.StateActive)
		}
		_, out := s.add(from{address: "198.51.100.99:1"})
		if got := out.Conn.(from).address; got != c.want {
			t.Errorf("%s: %s is closed, want %s", c.name, got, c.want)
		}
		out.Close()
		for len(s.open) > 0 {
			s.open[0].Close()
		}
		if len(s.sources) != 0 {
			t.Errorf("%s: %d are left", c.name, len(s.sources))
		}
	}
}

// Somebody who takes all places, and asks for nothing more, keeps nobody from the page.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, full())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serverAt(dir, now).Serve(ctx, l) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for range connsMax { // as many as one laptop likes
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "HEAD /badge.svg HTTP/1.1\r\nHost: a\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "HEAD"})
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	reader := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 3 {
		r, err := reader.Get("http://" + l.Addr().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 200 {
			t.Error(r.Status)
		}
	}
}

// What was begun when the server ends is ended.
func TestServeEndsWhatItBegan(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, full())
	p := newPublicPage(t, dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const body = "mail=ada%40example.org"
	fmt.Fprintf(c, "POST /subscribe HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // it waits for the rest
		t.Fatalf("%q, %v", line, err)
	}
	stop()
	select {
	case err := <-ended:
		t.Fatalf("it ended while a request was open: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	fmt.Fprint(c, body)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	r.ReadString('\n')
	if a, err := http.ReadResponse(r, nil); err != nil || a.StatusCode != 200 {
		t.Errorf("%v, %v", a, err)
	}
	p.s.all.Wait()
}

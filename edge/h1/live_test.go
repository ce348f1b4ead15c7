package h1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// live serves on a socket until the test ends; then nothing of it must be left.
type live struct {
	*Server
	t      *testing.T
	l      net.Listener
	secure *tls.Config
	all    sync.WaitGroup
	hooks  chan http.ConnState
}

func serve(t *testing.T, s *Server, secure ...*tls.Config) *live {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.HeaderBytes == 0 {
		s.HeaderBytes = differHeader
	}
	if s.Log == nil {
		s.Log = log.New(io.Discard, "", 0)
	}
	v := &live{Server: s, t: t, l: l, hooks: make(chan http.ConnState, 1000)}
	for _, each := range secure {
		v.secure = each
	}
	v.all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			v.all.Go(func() { v.one(nc) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		end := time.Now().Add(patience)
		for s.Drain() > 0 {
			if time.Now().After(end) {
				b := make([]byte, 1<<20)
				t.Fatalf("connections are left\n%s", b[:runtime.Stack(b, true)])
			}
			time.Sleep(time.Millisecond)
		}
		v.all.Wait()
		if s.watcher != nil {
			t.Error("the watcher is left")
		}
	})
	return v
}

func (v *live) one(nc net.Conn) {
	var state *tls.ConnectionState
	if v.secure != nil {
		c := tls.Server(nc, v.secure)
		if c.Handshake() != nil {
			nc.Close()
			return
		}
		cs := c.ConnectionState()
		nc, state = c, &cs
	}
	v.Serve(context.Background(), nc, state, func(to http.ConnState) {
		select {
		case v.hooks <- to:
		default: // nobody looks
		}
	})
}

func (v *live) dial() *client {
	nc, err := net.Dial("tcp", v.l.Addr().String())
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return &client{Conn: nc, t: v.t, br: bufio.NewReader(nc)}
}

type client struct {
	net.Conn
	t  *testing.T
	br *bufio.Reader
}

func (c *client) say(s string) {
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Errorf("writing: %v", err)
	}
}

// hear reads an answer.
func (c *client) hear() (status int, body string) {
	r, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Errorf("reading: %v", err)
		return 0, ""
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Errorf("reading a body: %v", err)
	}
	return r.StatusCode, string(b)
}

// over waits until the server has closed.
func (c *client) over() {
	c.t.Helper()
	if b, err := io.ReadAll(c.br); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("%q and %v, want the end", b, err)
	}
}

func arrives[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("it does not come")
	}
	return v
}

const ask = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// Who has left is not worked for any more.
func TestLeavers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	type leaving struct {
		name  string
		ask   string
		leave func(nc net.Conn, tcp *net.TCPConn)
	}
	breaks := func(_ net.Conn, tcp *net.TCPConn) { tcp.SetLinger(0); tcp.Close() }
	closes := func(nc net.Conn, _ *net.TCPConn) { nc.Close() }
	for _, c := range []leaving{
		{"closes", ask, closes},
		{"ends its side", ask, func(_ net.Conn, tcp *net.TCPConn) { tcp.CloseWrite() }},
		{"breaks", ask, breaks},
		{"closes after a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345", closes},
		{"breaks with a request ahead", ask + ask, breaks},
	} {
		for _, how := range []string{"done", "after", "child"} {
			for _, secured := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, " ", how, " ", secured), func(t *testing.T) {
					begun, ended := make(chan bool, 10), make(chan bool, 10)
					s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						io.Copy(io.Discard, r.Body)
						var gone <-chan struct{}
						switch how {
						case "done":
							gone = r.Context().Done()
						case "after":
							told := make(chan struct{})
							context.AfterFunc(r.Context(), func() { close(told) })
							gone = told
						default:
							ctx, cancel := context.WithCancel(r.Context())
							defer cancel()
							gone = ctx.Done()
						}
						if r.URL.Path == "/warm" {
							return
						}
						begun <- true
						select {
						case <-gone:
							ended <- r.Context().Err() != nil
						case <-time.After(patience):
							ended <- false
						}
					})}
					v := serve(t, s, certified(t, secured)...)
					nc, tcp := v.open()
					io.WriteString(nc, "GET /warm HTTP/1.1\r\nHost: a\r\n\r\n")
					r, err := http.ReadResponse(bufio.NewReader(nc), nil)
					if err != nil {
						t.Fatal(err)
					}
					r.Body.Close()
					io.WriteString(nc, c.ask)
					arrives(t, begun)
					c.leave(nc, tcp)
					if !arrives(t, ended) {
						t.Error("it is not noticed")
					}
				})
			}
		}
	}
}

// certified gives a server's configuration, if it is to be secured.
func certified(t *testing.T, secured bool) []*tls.Config {
	if !secured {
		return nil
	}
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	return []*tls.Config{{Certificates: s.TLS.Certificates}}
}

// open connects, over TLS where that is served.
func (v *live) open() (nc net.Conn, tcp *net.TCPConn) {
	c := v.dial()
	tcp = c.Conn.(*net.TCPConn)
	if v.secure == nil {
		return tcp, tcp
	}
	return tls.Client(tcp, &tls.Config{InsecureSkipVerify: true}), tcp
}

// Requests that were sent ahead are answered although their client has ended its side.
func TestSentAhead(t *testing.T) {
	served := 0
	v := serve(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served++; served == 3 {
			return // of the last one it has left
		}
		select {
		case <-r.Context().Done():
			t.Errorf("request %d is taken for one whose client has left", served)
		case <-time.After(50 * time.Millisecond):
		}
	})})
	nc, tcp := v.open()
	io.WriteString(nc, ask+ask+ask)
	tcp.CloseWrite()
	br := bufio.NewReader(nc)
	for n := range 3 {
		r, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		r.Body.Close()
	}
}

// Nobody is watched whom nobody asks about.
func TestNotWatched(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Err() != nil {
			t.Error("it has ended")
		}
	})}
	v := serve(t, s)
	c := v.dial()
	c.say(ask)
	c.hear()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watcher != nil {
		t.Error("there is a watcher")
	}
}

// A client that takes too long is closed.
func TestTooLong(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	for name, c := range map[string]struct {
		s   *Server
		say []string
	}{
		"nothing comes":           {&Server{ReadHeader: 50 * time.Millisecond}, nil},
		"half a header":           {&Server{ReadHeader: 50 * time.Millisecond}, []string{"GET / HTTP/1.1\r\nHost: a\r\n"}},
		"half of the second":      {&Server{ReadHeader: 50 * time.Millisecond, Idle: time.Hour}, []string{ask, "GET / HTTP/1.1\r\n"}},
		"half of the second sent": {&Server{ReadHeader: 50 * time.Millisecond, Idle: time.Hour}, []string{ask + "GET / HTTP/1.1\r\n"}},
		"it rests":                {&Server{Idle: 50 * time.Millisecond}, []string{ask, ask, ask}},
		"it rests at once":        {&Server{Idle: 50 * time.Millisecond}, []string{ask + ask + ask}},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.s
			s.Handler = ok
			v := serve(t, s)
			nc := v.dial()
			for _, say := range c.say {
				nc.say(say)
				for range strings.Count(say, ask) {
					nc.hear()
				}
			}
			nc.over()
		})
	}
}

// A handler may take longer than a connection may rest, and a body longer than a header.
func TestNotTooLong(t *testing.T) {
	v := serve(t, &Server{ReadHeader: 100 * time.Millisecond, Idle: 100 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		time.Sleep(150 * time.Millisecond)
		fmt.Fprintf(w, "%s %v", b, err)
	})})
	c := v.dial()
	for range 2 {
		c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
		time.Sleep(150 * time.Millisecond)
		c.say("345")
		if _, body := c.hear(); body != "12345 <nil>" {
			t.Errorf("%q", body)
		}
	}
}

// A handler's deadlines end with its request.
func TestDeadlines(t *testing.T) {
	v := serve(t, &Server{Idle: time.Hour, ReadHeader: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		control.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		if r.ContentLength > 0 {
			if _, err := io.ReadAll(r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			control.SetWriteDeadline(time.Time{})
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})})
	c := v.dial()
	for range 2 {
		c.say(ask)
		c.hear()
		time.Sleep(100 * time.Millisecond)
	}
	c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
	if status, _ := c.hear(); status != http.StatusRequestTimeout {
		t.Errorf("%d", status)
	}
	c.over()
}

// Who rests is closed at once when the server drains, who asked is answered first.
func TestDrain(t *testing.T) {
	begun, go_ := make(chan bool), make(chan bool)
	s := &Server{Idle: time.Hour, ReadHeader: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- true
			<-go_
		}
		io.WriteString(w, "ok")
	})}
	v := serve(t, s)
	rests, works, fresh := v.dial(), v.dial(), v.dial()
	rests.say(ask)
	rests.hear()
	arrives(t, v.hooks)
	arrives(t, v.hooks) // idle
	works.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	arrives(t, begun)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.open)
		s.mu.Unlock()
		if n == 3 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections", n)
		}
	}
	s.Drain()
	rests.over()
	if left := s.Drain(); left != 2 {
		t.Errorf("%d are left", left)
	}
	go_ <- true
	r, err := http.ReadResponse(works.br, nil)
	if err != nil || !r.Close {
		t.Fatalf("%v %v", r, err)
	}
	io.Copy(io.Discard, r.Body)
	works.over()
	begin := time.Now()
	for s.Drain() > 0 && time.Since(begin) < patience {
		time.Sleep(10 * time.Millisecond)
	}
	fresh.over()
	if d := time.Since(begin); d < freshFor/2 {
		t.Errorf("one that may have asked was given %v", d)
	}
}

// A handler may take the connection, with what has come.
func TestHijack(t *testing.T) {
	v := serve(t, &Server{Idle: 50 * time.Millisecond, ReadHeader: 50 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Context().Done()
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("%v", err)
		}
		if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("twice")
		}
		time.Sleep(100 * time.Millisecond)
		line, err := rw.ReadString('\n')
		fmt.Fprintf(rw, "%s%v", line, err)
		rw.Flush()
	})})
	c := v.dial()
	c.say(ask + "hel")
	time.Sleep(20 * time.Millisecond)
	c.say("lo\n")
	if b, err := io.ReadAll(c); string(b) != "hello\n<nil>" {
		t.Errorf("%q %v", b, err)
	}
	arrives(t, v.hooks)
	if to := arrives(t, v.hooks); to != http.StateHijacked {
		t.Errorf("%v", to)
	}
}

// A client that asks first is told to go on when its body is wanted, and not before.
func TestContinue(t *testing.T) {
	asked := make(chan bool)
	v := serve(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		<-asked
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	})})
	head := "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	c := v.dial()
	c.say(fmt.Sprintf(head, "/"))
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := c.br.Peek(1); err == nil {
		t.Errorf("it is told %q at once", b)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	asked <- true
	if line, err := c.br.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	c.br.ReadString('\n')
	c.say("12345")
	if _, body := c.hear(); body != "12345" {
		t.Errorf("%q", body)
	}
	c.say(fmt.Sprintf(head, "/no"))
	if status, _ := c.hear(); status != http.StatusForbidden {
		t.Errorf("%d", status)
	}
	c.over()
}

// Who is refused and goes on sending a byte at a time gets its answer, and holds
// nothing for longer than discardFor.
func TestRefusedAndSlow(t *testing.T) {
	v := serve(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
	})})
	c := v.dial()
	c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
	heard := make(chan int, 1)
	go func() {
		status, _ := c.hear()
		heard <- status
	}()
	each := time.NewTicker(100 * time.Millisecond)
	defer each.Stop()
	for late := time.After(4 * discardFor); ; {
		select {
		case status := <-heard:
			if status != http.StatusTooManyRequests {
				t.Fatalf("it was told %d", status)
			}
			return
		case <-each.C:
			_, _ = c.Write([]byte("x"))
		case <-late:
			t.Fatal("it holds its connection, and has no answer")
		}
	}
}

// A handler that wants the rest of a body for a shorter time than discardFor is heeded.
func TestRefusedForAShortTime(t *testing.T) {
	for name, c := range map[string]struct{ by, within time.Duration }{
		"sooner": {200 * time.Millisecond, discardFor / 2},
		"later":  {time.Hour, 2 * discardFor},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := serve(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.NewResponseController(w).SetReadDeadline(time.Now().Add(c.by))
				w.WriteHeader(http.StatusTooManyRequests)
			})})
			nc := v.dial()
			begun := time.Now()
			nc.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1")
			if status, _ := nc.hear(); status != http.StatusTooManyRequests {
				t.Errorf("it was told %d", status)
			}
			if took := time.Since(begun); took > c.within {
				t.Errorf("after %v, want at most %v", took, c.within)
			}
			nc.over()
		})
	}
}

// An answer that is given before the request has come whole arrives, although the
// client sends on.
func TestEarlyAnswer(t *testing.T) {
	v := serve(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})})
	for n := range 20 {
		c := v.dial()
		c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
		for range 20 {
			if _, err := c.Write(make([]byte, 10<<10)); err != nil {
				break
			}
		}
		if status, _ := c.hear(); status != http.StatusRequestEntityTooLarge {
			t.Fatalf("%d: %d", n, status)
		}
		c.Close()
	}
}

// A handler that panics, or ends its goroutine, ends its connection and nothing else.
func TestPanics(t *testing.T) {
	said := new(strings.Builder)
	var mu sync.Mutex
	v := serve(t, &Server{Log: log.New(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return said.Write(b)
	}), "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("as asked")
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/exit":
			runtime.Goexit()
		}
	})})
	for _, path := range []string{"/panic", "/abort", "/exit"} {
		c := v.dial()
		c.say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		c.over()
	}
	c := v.dial()
	c.say(ask)
	c.hear()
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(said.String(), "as asked"); n != 1 || strings.Contains(said.String(), "abort") {
		t.Errorf("%s", said)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// The context that connections come from ends their requests.
func TestOuterContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	client, server := net.Pipe()
	defer client.Close()
	ended := make(chan error, 1)
	s := &Server{HeaderBytes: differHeader, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		select {
		case <-r.Context().Done():
			ended <- r.Context().Err()
		case <-time.After(patience):
			ended <- nil
		}
		panic(http.ErrAbortHandler)
	})}
	go io.WriteString(client, ask)
	s.Serve(ctx, server, nil, func(http.ConnState) {})
	if err := <-ended; err == nil {
		t.Error("it does not")
	}
}

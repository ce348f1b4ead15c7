package h2

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// What ended a connection is told, though its client had sent more.
func TestErrorsArrive(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) {})
	c := dial(t, s)
	c.seen()
	junk := append([]byte{0, 0, 1, FrameData, 0, 0, 0, 0, 0, 0}, make([]byte, 100<<10)...)
	if _, err := c.nc.Write(junk); err != nil {
		t.Fatal(err)
	}
	for {
		f, ok := c.read().(*http2.GoAwayFrame)
		if ok && f.ErrCode == http2.ErrCodeProtocol {
			break
		}
	}
	c.nc.Close()
	c.ended()
}

// It is told where a handler writes just then, too.
func TestErrorsArriveBesideAnAnswer(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 10_000)) })
	c, d := dialDam(t, s)
	d.set(true)
	c.open(true, get()...)
	k := onlyConn(t, s)
	within(t, "a handler that writes", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.writing
	})
	c.fr.WriteData(0, false, nil)
	within(t, "its end", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.err != nil && len(k.out) > 0
	})
	d.set(false)
	for {
		if f, ok := c.read().(*http2.GoAwayFrame); ok && f.ErrCode == http2.ErrCodeProtocol {
			return
		}
	}
}

// No SETTINGS, another beginning, and HTTP/1 are told apart from silence.
func TestGreetings(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) {})
	for name, say := range map[string]func(c *client){
		"HTTP/1":       func(c *client) { io.WriteString(c.nc, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n") },
		"no SETTINGS":  func(c *client) { io.WriteString(c.nc, Preface); c.fr.WritePing(false, [8]byte{}) },
		"an ACK first": func(c *client) { io.WriteString(c.nc, Preface); c.fr.WriteSettingsAck() },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pair(t)
			c := connect(t, s, ours, theirs)
			say(c)
			if r := c.answer(1); r.gone == nil || r.gone.ErrCode != http2.ErrCodeProtocol {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Who does not greet has greetWithin, and who asks nothing Server.Idle.
func TestSilentClientsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Handler: http.NotFoundHandler(), StreamsMax: 10, HeaderBytes: 1 << 10, Idle: 30 * time.Second}
		for _, greets := range []bool{false, true} {
			ours, theirs := net.Pipe()
			begun := time.Now()
			read := make(chan []byte)
			go func() {
				b, _ := io.ReadAll(ours)
				read <- b
			}()
			go func() {
				if greets {
					io.WriteString(ours, Preface)
					http2.NewFramer(ours, nil).WriteSettings()
				}
			}()
			s.Serve(context.Background(), theirs, nil, func(http.ConnState) {})
			took, want := time.Since(begun), greetWithin
			if greets {
				want = s.Idle
			}
			if took < want || took > want+lingerMost {
				t.Errorf("greets %v: it took %v", greets, took)
			}
			b := <-read
			goaway := appendHead(nil, 8, FrameGoAway, 0, 0)
			if bytes.Contains(b, goaway) != greets {
				t.Errorf("greets %v: it read %q", greets, b)
			}
			ours.Close()
		}
	})
}

// Drain lets requests end, takes those that were under way, and closes so that all of
// the last answer arrives.
func TestDrain(t *testing.T) {
	const size = 400_000
	release := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Slow") != "" {
			<-release
		}
		w.Write(make([]byte, size))
	})
	c := dial(t, s, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	c.fr.WriteWindowUpdate(0, 1<<30)
	slow := c.open(true, get("x-slow", "1")...)
	c.seen()
	k := onlyConn(t, s)
	s.Drain()
	if r := c.answer(c.open(true, get()...)); len(r.body) != size || r.gone == nil || r.gone.LastStreamID != 1<<31-1 {
		t.Fatalf("a request under way: %d bytes, %v", len(r.body), r.gone)
	}
	within(t, "the end of its patience", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.deaf
	})
	late := c.open(true, get()...)
	close(release)
	within(t, "the last written", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.streams) == 0 && !k.writing && len(k.out) == 0
	})
	got, last := 0, uint32(0)
	for {
		f, err := c.fr.ReadFrame()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		switch f := f.(type) {
		case *http2.DataFrame:
			if f.StreamID == late {
				t.Error("a request was answered after the end")
			}
			if f.StreamID == slow {
				got += len(f.Data())
			}
			c.fr.WriteWindowUpdate(0, 1) // which a closed connection would answer by RST
		case *http2.GoAwayFrame:
			last = f.LastStreamID
		}
	}
	if got != size || last != late-2 {
		t.Errorf("%d bytes of %d; GOAWAY named %d", got, size, last)
	}
	c.ended()
	a, b := pair(t)
	defer a.Close()
	s.Serve(context.Background(), b, nil, func(http.ConnState) {})
	if _, err := a.Read(make([]byte, 1)); err == nil {
		t.Error("a connection after the end is served")
	}
}

// A connection that is drained before it has greeted begins with SETTINGS.
func TestDrainBeforeTheGreeting(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) {})
	_, theirs := pair(t)
	c := newConn(s, context.Background(), theirs, nil, func(http.ConnState) {})
	c.mu.Lock()
	c.part()
	out := bytes.Clone(c.out)
	c.mu.Unlock()
	if len(out) > 0 && out[3] != FrameSettings {
		t.Errorf("it begins with %x", out[:HeadBytes])
	}
	theirs.Close()
}

// Handlers that are idle go, one tick after another.
func TestIdleHandlersGo(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) {})
	c := dial(t, s)
	for range 10 {
		c.answer(c.open(true, get()...))
	}
	within(t, "nobody", func() bool {
		s.Tick()
		s.handlers.mu.Lock()
		defer s.handlers.mu.Unlock()
		return len(s.handlers.idle) == 0
	})
	if r := c.answer(c.open(true, get()...)); r.status != "200" {
		t.Errorf("%+v", r)
	}
}

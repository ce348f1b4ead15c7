package h2

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// newServer gives a server for tests. Its goroutines must be gone once it is
// drained and its connections are closed.
func newServer(t testing.TB, handle http.HandlerFunc) *Server {
	s := &Server{Handler: handle, StreamsMax: 100, HeaderBytes: 32 << 10, Log: log.New(io.Discard, "", 0)}
	t.Cleanup(func() {
		s.Drain()
		for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			b := make([]byte, 1<<20)
			b = b[:runtime.Stack(b, true)]
			if !bytes.Contains(b, []byte("h2.(*handlers).loop")) && !bytes.Contains(b, []byte("h2.(*conn)")) {
				return
			}
			if time.Now().After(end) {
				t.Errorf("goroutines are left:\n%s", b)
				return
			}
		}
	})
	return s
}

// client speaks HTTP/2 frame by frame. Not safe for concurrent use.
type client struct {
	t    testing.TB
	nc   net.Conn
	fr   *http2.Framer
	buf  bytes.Buffer
	enc  *hpack.Encoder
	next uint32
	over chan struct{} // Serve has returned
}

// pair gives both ends of a connection over loopback.
func pair(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ours, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// connect has s serve a connection; nothing has been said on it yet.
func connect(t testing.TB, s *Server, ours, theirs net.Conn) *client {
	t.Helper()
	c := &client{t: t, nc: ours, fr: http2.NewFramer(ours, ours), next: 1, over: make(chan struct{})}
	c.fr.AllowIllegalWrites = true
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.fr.MaxHeaderListSize = 1 << 20
	c.enc = hpack.NewEncoder(&c.buf)
	ours.SetDeadline(time.Now().Add(patience))
	go func() {
		defer close(c.over)
		s.Serve(context.Background(), theirs, nil, func(http.ConnState) {})
	}()
	t.Cleanup(func() {
		ours.Close()
		c.ended()
	})
	return c
}

// dial greets a server.
func dial(t testing.TB, s *Server, settings ...http2.Setting) *client {
	t.Helper()
	ours, theirs := pair(t)
	c := connect(t, s, ours, theirs)
	c.greet(settings...)
	return c
}

func (c *client) greet(settings ...http2.Setting) {
	c.t.Helper()
	io.WriteString(c.nc, Preface)
	c.fr.WriteSettings(settings...)
	f := c.read()
	if set, ok := f.(*http2.SettingsFrame); !ok || set.IsAck() {
		c.t.Fatalf("the server begins with %v", f)
	}
	c.fr.WriteSettingsAck()
}

// ended waits until the server has let go of the connection.
func (c *client) ended() {
	c.t.Helper()
	select {
	case <-c.over:
	case <-time.After(patience):
		c.t.Error("the connection does not end")
	}
}

// block encodes a header: names and values in turn.
func (c *client) block(fields ...string) []byte {
	c.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(c.buf.Bytes())
}

// get is a GET's header, with more.
func get(more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/"}, more...)
}

// post is a POST's.
func post(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "https", ":authority", "a.example", ":path", "/"}, more...)
}

// open begins a request.
func (c *client) open(end bool, fields ...string) uint32 {
	id := c.next
	c.next += 2
	c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block(fields...), EndStream: end, EndHeaders: true})
	return id
}

// read gives the next frame that says something of a stream or ends the connection.
func (c *client) read() http2.Frame {
	c.t.Helper()
	f, err := c.fr.ReadFrame()
	if err != nil {
		c.t.Fatalf("reading: %v (%v)", err, c.fr.ErrorDetail())
	}
	return f
}

// reply is what came of a request.
type reply struct {
	status  string
	informs []string            // 1xx
	header  map[string][]string // as it was written
	body    []byte
	trailer map[string][]string
	ended   bool // by END_STREAM
	reset   bool
	code    http2.ErrCode
	gone    *http2.GoAwayFrame
	closed  bool // the connection
}

func headerOf(f *http2.MetaHeadersFrame) map[string][]string {
	h := make(map[string][]string)
	for _, f := range f.RegularFields() {
		h[f.Name] = append(h[f.Name], f.Value)
	}
	return h
}

// answer reads what comes of a stream, until it or the connection ends. Every DATA
// frame gives its windows back.
func (c *client) answer(id uint32) (r reply) {
	c.t.Helper()
	for {
		f, err := c.fr.ReadFrame()
		if err != nil {
			r.closed = true
			return r
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			r.gone = f
			if f.ErrCode != 0 {
				return r
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				r.reset, r.code = true, f.ErrCode
				return r
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID != id {
				continue
			}
			switch status := f.PseudoValue("status"); {
			case strings.HasPrefix(status, "1"):
				r.informs = append(r.informs, status)
			case r.status == "":
				r.status, r.header = status, headerOf(f)
			default:
				r.trailer = headerOf(f)
			}
			r.ended = f.StreamEnded()
		case *http2.DataFrame:
			if n := len(f.Data()); n > 0 {
				c.fr.WriteWindowUpdate(0, uint32(n))
				c.fr.WriteWindowUpdate(f.StreamID, uint32(n))
			}
			if f.StreamID == id {
				r.body = append(r.body, f.Data()...)
				r.ended = f.StreamEnded()
			}
		}
		if r.ended {
			return r
		}
	}
}

// seen waits until the server has seen all that was sent.
func (c *client) seen() {
	c.t.Helper()
	c.fr.WritePing(false, [8]byte{7})
	for {
		if f, ok := c.read().(*http2.PingFrame); ok && f.IsAck() {
			return
		}
	}
}

// within waits for a state.
func within(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not reached: %s", what)
		}
	}
}

// onlyConn gives the server's side of its only connection.
func onlyConn(t testing.TB, s *Server) *conn {
	t.Helper()
	var found *conn
	within(t, "a connection", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.open {
			found = c
		}
		return found != nil
	})
	return found
}

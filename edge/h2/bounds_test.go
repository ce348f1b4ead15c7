package h2

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// dam is a connection whose other end takes nothing while it is shut.
type dam struct {
	net.Conn
	mu   sync.Mutex
	open *sync.Cond
	shut bool
	gone bool
}

func (d *dam) Write(p []byte) (int, error) {
	d.mu.Lock()
	for d.shut && !d.gone {
		d.open.Wait()
	}
	d.mu.Unlock()
	return d.Conn.Write(p)
}

func (d *dam) set(shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = shut
	d.open.Broadcast()
}

func (d *dam) Close() error {
	d.mu.Lock()
	d.gone = true
	d.open.Broadcast()
	d.mu.Unlock()
	return d.Conn.Close()
}

// dialDam greets a server over a connection that can be shut.
func dialDam(t *testing.T, s *Server, settings ...http2.Setting) (*client, *dam) {
	ours, theirs := pair(t)
	d := &dam{Conn: theirs}
	d.open = sync.NewCond(&d.mu)
	c := connect(t, s, ours, d)
	c.greet(settings...)
	c.seen()
	return c, d
}

// A client that asks and does not read has no more held than outMost and
// replyMost, whatever it asks for; it is ended, or its requests wait.
func TestWhoDoesNotReadIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name string
		send func(c *client)
	}{
		{"answers without a body", func(c *client) { c.open(true, get()...) }},
		{"HEAD", func(c *client) {
			c.open(true, ":method", "HEAD", ":scheme", "https", ":authority", "a.example", ":path", "/")
		}},
		{"hints", func(c *client) { c.open(true, get("x-hints", "1")...) }},
		{"pings", func(c *client) { c.fr.WritePing(false, [8]byte{}) }},
		{"settings", func(c *client) { c.fr.WriteSettings() }},
		{"aborted", func(c *client) { c.open(true, get("x-abort", "1")...) }},
		{"refused", func(c *client) { c.open(true, ":method", "GET") }},
		{"continues", func(c *client) {
			c.fr.WriteRSTStream(c.open(false, post("expect", "100-continue")...), http2.ErrCodeCancel)
		}},
		{"uploads that are not read", func(c *client) { c.open(false, post()...) }},
		{"priorities of themselves", func(c *client) { c.fr.WritePriority(1, http2.PriorityParam{StreamDep: 1}) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Header.Get("X-Abort") != "":
					panic(http.ErrAbortHandler)
				case r.Header.Get("X-Hints") != "":
					for range 5 {
						w.Header()["Link"] = []string{"</a>"}
						w.WriteHeader(http.StatusEarlyHints)
					}
				case r.Method == "POST" && r.ContentLength != 0:
					io.Copy(io.Discard, io.LimitReader(r.Body, 1))
				}
				w.Header()["X-Long"] = []string{strings.Repeat("x", 300)}
				w.WriteHeader(http.StatusNoContent)
			})
			c, d := dialDam(t, s)
			k := onlyConn(t, s)
			d.set(true)
			most := 0
			const rounds = 20_000
			for i := range rounds {
				tc.send(c)
				if i%50 != 0 {
					continue
				}
				k.mu.Lock()
				most = max(most, cap(k.out))
				over := k.err != nil
				waits, runs, streams := len(k.waiting), k.running, len(k.streams)
				k.mu.Unlock()
				if waits > s.StreamsMax || runs > s.StreamsMax || streams > s.StreamsMax {
					t.Fatalf("%d requests wait and %d run of %d that may be open", waits, runs, s.StreamsMax)
				}
				if over {
					break
				}
			}
			within(t, "an end, or the last request", func() bool {
				k.mu.Lock()
				defer k.mu.Unlock()
				return k.err != nil || c.next > 1 && k.last == c.next-2
			})
			k.mu.Lock()
			most = max(most, cap(k.out))
			k.mu.Unlock()
			if most > 3*(outMost+replyMost) {
				t.Errorf("%d bytes are held for a client that does not read", most)
			}
			d.set(false)
		})
	}
}

// Requests that are reset while those before still run are let go.
func TestResetRequestsAreLetGo(t *testing.T) {
	began, release := make(chan struct{}, 500), make(chan struct{})
	var ran sync.WaitGroup
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		ran.Add(1)
		defer ran.Done()
		began <- struct{}{}
		<-release
	})
	s.StreamsMax = 4
	c := dial(t, s)
	for range s.StreamsMax {
		id := c.open(true, get()...)
		<-began
		c.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	for range 500 {
		c.fr.WriteRSTStream(c.open(true, get("x-long", strings.Repeat("x", 5000))...), http2.ErrCodeCancel)
	}
	c.seen()
	k := onlyConn(t, s)
	k.mu.Lock()
	if k.running != 4 || len(k.waiting) != 0 || len(k.streams) != 0 {
		t.Errorf("%d run, %d wait, %d are open", k.running, len(k.waiting), len(k.streams))
	}
	k.mu.Unlock()
	id := c.open(true, get()...)
	close(release)
	if r := c.answer(id); r.status != "200" {
		t.Errorf("the request after them: %+v", r)
	}
	ran.Wait()
}

func TestNamesAreBounded(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) {})
	c := dial(t, s)
	for i := range 2 * namesMost {
		for _, long := range []string{"", strings.Repeat("x", 10_000)} {
			if r := c.answer(c.open(true, get(fmt.Sprintf("x-%d%s", i, long), "1")...)); r.status != "200" {
				t.Fatalf("%+v", r)
			}
		}
	}
	k := onlyConn(t, s)
	c.nc.Close()
	c.ended()
	size := 0
	for name := range k.names {
		size += len(name)
	}
	if len(k.names) != namesMost || size > namesMost*nameMost {
		t.Errorf("%d names of %d bytes are kept", len(k.names), size)
	}
}

// What a stream's body held is let go once it is read.
func TestBodiesBuffersShrink(t *testing.T) {
	for _, left := range []int{0, 1} {
		st := new(stream)
		st.readable = make(chan struct{}, 1)
		st.keep(make([]byte, windowBytes))
		st.from = windowBytes - left
		st.shrink()
		if len(st.data)-st.from != left || cap(st.data) > creditBytes {
			t.Errorf("%d left: %d of %d", left, len(st.data)-st.from, cap(st.data))
		}
	}
}

// More than the windows allow ends the connection, for bodies that nobody reads and for
// streams that are not looked at any more.
func TestWindowsAreKept(t *testing.T) {
	release := make(chan struct{})
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) { <-release })
	c := dial(t, s)
	a, b := c.open(false, post()...), c.open(false, post()...)
	for i := range windowBytes / frameMost {
		c.fr.WriteData([]uint32{a, b}[i%2], false, make([]byte, frameMost))
	}
	c.seen()
	k := onlyConn(t, s)
	k.mu.Lock()
	held := 0
	for _, st := range k.streams {
		held += len(st.data) - st.from
	}
	k.mu.Unlock()
	if held != windowBytes {
		t.Errorf("%d bytes are held of %d", held, windowBytes)
	}
	c.fr.WriteData(a, false, []byte("x"))
	if r := c.answer(b); r.gone == nil || r.gone.ErrCode != http2.ErrCodeFlowControl {
		t.Errorf("one byte more: %+v", r)
	}
	close(release)
}

// The bombs of HPACK and the floods of CONTINUATION.
func TestHeaderBombs(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) {})
	long := append([]byte{0x40, 1, 'x'}, appendLength(nil, 0, 3000)...)
	long = append(long, strings.Repeat("y", 3000)...)
	t.Run("repetitions", func(t *testing.T) {
		c := dial(t, s)
		block := append(c.block(get()...), long...)
		for range 10_000 {
			block = append(block, 0x80|62) // the newest of the table
		}
		c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true})
		c.next = 3
		if r := c.answer(1); r.status != "431" {
			t.Errorf("%+v", r)
		}
		c.enc = hpack.NewEncoder(&c.buf) // of another table
		c.enc.SetMaxDynamicTableSize(0)
		if r := c.answer(c.open(true, get()...)); r.status != "200" {
			t.Errorf("the next: %+v", r)
		}
	})
	t.Run("repetitions, and no window", func(t *testing.T) {
		c := dial(t, s, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		k := onlyConn(t, s)
		fields := get()
		for range 20 {
			fields = append(fields, "x-long", strings.Repeat("y", 3000))
		}
		for range 3 * s.StreamsMax {
			if r := c.answer(c.open(true, fields...)); r.status != "431" || !r.ended {
				t.Fatalf("%+v", r)
			}
		}
		c.seen()
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.streams) != 0 {
			t.Errorf("%d streams are held", len(k.streams))
		}
	})
	for _, tc := range []struct {
		name string
		send func(c *client)
		code http2.ErrCode
	}{
		{"a string of 256 MiB", func(c *client) {
			c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: append([]byte{0, 1, 'x'}, appendLength(nil, 0, 1<<28)...), EndHeaders: false})
			for range 10 {
				c.fr.WriteContinuation(1, false, make([]byte, frameMost))
			}
		}, http2.ErrCodeCompression},
		{"a table of 1 GiB", func(c *client) {
			c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x3f, 0xff, 0xff, 0xff, 0x7f}, EndHeaders: true})
		}, http2.ErrCodeCompression},
		{"pieces without end", func(c *client) {
			c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.block(get()...)})
			for range 10_000 {
				c.fr.WriteContinuation(1, false, nil)
			}
		}, http2.ErrCodeEnhanceYourCalm},
		{"a header without end", func(c *client) {
			c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.block(get()...)})
			piece := []byte(strings.Repeat("\x82", 8000))
			for range 20 {
				c.fr.WriteContinuation(1, false, piece)
			}
		}, http2.ErrCodeEnhanceYourCalm},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, s)
			go tc.send(c)
			if r := c.answer(1); r.gone == nil || r.gone.ErrCode != tc.code {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A name or value that is too long is answered, and concerns nobody else on its connection.
func TestLongFields(t *testing.T) {
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	s := newServer(t, func(http.ResponseWriter, *http.Request) { <-released })
	c := dial(t, s)
	other := c.open(true, get()...)
	for _, f := range []struct{ name, value string }{
		{"x", strings.Repeat("y", s.HeaderBytes+400)},
		{"x", strings.Repeat("\x7f", s.HeaderBytes+400)}, // of no shorter code
		{"x", strings.Repeat("a", 3*s.HeaderBytes)},      // of the shortest
		{strings.Repeat("a", 3*s.HeaderBytes), "y"},
	} {
		id := c.next
		c.next += 2
		block := c.block(get(f.name, f.value)...)
		if most := blockMost*(s.HeaderBytes+320) - 1000; len(block) > most {
			t.Fatalf("a block of %d bytes: at most %d are tried here", len(block), most)
		}
		c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:frameMost], EndStream: true})
		for block = block[frameMost:]; len(block) > frameMost; block = block[frameMost:] {
			c.fr.WriteContinuation(id, false, block[:frameMost])
		}
		c.fr.WriteContinuation(id, true, block)
		if r := c.answer(id); r.status != "431" || !r.ended || len(r.body) > 0 {
			t.Fatalf("%.3q of %d bytes: %+v", f.value, len(f.value), r)
		}
	}
	release()
	if r := c.answer(other); r.status != "200" {
		t.Errorf("the other request: %+v", r)
	}
}

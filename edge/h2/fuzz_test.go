package h2

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// script is a connection on which all that its client says is there at once.
type script struct {
	in   *bytes.Reader
	out  bytes.Buffer
	shut bool
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { s.shut = true; return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// beginnings are what clients begin with: as browsers, curl and Go do, and what
// attacks are made of.
func beginnings() [][]byte {
	var out [][]byte
	say := func(settings []http2.Setting, then func(f *http2.Framer, enc func(fields ...string) []byte)) {
		var b, h bytes.Buffer
		b.WriteString(Preface)
		f := http2.NewFramer(&b, nil)
		f.AllowIllegalWrites = true
		e := hpack.NewEncoder(&h)
		f.WriteSettings(settings...)
		then(f, func(fields ...string) []byte {
			h.Reset()
			for i := 0; i < len(fields); i += 2 {
				e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
			}
			return bytes.Clone(h.Bytes())
		})
		out = append(out, b.Bytes())
	}
	type enc = func(fields ...string) []byte
	// Chromium
	say([]http2.Setting{{ID: 1, Val: 65536}, {ID: 2, Val: 0}, {ID: 4, Val: 6291456}, {ID: 6, Val: 262144}}, func(f *http2.Framer, e enc) {
		f.WriteWindowUpdate(0, 15663105)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, Priority: http2.PriorityParam{StreamDep: 0, Exclusive: true, Weight: 255},
			BlockFragment: e(get("sec-ch-ua-platform", `"Linux"`, "user-agent", "Mozilla/5.0", "cookie", "a=1", "cookie", "b=2")...)})
		f.WriteSettingsAck()
	})
	// Firefox
	say([]http2.Setting{{ID: 1, Val: 65536}, {ID: 4, Val: 131072}, {ID: 5, Val: 16384}}, func(f *http2.Framer, e enc) {
		f.WriteWindowUpdate(0, 12517377)
		for id := uint32(3); id <= 13; id += 2 {
			f.WritePriority(id, http2.PriorityParam{Weight: 200})
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 15, EndStream: true, EndHeaders: true, Priority: http2.PriorityParam{StreamDep: 13, Weight: 41}, BlockFragment: e(get("te", "trailers")...)})
	})
	// Go, with an upload and a trailer
	say([]http2.Setting{{ID: 2, Val: 0}, {ID: 4, Val: 4 << 20}, {ID: 6, Val: 10 << 20}}, func(f *http2.Framer, e enc) {
		f.WriteWindowUpdate(0, 1<<30)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: e(post("trailer", "x-sum")...)})
		f.WriteDataPadded(1, false, []byte("hello"), make([]byte, 10))
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: e("x-sum", "7")})
	})
	// windows of nothing, resets, a header in pieces, pings, GOAWAY
	say([]http2.Setting{{ID: 4, Val: 0}}, func(f *http2.Framer, e enc) {
		block := e(get()...)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: block[:3], PadLength: 7})
		f.WriteContinuation(1, false, nil)
		f.WriteContinuation(1, true, block[3:])
		f.WriteWindowUpdate(1, 3)
		f.WriteSettings(http2.Setting{ID: 4, Val: 100})
		f.WriteRSTStream(1, http2.ErrCodeCancel)
		f.WritePing(false, [8]byte{1})
		f.WriteRawFrame(0x10, 0, 0, []byte("priority"))
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndHeaders: true, BlockFragment: e(post("content-length", "3", "expect", "100-continue")...)})
		f.WriteData(3, true, []byte("abc"))
		f.WriteGoAway(0, http2.ErrCodeNo, nil)
	})
	return out
}

// FuzzConnection has a client say anything. Whatever it says, the connection ends with
// what it said, what is written is made of whole frames and begins with SETTINGS, and
// what is kept is bounded.
func FuzzConnection(f *testing.F) {
	for _, b := range beginnings() {
		f.Add(b)
	}
	s := &Server{StreamsMax: 10, HeaderBytes: 4 << 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "" || r.URL == nil || r.Header == nil {
			panic("no request")
		}
		w.Header().Set("Trailer", "X-Sum")
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", string(rune('0'+n%10)))
	})}
	f.Cleanup(s.Drain)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		nc := &script{in: bytes.NewReader(b)}
		c := newConn(s, context.Background(), nc, nil, func(http.ConnState) {})
		c.serve()
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Microsecond) {
			c.mu.Lock()
			done := c.running == 0 && !c.writing
			c.mu.Unlock()
			if done {
				break
			}
			if time.Now().After(end) {
				t.Fatal("a handler does not end")
			}
		}
		if !nc.shut {
			t.Error("it is not closed")
		}
		if len(c.streams)+len(c.waiting)+len(c.line)+len(c.full) > 0 {
			t.Errorf("left: %d streams, %d wait, %d in line, %d for room", len(c.streams), len(c.waiting), len(c.line), len(c.full))
		}
		out := nc.out.Bytes()
		for i := 0; len(out) > 0; i++ {
			h := parseHead(out)
			if i == 0 && h.kind != FrameSettings || h.length > frameMost || len(out) < HeadBytes+h.length {
				t.Fatalf("frame %d is %+v of %d bytes", i, h, len(out))
			}
			out = out[HeadBytes+h.length:]
		}
	})
}

// FuzzField encodes fields; a decoder gives the same.
func FuzzField(f *testing.F) {
	f.Add("content-type", "text/html; charset=utf-8")
	f.Add("set-cookie", "a=1; Path=/; HttpOnly")
	f.Add("x-new", string(bytes.Repeat([]byte{0xff}, 130)))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, name, value string) { sameField(t, name, value) })
}

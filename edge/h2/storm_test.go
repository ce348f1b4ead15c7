package h2

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// storm is a client that does everything a client may, in no order, and holds the
// server to its word. What it does comes from a seed.
type storm struct {
	t    *testing.T
	c    *client
	seed uint64

	mu      sync.Mutex
	rand    *rand.Rand
	streams map[uint32]*stormStream
	queue   []func() // frames to be written
	more    *sync.Cond
	ended   bool
	gone    bool // by GOAWAY
	last    uint32

	window  int64 // what the server may send of all
	initial int64 // of one
	pending int64 // by how much that shrinks, once it is acknowledged
	shrinks []*stormStream
	asked   bool // SETTINGS are under way

	sendAll int64 // what the client may send of all
	sendOne int64 // of one, at first
	owed    int64 // windows that were used, and not given back yet
}

type stormStream struct {
	id     uint32
	mode   string
	up     int // bytes of the request's body
	down   int // of the answer's
	window int64
	owed   int64
	send   int64
	sent   int
	got    int
	reset  bool // by the client
	over   bool
}

// pattern is a byte of a stream's bodies.
func pattern(id, i int) byte { return byte(i*31 + i>>8 + id) }

func fill(p []byte, id, at int) {
	for i := range p {
		p[i] = pattern(id, at+i)
	}
}

func check(p []byte, id, at int) bool {
	for i, b := range p {
		if b != pattern(id, at+i) {
			return false
		}
	}
	return true
}

// stormModes are what handlers do.
var stormModes = []string{"read", "read", "duplex", "early", "late", "abort", "bare", "hints"}

// handle is the server's side.
func (s *storm) handle(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.Header.Get("X-Id"))
	up, _ := strconv.Atoi(r.Header.Get("X-Up"))
	down, _ := strconv.Atoi(r.Header.Get("X-Down"))
	rnd := rand.New(rand.NewPCG(s.seed, uint64(id)))
	control := http.NewResponseController(w)
	mode := r.Header.Get("X-Mode")

	read := func() (n int) {
		b := make([]byte, 1+id*7919%20_000)
		for {
			m, err := r.Body.Read(b)
			if !check(b[:m], id, n) {
				s.t.Errorf("seed %d, stream %d: its body is another from %d on", s.seed, id, n)
			}
			n += m
			switch {
			case err == io.EOF:
				if n != up {
					s.t.Errorf("seed %d, stream %d: a body of %d bytes ended after %d", s.seed, id, up, n)
				}
				return n
			case err == nil:
			case mode == "late" && errors.Is(err, os.ErrDeadlineExceeded):
				return n
			case r.Context().Err() != nil: // reset, or the connection is gone
				return n
			default:
				if !errors.Is(err, http.ErrBodyReadAfterClose) && !errors.Is(err, errEnded) {
					s.t.Errorf("seed %d, stream %d (%s): reading: %v", s.seed, id, mode, err)
				}
				return n
			}
		}
	}
	write := func(end int) {
		b := make([]byte, 1+rnd.IntN(40_000))
		for at := 0; at < end; {
			p := b[:min(len(b), end-at)]
			fill(p, id, at)
			if n, err := w.Write(p); err != nil || n != len(p) {
				return
			}
			at += len(p)
			if rnd.IntN(8) == 0 {
				control.Flush()
			}
		}
	}
	switch mode {
	case "read":
		read()
		write(down)
	case "duplex":
		var done sync.WaitGroup
		done.Go(func() { read() })
		write(down)
		done.Wait()
	case "early":
		write(down)
	case "hints":
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		read()
		w.Header().Set("Trailer", "X-Sum")
		write(down)
		w.Header().Set("X-Sum", "1")
	case "late":
		var others sync.WaitGroup
		for range 3 {
			d := time.Duration(rnd.IntN(30)) * time.Millisecond
			others.Go(func() {
				time.Sleep(d / 2)
				control.SetReadDeadline(time.Now().Add(d))
				control.SetWriteDeadline(time.Now().Add(d))
				time.Sleep(d)
				control.SetReadDeadline(time.Time{})
				control.SetWriteDeadline(time.Time{})
				time.Sleep(d / 2)
				control.SetReadDeadline(time.Now().Add(-1))
				control.SetWriteDeadline(time.Now().Add(-1))
			})
		}
		read()
		write(down)
		others.Wait()
	case "abort":
		write(down / 2)
		panic(http.ErrAbortHandler)
	case "bare":
		w.WriteHeader(http.StatusNoContent)
	}
}

// say has a frame written, in order. s.mu is held.
func (s *storm) say(write func()) {
	s.queue = append(s.queue, write)
	s.more.Broadcast()
}

// write writes what is to be said.
func (s *storm) write() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.queue) == 0 {
			if s.ended {
				return
			}
			s.more.Wait()
		}
		all := s.queue
		s.queue = nil
		s.mu.Unlock()
		for _, write := range all {
			write()
		}
		s.mu.Lock()
	}
}

func (s *storm) fail(format string, args ...any) {
	s.t.Errorf("seed %d: %s", s.seed, fmt.Sprintf(format, args...))
}

// read takes what comes, and holds it against what may.
func (s *storm) read() {
	defer func() {
		s.mu.Lock()
		s.ended = true
		s.more.Broadcast()
		s.mu.Unlock()
	}()
	for {
		f, err := s.c.fr.ReadFrame()
		if err != nil {
			if errors.As(err, new(http2.ConnectionError)) || errors.As(err, new(http2.StreamError)) {
				s.fail("the server sent what it may not: %v (%v)", err, s.c.fr.ErrorDetail())
			}
			return
		}
		s.mu.Lock()
		s.take(f)
		s.more.Broadcast()
		s.mu.Unlock()
	}
}

func (s *storm) take(f http2.Frame) {
	st := s.streams[f.Header().StreamID]
	if f.Header().StreamID != 0 && st == nil {
		s.fail("%v of no stream", f)
		return
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			for _, st := range s.shrinks {
				st.window -= s.pending
			}
			s.shrinks, s.pending, s.asked = nil, 0, false
		}
	case *http2.WindowUpdateFrame:
		if st == nil {
			s.sendAll += int64(f.Increment)
		} else {
			st.send += int64(f.Increment)
		}
	case *http2.GoAwayFrame:
		if f.ErrCode != http2.ErrCodeNo {
			s.fail("GOAWAY %v", f.ErrCode)
		}
		s.gone, s.last = true, f.LastStreamID
		for _, st := range s.streams {
			st.over = st.over || st.id > s.last
		}
	case *http2.RSTStreamFrame:
		stated := st.reset ||
			f.ErrCode == http2.ErrCodeNo && st.over ||
			f.ErrCode == http2.ErrCodeInternal && (st.mode == "late" || st.mode == "abort")
		if !stated {
			s.fail("stream %d (%s) was reset: %v", st.id, st.mode, f.ErrCode)
		}
		st.over = true
	case *http2.MetaHeadersFrame:
		if st.over && !st.reset {
			s.fail("a header of stream %d after its end", st.id)
		}
		if f.StreamEnded() {
			s.whole(st)
		}
	case *http2.DataFrame:
		n := int64(len(f.Data()))
		s.window -= n
		st.window -= n
		if n > 0 && (s.window < 0 || st.window < 0) {
			s.fail("stream %d: %d bytes beyond a window: %d of all, %d of it", st.id, n, s.window, st.window)
		}
		if !check(f.Data(), int(st.id), st.got) {
			s.fail("stream %d (%s): its answer is another from %d on", st.id, st.mode, st.got)
		}
		st.got += int(n)
		s.owed += n
		st.owed += n
		if st.over && !st.reset {
			s.fail("DATA of stream %d after its end", st.id)
		}
		if f.StreamEnded() {
			s.whole(st)
		}
	}
}

// whole is called at the end of an answer.
func (s *storm) whole(st *stormStream) {
	want := st.down
	if st.mode == "bare" {
		want = 0
	}
	if st.got != want && st.mode != "late" {
		s.fail("stream %d (%s): %d bytes of %d", st.id, st.mode, st.got, want)
	}
	st.over = true
}

// open begins a stream. s.mu is held.
func (s *storm) open() {
	st := &stormStream{id: s.c.next, mode: stormModes[s.rand.IntN(len(stormModes))], window: s.initial, send: s.sendOne}
	s.c.next += 2
	if s.rand.IntN(3) > 0 {
		st.up = s.rand.IntN(1 << s.rand.IntN(18))
	}
	st.down = s.rand.IntN(1 << s.rand.IntN(19))
	s.streams[st.id] = st
	more := []string{"x-id", strconv.Itoa(int(st.id)), "x-mode", st.mode, "x-up", strconv.Itoa(st.up), "x-down", strconv.Itoa(st.down)}
	if s.rand.IntN(2) == 0 {
		more = append(more, "content-length", strconv.Itoa(st.up))
	}
	fields := post(more...)
	end := st.up == 0
	s.say(func() {
		s.c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: st.id, BlockFragment: s.c.block(fields...), EndStream: end, EndHeaders: true})
	})
}

// upload sends a piece of a body. s.mu is held.
func (s *storm) upload(st *stormStream) {
	n := min(int64(st.up-st.sent), st.send, s.sendAll, 1+s.rand.Int64N(frameMost))
	if st.over || st.reset || n <= 0 {
		return
	}
	padding := 0
	if s.rand.IntN(4) == 0 && n < 16000 && st.send > n+300 && s.sendAll > n+300 {
		padding = 1 + s.rand.IntN(200)
		s.sendAll -= int64(padding) + 1
		st.send -= int64(padding) + 1
	}
	s.sendAll -= n
	st.send -= n
	p := make([]byte, n)
	fill(p, int(st.id), st.sent)
	st.sent += int(n)
	end := st.sent == st.up
	s.say(func() {
		if padding > 0 {
			s.c.fr.WriteDataPadded(st.id, end, p, make([]byte, padding))
			return
		}
		s.c.fr.WriteData(st.id, end, p)
	})
}

// step does something. s.mu is held.
func (s *storm) step(open *int) {
	all := make([]*stormStream, 0, len(s.streams))
	running := 0
	for _, st := range s.streams {
		all = append(all, st)
		if !st.over && !st.reset {
			running++
		}
	}
	if running < 40 && *open > 0 && !s.gone && s.rand.IntN(3) == 0 {
		*open--
		s.open()
		return
	}
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b *stormStream) int { return int(a.id) - int(b.id) })
	st := all[s.rand.IntN(len(all))]
	switch k := s.rand.IntN(100); {
	case k < 50:
		s.upload(st)
	case k < 65 && s.owed > 0: // of all
		n := 1 + s.rand.Int64N(s.owed)
		s.owed -= n
		s.window += n
		s.say(func() { s.c.fr.WriteWindowUpdate(0, uint32(n)) })
	case k < 90 && !st.over && !st.reset && st.owed > 0:
		n := 1 + s.rand.Int64N(st.owed)
		st.owed -= n
		st.window += n
		s.say(func() { s.c.fr.WriteWindowUpdate(st.id, uint32(n)) })
	case k < 92 && !st.over && !st.reset && s.rand.IntN(4) == 0:
		st.reset = true
		s.say(func() { s.c.fr.WriteRSTStream(st.id, http2.ErrCodeCancel) })
	case k < 94 && !s.asked:
		s.settle(s.rand.Int64N(1 << s.rand.IntN(18)))
	case k < 96:
		s.say(func() { s.c.fr.WritePing(false, [8]byte{byte(k)}) })
	}
}

// settle changes the windows of streams. s.mu is held.
func (s *storm) settle(to int64) {
	by := to - s.initial
	s.initial, s.asked = to, true
	for _, st := range s.streams {
		if by >= 0 {
			st.window += by
			continue
		}
		s.shrinks = append(s.shrinks, st) // until then it does not know
	}
	s.pending = max(-by, 0)
	s.say(func() { s.c.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(to)}) })
}

// calm says that everything has come to an end. s.mu is held.
func (s *storm) calm() bool {
	for _, st := range s.streams {
		if !st.over && !st.reset {
			return false
		}
	}
	return true
}

// TestStorm has clients open many streams with bodies both ways, and change windows,
// reset, and drain beside that: what arrives is what was sent, no window is
// exceeded, what is reset has a reason, and nothing hangs or is left.
func TestStorm(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, rand.Uint64(), rand.Uint64(), rand.Uint64()}
	if v := os.Getenv("H2_SEED"); v != "" {
		seed, _ := strconv.ParseUint(v, 10, 64)
		seeds = []uint64{seed}
	}
	for _, seed := range seeds {
		for _, kind := range []string{"whole", "drained", "broken"} {
			t.Run(fmt.Sprintf("%s/%d", kind, seed), func(t *testing.T) { blow(t, seed, kind) })
		}
	}
}

func blow(t *testing.T, seed uint64, kind string) {
	s := &storm{
		t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), streams: make(map[uint32]*stormStream),
		window: windowFirst, sendAll: windowFirst, sendOne: windowBytes,
	}
	s.more = sync.NewCond(&s.mu)
	server := newServer(t, s.handle)
	server.StreamsMax = 50
	s.initial = s.rand.Int64N(1 << s.rand.IntN(18))
	late := time.AfterFunc(3*patience, func() {
		b := make([]byte, 1<<20)
		panic(fmt.Sprintf("seed %d, %s: it hangs\n%s", seed, kind, b[:runtime.Stack(b, true)]))
	})
	defer late.Stop()
	ours, theirs := pair(t)
	s.c = connect(t, server, ours, theirs)
	s.c.nc.SetDeadline(time.Now().Add(4 * patience))
	s.c.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(s.initial)})
	s.asked = true
	var both sync.WaitGroup
	both.Go(s.read)
	both.Go(s.write)

	open := 150
	strike := 200 + s.rand.IntN(3000)
	s.mu.Lock()
	for i := 0; !s.ended; i++ {
		s.step(&open)
		if i == strike {
			switch kind {
			case "drained":
				s.mu.Unlock()
				server.Drain()
				s.mu.Lock()
			case "broken":
				s.c.nc.Close()
			}
		}
		if (open == 0 || s.gone) && s.calm() && i > strike {
			break
		}
		if i > strike && i%64 == 0 && s.initial < 1000 && !s.asked {
			s.settle(20_000) // so that it ends
		}
		if i%16 == 0 {
			s.mu.Unlock()
			time.Sleep(50 * time.Microsecond)
			s.mu.Lock()
		}
	}
	if kind == "whole" && (open > 0 || !s.calm()) {
		s.fail("the connection ended early")
	}
	if kind == "drained" && !s.calm() {
		for _, st := range s.streams {
			if !st.over && !st.reset {
				s.fail("stream %d (%s) has no end: sent %d of %d, got %d of %d", st.id, st.mode, st.sent, st.up, st.got, st.down)
			}
		}
	}
	s.mu.Unlock()
	if kind == "whole" {
		server.Drain()
		s.c.ended()
	}
	s.c.nc.Close()
	both.Wait()
}

package h2

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// all reads until so many streams have ended, and gives nothing back.
func (c *client) all(streams int) {
	c.t.Helper()
	for streams > 0 {
		switch f := c.read().(type) {
		case *http2.DataFrame:
			if f.StreamEnded() {
				streams--
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			c.t.Fatalf("%v", f)
		}
	}
}

// Everything that makes room wakes who waits for it, with nothing else after it.
func TestRoomWakes(t *testing.T) {
	sized := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, n)) }
	}
	wide := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}
	waits := func(t *testing.T, k *conn, n int) {
		within(t, "streams that wait", func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			return len(k.line) == n && !k.writing
		})
	}
	t.Run("settings", func(t *testing.T) {
		s := newServer(t, sized(10_000))
		c := dial(t, s, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range 5 {
			c.open(true, get()...)
		}
		c.seen()
		time.Sleep(20 * time.Millisecond) // they wait: nothing says so
		c.fr.WriteSettings(wide)
		c.all(5)
	})
	t.Run("the connection's window", func(t *testing.T) {
		s := newServer(t, sized(100_000))
		c := dial(t, s, wide)
		for range 5 {
			c.open(true, get()...)
		}
		waits(t, onlyConn(t, s), 5)
		c.fr.WriteWindowUpdate(0, 1<<20)
		c.all(5)
	})
	t.Run("a stream's window", func(t *testing.T) {
		s := newServer(t, sized(10_000))
		c := dial(t, s, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		id := c.open(true, get()...)
		c.seen()
		time.Sleep(20 * time.Millisecond)
		c.fr.WriteWindowUpdate(id, 10_000)
		c.all(1)
	})
	t.Run("what was written", func(t *testing.T) {
		s := newServer(t, sized(300_000))
		c, d := dialDam(t, s, wide)
		c.fr.WriteWindowUpdate(0, 1<<30)
		d.set(true)
		for range 10 {
			c.open(true, get()...)
		}
		k := onlyConn(t, s)
		within(t, "streams that wait", func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			return len(k.line)+len(k.full) == 9
		})
		d.set(false)
		c.all(10)
	})
	t.Run("the end of the first in line", func(t *testing.T) {
		s := newServer(t, sized(60_000))
		c := dial(t, s, wide)
		for range 3 {
			c.open(true, get()...)
		}
		k := onlyConn(t, s)
		waits(t, k, 2)
		k.mu.Lock()
		first := k.line[0].id
		k.windowUpdate(head{}, binary.BigEndian.AppendUint32(nil, 1<<20)) // it is let ahead
		k.resetBy(head{id: first}, make([]byte, 4))                       // and has ended before it goes
		k.mu.Unlock()
		c.all(2)
	})
}

// busy is a connection on which others have something ready again by the time a write is over.
type busy struct {
	net.Conn
	k atomic.Pointer[conn] // nil: not yet
}

func (b *busy) Write(p []byte) (int, error) {
	n, err := b.Conn.Write(p)
	k := b.k.Load()
	for end := time.Now().Add(time.Second); k != nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		k.mu.Lock()
		ready := len(k.out) > 0 || k.err != nil
		k.mu.Unlock()
		if ready {
			break
		}
	}
	return n, err
}

// Who writes for others is not held up by them for ever: an event beside a
// download that has no end.
func TestWhoWritesForOthersGoesOn(t *testing.T) {
	begin, done, stop := make(chan struct{}), make(chan struct{}), make(chan struct{})
	stops := sync.OnceFunc(func() { close(stop) })
	defer stops()
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Event") != "" {
			<-begin
			io.WriteString(w, "event\n")
			http.NewResponseController(w).Flush()
			close(done)
			return
		}
		for b := make([]byte, 40_000); ; {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	})
	ours, theirs := pair(t)
	b := &busy{Conn: theirs}
	c := connect(t, s, ours, b)
	c.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	c.fr.WriteWindowUpdate(0, 1<<31-1-windowFirst)
	c.seen()
	k := onlyConn(t, s)
	within(t, "nobody who writes", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.writing || len(k.out) > 0 || !k.acked {
			return false
		}
		k.writing = true // until all have begun
		return true
	})
	b.k.Store(k)
	event := c.open(true, get("x-event", "1")...)
	c.open(true, get()...)
	c.open(true, get()...)
	go io.Copy(io.Discard, c.nc)
	within(t, "all that begin", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.streams) == 3 && len(k.out) >= outMost
	})
	close(begin)
	within(t, "an event without room", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return slices.ContainsFunc(k.full, func(st *stream) bool { return st.id == event })
	})
	// Now a handler writes, as it would have, while the others go on.
	wrote := make(chan struct{})
	go func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.writing = false
		k.push(false)
		close(wrote)
	}()
	select {
	case <-wrote:
	case <-time.After(patience):
		t.Error("it writes for the others for ever")
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("the event does not go out")
	}
	stops()
}

// A body that came whole and was dropped unread has no end, but an error.
func TestDroppedBodiesDoNotEnd(t *testing.T) {
	got := make(chan error, 2)
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 1)
		io.ReadFull(r.Body, b) // it has come
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-1))
		_, err := w.Write(make([]byte, 2*bodyBuffer))
		got <- err
		_, err = io.Copy(io.Discard, r.Body)
		got <- err
	})
	c := dial(t, s)
	id := c.open(false, post()...)
	c.fr.WriteData(id, true, []byte("hello"))
	if r := c.answer(id); !r.reset || r.code != http2.ErrCodeInternal {
		t.Errorf("%+v", r)
	}
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing: %v", err)
	}
	if err := <-got; err == nil {
		t.Error("the rest of a body that was dropped looks like its end")
	}
}

// Whatever becomes of bodies, the connection's window comes back in full.
func TestWindowsComeBack(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Mode") {
		case "read":
			io.Copy(io.Discard, r.Body)
		case "some":
			io.CopyN(io.Discard, r.Body, 1000)
		case "reset":
			<-r.Context().Done()
		case "abort":
			panic(http.ErrAbortHandler)
		}
	})
	c := dial(t, s)
	for _, mode := range []string{"read", "some", "none", "reset", "abort"} {
		for _, end := range []bool{true, false} {
			id := c.open(false, post("x-mode", mode)...)
			c.fr.WriteDataPadded(id, false, make([]byte, 10_000), make([]byte, 200))
			c.fr.WriteData(id, end, make([]byte, 5000))
			if mode == "reset" || mode == "read" && !end {
				c.fr.WriteRSTStream(id, http2.ErrCodeCancel)
				c.fr.WriteData(id, false, make([]byte, 100)) // which it may not
			}
		}
	}
	c.seen()
	k := onlyConn(t, s)
	within(t, "the whole window", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.streams) == 0 && k.running == 0 && k.recv+k.credit == windowBytes
	})
}

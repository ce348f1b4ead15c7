//go:build linux && !race

package edge

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// acceptedPair gives a client and the socket that a listener has accepted for it; with
// polled it has had to wait before.
func acceptedPair(t *testing.T, l *listener, got chan net.Conn, polled bool) (client *net.TCPConn, a *accepted) {
	t.Helper()
	nc, err := dialFrom(t, "127.0.0.1", l)
	if err != nil {
		t.Fatal(err)
	}
	c := (<-got).(*conn)
	t.Cleanup(func() { c.Close() })
	if polled {
		if _, err := c.sock.SyscallConn(); err != nil {
			t.Fatal(err)
		}
	}
	if has := c.sock.polled.Load() != nil; has != polled {
		t.Fatalf("polled: %v", has)
	}
	return nc.(*net.TCPConn), &c.sock
}

// TestAccepted does with an accepted socket what is done with connections, before and
// after it first had to wait.
func TestAccepted(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(t *testing.T, client *net.TCPConn, a *accepted)
	}{
		{"reads what is there", func(t *testing.T, client *net.TCPConn, a *accepted) {
			client.Write([]byte("dike"))
			var b [8]byte
			if n, err := io.ReadAtLeast(a, b[:], 4); err != nil || string(b[:n]) != "dike" {
				t.Error(string(b[:n]), err)
			}
		}},
		{"waits for what comes", func(t *testing.T, client *net.TCPConn, a *accepted) {
			time.AfterFunc(20*time.Millisecond, func() { client.Write([]byte("dike")) })
			var b [8]byte
			if n, err := a.Read(b[:]); err != nil || string(b[:n]) != "dike" {
				t.Error(string(b[:n]), err)
			}
		}},
		{"reads the end", func(t *testing.T, client *net.TCPConn, a *accepted) {
			client.CloseWrite()
			if n, err := a.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Error(n, err)
			}
		}},
		{"is told of a reset", func(t *testing.T, client *net.TCPConn, a *accepted) {
			client.SetLinger(0)
			client.Close()
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
		}},
		{"writes more than there is room for", func(t *testing.T, client *net.TCPConn, a *accepted) {
			const size = 32 << 20
			done := make(chan int64)
			go func() {
				n, _ := io.Copy(io.Discard, client)
				done <- n
			}()
			if n, err := a.send(make([]byte, size), false); n != size || err != nil {
				t.Error(n, err)
			}
			a.CloseWrite()
			if n := <-done; n != size {
				t.Errorf("%d came of %d", n, size)
			}
		}},
		{"does not wait beyond a deadline that was set before", func(t *testing.T, _ *net.TCPConn, a *accepted) {
			a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !timedOut(err) {
				t.Error(err)
			}
		}},
		{"a deadline that is over ends everything", func(t *testing.T, client *net.TCPConn, a *accepted) {
			client.Write([]byte("dike"))
			a.SetReadDeadline(time.Unix(1, 0))
			a.SetWriteDeadline(time.Unix(1, 0))
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			if _, err := a.send([]byte("dike"), false); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			a.SetReadDeadline(time.Time{})
			if n, err := a.Read(make([]byte, 8)); n == 0 || err != nil {
				t.Error(n, err)
			}
		}},
		{"a deadline wakes whom it finds waiting", func(t *testing.T, _ *net.TCPConn, a *accepted) {
			time.AfterFunc(20*time.Millisecond, func() { a.SetReadDeadline(time.Unix(1, 0)) })
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		}},
		{"closing wakes whom it finds waiting", func(t *testing.T, _ *net.TCPConn, a *accepted) {
			time.AfterFunc(20*time.Millisecond, func() { a.Close() })
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}},
		{"is of no use once closed", func(t *testing.T, client *net.TCPConn, a *accepted) {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if err := a.Close(); err == nil {
				t.Error("closed twice")
			}
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			if _, err := a.send([]byte("dike"), true); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Error(n, err)
			}
			if !a.hungUp() || a.CloseWrite() == nil || a.SetReadBuffer(1<<10) == nil {
				t.Error("something was done with what is closed")
			}
		}},
		{"resets", func(t *testing.T, client *net.TCPConn, a *accepted) {
			a.reset()
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
		}},
		{"knows both ends and what is not taken", func(t *testing.T, client *net.TCPConn, a *accepted) {
			if a.RemoteAddr().String() != client.LocalAddr().String() || a.LocalAddr().String() != client.RemoteAddr().String() {
				t.Error(a.LocalAddr(), a.RemoteAddr())
			}
			if a.hungUp() || a.unsent() != 0 {
				t.Error(a.hungUp(), a.unsent())
			}
			delay := -1
			a.control(func(fd uintptr) { delay, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY) })
			if delay != 1 {
				t.Errorf("TCP_NODELAY is %d", delay)
			}
		}},
	} {
		for _, polled := range []bool{false, true} {
			t.Run(c.name+map[bool]string{false: "", true: ", polled"}[polled], func(t *testing.T) {
				l, _, got := accepts(t, "http")
				client, a := acceptedPair(t, l, got, polled)
				client.SetDeadline(time.Now().Add(patience))
				c.does(t, client, a)
			})
		}
	}
}

// TestAcceptedByMany ends connections in every way at once with their being read and
// written to. Of each nothing may be left, and no descriptor may be closed twice: it would be
// somebody else's, such as the next connection's.
func TestAcceptedByMany(t *testing.T) {
	l, _, got := accepts(t, "http")
	open := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := 0
	for round := range 300 {
		if round == 1 { // the runtime has what it needs
			before = open()
		}
		client, a := acceptedPair(t, l, got, false)
		var all sync.WaitGroup
		all.Go(func() {
			client.Write([]byte("dike"))
			client.Close()
		})
		all.Go(func() {
			for b := make([]byte, 8); ; {
				if _, err := a.Read(b); err != nil {
					return
				}
			}
		})
		all.Go(func() { a.send([]byte("dike"), true) })
		all.Go(func() { a.SetReadDeadline(time.Now().Add(time.Minute)) })
		all.Go(func() { a.unsent() })
		all.Go(func() { a.SyscallConn() })
		all.Go(func() { a.Close() })
		all.Go(func() { a.reset() })
		all.Wait()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
	if n := open(); n != before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

// TestLastAnswerBringsTheEnd asks with "Connection: close": whoever has read the answer
// has been told of the end, as both came in one segment.
func TestLastAnswerBringsTheEnd(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "dike") })
	s := start(t, Config{Sites: []Site{{Origins: []string{up}}}})
	for range 100 {
		nc, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(patience))
		io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		if n, err := nc.Read(make([]byte, 4<<10)); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		raw, err := nc.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var info *unix.TCPInfo
		raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO) })
		if err != nil {
			t.Fatal(err)
		}
		const closeWait = 8 // TCP_CLOSE_WAIT, net/tcp_states.h
		if info.State != closeWait {
			t.Fatalf("in state %d after the answer", info.State)
		}
		nc.Close()
	}
}

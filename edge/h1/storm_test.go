package h1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stormModes are what handlers do.
var stormModes = []string{"read", "read", "echo", "early", "late", "abort", "bare", "hints", "wait", "duplex"}

// pattern is a byte of a request's bodies.
func pattern(id, i int) byte { return byte(i*31 + i>>8 + id) }

func fill(p []byte, id, at int) {
	for i := range p {
		p[i] = pattern(id, at+i)
	}
}

func wrong(p []byte, id, at int) bool {
	for i, b := range p {
		if b != pattern(id, at+i) {
			return true
		}
	}
	return false
}

// stormed answers as a request asks.
func stormed(t *testing.T, w http.ResponseWriter, r *http.Request) {
	number := func(name string) int { n, _ := strconv.Atoi(r.Header.Get(name)); return n }
	id, up, down := number("X-Id"), number("X-Up"), number("X-Down")
	control := http.NewResponseController(w)
	mode := r.Header.Get("X-Mode")
	gone := context.AfterFunc(r.Context(), func() {})
	defer gone()
	read := func() {
		b := make([]byte, 1+id*7919%20_000)
		for n := 0; ; {
			m, err := r.Body.Read(b)
			if wrong(b[:m], id, n) {
				t.Errorf("request %d: its body is another from %d on", id, n)
				return
			}
			n += m
			if err == io.EOF && n != up {
				t.Errorf("request %d: a body of %d bytes ended after %d", id, up, n)
			}
			if err != nil {
				return
			}
		}
	}
	write := func() {
		b := make([]byte, 1+id*104729%40_000)
		for at := 0; at < down; {
			p := b[:min(len(b), down-at)]
			fill(p, id, at)
			if _, err := w.Write(p); err != nil {
				return
			}
			if at += len(p); at%3 == 0 {
				control.Flush()
			}
		}
	}
	switch mode {
	case "read":
		read()
		w.Header().Set("Content-Length", strconv.Itoa(down))
		write()
	case "echo":
		read()
		write()
	case "early":
		write()
	case "late":
		control.SetReadDeadline(time.Now().Add(time.Duration(id%5) * time.Millisecond))
		read()
		write()
	case "abort":
		if id%2 == 0 {
			write()
		}
		panic(http.ErrAbortHandler)
	case "hints":
		w.WriteHeader(http.StatusEarlyHints)
		read()
		w.Header().Set("Trailer", "X-Sum")
		write()
		w.Header().Set("X-Sum", strconv.Itoa(id))
	case "wait":
		select {
		case <-r.Context().Done():
		case <-time.After(time.Duration(id%7) * time.Millisecond):
		}
		read()
		write()
	case "duplex":
		control.EnableFullDuplex()
		var done sync.WaitGroup
		done.Go(read)
		write()
		done.Wait()
	}
}

// stormClient asks many things on one connection after the other, in pieces, ahead and
// too soon gone, and holds every answer to what was asked.
func stormClient(t *testing.T, addr string, rnd *rand.Rand, ids *atomic.Int64, whole *atomic.Int64, until time.Time) {
	for time.Now().Before(until) {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		nc.SetDeadline(time.Now().Add(patience))
		leaves := rnd.IntN(4) == 0
		type asked struct {
			id, down int
			mode     string
		}
		asks := make(chan asked, 20)
		seed := rnd.Uint64()
		count := 1 + rnd.IntN(10)
		var writer sync.WaitGroup
		writer.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 1))
			defer close(asks)
			for n := range count {
				a := asked{id: int(ids.Add(1)), down: rnd.IntN(3) * rnd.IntN(60_000), mode: stormModes[rnd.IntN(len(stormModes))]}
				up := rnd.IntN(3) * rnd.IntN(60_000)
				var b strings.Builder
				fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: a\r\nX-Id: %d\r\nX-Up: %d\r\nX-Down: %d\r\nX-Mode: %s\r\n", a.id, a.id, up, a.down, a.mode)
				body := make([]byte, up)
				fill(body, a.id, 0)
				if rnd.IntN(2) == 0 {
					fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", up, body)
				} else {
					b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
					for len(body) > 0 {
						m := min(len(body), 1+rnd.IntN(9000))
						fmt.Fprintf(&b, "%x\r\n%s\r\n", m, body[:m])
						body = body[m:]
					}
					b.WriteString("0\r\n\r\n")
				}
				asks <- a
				for s := b.String(); s != ""; {
					m := len(s)
					if rnd.IntN(3) > 0 {
						m = min(m, 1+rnd.IntN(10_000))
					}
					if _, err := io.WriteString(nc, s[:m]); err != nil {
						return
					}
					s = s[m:]
					if rnd.IntN(20) == 0 {
						runtime.Gosched()
					}
				}
				if leaves && n == count/2 {
					switch rnd.IntN(3) {
					case 0:
						nc.(*net.TCPConn).SetLinger(0)
						nc.Close()
					case 1:
						nc.Close()
					default:
						nc.(*net.TCPConn).CloseWrite()
					}
					return
				}
			}
		})
		br := bufio.NewReader(nc)
		broken := false
		for a := range asks {
			if broken {
				continue
			}
			r, err := http.ReadResponse(br, nil)
			for err == nil && r.StatusCode == http.StatusEarlyHints {
				r, err = http.ReadResponse(br, nil)
			}
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("request %d (%s) is not answered", a.id, a.mode)
				}
				broken = true
				nc.Close()
				continue
			}
			b, err := io.ReadAll(r.Body)
			down := a.down
			if a.mode == "bare" || a.mode == "abort" && a.id%2 == 1 {
				down = 0
			}
			switch {
			case wrong(b, a.id, 0):
				t.Errorf("request %d (%s): its answer is another's", a.id, a.mode)
			case err == nil && len(b) != down && a.mode != "duplex":
				t.Errorf("request %d (%s): an answer of %d bytes has %d", a.id, a.mode, down, len(b))
			case err == nil && a.mode == "abort":
				t.Errorf("request %d: an answer that broke off is whole", a.id)
			case err == nil && a.mode == "hints" && r.Trailer.Get("X-Sum") != strconv.Itoa(a.id):
				t.Errorf("request %d: its trailer is %v", a.id, r.Trailer)
			case errors.Is(err, os.ErrDeadlineExceeded):
				t.Errorf("request %d (%s) is not answered whole", a.id, a.mode)
			case err == nil:
				whole.Add(1)
			}
			if err != nil || r.Close {
				broken = true
				nc.Close()
			}
		}
		writer.Wait()
		nc.Close()
	}
}

// Everything at once.
func TestStorm(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("STORM_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("STORM_SEED=%d", seed)
	before := runtime.NumGoroutine()
	t.Run("all", func(t *testing.T) {
		v := serve(t, &Server{Idle: time.Minute, ReadHeader: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { stormed(t, w, r) })})
		var ids, whole atomic.Int64
		until := time.Now().Add(2 * time.Second)
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				stormClient(t, v.l.Addr().String(), rand.New(rand.NewPCG(seed, uint64(n))), &ids, &whole, until)
			})
		}
		all.Wait()
		t.Logf("%d requests, %d answered whole", ids.Load(), whole.Load())
		if whole.Load() == 0 {
			t.Error("none is answered")
		}
	})
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b := make([]byte, 1<<20)
			t.Fatalf("goroutines are left: %d, of %d before\n%s", runtime.NumGoroutine(), before, b[:runtime.Stack(b, true)])
		}
	}
}

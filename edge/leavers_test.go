package edge

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/deichproject/deich/guard"
)

// Under pressure a request whose client has left keeps its place until the
// origin has answered: it works on it all the same.
func TestLeaversKeepTheirPlaces(t *testing.T) {
	for _, end := range []string{"answer", "shutdown"} {
		t.Run(end, func(t *testing.T) {
			began, let, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
			goOn := sync.OnceFunc(func() { close(let) })
			o := play(t, func(c *playedConn) {
				defer close(gone)
				c.request()
				close(began)
				if end == "answer" {
					<-let
					c.say("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
				}
				io.Copy(io.Discard, c.br)
			})
			t.Cleanup(goOn) // the origin ends behind it
			s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}}, guard.Config{})
			s.proxy.pressed = func(uint16) (bool, bool) { return true, false }
			c := call(t, s.Addrs()[0].String())
			c.say(plainGet)
			<-began
			b := s.state.Load().groups[0].backends[0]
			c.Close()
			until(t, "the edge sees that the client left", func() bool {
				b.leavers.mu.Lock()
				defer b.leavers.mu.Unlock()
				return len(b.leavers.lines) == 1
			})
			select {
			case <-gone:
				t.Fatal("the origin was hung up on")
			default:
			}
			if p := s.options.Engine.Pulse(0); p.Inflight != 1 {
				t.Errorf("%d at the origin, which works on one", p.Inflight)
			}
			if end == "shutdown" {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := s.Shutdown(ctx); err != nil {
					t.Error(err)
				}
			} else {
				goOn()
				until(t, "its place is free", func() bool { return s.options.Engine.Pulse(0).Inflight == 0 })
			}
			select {
			case <-gone: // who has left takes no body
			case <-time.After(patience):
				t.Error("the origin still has its connection")
			}
			b.leavers.mu.Lock()
			defer b.leavers.mu.Unlock()
			if n := len(b.leavers.lines); n != 0 {
				t.Errorf("%d lines are kept", n)
			}
		})
	}
}

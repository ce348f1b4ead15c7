package guard

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// ConnContext lets a connection remember its verified pass. Set it as, or call
// it in, http.Server.ConnContext; without it a pass is verified each time.
func ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, new(connMemory))
}

type connKey struct{}

// connMemory holds the last pass seen on a connection; HTTP/2 asks it from
// several goroutines.
type connMemory struct {
	last atomic.Pointer[remembered]
	used atomic.Bool // it has carried a request
}

type remembered struct {
	cookie, host string
	shown        shown
}

// memoryOf is that of the request's connection; nil where it has none.
func memoryOf(ctx context.Context) *connMemory {
	memory, _ := ctx.Value(connKey{}).(*connMemory)
	return memory
}

// reuse tells a connection's first request from later ones.
func (memory *connMemory) reuse() uint32 {
	switch {
	case memory == nil:
		return 0
	case memory.used.Load(), memory.used.Swap(true):
		return 2
	}
	return 1
}

// passOf verifies the pass a request shows, once for each connection.
func (memory *connMemory) passOf(r *ring, cookie, host string, now deich.Time, life time.Duration) shown {
	if memory == nil {
		return r.showPass(cookie, host, now, life)
	}
	if m := memory.last.Load(); m != nil && m.cookie == cookie && m.host == host {
		if now.Sub(m.shown.minted) > life {
			return shown{}
		}
		return m.shown
	}
	s := r.showPass(cookie, host, now, life)
	if s.pass.ID != 0 {
		// Cloned, since a cookie keeps its whole header alive. What does not
		// hold is not remembered: it would cost memory for nothing.
		memory.last.Store(&remembered{strings.Clone(cookie), strings.Clone(host), s})
	}
	return s
}

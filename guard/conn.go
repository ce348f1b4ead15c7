package guard

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// ConnContext lets a connection remember its verified pass. Set it as, or call
// it in, http.Server.ConnContext; without it a pass is verified each time.
func ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, new(connMemory))
}

type connKey struct{}

// connMemory holds what was last seen on a connection, which mostly comes again with
// each request; HTTP/2 asks it from several goroutines.
type connMemory struct {
	last  atomic.Pointer[remembered]
	agent atomic.Pointer[agentTraits]
	used  atomic.Bool // it has carried a request
}

// remembered is a pass that holds.
type remembered struct {
	cookie, host string
	shown        shown

	// line is the whole Cookie header it came in, with no ticket beside it, and rest
	// what the origin gets of that; empty: not remembered.
	line, rest string
	secured    bool
	changes    uint8 // how often another had been remembered before
}

// agentTraits are what a User-Agent says, hashed under one key.
type agentTraits struct {
	text         string
	key          sketch.Key
	agent, class uint32
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

// seen gives what is remembered of the very Cookie header that a request has; nil: nothing.
// Behind a proxy a connection is many people's. The texts are compared eight bytes at once
// or more, so that time tells nothing that could be guessed piece by piece.
func (memory *connMemory) seen(lines []string, host string, secured bool) *remembered {
	if memory == nil || len(lines) != 1 || lines[0] == "" {
		return nil
	}
	if m := memory.last.Load(); m != nil && m.line == lines[0] && m.host == host && m.secured == secured {
		return m
	}
	return nil
}

// at is the pass as it holds now.
func (m *remembered) at(now deich.Time, life time.Duration) shown {
	if now.Sub(m.shown.minted) > life {
		return shown{}
	}
	return m.shown
}

// passOf verifies the pass a request shows, once for each connection. line is the whole
// Cookie header, where it may be remembered.
func (memory *connMemory) passOf(r *ring, cookie, line, host string, secured bool, now deich.Time, life time.Duration) shown {
	if memory == nil {
		return r.showPass(cookie, host, now, life)
	}
	m := memory.last.Load()
	s, changes := shown{}, uint8(0)
	if m != nil {
		changes = m.changes
	}
	if changes >= cookieChangesMax {
		line = ""
	}
	if known := m != nil && m.cookie == cookie && m.host == host; !known {
		s = r.showPass(cookie, host, now, life)
	} else if s = m.at(now, life); line == "" {
		return s
	}
	if s.pass.ID == 0 {
		return s // what does not hold is not remembered: it would cost memory for nothing
	}
	// Cloned, since a cookie keeps its whole header alive.
	m = &remembered{host: strings.Clone(host), shown: s, secured: secured, changes: changes}
	if line == "" {
		m.cookie = strings.Clone(cookie)
	} else {
		m.line, m.changes = strings.Clone(line), changes+1
		at := strings.Index(m.line, cookie)
		m.cookie, m.rest = m.line[at:at+len(cookie)], withoutOwn(m.line)
	}
	memory.last.Store(m)
	return s
}

// agentOf gives the traits of a User-Agent. That of a connection's second request is
// remembered: many have but one.
func (memory *connMemory) agentOf(agent string, key sketch.Key) (text, class uint32) {
	agent = agent[:min(len(agent), traitBytesMax)]
	var m *agentTraits
	if memory != nil {
		if m = memory.agent.Load(); m != nil && m.text == agent && m.key == key {
			return m.agent, m.class
		}
	}
	text, class = textOf(agent, key), textOf(agentClass(agent), key)
	if memory != nil && memory.used.Load() && (m == nil || m.key != key) {
		memory.agent.Store(&agentTraits{strings.Clone(agent), key, text, class})
	}
	return text, class
}

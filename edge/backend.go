package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

var errLinesFull = errors.New("edge: too many connections to the origin")

// backend is one server of a platform, with its unused connections.
type backend struct {
	addr     string                    // host:port
	tls      *tls.Config               // nil: plain
	timeouts *atomic.Pointer[Timeouts] // of the whole group
	open     *atomic.Int64             // connections of the whole group
	openMax  int64
	busy     atomic.Int64 // requests it has at this moment
	downTill atomic.Int64 // Unix ns; passed over until then
	leavers  leavers

	mu      sync.Mutex
	idle    []*line // the one used last is at the end
	retired bool    // by a Swap: nothing is kept any more
}

func newBackend(u *url.URL, secure *tls.Config, g *group, openMax int) *backend {
	b := &backend{addr: u.Host, timeouts: &g.timeouts, open: &g.open, openMax: int64(openMax)}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
		b.tls = secure.Clone()
		b.tls.ServerName = u.Hostname()
	}
	if u.Port() == "" {
		b.addr = net.JoinHostPort(u.Hostname(), port)
	}
	return b
}

// take gives an unused line, or a new one. Unused ones that the backend has
// closed meanwhile are found out here, before anything is written to them.
func (b *backend) take(ctx context.Context, mustDial bool) (*line, error) {
	for !mustDial {
		l := b.unused()
		if l == nil {
			break
		}
		if l.fresh(time.Now()) {
			l.reused = true
			return l, nil
		}
		l.close()
	}
	return b.dial(ctx)
}

func (b *backend) unused() *line {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.idle) - 1
	if last < 0 {
		return nil
	}
	l := b.idle[last]
	b.idle[last] = nil
	b.idle = b.idle[:last]
	return l
}

func (b *backend) dial(ctx context.Context) (*line, error) {
	if b.open.Add(1) > b.openMax {
		b.open.Add(-1)
		return nil, errLinesFull
	}
	l, err := b.connect(ctx)
	if err != nil {
		b.open.Add(-1)
		if ctx.Err() == nil {
			b.downTill.Store(time.Now().Add(downFor).UnixNano())
		}
		return nil, err
	}
	return l, nil
}

func (b *backend) connect(ctx context.Context) (*line, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeouts.Load().Connect.Duration)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", b.addr)
	if err != nil {
		return nil, err
	}
	var secured *tls.Conn
	if b.tls != nil {
		secured = tls.Client(nc, b.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
	}
	return newLine(b, nc.(*net.TCPConn), secured)
}

// keep takes a line back for the next request, or closes it.
func (b *backend) keep(l *line) {
	l.idleSince = time.Now()
	b.mu.Lock()
	if !b.retired && len(b.idle) < idleLinesMax {
		b.idle = append(b.idle, l)
		l = nil
	}
	b.mu.Unlock()
	if l != nil {
		l.close()
	}
}

// closed counts a line out.
func (b *backend) closed() { b.open.Add(-1) }

// prune closes what was not used for long; with all, everything, for good.
func (b *backend) prune(now time.Time, all bool) {
	b.mu.Lock()
	b.retired = b.retired || all
	n := 0
	for n < len(b.idle) && (all || now.Sub(b.idle[n].idleSince) >= lineIdle) {
		n++
	}
	old := append([]*line(nil), b.idle[:n]...)
	left := copy(b.idle, b.idle[n:])
	clear(b.idle[left:])
	b.idle = b.idle[:left]
	b.mu.Unlock()
	for _, l := range old {
		l.close()
	}
}

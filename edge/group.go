package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// group is the platform behind one or more sites: one origin to the engine, on
// one or more backends.
type group struct {
	key         string
	origins     []string
	ca          string         // the file of authorities
	index       uint16         // the engine's number for it
	prefix      string         // of the origins' paths
	authorities *x509.CertPool // for https; nil: the system's
	backends    []*backend
	timeouts    atomic.Pointer[Timeouts]
	turn        atomic.Uint32
	open        atomic.Int64
	health      health
	fetching    atomic.Int32 // the cache's own requests to it
	renewals    pace         // readers who asked it although there was a copy for them
}

func newGroup(s Site, index uint16, t *Timeouts, l Limits) (*group, error) {
	pool, err := s.authorities()
	if err != nil {
		return nil, fmt.Errorf("edge: origin_ca: %w", err)
	}
	g := &group{key: s.groupKey(), origins: s.Origins, ca: s.OriginCA, index: index, authorities: pool}
	g.timeouts.Store(t)
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	for _, text := range s.Origins {
		u, err := parseOrigin(text)
		if err != nil {
			return nil, fmt.Errorf("edge: origin %q: %w", text, err)
		}
		g.prefix = originPrefix(u)
		g.backends = append(g.backends, newBackend(u, config, g, l.OriginConnections))
	}
	return g, nil
}

// pick chooses the backend with the fewest requests among those that can be
// reached, and in turn among equals. Where none can be reached all are tried:
// a wrong guess costs an error, a right one brings the platform back.
func (g *group) pick(not *backend) *backend {
	if len(g.backends) == 1 {
		return g.backends[0]
	}
	now := time.Now().UnixNano()
	first := int(g.turn.Add(1))
	var best *backend
	var bestDown bool
	for i := range g.backends {
		b := g.backends[(first+i)%len(g.backends)]
		down := b.downTill.Load() > now || b == not
		if best == nil || bestDown && !down || bestDown == down && b.busy.Load() < best.busy.Load() {
			best, bestDown = b, down
		}
	}
	return best
}

// take gives a line to one of the backends; one that cannot be reached is
// passed over once, since nothing was sent yet.
func (g *group) take(ctx context.Context, mustDial bool) (*line, error) {
	b := g.pick(nil)
	l, err := b.take(ctx, mustDial)
	if err != nil && len(g.backends) > 1 && ctx.Err() == nil {
		l, err = g.pick(b).take(ctx, mustDial)
	}
	return l, err
}

// prune closes unused lines.
func (g *group) prune(now time.Time, all bool) {
	for _, b := range g.backends {
		b.prune(now, all)
	}
}

// retire closes what is unused, and lets nothing be kept any more.
func (g *group) retire() {
	g.forsake()
	g.prune(time.Time{}, true)
}

// forsake ends what is answered for clients who have gone, now and later.
func (g *group) forsake() {
	for _, b := range g.backends {
		b.leavers.end()
	}
}

// originPrefix is what an origin's URL puts in front of every path.
func originPrefix(u *url.URL) string { return strings.TrimRight(u.EscapedPath(), "/") }

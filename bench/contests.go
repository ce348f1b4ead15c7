//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

const (
	peerDeich   = "deich"
	peerNginx   = "nginx"
	peerHAProxy = "haproxy"
	peerVarnish = "varnishd"
)

// contest is one question, put to several contenders.
type contest struct {
	name       string
	title      string
	figure     string // what is compared
	asks       string // what the clients do
	contenders []contender
	over       string // the contender that Deich's figure is held against
	target     float64
	wanted     float64 // 0: the target
	trial      func(context.Context, *bench, contender) (trial, error)
}

// contests are all of them, in the order of the table.
func contests() []*contest {
	half := new(halfLoad)
	return []*contest{{
		name: "http1", title: "A proxied request over HTTP/1.1, connections kept", figure: "CPU µs a request",
		asks: fmt.Sprintf("%d connections ask as soon as they are answered", peaceConnections),
		contenders: []contender{
			{name: "Deich", peer: peerDeich},
			{name: "Deich --observe", peer: peerDeich, flags: []string{"--observe"}},
			{name: "HAProxy", peer: peerHAProxy, config: "haproxy-http.cfg"},
			{name: "nginx", peer: peerNginx, config: "nginx-http.conf"},
			{name: "Varnish", peer: peerVarnish, config: "varnish-http.vcl"},
		},
		over: "HAProxy", target: 2.3, wanted: 2.0, trial: peaceTrial,
	}, {
		name: "h2", title: "A proxied request over TLS and HTTP/2", figure: "CPU µs a request",
		asks: fmt.Sprintf("%d connections with %d streams each ask as soon as they are answered", h2Connections, h2Streams),
		contenders: []contender{
			{name: "Deich", peer: peerDeich, tls: true},
			{name: "nginx", peer: peerNginx, config: "nginx-h2.conf", tls: true},
		},
		over: "nginx", target: 1.7, wanted: 1.6, trial: h2Trial,
	}, {
		name: "flood", title: "A flood over kept connections, the origin small", figure: "CPU µs a flood request",
		asks: fmt.Sprintf("%d sources ask for the front page %d times a second over %d connections; the origin answers %d a second",
			floodSources, floodRate, floodConnections, originRate),
		contenders: []contender{
			{name: "Deich", peer: peerDeich},
			{name: "nginx", peer: peerNginx, config: "nginx-limits.conf"},
		},
		over: "nginx", target: 1.5, trial: floodTrial,
	}, {
		name: "answered", title: "A refusal with an answer, a connection each", figure: "CPU µs a refusal",
		asks: fmt.Sprintf("%d connections at once from %d sources, one request each, all sources far over their budget", eachConnections, floodSources),
		contenders: []contender{
			{name: "Deich", peer: peerDeich},
			{name: "HAProxy", peer: peerHAProxy, config: "haproxy-429.cfg"},
		},
		over: "HAProxy", target: 1.5, trial: answeredTrial,
	}, {
		name: "accept", title: "A refusal at accept, a connection each", figure: "CPU µs a refusal",
		asks: fmt.Sprintf("%d connections at once from %d sources, all sources judged", eachConnections, floodSources),
		contenders: []contender{
			{name: "Deich", peer: peerDeich},
			{name: "HAProxy", peer: peerHAProxy, config: "haproxy-reject.cfg"},
		},
		over: "HAProxy", target: 1.2, trial: acceptTrial,
	}, {
		name: "p99", title: "The slowest hundredth at half load", figure: "p99 ms",
		asks: fmt.Sprintf("%d connections ask half as often as Deich can answer, evenly, all contenders at the same rate", peaceConnections),
		contenders: []contender{
			{name: "Deich", peer: peerDeich},
			{name: "HAProxy", peer: peerHAProxy, config: "haproxy-http.cfg"},
		},
		over: "HAProxy", target: 1.3, trial: half.trial,
	}, {
		name: "status", title: "Users while the status page is asked by everybody", figure: "p99 ms",
		asks: fmt.Sprintf("%d connections of users ask %d times a second, evenly; %d more ask the status page, a process of its own on the same core, %d times a second, or once",
			peaceConnections, statusUsers, statusConnections, statusRate),
		contenders: []contender{
			{name: "Deich, page asked", peer: peerDeich, asked: statusRate},
			{name: "Deich, page quiet", peer: peerDeich, asked: 1},
		},
		over: "Deich, page quiet", target: 1.2, trial: statusTrial,
	}}
}

// browser is a request as a browser sends it; the cookie is the pass that Deich
// gave it, and as long for its peers.
func browser(addr netip.AddrPort, cookie string) []byte {
	return fmt.Appendf(nil, "GET /timeline?page=2 HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: %s\r\n"+
		"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef; %s\r\n\r\n",
		addr, userAgent, acceptPage, cookie)
}

const (
	userAgent  = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	acceptPage = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// tool is a request as a flood's tool sends it.
func tool(addr netip.AddrPort, each bool) []byte {
	last := ""
	if each {
		last = "Connection: close\r\n"
	}
	return fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n%s\r\n", addr, last)
}

// sources are addresses of loopback, of a third octet each contest has for itself.
func sources(third byte, n int) []netip.Addr {
	list := make([]netip.Addr, n)
	for i := range list {
		list[i] = netip.AddrFrom4([4]byte{127, 0, third, byte(1 + i)})
	}
	return list
}

// served is an error where not nearly everything got the origin's answer.
func served(t *tally) error {
	if ok := t.share("200"); ok < .999 {
		return fmt.Errorf("only %.2f %% were served: %v", 100*ok, t.outcomes)
	}
	return nil
}

func peacePlan(s *stand) (plan, error) {
	cookie, err := s.visit(peaceSources[0])
	if err != nil {
		return plan{}, err
	}
	return plan{
		to: s.addr, sources: peaceSources, connections: peaceConnections,
		request: browser(s.addr, cookie), warm: warmFor, measure: measureFor,
	}, nil
}

var peaceSources = sources(1, peaceConnections)

// peaceTrial measures what a proxied request costs.
func peaceTrial(ctx context.Context, b *bench, c contender) (trial, error) {
	return b.loopTrial(ctx, c, 0, func(s *stand) (plan, error) { return peacePlan(s) }, func(t *tally, m *metered) (float64, error) {
		return m.perRequest(t.total()), served(t)
	})
}

// floodTrial measures what a flood's request costs, whatever it comes to.
func floodTrial(ctx context.Context, b *bench, c contender) (trial, error) {
	return b.loopTrial(ctx, c, originRate, func(s *stand) (plan, error) {
		return plan{
			to: s.addr, sources: sources(2, floodSources), connections: floodConnections, rate: floodRate,
			request: tool(s.addr, false), warm: warmFor, measure: floodFor,
		}, nil
	}, func(t *tally, m *metered) (float64, error) {
		return m.perRequest(t.total()), nil
	})
}

var answeredSources = sources(3, floodSources)

// answeredLeast is the part that must be refused with an answer.
const answeredLeast = .95

func answered(t *tally) float64 { return t.share("429") }

// answeredTrial keeps every source far over its budget. From each of Deich's
// somebody with a pass was served before: then it does not refuse the source as
// a whole, but goes on to answer each request.
func answeredTrial(ctx context.Context, b *bench, c contender) (trial, error) {
	return b.eachTrial(ctx, c, answeredSources, true, answeredLeast, answered)
}

// acceptTrial floods until the sources themselves are refused.
func acceptTrial(ctx context.Context, b *bench, c contender) (trial, error) {
	return b.eachTrial(ctx, c, sources(4, floodSources), false, .99, func(t *tally) float64 {
		return t.share(outcomeReset, outcomeClosed)
	})
}

// eachTrial opens a connection for each request, and counts once nearly all are
// refused as meant; enough is the part that must be.
func (b *bench) eachTrial(ctx context.Context, c contender, from []netip.Addr, known bool, enough float64,
	refused func(*tally) float64,
) (trial, error) {
	return b.loopTrial(ctx, c, originRate, func(s *stand) (plan, error) {
		return eachPlan(s, from, known, enough, refused)
	}, func(t *tally, m *metered) (float64, error) {
		if got := refused(t); got < enough {
			return 0, fmt.Errorf("only %.1f %% were refused as meant: %v", 100*got, t.outcomes)
		}
		return m.perRequest(t.total()), nil
	})
}

func eachPlan(s *stand, from []netip.Addr, known bool, enough float64, refused func(*tally) float64) (plan, error) {
	if known {
		for _, a := range from {
			if err := s.befriend(a); err != nil {
				return plan{}, err
			}
		}
	}
	return plan{
		to: s.addr, sources: from, connections: eachConnections, each: true,
		request: tool(s.addr, true), warm: warmFor, measure: measureFor,
		warmUntil: recently(refused, enough),
	}, nil
}

// recently asks whether nearly all of what came in the last quarter of a second
// was refused.
func recently(refused func(*tally) float64, enough float64) func(*tally) bool {
	since := time.Now()
	return func(t *tally) bool {
		if time.Since(since) < 250*time.Millisecond {
			return false
		}
		since = time.Now()
		yes := t.total() > 100 && refused(t) > enough
		t.reset()
		return yes
	}
}

// halfLoad finds the rate for the contest of the slowest hundredth once.
type halfLoad struct{ rate float64 }

func (h *halfLoad) trial(ctx context.Context, b *bench, c contender) (trial, error) {
	if h.rate == 0 {
		full, err := peaceTrial(ctx, b, contender{name: "Deich", peer: peerDeich})
		if err != nil {
			return trial{}, err
		}
		h.rate = full.Rate / 2
	}
	return b.loopTrial(ctx, c, 0, func(s *stand) (plan, error) {
		p, err := peacePlan(s)
		p.rate = h.rate
		return p, err
	}, func(t *tally, _ *metered) (float64, error) {
		return float64(t.quantile(.99)) / float64(time.Millisecond), served(t)
	})
}

// statusTrial measures how long users wait while others ask for the status page.
func statusTrial(ctx context.Context, b *bench, c contender) (trial, error) {
	return b.loopTrial(ctx, c, 0, func(s *stand) (plan, error) {
		p, err := peacePlan(s)
		p.rate, p.measure = statusUsers, statusFor
		p.beside = &plan{
			to: s.page, sources: sources(5, statusConnections), connections: statusConnections, rate: float64(c.asked),
			request: fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: %s\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip\r\n\r\n", s.page, userAgent, acceptPage),
		}
		return p, err
	}, func(t *tally, _ *metered) (float64, error) {
		if t.beside.held*100 > t.beside.total() {
			return 0, fmt.Errorf("the page was asked too seldom: %d times, and %d times no connection was free", t.beside.total(), t.beside.held)
		}
		return float64(t.quantile(.99)) / float64(time.Millisecond), errors.Join(served(t), served(t.beside))
	})
}

// loopTrial runs one plan against one contender.
func (b *bench) loopTrial(ctx context.Context, c contender, rate int, prepare func(*stand) (plan, error),
	figure func(*tally, *metered) (float64, error),
) (t trial, err error) {
	s, err := b.open(ctx, c, rate)
	if err != nil {
		return trial{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	p, err := prepare(s)
	if err != nil {
		return trial{}, err
	}
	m := &metered{stand: s}
	p.ctx, p.begin, p.end = ctx, m.begin, m.finish
	got, err := p.run()
	if err != nil {
		return trial{}, err
	}
	t = m.trial(got)
	t.Figure, err = figure(got, m)
	return t, err
}

func newResult(c *contest) *result {
	return &result{
		Name: c.name, Title: c.title, Figure: c.figure, Asks: c.asks,
		Over: c.over, Target: c.target, Wanted: c.wanted,
	}
}

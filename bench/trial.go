//go:build linux

package main

import (
	"os"
	"time"
)

// metered reads what processes and cores have used, when what counts begins
// and when it ends.
type metered struct {
	stand         *stand
	first, last   reading
	ownExtra      time.Duration // of a load generator that has ended
	proxy, origin time.Duration
}

type reading struct {
	at                 time.Time
	proxy, origin, own time.Duration
	cores              []time.Duration
}

func (m *metered) read() (r reading, err error) {
	r.at = time.Now()
	if r.proxy, err = cpuOf(m.stand.proxy.cmd.Process.Pid); err != nil {
		return r, err
	}
	if r.origin, err = cpuOf(m.stand.origin.cmd.Process.Pid); err != nil {
		return r, err
	}
	all, err := cpuOf(os.Getpid()) // proxy and origin are its children
	if err != nil {
		return r, err
	}
	r.own = all - r.proxy - r.origin
	r.cores, err = busy()
	return r, err
}

func (m *metered) begin() (err error) {
	m.first, err = m.read()
	return err
}

func (m *metered) finish() (err error) {
	m.last, err = m.read()
	m.proxy, m.origin = m.last.proxy-m.first.proxy, m.last.origin-m.first.origin
	return err
}

// perRequest is the proxy's CPU in microseconds.
func (m *metered) perRequest(n int) float64 {
	return float64(m.proxy) / float64(time.Microsecond) / float64(max(n, 1))
}

func (m *metered) trial(t *tally) trial {
	took := m.last.at.Sub(m.first.at)
	all, core := time.Duration(0), time.Duration(0)
	for i := range m.last.cores {
		used := m.last.cores[i] - m.first.cores[i]
		all += used
		if i == proxyCore {
			core = used
		}
	}
	own := m.last.own - m.first.own + m.ownExtra
	other := max(0, all-own-m.proxy-m.origin)
	return trial{
		Contender: m.stand.name, Outcomes: t.outcomes, Held: t.held, Seconds: took.Seconds(),
		Rate:     float64(t.total()) / took.Seconds(),
		ProxyCPU: m.proxy.Seconds(), OriginCPU: m.origin.Seconds(), CoreCPU: core.Seconds(),
		OtherCPU: other.Seconds() / took.Seconds(),
		P50:      float64(t.quantile(.5)) / float64(time.Millisecond), P99: float64(t.quantile(.99)) / float64(time.Millisecond),
	}
}

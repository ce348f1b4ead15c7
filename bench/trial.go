//go:build linux

package main

import (
	"os"
	"time"
)

// metered reads what processes have used, when what counts begins and when it
// ends.
type metered struct {
	stand         *stand
	first, last   processes
	from, to      time.Time
	proxy, origin time.Duration
}

func (m *metered) begin() (err error) {
	m.first, err = readProcesses()
	m.from = time.Now()
	return err
}

func (m *metered) finish() (err error) {
	m.to = time.Now()
	if m.last, err = readProcesses(); err != nil {
		return err
	}
	if m.proxy, err = m.used(m.stand.proxy); err != nil {
		return err
	}
	m.origin, err = m.used(m.stand.origin)
	return err
}

func (m *metered) used(c *child) (time.Duration, error) {
	was, err := m.first.of(c.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	is, err := m.last.of(c.cmd.Process.Pid)
	return is - was, err
}

// perRequest is the proxy's CPU in microseconds.
func (m *metered) perRequest(n int) float64 {
	return float64(m.proxy) / float64(time.Microsecond) / float64(max(n, 1))
}

func (m *metered) trial(t *tally) trial {
	took := m.to.Sub(m.from)
	return trial{
		Contender: m.stand.name, Outcomes: t.outcomes, Held: t.held, Seconds: took.Seconds(),
		Rate:     float64(t.total()) / took.Seconds(),
		ProxyCPU: m.proxy.Seconds(), OriginCPU: m.origin.Seconds(),
		OtherCPU: m.last.others(m.first, os.Getpid()).Seconds() / took.Seconds(),
		P50:      float64(t.quantile(.5)) / float64(time.Millisecond), P99: float64(t.quantile(.99)) / float64(time.Millisecond),
	}
}

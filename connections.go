package deich

import (
	"math"
	"time"
)

// Connections is what became of clients' connections since the start, below what is
// asked by them. Those of configured proxies are in none of the counts.
type Connections struct {
	Asked   uint64 // brought a first request
	Empty   uint64 // were left by their client without one, from where nobody is known
	Shaken  uint64 // of Empty, those whose handshake was computed
	Refused uint64 // at accept, since their source had had its share

	Processors int // that all of this is done with
}

const (
	// emptyCost and shakenCost are about what a processor spends on one that is
	// empty, and on its handshake beside that.
	emptyCost  = 100e-6 // seconds
	shakenCost = 250e-6
	// emptyPart is the part of the processors' time from which on they are many,
	// emptyTimes how many there have to be for each that brings a request, and
	// emptyLast how long both have to last.
	emptyPart  = .1
	emptyTimes = 4
	emptyLast  = Time(time.Second)
	// emptyQuiet is how long they stand as the cause after: so late a fault is still
	// told that they made.
	emptyQuiet = causeQuiet + aloneFresh
	emptyStale = 10 * Time(time.Second) // told so rarely, counts say nothing
)

// empties is what is known of connections without requests. Guarded by Engine.ticking.
type empties struct {
	at      Time // when they were last told of
	last    Connections
	ordered uint64 // refused since then under orders that such connections brought

	rate, shaken float64 // a second
	over         Time    // since when there are many; 0: there are not
	since, until Time    // when they are the cause; until is moved on as long as they are
}

// Connected tells what became of connections. To be called about every second;
// who never calls it has no evidence of them.
func (e *Engine) Connected(at Time, c Connections) {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	m := &e.empties
	span := at.Sub(m.at).Seconds()
	was, ordered, fresh := m.last, m.ordered, m.at != 0 && at-m.at < emptyStale
	m.at, m.last, m.ordered = at, c, 0
	if !fresh || span <= 0 {
		m.over = 0
		return
	}
	empty, asked := float64(c.Empty-was.Empty+ordered), float64(c.Asked-was.Asked)
	m.rate, m.shaken = (empty+float64(c.Refused-was.Refused))/span, float64(c.Shaken-was.Shaken)/span
	spent := (m.rate*emptyCost + m.shaken*shakenCost) / float64(max(c.Processors, 1))
	// Who was refused counts for what it costs, and says nothing of what it wanted:
	// what those did who came in, does.
	if spent < emptyPart || empty < emptyTimes*asked {
		m.over = 0
		return
	}
	if m.over == 0 {
		m.over = at
	}
	if at-m.over < emptyLast {
		return
	}
	if at > m.until {
		m.since = m.over
	}
	m.until = at + emptyQuiet
}

// judge gives what is judged of an origin, was being what was before and j what its
// requests say. A flood of connections slows a machine down
// and asks nothing, so from requests alone it looks like an origin's own fault.
func (m *empties) judge(was, j Judgement, fails bool, at Time) Judgement {
	switch {
	case at < m.until:
	case m.over != 0 && j.Cause == CauseOriginFault:
		return was // a second more tells whose fault it is
	default:
		return j
	}
	term := Term{"empty_connections", m.rate, termMost}
	if m.shaken*shakenCost > m.rate*emptyCost {
		term = Term{"empty_handshakes", m.shaken, termMost}
	}
	terms := append([]Term{term}, j.Terms...)
	if j.Cause == CauseFlood || j.Cause == CauseMixed {
		j.Terms = terms
		return j
	}
	cause, since := CauseFlood, m.since
	if fails {
		cause = CauseMixed // it makes an origin slow, and has none fail
	}
	if cause == was.Cause {
		since = was.Since
	}
	return Judgement{Cause: cause, Since: since, Terms: terms, Confidence: 1 / (1 + math.Exp(-termMost))}
}

// fault says that connections have to do with what looks like a fault.
func (m *empties) fault(at Time) bool { return m.over != 0 || at < m.until }

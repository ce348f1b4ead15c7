package main

import (
	"slices"
	"strconv"
	"time"
)

// What can become of a request beside a status.
const (
	outcomeReset   = "reset"   // the connection was reset
	outcomeClosed  = "closed"  // it was closed without a whole answer
	outcomeRefused = "refused" // nobody listens
	outcomeLate    = "late"    // no answer within patience
	outcomeBroken  = "broken"  // an answer that is none
)

// tally is what clients got.
type tally struct {
	outcomes map[string]int
	held     int // paced requests that were not sent, since all connections were busy
	took     time.Duration
	waits    []time.Duration // of answered ones, from when they were due
	beside   *tally          // what those beside got; nil: nobody is
}

func (t *tally) reset() {
	t.outcomes = make(map[string]int)
	t.held, t.waits = 0, t.waits[:0]
}

func (t *tally) count(what string, wait time.Duration) {
	t.outcomes[what]++
	if isStatus(what) {
		t.waits = append(t.waits, wait)
	}
}

// total is how many requests came to an end.
func (t *tally) total() (n int) {
	for _, each := range t.outcomes {
		n += each
	}
	return n
}

// share is the part of all that ended in one of the given ways.
func (t *tally) share(of ...string) float64 {
	n := 0
	for _, each := range of {
		n += t.outcomes[each]
	}
	return float64(n) / float64(max(t.total(), 1))
}

// quantile gives the wait that the q-th part of the answers did not exceed; 0
// without answers.
func (t *tally) quantile(q float64) time.Duration {
	if len(t.waits) == 0 {
		return 0
	}
	slices.Sort(t.waits)
	return t.waits[min(int(q*float64(len(t.waits))), len(t.waits)-1)]
}

func statusText(status int) string { return strconv.Itoa(status) }

func isStatus(what string) bool {
	_, err := strconv.Atoi(what)
	return err == nil
}

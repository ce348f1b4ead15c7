package townsquare

import (
	"errors"
	"sync/atomic"
)

// errClosing says that the platform ends and does no more work.
var errClosing = errors.New("closing")

// workers is a fixed number of places to work at and an unbounded queue for
// them, first come first served. Nothing leaves the queue but by its turn: who
// has given up meanwhile is worked for all the same, as in most software that
// has a pool of processes or database connections.
type workers struct {
	places  chan struct{}
	closing chan struct{}
	waiting atomic.Int64
}

func newWorkers(n int) *workers {
	return &workers{places: make(chan struct{}, n), closing: make(chan struct{})}
}

// do waits for a place and runs work there. After close it gives errClosing.
func (w *workers) do(work func() error) error {
	w.waiting.Add(1)
	select {
	case w.places <- struct{}{}: // the runtime wakes senders in the order they came
		w.waiting.Add(-1)
	case <-w.closing:
		w.waiting.Add(-1)
		return errClosing
	}
	defer func() { <-w.places }()
	return work()
}

// close turns away whoever waits and whoever comes.
func (w *workers) close() { close(w.closing) }

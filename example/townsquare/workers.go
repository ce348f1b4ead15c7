package townsquare

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// errClosing says that the platform ends and does no more work.
var errClosing = errors.New("closing")

// workers is a fixed number of workers and an unbounded queue for them, first
// come first served. Nothing leaves the queue but by its turn: who has given up
// meanwhile is worked for all the same, as in most software that has a pool of
// processes or database connections.
type workers struct {
	jobs      chan job
	closing   chan struct{}
	ended     sync.WaitGroup
	closeOnce sync.Once
	waiting   atomic.Int64
}

// job is work with the place where its error goes.
type job struct {
	work func() error
	done chan<- error
}

// newWorkers starts n workers. They end with close.
func newWorkers(n int) *workers {
	w := &workers{jobs: make(chan job), closing: make(chan struct{})}
	for range n {
		w.ended.Go(w.run)
	}
	return w
}

func (w *workers) run() {
	for {
		select {
		case j := <-w.jobs: // the runtime takes senders in the order they came
			j.done <- j.safely()
			// On one core the rest of the process would otherwise stand still
			// for as long as there is work, and requests would wait in the
			// scheduler, before their handler begins to be timed.
			runtime.Gosched()
		case <-w.closing:
			return
		}
	}
}

// safely turns a panic into an error, since a worker is not for one request.
func (j job) safely() (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("townsquare: work: panic: %v\n%s", broken, debug.Stack())
		}
	}()
	return j.work()
}

// do waits for a worker and for its work. After close it gives errClosing.
func (w *workers) do(work func() error) error {
	done := make(chan error, 1)
	w.waiting.Add(1)
	select {
	case w.jobs <- job{work, done}:
		w.waiting.Add(-1)
		return <-done
	case <-w.closing:
		w.waiting.Add(-1)
		return errClosing
	}
}

// close turns away whoever waits and whoever comes, and returns when the work
// begun is done. It may be called again.
func (w *workers) close() {
	w.closeOnce.Do(func() { close(w.closing) })
	w.ended.Wait()
}

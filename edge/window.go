package edge

import (
	"net/http"
	"sync"
	"time"
)

// windowed sees to it that a client takes its answer, over HTTP/2 and HTTP/3. There
// one stream can be shut while others flow, which the connection does not see; and
// one waits for the others where all of them are slow, which is no fault of
// its own. So a write that has waited for a whole window is let go on where its
// connection has moved meanwhile, and ended where it has not.
type windowed struct {
	http.ResponseWriter
	control *http.ResponseController
	moved   func() int64 // by the whole connection, to its client, in bytes
	sent    int          // to the writer below

	mu      sync.Mutex
	timer   *time.Timer // nil: none was needed yet
	writing bool
	before  int64 // what had moved when the present window began
}

func newWindowed(w http.ResponseWriter, moved func() int64) *windowed {
	return &windowed{ResponseWriter: w, control: http.NewResponseController(w), moved: moved}
}

// Unwrap is for http.ResponseController.
func (w *windowed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write hands p on.
func (w *windowed) Write(p []byte) (int, error) {
	if w.sent += len(p); w.sent <= quickWrite {
		return w.ResponseWriter.Write(p) // which the writer below takes without waiting
	}
	w.open()
	defer w.shut()
	return w.ResponseWriter.Write(p)
}

// FlushError sends what is held back.
func (w *windowed) FlushError() error {
	w.open()
	defer w.shut()
	return w.control.Flush()
}

// open begins a window.
func (w *windowed) open() {
	moved := w.moved()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing, w.before = true, moved
	if w.timer == nil {
		w.timer = time.AfterFunc(writeWindow, w.due)
		return
	}
	w.timer.Reset(writeWindow)
}

func (w *windowed) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = false
	w.timer.Stop()
}

// due is called when a window is over and its write is not.
func (w *windowed) due() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.writing {
		return
	}
	moved := w.moved()
	if moved-w.before >= writeLeast {
		w.before = moved
		w.timer.Reset(writeWindow)
		return
	}
	w.control.SetWriteDeadline(time.Now())
}

// rest gives what is still held back, as the handler has ended, its time.
func (w *windowed) rest() {
	if w.sent > 0 {
		w.control.SetWriteDeadline(time.Now().Add(tailWindow))
	}
}

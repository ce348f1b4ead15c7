package townsquare

import (
	"errors"
	"sync"
)

// errStreams says that no more streams are taken.
var errStreams = errors.New("too many streams")

// hub hands each new message to all live streams. It is safe for concurrent use.
type hub struct {
	mu      sync.Mutex
	streams map[chan message]struct{}
	closed  bool
}

func newHub() *hub { return &hub{streams: make(map[chan message]struct{})} }

// join gives a stream of what is posted from now on. It is closed when it lags
// by more than streamBacklog, and when the hub is.
func (h *hub) join() (chan message, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosing
	}
	if len(h.streams) >= streamsMax {
		return nil, errStreams
	}
	stream := make(chan message, streamBacklog)
	h.streams[stream] = struct{}{}
	return stream, nil
}

// leave ends a stream; one that was closed already is left alone.
func (h *hub) leave(stream chan message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, stream)
}

// publish never waits for a stream.
func (h *hub) publish(p message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for stream := range h.streams {
		select {
		case stream <- p:
		default:
			delete(h.streams, stream)
			close(stream)
		}
	}
}

func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// close ends all streams and takes no more.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for stream := range h.streams {
		delete(h.streams, stream)
		close(stream)
	}
}

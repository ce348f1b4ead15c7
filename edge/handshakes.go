package edge

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

var errNoHandshake = errors.New("edge: too many handshakes")

// handshakes is the budget of TLS handshakes. What one costs is spent all at once, after the
// client's first message; it is some hundred times what the message costs its sender.
// So only as many are computed at once as there are processors, and requests never
// wait behind more. The others wait in two rows: those from where somebody
// was served before go first, in turn; of strangers the newest, since who has waited
// longest has left soonest. Whoever left is passed over. Safe for concurrent use.
type handshakes struct {
	atOnce  int
	refused atomic.Uint64

	mu      sync.Mutex
	running int
	known   []*handshake // oldest first
	others  []*handshake
}

// handshake is one that waits.
type handshake struct {
	turn chan bool // false: it is not taken
}

func newHandshakes() *handshakes { return &handshakes{atOnce: runtime.GOMAXPROCS(0)} }

// enter waits for a turn; leave ends it. An error says that there is none.
func (s *handshakes) enter(known bool) error {
	s.mu.Lock()
	if s.running < s.atOnce {
		s.running++
		s.mu.Unlock()
		return nil
	}
	h := &handshake{turn: make(chan bool, 1)}
	row := &s.others
	if known {
		row = &s.known
	}
	if len(*row) >= handshakesWaiting { // the oldest makes room
		(*row)[0].turn <- false
		*row = append((*row)[:0], (*row)[1:]...)
	}
	*row = append(*row, h)
	s.mu.Unlock()

	wait := time.NewTimer(handshakeWait)
	defer wait.Stop()
	select {
	case mine := <-h.turn:
		if mine {
			return nil
		}
	case <-wait.C:
		if s.forget(h) || !<-h.turn {
			break
		}
		return nil // its turn came in the last moment
	}
	s.refused.Add(1)
	return errNoHandshake
}

// leave gives the turn to the next.
func (s *handshakes) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := len(s.others); {
	case len(s.known) > 0:
		s.known[0].turn <- true
		s.known = append(s.known[:0], s.known[1:]...)
	case n > 0:
		s.others[n-1].turn <- true
		s.others = s.others[:n-1]
	default:
		s.running--
	}
}

// forget takes h out; false says that its turn was decided.
func (s *handshakes) forget(h *handshake) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range []*[]*handshake{&s.known, &s.others} {
		for i, other := range *row {
			if other == h {
				*row = append((*row)[:i], (*row)[i+1:]...)
				return true
			}
		}
	}
	return false
}

// short says that handshakes run short.
func (s *handshakes) short() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.known)+len(s.others) >= handshakesShort
}

// shake takes a turn for the connection's handshake, once the client's first message is
// here. The turn ends with the answer to it, or with the connection.
func (c *conn) shake() error {
	s := c.set
	if err := s.handshakes.enter(c.trusted || s.known(c.peer)); err != nil {
		return err
	}
	c.shaking.Store(true)
	if c.closed.Load() { // meanwhile, so that nobody else ends it
		c.shaken()
		return errNoHandshake
	}
	if hungUp(c.tcp) {
		c.shaken()
		return errNoHandshake
	}
	return nil
}

func (c *conn) shaken() {
	if c.shaking.CompareAndSwap(true, false) {
		c.set.handshakes.leave()
	}
}

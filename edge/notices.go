package edge

import (
	"log"
	"log/slog"
	"strings"
	"sync/atomic"
)

// notices takes what the servers have to say (handshakes that failed,
// panics), at most noticesLogged a second: a flood must not fill a disk.
type notices struct {
	log    *slog.Logger
	said   atomic.Int32
	unsaid atomic.Uint64
}

func (n *notices) logger() *log.Logger { return log.New(n, "", 0) }

// Write takes one notice.
func (n *notices) Write(b []byte) (int, error) {
	if n.said.Add(1) > noticesLogged {
		n.unsaid.Add(1)
		return len(b), nil
	}
	n.log.Warn("edge: server", "notice", strings.TrimSpace(string(b)))
	return len(b), nil
}

// second begins a new second.
func (n *notices) second() {
	n.said.Store(0)
	if unsaid := n.unsaid.Swap(0); unsaid > 0 {
		n.log.Warn("edge: server: more notices", "count", unsaid)
	}
}

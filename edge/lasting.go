package edge

import (
	"context"
	"sync"
	"time"
)

// lasting knows the answers that may go on without end, tunnels and streams of
// events. Safe for concurrent use.
type lasting struct {
	mu   sync.Mutex
	open map[*pipe]*line
}

// begin notes one, until end. p tells when something passed last.
func (s *lasting) begin(p *pipe, l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[*pipe]*line)
	}
	s.open[p] = l
}

// end forgets one. Its line may be used for something else afterwards.
func (s *lasting) end(p *pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
}

// drain ends those that are silent, until ctx ends. Their clients come back by
// themselves; waiting for them would keep everybody out.
func (s *lasting) drain(ctx context.Context) {
	ticker := time.NewTicker(shutdownPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.hangUp(now.Add(-drainSilence))
		}
	}
}

// hangUp ends those in which nothing passed since then.
func (s *lasting) hangUp(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, l := range s.open {
		if p.last.Load() < since.UnixNano() {
			l.hangUp()
		}
	}
}

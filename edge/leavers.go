package edge

import "sync"

// leavers are the lines whose client has gone under pressure, while the origin
// works on the answer. They are not hung up as in peace: most platforms do not
// notice, and go on. A place that was free at once would let in more than the
// platform can do, and nobody would learn how slow it has become. So the answer
// is waited for, at most Timeouts.FirstByte. Each has a place at the engine, which
// bounds them. Safe for concurrent use.
type leavers struct {
	mu    sync.Mutex
	lines map[*line]struct{}
	ended bool
}

// leave is told that the client of l has gone.
func (s *leavers) leave(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !l.owed.Load() {
		l.hangUp()
		return
	}
	if s.lines == nil {
		s.lines = make(map[*line]struct{})
	}
	s.lines[l] = struct{}{}
}

// forget is told that l has its answer, or will have none.
func (s *leavers) forget(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lines, l)
}

// end hangs up all there are, and whoever comes after.
func (s *leavers) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for l := range s.lines {
		l.hangUp()
	}
	clear(s.lines)
}

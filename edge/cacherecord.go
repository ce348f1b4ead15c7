package edge

import (
	"io"
	"slices"
	"sync"
)

// records are what is kept of answers whose length is not known, while they go to who
// asked. Who reads slowly holds theirs for long: where all of them take more than
// inHandMax, the one that began first is let go. Safe for concurrent use.
type records struct {
	mu    sync.Mutex
	bytes int64
	open  []*recorder // as they began
}

// recorder keeps what is read through it.
type recorder struct {
	io.ReadCloser
	all   *records
	most  int64
	ended bool // the answer did

	// Guarded by all.mu.
	body []byte
	gone bool // there was no room for it
}

func (s *records) begin(body io.ReadCloser, most int64) *recorder {
	r := &recorder{ReadCloser: body, all: s, most: most}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, r)
	return r
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.ended = err == io.EOF
	r.all.add(r, p[:n])
	return n, err
}

func (s *records) add(r *recorder, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.gone {
		return
	}
	r.body = append(r.body, b...)
	s.bytes += int64(len(b))
	if int64(len(r.body)) > r.most {
		s.drop(r)
	}
	for s.bytes > inHandMax {
		s.drop(s.open[slices.IndexFunc(s.open, func(r *recorder) bool { return len(r.body) > 0 })])
	}
}

// end gives what was kept; whole is false where that is not all, and after the first time.
func (s *records) end(r *recorder) (body []byte, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, whole = r.body, r.ended && !r.gone
	s.drop(r)
	return body, whole
}

func (s *records) drop(r *recorder) {
	if r.gone {
		return
	}
	s.open = slices.DeleteFunc(s.open, func(each *recorder) bool { return each == r })
	s.bytes -= int64(len(r.body))
	r.body, r.gone = nil, true
}

package desk

import "sync"

// ring keeps the last room values. It is safe for concurrent use.
type ring[T any] struct {
	mu   sync.Mutex
	room int
	all  []T
	next int // where the oldest stands once all is full
}

func (r *ring[T]) add(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) < r.room {
		r.all = append(r.all, v)
		return
	}
	r.all[r.next] = v
	r.next = (r.next + 1) % r.room
}

// last gives up to n of the newest, oldest first.
func (r *ring[T]) last(n int) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, len(r.all))
	out := make([]T, 0, n)
	for i := len(r.all) - n; i < len(r.all); i++ {
		out = append(out, r.all[(r.next+i)%len(r.all)])
	}
	return out
}

package edge

import (
	"context"
	"net/http"
)

// freshKey marks requests that go to the origin on a connection of their own.
type freshKey struct{}

// FreshLine makes requests with this context go to the origin on a new
// connection: on a used one nobody could tell whether the origin had closed it
// before it read anything. It is for kept messages, which are few.
func FreshLine(ctx context.Context) context.Context {
	return context.WithValue(ctx, freshKey{}, true)
}

func wantsFresh(r *http.Request) bool { return r.Context().Value(freshKey{}) != nil }

// OriginOf gives the engine's number of the platform that a host's requests go
// to; false where no site has this name.
func (s *Server) OriginOf(host string) (uint16, bool) {
	site := s.state.Load().site(host)
	if site == nil {
		return 0, false
	}
	return site.group.index, true
}

package deich

import "net/netip"

// Known says whether somebody behind peer was served well in the last days. It is
// for what has to be decided before there is a request; a request is ranked by what
// its client shows. Safe for concurrent use.
func (e *Engine) Known(at Time, peer netip.Addr) bool {
	return e.past.age(e.sourceHash(peer), at, 0) > 0
}

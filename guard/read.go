package guard

import (
	"github.com/deichproject/deich"
)

// read fills in what the engine is told about a request.
func (h *Handler) read(v *visit) {
	r := v.r
	now := h.now()
	peer, client, validated := h.addr(r)
	origin := h.origin(r) % deich.OriginsMax
	safe := r.Method == "GET" || r.Method == "HEAD"
	routes := h.routes[origin].Load()
	route := routes.of(r.URL.Path, safe)

	v.req = deich.Request{
		At: now, Peer: peer, Client: client, Validated: validated,
		Safe: safe, Origin: origin, Route: route, Path: r.URL.Path,
		Kind: kindOf(r, v.set, route != 0 && routes.streams[route].Load()),
	}
	credential := first(r.Header, "Authorization")
	if credential == "" {
		credential = first(r.Header, "X-Api-Key")
	}
	if credential != "" {
		v.req.Credential = v.ring.credentialOf(credential)
	}
	v.req.Partner = v.set.partner(client, first(r.Header, "User-Agent"), credential)
	h.readCookies(v)
	h.readTraits(v)
}

// readCookies verifies the pass and the ticket, where there are any.
func (h *Handler) readCookies(v *visit) {
	pass, place := ownCookies(v.r.Header, v.secured)
	if pass != "" {
		v.shown = passOf(v.r.Context(), v.ring, pass, v.r.Host, v.req.At, v.set.passLife)
		v.req.Pass = v.shown.pass
		if v.shown.bad {
			h.counts.badPasses.Add(1)
		}
	}
	if place != "" {
		number, age := v.ring.readTicket(place, v.req.Client, v.req.At)
		v.req.Place, v.ticketAge = number, deich.Time(age)
	}
}

// credentialOf names what a client holds by a keyed hash; 0 only for none.
func (r *ring) credentialOf(credential string) uint64 {
	var b [128]byte
	n := min(len(credential), credentialMax)
	return r.credential.Bytes(append(b[:0], credential[:n]...)) | 1
}

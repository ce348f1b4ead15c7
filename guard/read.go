package guard

import (
	"encoding/binary"

	"github.com/deichproject/deich"
)

// read fills in what the engine is told about a request.
func (h *Handler) read(v *visit) {
	r := v.r
	now := h.now()
	peer, client, validated := h.addr(r)
	origin := h.origin(r) % deich.OriginsMax
	safe := r.Method == "GET" || r.Method == "HEAD"
	var said headers
	said.read(r.Header, &v.ring.names, v.ring.credential)
	routes := h.routes[origin].Load()
	route, learnt := routes.look(r.URL.Path, safe)

	v.req = deich.Request{
		At: now, Peer: peer, Client: client, Validated: validated,
		Safe: safe, Origin: origin, Route: route, Path: r.URL.Path,
		Kind: kindOf(r, &said, v.set, route != 0 && routes.streams[route].Load()),
	}
	credential := said.authorization
	if credential == "" {
		credential = said.apiKey
	}
	if credential != "" {
		v.req.Credential = v.ring.credentialOf(credential)
	}
	v.req.Partner = v.set.partner(client, said.agent, credential)
	v.learnt, v.silent, v.memory = learnt, !said.ours, memoryOf(r.Context())
	h.readCookies(v, said.cookies)
	h.readTraits(v, &said)
}

// readCookies verifies the pass and the ticket, where there are any.
func (h *Handler) readCookies(v *visit, lines []string) {
	if v.seen = v.memory.seen(lines, v.r.Host, v.secured); v.seen != nil {
		shown := v.seen.at(v.req.At, v.set.passLife)
		v.req.Pass, v.minted = shown.pass, shown.minted
		return
	}
	pass, place := ownCookies(lines, v.secured)
	if pass != "" {
		line := ""
		if place == "" && len(lines) == 1 && len(lines[0]) <= cookieKeptMax {
			line = lines[0]
		}
		shown := v.memory.passOf(v.ring, pass, line, v.r.Host, v.secured, v.req.At, v.set.passLife)
		v.req.Pass, v.minted = shown.pass, shown.minted
		if shown.bad {
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

// partnerID names a partner by what the configuration calls it. No credential comes to the same
// but by chance: it is derived, not hashed under the key of those.
func (r *ring) partnerID(name string) uint64 {
	return binary.LittleEndian.Uint64(derive(r.file.Hash, "partner "+name)) | 1
}

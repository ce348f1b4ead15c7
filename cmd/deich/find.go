package main

import (
	"net/netip"
	"strings"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
)

// find says what is known of what somebody looks for: a reference, an address
// or a network.
func (s *station) find(what string) (desk.Found, bool) {
	if p, ok := readSource(what); ok {
		return s.standing(p), true
	}
	e, err := s.edge.Guard().Explain(what)
	if err != nil {
		return desk.Found{}, false
	}
	f := s.standing(e.Prefix)
	f.Refused = &desk.Refusal{
		At: e.At, Act: e.Act, Reason: e.Reason, Why: incident.Text(reasonWords(e.Reason)), Tier: e.Tier,
		From: e.Prefix, Kind: e.Kind, Rank: e.Rank, Cut: e.Cut, Origin: s.originName(e.Origin),
	}
	return f, true
}

// readSource reads an address or a network.
func readSource(what string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(what); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(what)
	return p.Masked(), err == nil
}

// standing is what is listed and ordered about a prefix, and whom of it one may
// let pass.
func (s *station) standing(p netip.Prefix) desk.Found {
	f := desk.Found{Scopes: scopes(p)}
	for _, l := range s.listed(s.now()) {
		if !strings.HasPrefix(l.Target, "/") {
			if of, ok := readSource(l.Target); ok && of.Overlaps(p) {
				f.Listed = append(f.Listed, l)
			}
		}
	}
	for _, o := range s.ordered() {
		if o.Prefix.Overlaps(p) {
			f.Orders = append(f.Orders, desk.Order{Prefix: o.Prefix, Reason: o.Reason.String(), Until: wall(o.Until)})
		}
	}
	return f
}

// listed is what is listed by hand, as the console shows it.
func (s *station) listed(at deich.Time) []desk.Listing {
	var all []desk.Listing
	for _, h := range s.engine.Listed(at) {
		all = append(all, desk.Listing(viewHand(h)))
	}
	return all
}

// scopes are the source of a prefix and its network, the narrowest first. Wider
// than a network's network is nobody's neighbour: that is for the command.
func scopes(p netip.Prefix) (all []netip.Prefix) {
	source, network, most := 32, 24, 16
	if p.Addr().Is6() {
		source, network, most = 64, 48, 32
	}
	if p.Bits() < most {
		return nil
	}
	for _, bits := range []int{min(p.Bits(), source), network} {
		if q := netip.PrefixFrom(p.Addr(), bits).Masked(); bits <= p.Bits() && (len(all) == 0 || all[0] != q) {
			all = append(all, q)
		}
	}
	return all
}

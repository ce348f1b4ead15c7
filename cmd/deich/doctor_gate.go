package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/deichproject/deich/gate"
)

// How to get what a gate needs.
const (
	gateRights = "with the packages' unit, link /usr/share/deich/systemd/gate.conf; in a container --network host --user 0 --cap-add BPF --cap-add NET_ADMIN; else setcap cap_bpf,cap_net_admin,cap_net_bind_service=+ep on the binary."
	gateOther  = "deich gate tells what is missing; gate.mode off goes without, and sources are refused at accept."
)

// lookGate tells of the gate that stands, or of the one that could be had here.
func lookGate(_ context.Context, p *patient) []finding {
	if p.gate != nil && p.gate.Backend != gate.None {
		return []finding{standingGate(*p.gate)}
	}
	asked := p.settings.Gate
	if p.gate != nil && p.from == "" && p.gate.Why != gate.NotAsked {
		asked.Mode = gate.Auto // by a flag: with another mode it would not run
	}
	return foreseenGate(asked.Mode, p.running, gate.Foresee(gate.Options{
		Config: asked, Owner: gateOwner(p.settings.Data), Ports: p.gatePorts(),
	}))
}

// gatePorts are those that a gate here would look at, as far as the configuration tells.
func (p *patient) gatePorts() (all []gate.Port) {
	for _, a := range p.listens() {
		port, err := strconv.ParseUint(a.port, 10, 16)
		if err != nil {
			continue
		}
		host, err := netip.ParseAddr(a.host)
		if err != nil {
			host = netip.IPv6Unspecified() // every address, or a name
		}
		all = append(all, gate.Port{At: netip.AddrPortFrom(host, uint16(port))})
	}
	if len(all) == 0 {
		all = append(all, gate.Port{At: netip.AddrPortFrom(netip.IPv6Unspecified(), 443)})
	}
	return all
}

// standingGate tells of the running Deich's.
func standingGate(s gate.Status) finding {
	if s.Trouble != "" {
		return weak("deich gate, and Deich's log; deich gate off goes on without.", "%s, but %s.", gateWords(s), s.Trouble)
	}
	var dropped []string
	for _, r := range gate.Reasons() {
		if n := s.Counts[r].Packets; n > 0 && r.Drops() {
			dropped = append(dropped, fmt.Sprintf("%s %d", r, n))
		}
	}
	what := "no packet dropped yet"
	if len(dropped) > 0 {
		what = "packets dropped: " + strings.Join(dropped, ", ")
		if s.DryRun {
			what = "packets that would be dropped: " + strings.Join(dropped, ", ")
		}
	}
	return good("%s stands (%s); %s.", gateWords(s), s.Why, what)
}

// foreseenGate tells what could be had where none of the running Deich's stands,
// and what stands of others.
func foreseenGate(mode string, running bool, v gate.Outlook) []finding {
	if mode == "" {
		mode = gate.Off
	}
	who := "this user"
	if len(v.Lacks) > 0 {
		who += ", who lacks " + strings.Join(v.Lacks, " and ")
	}
	next := gateOther
	if len(v.Lacks) > 0 {
		next = gateRights
	}
	at := strings.Join(v.Interfaces, ", ")
	if v.Pinned != "" {
		at += ", pinned in " + v.Pinned + ","
	}
	var all []finding
	switch none := v.Backend == gate.None; {
	case mode == gate.Off && none:
		all = append(all, good("not asked for. gate.mode auto would find none here for %s: %s.", who, v.Why))
	case mode == gate.Off:
		all = append(all, good("not asked for. gate.mode auto would take %s at %s for %s: %s.", v.Backend, at, who, v.Why))
	case none && mode == gate.Auto:
		all = append(all, weak(next, "gate.mode auto finds none here for %s, so sources are refused at accept: %s.", who, v.Why))
	case none:
		all = append(all, bad(next, "gate.mode %s cannot be had here for %s, and Deich does not start without: %s.", mode, who, v.Why))
	default:
		all = append(all, good("gate.mode %s takes %s at %s for %s: %s.", mode, v.Backend, at, who, v.Why))
	}
	if running && mode != gate.Off {
		all = append(all, weak("restart Deich; deich gate says why it has none.", "the running Deich has none."))
	}
	for _, s := range v.There {
		switch {
		case s.Left:
			all = append(all, good("%s: the next start takes it over.", s))
		case s.Ours:
			all = append(all, weak("deich gate off takes it away, where its Deich has died.", "%s stands here, and it is not that of a Deich with this data folder.", s))
		case mode == gate.Off:
			all = append(all, good("%s is another program's: no XDP of Deich's can stand beside it.", s))
		default:
			all = append(all, weak("if nobody needs it, ip link set dev "+s.At+" xdp off; else gate.mode nft stands beside it.", "%s is another program's: no XDP of Deich's can stand beside it.", s))
		}
	}
	return all
}

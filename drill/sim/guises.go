package sim

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/deichproject/deich"
)

// Guise is what an attack's requests look like. Whatever the guise, sources
// are anywhere, as users' are.
type Guise string

const (
	// Tool is a program of its own make, with the agent of the commonest browser; Attack.Tool says which.
	Tool Guise = ""
	// Library is the library that most honest programs are written with.
	Library Guise = "library"
	// Random is a program that draws every header anew for each request.
	Random Guise = "random"
	// Liar sends a browser's headers, each source another's, over a program's TLS.
	Liar Guise = "liar"
	// Pool is the same over TLS handshakes forged from a pool of Attack.Pool.
	Pool Guise = "pool"
	// Chaos is the commonest browser but for headers that come and go at random.
	Chaos Guise = "chaos"
	// Popular is the commonest browser, whole.
	Popular Guise = "popular"
	// Minority is a rare browser, whole: whoever uses it would be blamed.
	Minority Guise = "minority"
	// Mimic is a browser of its own for each source, drawn as users' are, whole.
	Mimic Guise = "mimic"
)

var guises = map[Guise]bool{Tool: true, Library: true, Random: true, Liar: true, Pool: true, Chaos: true, Popular: true,
	Minority: true, Mimic: true}

const (
	randomAgents    = 4000
	randomTongues   = 300
	randomAccepts   = 60
	randomReferrers = 1000
	randomKeys      = 1 << 40
)

// disguise fills in an attack's request: from source n, the elapsed time after
// the attack began.
func (w *world) disguise(t *deich.Traits, a *Attack, n uint32, elapsed time.Duration, req *deich.Request, draw *rand.Rand) {
	who := uint64(n)<<8 | 0xf0<<56
	switch a.Guise {
	case Tool:
		tool := uint64(a.Tool)
		if a.Shift > 0 {
			tool += uint64(elapsed/a.Shift) << 16
		}
		w.tool(t, tool, req.Client, req.Kind)
	case Library:
		place(t, req.Client)
		program(t, "client", 0, 0)
	case Random:
		w.tool(t, uint64(a.Tool), req.Client, req.Kind)
		x := draw.Uint64()
		t[deich.TraitAgent] = value(deich.TraitAgent, 1<<60|x%randomAgents)
		t[deich.TraitAgentClass] = value(deich.TraitAgentClass, 1<<60|x%randomAgents/20)
		t[deich.TraitLanguage] = value(deich.TraitLanguage, 1<<60|x>>16%randomTongues)
		t[deich.TraitAccept] = value(deich.TraitAccept, 1<<60|x>>32%randomAccepts)
		t[deich.TraitHeaders] = value(deich.TraitHeaders, 1<<60|x>>40)
	case Liar, Pool:
		w.dress(t, Browsers, who, req.Client, req.Kind)
		forged := uint64(a.Tool)
		if a.Guise == Pool {
			forged = uint64(draw.IntN(max(a.Pool, 1))) + 1<<20
		}
		t[deich.TraitTLS] = value(deich.TraitTLS, 1<<61|forged)
	case Mimic:
		w.dress(t, Browsers, who, req.Client, req.Kind)
	default:
		d := draws(mix(who))
		b := commonest
		if a.Guise == Minority {
			b = build{family: 3, fam: &desktops[3], age: 2}
		}
		one := draws(1) // a draw without peculiarities
		b.wear(t, &one, req.Kind)
		t[deich.TraitLanguage] = tongue(&d, place(t, req.Client))
		if a.Guise == Chaos {
			t[deich.TraitHeaders] = value(deich.TraitHeaders, 1<<60|draw.Uint64()>>8)
		}
	}
}

// tool is the n-th make of attackers' programs.
func (w *world) tool(t *deich.Traits, n uint64, a netip.Addr, kind deich.Kind) {
	place(t, a)
	program(t, "tool", n, 0)
	var b deich.Traits
	one := draws(1)
	commonest.wear(&b, &one, kind)
	t[deich.TraitAgent], t[deich.TraitAgentClass] = b[deich.TraitAgent], b[deich.TraitAgentClass]
	t[deich.TraitLanguage] = value(deich.TraitLanguage, 0)
}

// aimed fills in what the attack's request asks for.
func (r *run) aimed(d *raid, f *flight, n uint32) {
	a, t := &d.spec, &f.req.Traits
	r.world.disguise(t, a, n, time.Duration(r.now-d.from), &f.req, r.foes)
	script := a.Guise == Tool || a.Guise == Library || a.Guise == Random
	q := ask{route: f.req.Route, page: r.world.page(r.foes.Float64()), script: script, fresh: !a.Reuse, cookie: a.Jar}
	if a.Guise == Mimic && a.Jar {
		// As users do: a few new connections, mostly links within the site.
		q.fresh = r.foes.Float64() < newConnection
	} else {
		q.first = !a.Reuse && a.Request != AimBrowse
	}
	q.wants(t, &f.req, r.foes)
	if a.Guise == Random {
		t[deich.TraitReferer] = value(deich.TraitReferer, 1<<60|uint64(r.foes.IntN(randomReferrers)))
	}
	switch a.Request {
	case AimMiss:
		t[deich.TraitQuery] = value(deich.TraitQuery, 1<<60)
		t[deich.TraitShape] = value(deich.TraitShape, 1<<60)
	case AimMissAny:
		t[deich.TraitQuery] = value(deich.TraitQuery, 1<<60|r.foes.Uint64()%randomKeys)
		t[deich.TraitShape] = value(deich.TraitShape, 1<<60|r.foes.Uint64()%queryShape)
	case AimNew:
		t[deich.TraitPath] = value(deich.TraitPath, uint64(routeFront)<<32|pageNew)
	}
	switch a.Request {
	case AimSearch, AimAPI, AimMiss, AimMissAny:
		t[deich.TraitAsked] = value(deich.TraitAsked, r.foes.Uint64()) // other words each time
	}
	if r.scenario.Dark {
		blind(t)
	}
}

// blind takes away what cannot be told where TLS ends elsewhere and no table
// of networks is at hand.
func blind(t *deich.Traits) {
	t[deich.TraitTLS], t[deich.TraitASN], t[deich.TraitCountry] = 0, 0, 0
}

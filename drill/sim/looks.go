package sim

import (
	"fmt"
	"math"
	"net/netip"
	"sort"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/drill/profile"
)

// Look is what a group's clients look like to whoever reads their headers.
type Look string

const (
	// Browsers are people's, each a build of its own draw; the default of Browser and Plain.
	Browsers Look = "browsers"
	// OneBuild is one build of one browser for all: the readers of a mailing
	// that opens in the mail program's own window.
	OneBuild Look = "one-build"
	// InApp is the window of a social network's app.
	InApp Look = "in-app"
	// Clients are programs of a dozen makes; the default of Program.
	Clients Look = "clients"
	// Monitors are one make of program that asks for a page to see it is there.
	Monitors Look = "monitors"
	// Servers deliver to inboxes: a few makes of software, each server by its own name.
	Servers Look = "servers"
)

// world is what is the same for everyone in a run: how popular pages are and
// which kinds of agents there are, as the committed profile of real logs has
// them. Everything else about looks is synthetic: families, their shares and
// their versions are made up after what browsers send today, since the logs
// are older than what is told apart here.
type world struct {
	pages  []int   // visits of the pages up to each rank
	mobile float64 // share of browsers
	hours  []profile.Visitor
}

func newWorld() (*world, error) {
	p, err := profile.Load()
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	w := &world{hours: p.Rates}
	var byRank []int
	mobile, all := 0, 0
	for _, v := range p.Pages {
		switch v.Class {
		case profile.Mobile:
			mobile++
			all++
		case profile.Desktop:
			all++
		}
		for _, one := range v.Visits {
			for len(byRank) < one.Rank {
				byRank = append(byRank, 0)
			}
			byRank[one.Rank-1]++
		}
	}
	w.mobile = float64(mobile) / float64(max(all, 1))
	sum := 0
	for _, n := range byRank {
		sum += n
		w.pages = append(w.pages, sum)
	}
	return w, nil
}

// page draws a page by its popularity; 1 is the most popular.
func (w *world) page(x float64) uint32 {
	return uint32(1 + sort.SearchInts(w.pages, 1+int(x*float64(w.pages[len(w.pages)-1]))))
}

// value is a trait's number for the n-th thing it may say. As with guard, 0 is
// "cannot be told" and 1 "not there".
func value(t deich.Trait, n uint64) uint32 { return uint32(mix(uint64(t)<<56^n)>>32) | 2 }

const absent = 1

// mix is the finaliser of splitmix64 (Steele et al., 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draws are a client's own: whoever has the same number looks the same at
// every request, and nothing of it is kept.
type draws uint64

func (d *draws) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	return mix(uint64(*d))
}

func (d *draws) float() float64      { return float64(d.next()>>11) / (1 << 53) }
func (d *draws) below(n int) uint64  { return d.next() % uint64(n) }
func (d *draws) rare(p float64) bool { return d.float() < p }

// family is one make of browser. Families of one engine share what the engine sends.
type family struct {
	share                          float64
	tls, headers, accept, encoding uint64
	systems                        int // systems that the agent tells
}

const (
	chromium = 1 + iota
	gecko
	webkit
	samsung
	oldChromium
	webview
)

var desktops = []family{
	{.60, chromium, 1, 1, 1, 4}, // Chrome
	{.14, chromium, 1, 1, 1, 2}, // Edge
	{.11, gecko, 2, 2, 1, 4},    // Firefox
	{.11, webkit, 3, 3, 2, 2},   // Safari
	{.03, chromium, 1, 1, 1, 2}, // Opera
	{.01, oldChromium, 4, 1, 2, 6},
}

var phones = []family{
	{.44, webkit, 3, 3, 2, 8},   // Safari
	{.38, chromium, 1, 1, 1, 1}, // Chrome: one agent for all devices
	{.07, webview, 5, 1, 1, 40}, // windows of apps, which tell the device
	{.06, samsung, 1, 1, 1, 1},
	{.03, webkit, 6, 3, 2, 8}, // other names for the same engine
	{.02, gecko, 2, 2, 1, 3},
}

// The first is the commonest of all desktops, which attackers copy most.
var commonest = build{family: 0, fam: &desktops[0]}

// build is one release of one family on one system.
type build struct {
	family int // number over desktops and phones
	fam    *family
	age    uint64 // releases behind the latest
	system uint64
}

// The rest of what makes looks differ.
const (
	latest      = .62  // share of a family that has its latest release; of the rest as much the one before, and so on
	oldest      = 30   // releases
	tlsOfAge    = 5    // releases before which the handshake was another
	ownAgent    = .08  // an agent nobody else has; in the log behind the profile, of 2015, one in five
	oddHeaders  = .03  // one of a dozen other sets of headers: privacy settings, data savers
	ownHeaders  = .002 // a set of headers nobody else has
	ownTLS      = .002 // a handshake nobody else has: a filter in between
	quic        = .2   // comes over HTTP/3
	foreign     = .2   // prefers English wherever it is
	oddTongue   = .05  // one of two hundred other lists of languages
	countries   = 60
	networks    = 3000
	clientMakes = 14
	serverMakes = 8
)

func (w *world) draw(d *draws) build {
	list, first := desktops, 0
	if d.rare(w.mobile) {
		list, first = phones, len(desktops)
	}
	b := build{family: first + len(list) - 1, fam: &list[len(list)-1]}
	x := d.float()
	for i := range list {
		if x -= list[i].share; x < 0 {
			b.family, b.fam = first+i, &list[i]
			break
		}
	}
	for b.age < oldest && !d.rare(latest) {
		b.age++
	}
	b.system = d.below(b.fam.systems)
	return b
}

// wear fills in what a browser of this build sends with everything; d draws
// what is its user's own.
func (b build) wear(t *deich.Traits, d *draws, kind deich.Kind) {
	f := b.fam
	tls, proto := f.tls<<8, uint32(2)
	if b.age >= tlsOfAge {
		tls++
	}
	if f.tls == chromium && d.rare(quic) {
		tls, proto = tls+2, 3
	}
	headers := f.headers << 16
	agent := uint64(b.family)<<24 | b.age<<16 | b.system
	who := d.next()
	switch x := d.float(); {
	case x < ownHeaders:
		headers |= who<<32 | 1<<15
	case x < oddHeaders:
		headers |= 1 + who%12
	}
	if d.rare(ownTLS) {
		tls |= who << 16
	}
	if d.rare(ownAgent) {
		agent |= who << 32
	}
	t[deich.TraitHTTP] = proto<<8 | 1<<16
	t[deich.TraitTLS] = value(deich.TraitTLS, tls)
	t[deich.TraitHeaders] = value(deich.TraitHeaders, headers|uint64(kind)<<8)
	t[deich.TraitAgent] = value(deich.TraitAgent, agent)
	t[deich.TraitAgentClass] = value(deich.TraitAgentClass, uint64(b.family)<<8|b.age)
	t[deich.TraitAccept] = value(deich.TraitAccept, f.accept<<8|uint64(kind))
	t[deich.TraitEncoding] = value(deich.TraitEncoding, f.encoding)
}

// tongue draws a list of languages.
func tongue(d *draws, country uint64) uint32 {
	switch x := d.float(); {
	case x < oddTongue:
		return value(deich.TraitLanguage, 1000+d.below(200))
	case x < oddTongue+foreign:
		return value(deich.TraitLanguage, 0)
	}
	return value(deich.TraitLanguage, country%24)
}

// program fills in what a program sends: no languages, nothing about fetches.
func program(t *deich.Traits, kind string, make, agent uint64) {
	n := make
	for _, c := range []byte(kind) {
		n = mix(n ^ uint64(c))
	}
	t[deich.TraitHTTP] = uint32(1+make%2)<<8 | 1<<16
	t[deich.TraitTLS] = value(deich.TraitTLS, n)
	t[deich.TraitHeaders] = value(deich.TraitHeaders, n)
	t[deich.TraitAgent] = value(deich.TraitAgent, n^agent<<32)
	t[deich.TraitAgentClass] = value(deich.TraitAgentClass, n)
	t[deich.TraitAccept] = value(deich.TraitAccept, 100+make%3)
	t[deich.TraitEncoding] = value(deich.TraitEncoding, 100+make%2)
	t[deich.TraitLanguage] = absent
	t[deich.TraitFetch] = value(deich.TraitFetch, 0)
}

// dress fills in what a client of a look sends, and where it comes from.
func (w *world) dress(t *deich.Traits, look Look, who uint64, a netip.Addr, kind deich.Kind) {
	country := place(t, a)
	d := draws(mix(who))
	switch look {
	case Clients:
		x := d.float()
		program(t, "client", uint64(clientMakes*x*x), d.below(4))
	case Monitors:
		program(t, "monitor", 1, 0)
	case Servers:
		x := d.float()
		program(t, "server", uint64(serverMakes*x*x), d.next())
	case OneBuild:
		b := build{family: len(desktops), fam: &phones[0], age: 1, system: 3}
		one := draws(1)
		b.wear(t, &one, kind)
		t[deich.TraitLanguage] = tongue(&d, country)
	case InApp:
		b := build{family: len(desktops) + 2, fam: &phones[2], system: d.below(phones[2].systems)}
		b.wear(t, &d, kind)
		t[deich.TraitLanguage] = tongue(&d, country)
	default:
		b := w.draw(&d)
		b.wear(t, &d, kind)
		t[deich.TraitLanguage] = tongue(&d, country)
	}
}

// place fills in what is known of an address, and gives its country. Networks
// hold many prefixes of one address space, a few of them most; those of hosts
// are apart.
func place(t *deich.Traits, a netip.Addr) (country uint64) {
	b := a.As16()
	near, far := b[:6], b[:4]
	if a.Is4() {
		near, far = b[12:15], b[12:14]
	}
	prefix, net := number(near), number(far)
	t[deich.TraitPrefix], t[deich.TraitNet] = value(deich.TraitPrefix, prefix), value(deich.TraitNet, net)
	var asn uint64
	if a.Is4() && b[12] == hostNet {
		asn = networks + net%hostASNs
	} else {
		x := float64(mix(net)>>11) / (1 << 53)
		asn = uint64(math.Pow(x, 2) * networks)
	}
	t[deich.TraitASN] = value(deich.TraitASN, asn)
	x := float64(mix(asn)>>11) / (1 << 53)
	country = uint64(x * x * countries)
	t[deich.TraitCountry] = value(deich.TraitCountry, country)
	return country
}

func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// Where machines are rented out: a few networks in one part of the address space.
const (
	hostNet  = 45
	hostNets = 24
	hostASNs = 8
)

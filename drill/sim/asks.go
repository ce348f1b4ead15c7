package sim

import (
	"math/rand/v2"

	"github.com/deichproject/deich"
)

// ask is what a request asks for, beyond its route.
type ask struct {
	route   uint16
	page    uint32 // which of the route's pages, words or pictures
	referer uint32 // TraitReferer's value; 0: as people come
	first   bool   // nothing was served to this client before
	fresh   bool   // the first request on its connection
	cookie  bool   // it has the platform's
	script  bool   // a program's: no referer, no fetch metadata
}

// The values that guard gives what it tells apart itself.
const (
	refererOwn     = 2
	cookiePlatform = 2
	cookiePass     = 3
	reusedFirst    = 1
	reusedLater    = 2
)

const (
	pageNew    = 1 << 20 // a page that nobody has asked for before
	pictures   = 30
	searches   = 24 // shapes of what people search for
	textSizes  = 4
	referrers  = 40 // other sites that people come from
	queryShape = 16
)

// wants fills in what is asked for; draw is for what varies from one request
// of a client to the next.
func (q *ask) wants(t *deich.Traits, req *deich.Request, draw *rand.Rand) {
	route := uint64(q.route)
	t[deich.TraitRoute] = uint32(q.route) + 1
	t[deich.TraitKind] = uint32(req.Kind) + 1
	t[deich.TraitMethod] = value(deich.TraitMethod, 0)
	t[deich.TraitPath] = value(deich.TraitPath, route)
	t[deich.TraitQuery], t[deich.TraitShape], t[deich.TraitBody] = absent, absent, absent
	switch q.route {
	case routeProfile, routePost:
		t[deich.TraitPath] = value(deich.TraitPath, route<<32|uint64(q.page))
	case routeFront:
		if q.page >= pageNew {
			t[deich.TraitPath] = value(deich.TraitPath, route<<32|uint64(q.page))
		}
	case routeAsset:
		t[deich.TraitPath] = value(deich.TraitPath, route<<32|uint64(draw.IntN(pictures)))
	case routeSearch, routeFind:
		t[deich.TraitQuery] = value(deich.TraitQuery, route)
		t[deich.TraitShape] = value(deich.TraitShape, route<<8|uint64(q.page%searches))
	case routeTimeline:
		t[deich.TraitQuery] = value(deich.TraitQuery, route)
		t[deich.TraitShape] = value(deich.TraitShape, route<<8|uint64(q.page%2))
	case routeWrite, routeLogin, routeInbox:
		t[deich.TraitMethod] = value(deich.TraitMethod, 1)
		t[deich.TraitBody] = value(deich.TraitBody, route<<8|uint64(q.page%textSizes))
	}
	t[deich.TraitAsked] = value(deich.TraitAsked, uint64(t[deich.TraitPath])<<32|uint64(q.page))
	q.comes(t, req, draw)
	t[deich.TraitCookie] = absent
	switch {
	case req.Pass.ID != 0:
		t[deich.TraitCookie] = cookiePass
	case q.cookie:
		t[deich.TraitCookie] = cookiePlatform
	}
	t[deich.TraitCredential] = absent
	if req.Credential != 0 {
		t[deich.TraitCredential] = value(deich.TraitCredential, 0)
	}
	t[deich.TraitReuse] = reusedLater
	if q.fresh {
		t[deich.TraitReuse] = reusedFirst
	}
}

// How people come to a page, about: in the log behind the profile 53 % of
// requests name the site itself, 41 % nothing and 6 % another site.
const (
	firstNone   = .5  // of first pages, out of the blue
	firstSearch = .35 // from the one search engine that most use
	laterNone   = .1  // of later pages
)

// comes fills in where a request says it comes from.
func (q *ask) comes(t *deich.Traits, req *deich.Request, draw *rand.Rand) {
	if q.script {
		t[deich.TraitReferer] = absent
		return
	}
	x := draw.Float64()
	referer, site := uint32(refererOwn), uint64(1)
	switch {
	case q.referer != 0:
		referer, site = q.referer, 2
	case req.Kind != deich.Page:
	case q.first && x < firstNone, !q.first && x < laterNone:
		referer, site = absent, 3
	case q.first && x < firstNone+firstSearch:
		referer, site = value(deich.TraitReferer, 0), 2
	case q.first:
		referer, site = value(deich.TraitReferer, 1+uint64(draw.IntN(referrers))), 2
	}
	t[deich.TraitReferer] = referer
	part := uint64(0)
	if req.Kind == deich.Asset {
		part = 1 + uint64(q.page%3) // a style, a script, a picture
	}
	t[deich.TraitFetch] = value(deich.TraitFetch, site<<8|part<<4|1)
}

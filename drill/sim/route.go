package sim

import "github.com/deichproject/deich"

// Routes of the platform behind, as guard would intern them.
const (
	routeFront = iota + 1
	routeProfile
	routePost
	routeSearch
	routeWrite
	routeLogin
	routeAsset
	routeTimeline
	routeFind
	routeMe
	routeInbox
	routeHealth
	routes
)

// routeCost is what a request costs the origin, in milliseconds of one
// processor at Speed 1. A user's mix comes to about 1.3.
var routeCost = [routes]float64{
	routeFront: 1.2, routeProfile: .8, routePost: .6, routeSearch: 3.3, routeWrite: 1.5,
	routeLogin: 2.5, routeAsset: .1, routeTimeline: 1, routeFind: 3.3, routeMe: .3,
	routeInbox: 1, routeHealth: .3,
}

// mixCost is an average request's, for origins that are told by their latency.
const mixCost = 1.3

// share is how often a route is asked for.
type share struct {
	route uint16
	upTo  float64
}

var browserMix = []share{{routeFront, .4}, {routeProfile, .6}, {routePost, .82}, {routeSearch, .94}, {routeWrite, 1}}
var programMix = []share{{routeTimeline, .6}, {routeFind, .7}, {routeMe, 1}}
var monitorMix = []share{{routeHealth, 1}}
var serverMix = []share{{routeInbox, .8}, {routeTimeline, 1}}

// mix is what a group asks for.
func (g *Group) mix() []share {
	switch {
	case g.look() == Monitors:
		return monitorMix
	case g.look() == Servers:
		return serverMix
	case g.Kind == Program:
		return programMix
	}
	return browserMix
}

func pick(mix []share, x float64) uint16 {
	for _, s := range mix {
		if x < s.upTo {
			return s.route
		}
	}
	return mix[len(mix)-1].route
}

// routeKind is what a request on the route looks like to the engine.
func routeKind(route uint16) (kind deich.Kind, safe bool) {
	switch route {
	case routeWrite, routeLogin:
		return deich.Page, false
	case routeAsset:
		return deich.Asset, true
	case routeInbox:
		return deich.API, false
	case routeTimeline, routeFind, routeMe, routeHealth:
		return deich.API, true
	}
	return deich.Page, true
}

// Aim is what an attacker asks for.
type Aim string

// The aims of attackers.
const (
	AimPage   Aim = "page"   // the front page
	AimSearch Aim = "search" // a search for random words
	AimPost   Aim = "post"   // a message, not logged in
	AimLogin  Aim = "login"  // a login with a wrong password
	AimAPI    Aim = "api"    // a search through the API
	AimMe     Aim = "me"     // an API route that needs a login

	AimBrowse  Aim = "browse"   // what people ask for, as often as they do
	AimMiss    Aim = "miss"     // the front page with a number in the query, so that no cache has it
	AimMissAny Aim = "miss-any" // the same with another key each time
	AimNew     Aim = "new"      // the page that a crowd wants
)

var aims = map[Aim]struct {
	route  uint16
	status int
}{
	AimPage: {routeFront, 200}, AimSearch: {routeSearch, 200}, AimPost: {routeWrite, 401},
	AimLogin: {routeLogin, 401}, AimAPI: {routeFind, 200}, AimMe: {routeMe, 401},
	AimBrowse: {routeFront, 200}, AimMiss: {routeFront, 200}, AimMissAny: {routeFront, 200}, AimNew: {routeFront, 200},
}

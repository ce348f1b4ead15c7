package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/deichproject/deich"
)

// Scenario is one rehearsal. Times of groups and attacks are relative to the
// beginning of the flood phase; peace lies before zero.
type Scenario struct {
	Name    string        `json:"name"`
	Title   string        `json:"title"`
	Peace   time.Duration `json:"peace"`
	Flood   time.Duration `json:"flood"`
	After   time.Duration `json:"after"`
	Start   time.Duration `json:"start,omitempty"` // when the shield starts, if not before everything; until then nobody listens
	Control Control       `json:"control"`
	Policy  deich.Policy  `json:"policy"`
	Origin  Origin        `json:"origin"`
	Groups  []Group       `json:"groups"`
	Attacks []Attack      `json:"attacks,omitempty"`
	Reload  time.Duration `json:"reload,omitempty"` // the policy is swapped each so long
	Dark    bool          `json:"dark,omitempty"`   // neither TLS nor networks can be told
	Crowd   bool          `json:"crowd,omitempty"`  // people have announced a crowd for the flood phase
	Truth   []deich.Cause `json:"truth,omitempty"`  // what a judge who saw everything might call it; empty: not asked
	Expect  []Bound       `json:"expect,omitempty"`
}

// Control is what stands in front of the origin.
type Control string

const (
	// Deich is the engine, carried as guard carries it.
	Deich Control = ""
	// None lets everything through: how the origin fares alone.
	None Control = "none"
	// Semaphore gives the origin at most Origin.Cores × 8 requests at once and
	// the next such many a place in a first-come queue, as a reverse proxy
	// with a connection limit does.
	Semaphore Control = "semaphore"
)

// Model is how an origin shares what it has among requests.
type Model string

const (
	// CPU: all requests share Cores processors equally.
	CPU Model = "cpu"
	// IO: Cores requests are served at once, each in its own time; the rest wait in line.
	IO Model = "io"
)

// Origin is the platform behind. It is naive: it takes what comes and goes on
// working for clients that have left.
type Origin struct {
	Model   Model         `json:"model"`
	Cores   int           `json:"cores"`             // CPU: processors; IO: requests served at once
	Speed   float64       `json:"speed,omitempty"`   // CPU: 1 does 300 searches a second a core
	Latency time.Duration `json:"latency,omitempty"` // IO: mean time of an average request
	Spread  float64       `json:"spread,omitempty"`  // sigma of the lognormal service times
	Thrash  int           `json:"thrash,omitempty"`  // beyond this many at once capacity falls; 0: never
	Backlog int           `json:"backlog,omitempty"` // beyond this many connections are refused
	At      time.Duration `json:"at,omitempty"`      // when what follows begins in the flood phase
	Slow    float64       `json:"slow,omitempty"`    // in the flood phase everything takes so many times as long
	Down    bool          `json:"down,omitempty"`    // in the flood phase it refuses connections
	Errors  float64       `json:"errors,omitempty"`  // in the flood phase this share of its answers says 500
	For     time.Duration `json:"for,omitempty"`     // how long that lasts; 0: the flood phase
}

// Kind is what a user's client can do.
type Kind string

const (
	// Browser keeps cookies and solves proofs at a phone's speed.
	Browser Kind = "browser"
	// Plain keeps cookies, runs no scripts and follows Refresh.
	Plain Kind = "plain"
	// Program polls the API, keeps no cookies and honours Retry-After.
	Program Kind = "program"
)

// Group is a number of alike users.
type Group struct {
	Name      string        `json:"name"`
	Kind      Kind          `json:"kind"`
	Count     int           `json:"count"`
	From      time.Duration `json:"from"`
	Over      time.Duration `json:"over,omitempty"`      // they come evenly over this time
	Stay      time.Duration `json:"stay,omitempty"`      // how long each stays; 0: to the end
	Gap       time.Duration `json:"gap,omitempty"`       // mean time between two pages of one user
	Addresses int           `json:"addresses,omitempty"` // they share so many addresses; 0: each its own
	V6        bool          `json:"v6,omitempty"`        // each has an IPv6 /64
	Token     bool          `json:"token,omitempty"`     // programs: they send a credential
	Roams     bool          `json:"roams,omitempty"`     // programs: another address at each request
	Members   float64       `json:"members,omitempty"`   // this share is logged in
	Age       time.Duration `json:"age,omitempty"`       // they hold a pass of so long ago
	Look      Look          `json:"look,omitempty"`      // what they look like, if not what their kind does
	New       bool          `json:"new,omitempty"`       // they come for one page that nobody asked for before
	Referer   uint64        `json:"referer,omitempty"`   // they come from this other site, by number
	Eager     bool          `json:"eager,omitempty"`     // what fails or is refused they ask for again at once, whatever the answer says
	Operator  bool          `json:"operator,omitempty"`  // they live in the networks of one large operator
	Replay    bool          `json:"replay,omitempty"`    // they come when the first so many visitors of the profile came
}

func (g *Group) look() Look {
	switch {
	case g.Look != "":
		return g.Look
	case g.Kind == Program:
		return Clients
	}
	return Browsers
}

// Attack is one kind of attackers. Its requests come at Rate whatever the
// answers, each source in its turn.
type Attack struct {
	Name     string        `json:"name"`
	Request  Aim           `json:"request"`
	Sources  int           `json:"sources"`
	Rate     float64       `json:"rate"` // requests a second, all sources together
	From     time.Duration `json:"from,omitempty"`
	For      time.Duration `json:"for,omitempty"`      // 0: to the end of the flood phase
	On       time.Duration `json:"on,omitempty"`       // pulses: on for this long,
	Off      time.Duration `json:"off,omitempty"`      // then off for this long
	Networks int           `json:"networks,omitempty"` // IPv6: so many /48, another /64 at each request
	Behind   string        `json:"behind,omitempty"`   // shares the addresses of this group
	Dense    bool          `json:"dense,omitempty"`    // addresses in a row, not spread over the world
	Cookies  bool          `json:"cookies,omitempty"`  // keeps passes and waiting-room tickets
	Hashes   float64       `json:"hashes,omitempty"`   // solves proofs: so many hashes a second, all together
	Bearer   bool          `json:"bearer,omitempty"`   // sends a random credential each time
	Early    time.Duration `json:"early,omitempty"`    // comes so long before zero and behaves:
	Visits   int           `json:"visits,omitempty"`   // so many pages each
	Guise    Guise         `json:"guise,omitempty"`    // what its requests look like
	Tool     int           `json:"tool,omitempty"`     // which program makes them
	Pool     int           `json:"pool,omitempty"`     // so many forged handshakes
	Shift    time.Duration `json:"shift,omitempty"`    // another program every so long
	Ramp     time.Duration `json:"ramp,omitempty"`     // the rate rises from nothing over so long
	Rotate   bool          `json:"rotate,omitempty"`   // any of its sources at each request, not each in its turn
	Hosted   bool          `json:"hosted,omitempty"`   // from rented machines: few networks
	Operator bool          `json:"operator,omitempty"` // from the networks of one large operator
	Reuse    bool          `json:"reuse,omitempty"`    // keeps its connections
	Jar      bool          `json:"jar,omitempty"`      // sends some cookie of the platform's name
	As       string        `json:"as,omitempty"`       // comes from the sources of this attack
	Steals   string        `json:"steals,omitempty"`   // uses passes of this group's users:
	Stolen   int           `json:"stolen,omitempty"`   // so many
}

// Bound is what a figure of the report must hold.
type Bound struct {
	Group  string  `json:"group,omitempty"`
	Figure Figure  `json:"figure"`
	Min    float64 `json:"min,omitempty"`
	Max    float64 `json:"max,omitempty"` // 0 with Min 0: must be zero; 0 with Min: no upper bound
}

// Figure names a number of the report.
type Figure string

const (
	Success  Figure = "success"  // share of the group's requests of the flood phase served in time
	Settled  Figure = "settled"  // the same, of those after the client's first content
	Back     Figure = "back"     // share served of those begun later than a second after the flood
	Served   Figure = "served"   // share of users with at least 95 % of their own requests served
	Denied   Figure = "denied"   // share of requests denied
	Mitigate Figure = "mitigate" // seconds from the first bad request until success is back
	First    Figure = "first"    // seconds until a user's first content, 95th percentile
	Goodput  Figure = "goodput"  // work delivered in time, as a share of what the origin can do
	Useful   Figure = "useful"   // the same for users alone
	// Of all good groups, or of one where the bound names it.
	Refusals   Figure = "refusals"   // share of requests that were denied or dropped, flood and after
	Challenges Figure = "challenges" // share of requests that were challenged, flood and after
	Touched    Figure = "touched"    // share of requests of who came in peace that meet an acting rule, exempt or not
	// Of the synthesis.
	Covered    Figure = "covered" // share of the attacks' requests, from three seconds on, that met an acting rule or were refused at accept
	Rules      Figure = "rules"   // most rules acting at once
	Acting     Figure = "acting"  // seconds from the first bad request until a rule acts
	Orders     Figure = "orders"  // orders that met a user's address
	RightCause Figure = "cause"   // seconds until the cause was right
	// Of the time in which nothing happened nor had lately, in the flood phase.
	CalmRefused Figure = "calm_refused" // share of users' requests that were refused
	CalmRules   Figure = "calm_rules"   // rules that began to act
	CalmCause   Figure = "calm_cause"   // share of ticks with a cause

	Slowdown Figure = "slowdown" // the origin's time for the work of users' requests, in the flood over that in peace
)

func (s *Scenario) length() time.Duration { return s.Peace + s.Flood + s.After }

func (s Scenario) defaults() Scenario {
	if s.Origin.Model == "" {
		s.Origin.Model = CPU
	}
	if s.Origin.Cores == 0 {
		s.Origin.Cores = 1
	}
	if s.Origin.Speed == 0 {
		s.Origin.Speed = 1
	}
	if s.Origin.Latency == 0 {
		s.Origin.Latency = 20 * time.Millisecond
	}
	if s.Origin.Spread == 0 {
		s.Origin.Spread = .5
	}
	if s.Origin.Backlog == 0 {
		s.Origin.Backlog = BacklogDefault
	}
	s.Policy = s.Policy.Defaults()
	s.Groups = append([]Group(nil), s.Groups...)
	for i := range s.Groups {
		if s.Groups[i].Gap == 0 {
			s.Groups[i].Gap = 1500 * time.Millisecond
		}
	}
	return s
}

// Validate gives every error at once, joined.
func (s *Scenario) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("sim: scenario %q: "+format, append([]any{s.Name}, args...)...))
	}
	if s.Flood <= 0 || s.Peace < 0 || s.After < 0 || s.length() > LengthMax {
		bad("phases %v, %v, %v: a flood phase above zero, %v in all at most", s.Peace, s.Flood, s.After, LengthMax)
	}
	if s.Control != Deich && s.Control != None && s.Control != Semaphore {
		bad("control %q: %q, %q or empty", s.Control, None, Semaphore)
	}
	if m := s.Origin.Model; m != "" && m != CPU && m != IO {
		bad("origin model %q: %q or %q", m, CPU, IO)
	}
	if len(s.Groups) > GroupsMax || len(s.Attacks) > GroupsMax {
		bad("%d groups and %d attacks: %d of each at most", len(s.Groups), len(s.Attacks), GroupsMax)
	}
	users := 0
	for i := range s.Groups {
		g := &s.Groups[i]
		users += g.Count
		if g.Kind != Browser && g.Kind != Plain && g.Kind != Program {
			bad("group %q: kind %q: %q, %q or %q", g.Name, g.Kind, Browser, Plain, Program)
		}
		if g.Count < 1 {
			bad("group %q: nobody in it", g.Name)
		}
	}
	if users > ClientsMax {
		bad("%d users: %d at most", users, ClientsMax)
	}
	for i := range s.Attacks {
		a := &s.Attacks[i]
		if a.Sources < 1 || a.Sources > SourcesMax || a.remembered() && a.Sources > BotsMax {
			bad("attack %q: %d sources: between 1 and %d, or %d that are remembered", a.Name, a.Sources, SourcesMax, BotsMax)
		}
		if !guises[a.Guise] {
			bad("attack %q: guise %q: not one of those known", a.Name, a.Guise)
		}
		if a.As != "" && (s.attack(a.As) < 0 || s.attack(a.As) >= i) || a.Steals != "" && (s.group(a.Steals) < 0 || a.Stolen < 1) {
			bad("attack %q: as %q, steals %d of %q: an attack before it, a group", a.Name, a.As, a.Stolen, a.Steals)
		}
		if a.Rate <= 0 || aims[a.Request].route == 0 {
			bad("attack %q: a rate above zero and a request out of those known", a.Name)
		}
		if a.Behind != "" && s.group(a.Behind) < 0 {
			bad("attack %q: behind %q: no such group", a.Name, a.Behind)
		}
	}
	return errors.Join(errs...)
}

func (s *Scenario) group(name string) int {
	for i := range s.Groups {
		if s.Groups[i].Name == name {
			return i
		}
	}
	return -1
}

func (s *Scenario) attack(name string) int {
	return slices.IndexFunc(s.Attacks, func(a Attack) bool { return a.Name == name })
}

// remembered says whether each source of the attack has a state of its own.
func (a *Attack) remembered() bool {
	return a.Cookies || a.Hashes > 0 || a.Visits > 0 || a.Steals != ""
}

package desk

import (
	"net/netip"
	"slices"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk/incident"
)

// State is what is so now, filled by whoever runs Deich. Counters count from
// the start and never fall.
type State struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"` // of the process
	Started time.Time `json:"started"`
	Observe bool      `json:"observe"`
	// ReloadRefused says that the last reload was: the configuration says something else
	// than what is in force.
	ReloadRefused bool `json:"reload_refused"`
	// Bypass is until when an operator lets everything pass; zero: not.
	Bypass  time.Time `json:"bypass,omitzero"`
	Origins []Origin  `json:"origins"`

	Requests []Requests `json:"requests"`
	Served   []Served   `json:"served"`
	Latency  []Latency  `json:"latency"`

	MemoryBytes int    `json:"memory_bytes"` // the engine's tables, fixed at start
	Listed      int    `json:"listed"`       // by hand, in force
	Ordered     int    `json:"ordered"`      // sources refused at accept
	Panics      uint64 `json:"panics"`       // engine failures that guard caught
	Failopen    bool   `json:"failopen"`     // the engine is being left alone
	Rules       []Rule `json:"rules"`        // in force, the oldest first
	// Hand is what is listed by hand and in force, the oldest first; programs ask /api/v1/hand.
	Hand []Listing `json:"-"`
	// Networks are where requests came from lately, those from which most came first,
	// and NetworksOver how long that was; programs ask /api/v1/tables/networks.json.
	Networks     []Network     `json:"-"`
	NetworksOver time.Duration `json:"-"`
	// Operators and Countries are the same by who runs the networks, and by their
	// countries; none where no file tells that.
	Operators []Part `json:"-"`
	Countries []Part `json:"-"`
	// NetworkFiles are the files that do; none: neither can be told.
	NetworkFiles []NetworkFile `json:"-"`

	Own       uint64 `json:"own"`        // requests for Deich's own paths
	Minted    uint64 `json:"minted"`     // passes given
	BadPasses uint64 `json:"bad_passes"` // passes shown that do not hold
	Proofs    uint64 `json:"proofs"`     // calculations that held
	BadProofs uint64 `json:"bad_proofs"` // and those that did not
	Gone      uint64 `json:"gone"`       // clients that left while queued
	BodyBytes int64  `json:"body_bytes"` // of bodies held

	// Missed are those who could not read or send since the last sample.
	Missed incident.Marks `json:"-"`

	Connections Connections `json:"connections"`
	Spool       *Spool      `json:"spool,omitempty"` // nil: no messages are kept
	Gate        Gate        `json:"gate"`
}

// Fates are how much came from somewhere lately, and what was done with it.
type Fates struct {
	Acts   [len(acts)]uint64 `json:"acts"`   // requests, in the order of the page
	Before uint64            `json:"before"` // connections refused at accept, packets dropped by the gate
}

// Network is what came from one network.
type Network struct {
	Prefix   netip.Prefix `json:"network"` // a /24 or /48
	Operator string       `json:"operator,omitempty"`
	Country  string       `json:"country,omitempty"` // its name
	German   string       `json:"country_de,omitempty"`
	Fates
	Ordered int `json:"ordered"` // sources that are refused at accept now
}

// Part is what came from the networks of one operator, or of one country.
type Part struct {
	Code   string `json:"code"` // as in AS64500, or DE
	Name   string `json:"name"`
	German string `json:"name_de,omitempty"`
	Fates
}

// NetworkFile is a file that says who runs networks, or where they are.
type NetworkFile struct {
	Type   string    `json:"type"` // as it says it
	Built  time.Time `json:"built"`
	Credit string    `json:"credit,omitempty"` // what its publisher asks to be said
	Link   string    `json:"link,omitempty"`   // where that leads
	// Operators and Countries say of which of the two it tells.
	Operators bool `json:"operators"`
	Countries bool `json:"countries"`
}

// Did counts what was done with requests.
func (f *Fates) Did(act deich.Act, times uint64) {
	f.Acts[slices.Index(acts[:], act.String())] += times
}

// Asked is how many requests came.
func (f Fates) Asked() (all uint64) {
	for _, times := range f.Acts {
		all += times
	}
	return all
}

// Refused is how much was told to wait or to prove itself, denied, dropped, or
// refused before it was a request.
func (f Fates) Refused() (all uint64) {
	for i, times := range f.Acts {
		if acts[i] != deich.Allow.String() && acts[i] != deich.Keep.String() {
			all += times
		}
	}
	return all + f.Before
}

// Spool is what waits for a platform that cannot take it.
type Spool struct {
	Waiting       int               `json:"waiting"`
	OldestSeconds float64           `json:"oldest_seconds"` // how long the oldest waits
	Receipts      int               `json:"receipts"`       // all that something is known of
	Bytes         int64             `json:"bytes"`          // of texts
	Files         int64             `json:"files_bytes"`    // of the files they lie in
	Keeping       bool              `json:"keeping"`        // the disk takes them, their folder was read, and there is room for keys
	Keys          int               `json:"keys"`           // requests remembered by their key
	Paused        bool              `json:"paused"`         // nothing is delivered
	Draining      bool              `json:"draining"`       // nothing new is kept
	Shared        bool              `json:"shared"`         // they lie on a cluster, with those of other edges
	Courier       bool              `json:"courier"`        // then: this edge delivers them
	Kept          uint64            `json:"kept"`
	Refused       uint64            `json:"refused"` // no room, or the disk failed
	Ended         map[string]uint64 `json:"ended"`   // by what became of them
	Damaged       uint64            `json:"damaged"` // records that could not be read at the start
}

// Gate is what the kernel drops before it reaches Deich.
type Gate struct {
	Backend string        `json:"backend"` // "none" where there is none
	Why     string        `json:"why"`
	Sources int           `json:"sources"` // judged, in force
	Missed  uint64        `json:"missed"`  // orders that found no room, or could not be carried out
	Packets []GatePackets `json:"packets"`
}

// GatePackets counts what passed or was dropped for one reason.
type GatePackets struct {
	Reason  string `json:"reason"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	Dropped bool   `json:"dropped"`
}

// Rule is what a flood has in common, in words.
type Rule struct {
	ID   uint32 `json:"id"`
	Text string `json:"text"` // one sentence
	// German is the same sentence.
	German string `json:"de,omitempty"`
}

// Connections counts those of clients, QUIC's included.
type Connections struct {
	Open    int    `json:"open"`
	Refused uint64 `json:"refused"` // under an order
	Full    uint64 `json:"full"`    // no room, or too many of one address
	Evicted uint64 `json:"evicted"` // waiting ones that made room
	Slow    uint64 `json:"slow"`    // did not take their answer
	Abusive uint64 `json:"abusive"` // ended for what they sent below their requests

	Malformed  uint64 `json:"malformed"`  // what was sent and is no request
	Empty      uint64 `json:"empty"`      // that ended without a request
	Handshakes uint64 `json:"handshakes"` // for which there was no turn

	SentOn  uint64 `json:"sent_on"` // requests that were answered with the way to https
	Unnamed uint64 `json:"unnamed"` // requests for a name that is not served
}

// Origin is one platform behind, as the engine sees it.
type Origin struct {
	Name string `json:"name"`
	deich.Pulse
	// Failing says that its answers fail, Since when.
	Failing      bool      `json:"failing"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	// Cause is why it suffers, in the engine's word; "none" where it does not.
	Cause string `json:"cause"`
	// Why says that in a sentence; empty where there is nothing to say.
	Why       string `json:"why,omitempty"`
	WhyGerman string `json:"why_de,omitempty"`
	// Sure is how sure the engine is, 0 to 1, Terms is its evidence, and CauseSince
	// when it came to that.
	Sure       float64      `json:"sure,omitempty"`
	Terms      []deich.Term `json:"terms,omitempty"`
	CauseSince time.Time    `json:"cause_since,omitzero"`
	// Segments are the parts of it that suffer.
	Segments []Segment `json:"segments,omitempty"`
	// Public is the name under which the public knows what stands behind it.
	Public string `json:"public,omitempty"`
}

// Segment is a part of a platform, and why it suffers, as Origin says it of the whole.
type Segment struct {
	Paths      string       `json:"paths,omitempty"` // empty: all that have no segment of their own
	Cause      string       `json:"cause"`
	Why        string       `json:"why"`
	WhyGerman  string       `json:"why_de"`
	Sure       float64      `json:"sure"`
	Terms      []deich.Term `json:"terms"`
	CauseSince time.Time    `json:"cause_since"`
}

// Requests counts verdicts.
type Requests struct {
	Act    string `json:"act"`
	Reason string `json:"reason"`
	Tier   string `json:"tier"`
	N      uint64 `json:"n"`
}

// Served counts how admitted requests ended.
type Served struct {
	Tier   string `json:"tier"`
	OK     uint64 `json:"ok"`
	Failed uint64 `json:"failed"` // the origin gave no answer, or an error of its own (5xx)
}

// Latency counts how long served requests took, from their headers to the
// end of the answer; streams are left out.
type Latency struct {
	Tier   string    `json:"tier"`
	Bounds []float64 `json:"bounds"` // upper bounds in seconds, rising
	Counts []uint64  `json:"counts"` // one for each bound and one above all, not summed up
	Sum    float64   `json:"sum"`    // seconds
}

// Event is one thing that happened, in words.
type Event struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"` // deich.EventKind's word, or an operator's act
	Origin string    `json:"origin,omitempty"`
	Text   string    `json:"text"` // one sentence
	German string    `json:"de,omitempty"`
}

// Note keeps an event for the page; the oldest is forgotten when there are many.
func (d *Desk) Note(e Event) { d.events.add(e) }

// tiers are the groups in the order in which the page shows them: those who
// have earned most stand first, and strangers, attackers among them, last.
var tiers = [...]string{
	deich.Partner.String(), deich.Member.String(), deich.Regular.String(),
	deich.Visitor.String(), deich.Stranger.String(),
}

// acts are in the order of every page of Deich.
var acts = [...]string{
	deich.Allow.String(), deich.Keep.String(), deich.Wait.String(),
	deich.Challenge.String(), deich.Deny.String(), deich.Drop.String(),
}

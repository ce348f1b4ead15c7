package deich

import (
	"net/netip"
	"time"
)

// Act is what is done with a request.
type Act uint8

const (
	// Allow lets it in, perhaps after milliseconds in the engine's queue.
	Allow Act = iota
	// Wait shows the waiting room, or asks a program to come back.
	Wait
	// Challenge asks for a proof of work.
	Challenge
	// Keep stores the message for later delivery.
	Keep
	// Deny refuses with a reason.
	Deny
	// Drop closes the connection.
	Drop
	acts
)

// Reason is the one word that says why.
type Reason uint8

const (
	// NoReason: a plain allow.
	NoReason Reason = iota
	// ByHand: an operator allowed or denied it.
	ByHand
	// BelowCut: its rank is below the cut line.
	BelowCut
	// Unproven: under pressure, strangers are asked to prove themselves.
	Unproven
	// Called: the waiting room called its number.
	Called
	// Lottery: a newcomer below the cut line drew a place.
	Lottery
	// OverBudget: the client or its prefix sends more than its share.
	OverBudget
	// QueueFull: better-ranked requests took its place in the queue.
	QueueFull
	// QueueLate: no place came free in time.
	QueueLate
	// StreamsFull: no room for another long-lived request.
	StreamsFull
	// Bypassed: an operator lets everything pass.
	Bypassed
	// Observed: would have been refused; Policy.Observe lets it pass.
	Observed
	// Failopen: the engine failed; the last known limit holds.
	Failopen
	// OriginDown: the origin does not answer.
	OriginDown
	// OriginSlow: the origin did not answer in time.
	OriginSlow
	// BadRequest: malformed beyond use.
	BadRequest
	// SlowClient: it sends or reads too slowly.
	SlowClient
	// BodyTooLarge: longer than the policy allows.
	BodyTooLarge
	// BuffersFull: no memory left to hold its body.
	BuffersFull
	// BadPass: a pass that is forged or broken; it counts as none.
	BadPass
	// BadProof: a proof that does not hold, is late, or was used before.
	BadProof
	// NoSite: no site of this name is served here.
	NoSite
	// Cached: what was kept of an earlier answer was given; the origin was not asked, or could not answer.
	Cached
	// ByRule: it meets a rule that describes a flood.
	ByRule
	reasons
)

// Verdict is the answer to a request's headers.
type Verdict struct {
	Act        Act
	Reason     Reason
	Tier       Tier
	Rank, Cut  uint8         // the explanation: ranked 41, the cut line stands at 74
	Bits       uint8         // for Challenge: difficulty of each sub-puzzle
	Place      uint64        // for Wait and Challenge: the number to seal into a ticket
	RetryAfter time.Duration // when to come back; 0 where the act has none
	Would      Act           // with Reason Observed: the act that was held back
	Rule       uint32        // the rule it meets, whether or not it is why; 0: none

	good    bool // trusted enough to say what is good
	aged    bool // what speaks for the client was earned before the pressure
	trusted bool // and holds for a part of the time that the engine runs
}

// Refused says whether the act turns the request away for now.
func (v Verdict) Refused() bool { return v.Act != Allow }

// State is what Enter says of a place.
type State uint8

const (
	// Admitted: go to the origin.
	Admitted State = iota
	// Queued: park until a Wake names the ticket.
	Queued
	// TurnedAway: no place; the reason stands in the Wake or in Entry.
	TurnedAway
)

// Ticket is a place in a fixed slab, with its generation; 0 is none.
type Ticket uint64

// Slot gives the ticket's index in the slab, below Engine.Slots.
func (t Ticket) Slot() int { return int(uint32(t)) - 1 }

// Wake tells whoever parked a queued ticket how it ended.
type Wake struct {
	Ticket Ticket
	State  State // Admitted or TurnedAway
	Reason Reason
}

// Outcome is how an admitted request ended.
type Outcome struct {
	Status     int           // the origin's status; 0 where it gave none
	Wait       time.Duration // from the place to the first byte of the answer
	Failed     bool          // no answer: refused, reset, timed out
	Aborted    bool          // the client left first: without a status, it says nothing about the origin
	Credential bool          // the request held a credential
}

// Order asks whoever can to refuse a source more cheaply. A zero Until revokes.
type Order struct {
	Prefix netip.Prefix
	Until  Time
	Reason Reason
	Rule   uint32 // whose requests it met most lately; 0: none
}

// EventKind names what the desk and the metrics want to know.
type EventKind uint8

const (
	// PressureBegan: demand on Origin exceeds what it can do.
	PressureBegan EventKind = iota
	// PressureEnded: it does not any more.
	PressureEnded
	// OneAddress: nearly all clients share one address; a proxy is probably not configured.
	OneAddress
	// SourceJudged: orders went out that begin to refuse sources.
	SourceJudged
	// OriginFailing: the origin's answers fail.
	OriginFailing
	// OriginBack: they do not any more.
	OriginBack
	// RuleActs: a rule acts on what meets it.
	RuleActs
	// RuleExpired: a rule ended, since next to nothing meets it any more.
	RuleExpired
	// RuleWithdrawn: a rule was taken back, by hand or since it met known clients.
	RuleWithdrawn
	// CauseNamed: why an origin suffers was judged anew.
	CauseNamed
	// SegmentNamed: why a part of it does was.
	SegmentNamed
)

// Event is one thing that happened, for people.
type Event struct {
	At     Time
	Kind   EventKind
	Origin uint16
	Prefix netip.Prefix // OneAddress; SourceJudged: the last of them
	Rule   uint32       // RuleActs, RuleExpired, RuleWithdrawn
	Route  uint16       // SegmentNamed; 0: every route that has no segment of its own
	Cause  Cause        // CauseNamed, SegmentNamed; Value is its confidence
	Value  float64      // PressureBegan: demand per unit of capacity; OneAddress: share; RuleActs: share of the excess; SourceJudged: how many
}

// Count is how often a source under an order was refused elsewhere.
type Count struct {
	Prefix netip.Prefix
	N      uint64
}

// Out collects what a call gives beside its result. It is owned by the caller
// and filled up to the capacity of its slices; wakes and orders that do not fit
// come with the next call.
type Out struct {
	Wakes  []Wake
	Orders []Order
	Events []Event
	Job    *Job // to be run on the caller's goroutine, its Rules handed to Adopt; nil: none
}

// NewOut gives an Out with room for what one call can bring.
func NewOut() *Out {
	return &Out{
		Wakes:  make([]Wake, 0, WakesMax),
		Orders: make([]Order, 0, OrdersMax),
		Events: make([]Event, 0, EventsMax),
	}
}

// Reset empties o for the next call.
func (o *Out) Reset() {
	o.Wakes, o.Orders, o.Events, o.Job = o.Wakes[:0], o.Orders[:0], o.Events[:0], nil
}

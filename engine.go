package deich

import (
	"net/netip"
	"time"
)

// Engine decides. It is safe for concurrent use, and deterministic when its
// calls are made in one order.
type Engine struct {
	policy Policy
}

// New makes an engine with all its tables; it never grows afterwards. The seed
// keys every hash and draws every lottery.
func New(p Policy, seed [32]byte) (*Engine, error) {
	p = p.Defaults()
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &Engine{policy: p}, nil
}

// Slots is the size of the slab of places: every Ticket.Slot is below it.
func (e *Engine) Slots() int { return e.policy.Origins * (PlacesMax + QueueMax) }

// Decide judges a request from its headers: may it come in, and with what rank?
// It takes no lock that is held for long, and allocates nothing.
func (e *Engine) Decide(r *Request) Verdict { return Verdict{Act: Allow, Tier: Visitor, Rank: 40} }

// Enter asks for a place at the origin, once the body is in hand. Admitted and
// Queued come with a ticket that must end in exactly one Done (admitted, at
// once or by a Wake), Cancel (still queued) or Wake with TurnedAway. With
// TurnedAway there is no ticket, and the reason says why.
func (e *Engine) Enter(at Time, r *Request, v Verdict, out *Out) (Ticket, State, Reason) {
	return Ticket(1), Admitted, NoReason
}

// Turn gives the verdict for a request that was allowed and then found no
// place: what Decide would have said had it known.
func (e *Engine) Turn(r *Request, v Verdict, why Reason) Verdict {
	v.Act, v.Reason = Wait, why
	return v
}

// Cancel takes a queued ticket back; false says it was woken already, and its
// Wake is to be consumed.
func (e *Engine) Cancel(at Time, t Ticket, out *Out) bool { return false }

// Detach moves an admitted request that turns out to be long-lived into the
// pool of streams, so that it does not hold a place among the quick ones. It
// is called at most once for a ticket; false says that the pool is full and
// the ticket stays where it is. Done is due all the same.
func (e *Engine) Detach(at Time, t Ticket, out *Out) bool { return true }

// Done frees the place and may wake others.
func (e *Engine) Done(at Time, t Ticket, o Outcome, out *Out) {}

// Tick adapts limits and cut lines, ends what waited too long and hands out
// orders and events. To be called every TickEvery; a late call is no error.
func (e *Engine) Tick(at Time, out *Out) {}

// Next is the earliest time at which a queued request has waited too long; zero for none.
func (e *Engine) Next() Time { return 0 }

// Mint says whether one more pass may be issued to this client now: issuance
// is bounded by prefix, so that a flood cannot farm passes.
func (e *Engine) Mint(at Time, client netip.Addr, how Earned) bool { return true }

// Seen reports what was refused elsewhere under an order.
func (e *Engine) Seen(at Time, counts []Count) {}

// Hand is what an operator has listed.
type Hand struct {
	ID     uint32       `json:"id"`
	Act    Act          `json:"-"`   // Allow or Deny
	Word   string       `json:"act"` // the act's word
	Prefix netip.Prefix `json:"prefix,omitzero"`
	Path   string       `json:"path,omitempty"`  // a prefix of the path, instead of Prefix
	Until  Time         `json:"until,omitempty"` // zero: until undone
}

// List allows or denies by hand; exactly one of h.Prefix and h.Path is set. It
// gives the id to undo it by. The narrowest prefix wins; an allow beats a deny
// of the same width.
func (e *Engine) List(at Time, h Hand) (id uint32, err error) { return 1, nil }

// Listed gives what is listed by hand and still in force.
func (e *Engine) Listed(at Time) []Hand { return nil }

// Undo takes back what was listed by hand.
func (e *Engine) Undo(at Time, id uint32, out *Out) bool { return false }

// Bypass lets everything pass until the given time, except that the origin's
// limit holds; zero ends it.
func (e *Engine) Bypass(until Time) {}

// Swap puts a new policy in force. Sources, Streams and the number of origins
// cannot change while running: an error says so, and nothing changes.
func (e *Engine) Swap(p Policy) error { return nil }

// Save appends what must survive a restart (hash keys, baselines of routes,
// the histories of clients that earned trust) to b.
func (e *Engine) Save(b []byte) []byte { return b }

// Load takes over what Save gave. On an error nothing was taken over.
func (e *Engine) Load(b []byte) error { return nil }

// Pulse is what one origin looks like now, for the private page and metrics.
type Pulse struct {
	Limit    float64       `json:"limit"`    // places, in units of an average request's cost
	Inflight int           `json:"inflight"` // requests at the origin
	Queued   int           `json:"queued"`
	Streams  int           `json:"streams"`
	Cut      uint8         `json:"cut"`      // the cut line
	Pressure bool          `json:"pressure"` // demand exceeds what the origin can do
	Since    Time          `json:"since"`    // when the present pressure began
	Demand   float64       `json:"demand"`   // requests per second that came
	Goodput  float64       `json:"goodput"`  // answers per second that the origin gave
	Slowdown float64       `json:"slowdown"` // median latency over each route's baseline
	Wait     time.Duration `json:"wait_ns"`  // median time to the first byte
}

// Pulse looks at one origin.
func (e *Engine) Pulse(origin uint16) Pulse { return Pulse{} }

// MemoryBytes is what the tables hold, fixed at New.
func (e *Engine) MemoryBytes() int { return 0 }

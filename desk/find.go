package desk

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// Found is what is known of a reference, an address or a network.
type Found struct {
	Refused *Refusal  // what a reference tells; nil: an address or a network was asked for
	Listed  []Listing // by hand, and about it
	Orders  []Order   // against it
	// Scopes are whom one may let pass from here, the narrowest first.
	Scopes []netip.Prefix
}

// Refusal is what a reference tells of the refusal on which it stood.
type Refusal struct {
	At     time.Time
	Act    string
	Reason string
	Why    incident.Text // what the reason means, and what can be done
	Tier   string
	From   netip.Prefix // the client's network
	Kind   string
	Rank   uint8
	Cut    uint8
	Origin string // empty: not known any more
}

// Order is a source that is refused at accept.
type Order struct {
	Prefix netip.Prefix
	Reason string
	Until  time.Time
}

// Listing is what is listed by hand.
type Listing struct {
	ID     uint32    `json:"id"`
	Act    string    `json:"act"`
	Target string    `json:"target"`         // an address, a network or a path
	Path   string    `json:"path,omitempty"` // of an address or a network: it is listed there alone
	Until  time.Time `json:"until,omitzero"`
}

// sought is what somebody looks for, and what came of it.
type sought struct {
	What  string
	Known bool // what it is was understood
	Found
	MoreListed, MoreOrders int // left out
}

// seek reads what is looked for from a page's address.
func (d *Desk) seek(r *http.Request) (s sought) {
	s.What = strings.TrimSpace(r.URL.Query().Get("find"))
	if s.What == "" || d.find == nil {
		return s
	}
	s.Found, s.Known = d.find(s.What)
	s.MoreListed, s.MoreOrders = max(0, len(s.Listed)-foundMax), max(0, len(s.Orders)-foundMax)
	s.Listed, s.Orders = s.Listed[:len(s.Listed)-s.MoreListed], s.Orders[:len(s.Orders)-s.MoreOrders]
	return s
}

// target writes a single address as one.
func target(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Scope says whom a prefix holds: how many sources. One is a whole IPv4 address
// or an IPv6 /64.
func (w *words) Scope(p netip.Prefix) string {
	one := 32
	if p.Addr().Is6() {
		one = 64
	}
	if p.Bits() >= one {
		return target(p)
	}
	return fmt.Sprintf("%s, %d %s", p, uint64(1)<<(one-p.Bits()), w.Many)
}

// Hand tells of a listing.
func (w *words) Hand(l Listing) string {
	until := w.UntilUndone
	if !l.Until.IsZero() {
		until = fmt.Sprintf(w.Until, w.Day(l.Until))
	}
	whom := l.Target
	if l.Path != "" {
		whom = fmt.Sprintf(w.OnPath, l.Target, l.Path)
	}
	return fmt.Sprintf(w.ByHand[l.Act], whom) + ", " + until
}

// Order tells of a source that is refused at accept.
func (w *words) Order(o Order) string {
	return fmt.Sprintf(w.AtAccept, target(o.Prefix), o.Reason) + ", " + fmt.Sprintf(w.Until, w.Clock(o.Until))
}

// Want says what a kind of request is for.
func (w *words) Want(kind string) string {
	if text, ok := w.Wants[kind]; ok {
		return text
	}
	return kind
}

// named refuses what somebody with an impossible name does.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if by := r.URL.Query(); by.Has("by") {
			if err := checkName(by.Get("by")); err != nil {
				problemOf(w, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// undoable leaves the way back to those actions alone whose listing is still in
// force. A number that was given again belongs to the newest, which stands first.
func undoable(all []Action, listed []Listing) {
	inForce := make(map[uint32]bool, len(listed))
	for _, l := range listed {
		inForce[l.ID] = true
	}
	for i := range all {
		if !inForce[all[i].Undo] {
			all[i].Undo = 0
		}
		delete(inForce, all[i].Undo)
	}
}

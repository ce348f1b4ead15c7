package deich

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// Hand is what an operator has listed.
type Hand struct {
	ID     uint32       `json:"id"`
	Act    Act          `json:"act"`             // Allow or Deny
	Prefix netip.Prefix `json:"prefix,omitzero"` // whom: an address or a prefix
	Path   string       `json:"path,omitempty"`  // or what: how the path begins; with both, them there alone
	Until  Time         `json:"until,omitempty"` // zero: until undone
}

// MarshalText gives the act's word.
func (a Act) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the act's word.
func (a *Act) UnmarshalText(b []byte) error { return readWord(a, "act", actNames[:], b) }

// readWord reads one of a kind's words into its number.
func readWord[T ~uint8](into *T, kind string, words []string, b []byte) error {
	i := slices.Index(words, string(b))
	if i < 0 {
		return fmt.Errorf("deich: %s %.40q: one of %s", kind, b, strings.Join(words, ", "))
	}
	*into = T(i)
	return nil
}

// hands is the list in force. It is replaced as a whole and never changed, so
// that Decide reads it without a lock.
type hands struct {
	all      []Hand
	prefixes *bart.Table[*Hand]
	paths    []*Hand // the longest first
	both     []*Hand // of a prefix on a path: the longest path first, of the same the narrowest
	last     uint32
}

func newHands(all []Hand, last uint32) *hands {
	h := &hands{all: all, prefixes: new(bart.Table[*Hand]), last: last}
	for i := range all {
		switch {
		case all[i].Path != "" && all[i].Prefix.IsValid():
			h.both = append(h.both, &all[i])
		case all[i].Path != "":
			h.paths = append(h.paths, &all[i])
		default:
			h.prefixes.Insert(all[i].Prefix, &all[i])
		}
	}
	slices.SortStableFunc(h.both, func(a, b *Hand) int {
		return cmp.Or(len(b.Path)-len(a.Path), b.Prefix.Bits()-a.Prefix.Bits())
	})
	slices.SortStableFunc(h.paths, func(a, b *Hand) int { return len(b.Path) - len(a.Path) })
	return h
}

// find gives what is listed for a request: for its address on its path if anything,
// else for its address, else for its path; nil for nothing.
func (h *hands) find(r *Request) *Hand {
	if len(h.all) == 0 {
		return nil
	}
	for _, one := range h.both {
		if one.covers(r.Path) && one.Prefix.Contains(r.Client.Unmap()) && one.inForce(r.At) {
			return one
		}
	}
	if one := h.of(r.Client, r.At); one != nil {
		return one
	}
	for _, one := range h.paths {
		if one.covers(r.Path) && one.inForce(r.At) {
			return one
		}
	}
	return nil
}

// of gives what is listed for an address: the narrowest that is in force.
func (h *hands) of(a netip.Addr, at Time) *Hand {
	a = a.Unmap()
	one, ok := h.prefixes.Lookup(a)
	if !ok {
		return nil
	}
	if one.inForce(at) {
		return one
	}
	for _, wider := range h.prefixes.Supernets(one.Prefix) { // the narrowest first
		if wider.inForce(at) {
			return wider
		}
	}
	return nil
}

// covers says whether a path begins as it is listed. Nothing is let pass that begins so
// and leads elsewhere.
func (h *Hand) covers(path string) bool {
	return strings.HasPrefix(path, h.Path) && (h.Act != Allow || !Climbs(path))
}

// Climbs says whether a path has a segment that leads up (RFC 3986, 5.2.4), so that how
// it begins does not say where a platform takes it. It is the path as it is decoded;
// "\" counts as "/", and of "..;x" the beginning, since there are platforms that do so.
func Climbs(path string) bool {
	if !strings.Contains(path, "..") {
		return false
	}
	for more := true; more; {
		segment, at := path, strings.IndexAny(path, `/\`)
		if more = at >= 0; more {
			segment, path = path[:at], path[at+1:]
		}
		if segment, _, _ = strings.Cut(segment, ";"); segment == ".." {
			return true
		}
	}
	return false
}

func (h *Hand) inForce(at Time) bool { return h.Until == 0 || h.Until > at }

// allows says whether an address is allowed by hand, be it on one path alone: whom no
// connection is taken from cannot ask for that either.
func (h *hands) allows(a netip.Addr, at Time) bool {
	if len(h.all) == 0 {
		return false
	}
	for _, one := range h.both {
		if one.Act == Allow && one.Prefix.Contains(a.Unmap()) && one.inForce(at) {
			return true
		}
	}
	one := h.of(a, at)
	return one != nil && one.Act == Allow
}

func (h *hands) without(drop func(*Hand) bool) []Hand {
	var rest []Hand
	for i := range h.all {
		if !drop(&h.all[i]) {
			rest = append(rest, h.all[i])
		}
	}
	return rest
}

// ErrHandFull says that as much is listed by hand as may be.
var ErrHandFull = errors.New("deich: list")

// List allows or denies by hand; h.Prefix, h.Path or both are set. It
// gives the id to undo it by: h.ID where that is set and free (a list read
// back after a restart), else the next. A prefix on a path wins, then the narrowest prefix; what is
// listed for a prefix or path replaces what was listed for the same before.
func (e *Engine) List(at Time, h Hand) (id uint32, err error) {
	switch {
	case h.Act != Allow && h.Act != Deny:
		return 0, fmt.Errorf("deich: list: %v: only allow and deny can be listed by hand", h.Act)
	case !h.Prefix.IsValid() && h.Path == "":
		return 0, errors.New("deich: list: an address, a prefix or a path is wanted")
	case h.Path != "" && !strings.HasPrefix(h.Path, "/"):
		return 0, fmt.Errorf("deich: list: path %q does not begin with /", h.Path)
	case h.Until != 0 && h.Until <= at:
		return 0, errors.New("deich: list: its end is in the past")
	}
	if h.Prefix.IsValid() {
		a := h.Prefix.Addr()
		if a.Is4In6() {
			if h.Prefix.Bits() < 96 {
				return 0, fmt.Errorf("deich: list: %v: wider than the IPv4 addresses it means", h.Prefix)
			}
			h.Prefix = netip.PrefixFrom(a.Unmap(), h.Prefix.Bits()-96)
		}
		h.Prefix = h.Prefix.Masked()
	}
	e.ticking.Lock()
	defer e.ticking.Unlock()
	old := e.hands.Load()
	rest := old.without(func(o *Hand) bool {
		return o.Prefix == h.Prefix && o.Path == h.Path || o.Until != 0 && o.Until <= at
	})
	paths := 0
	for _, o := range rest {
		if o.Path != "" {
			paths++
		}
		if o.ID == h.ID {
			h.ID = 0
		}
	}
	if len(rest) >= HandMax {
		return 0, fmt.Errorf("%w: %d are listed already: undo some first", ErrHandFull, len(rest))
	}
	if h.Path != "" && paths >= HandPathsMax {
		return 0, fmt.Errorf("%w: %d paths are listed already: undo some first", ErrHandFull, paths)
	}
	last := old.last
	if h.ID == 0 {
		last++
		h.ID = last
	}
	e.hands.Store(newHands(append(rest, h), max(last, h.ID)))
	return h.ID, nil
}

// Listed gives what is listed by hand and still in force, oldest first.
func (e *Engine) Listed(at Time) []Hand {
	return e.hands.Load().without(func(h *Hand) bool { return !h.inForce(at) })
}

// nextID numbers a rule, from the same count as what is listed by hand; the
// lock is held.
func (e *Engine) nextID() uint32 {
	old := e.hands.Load()
	e.hands.Store(newHands(old.all, old.last+1))
	return old.last + 1
}

// Undo takes back what was listed by hand, or a rule; false says there is no
// such id.
func (e *Engine) Undo(at Time, id uint32, out *Out) bool {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	old := e.hands.Load()
	rest := old.without(func(h *Hand) bool { return h.ID == id })
	if len(rest) == len(old.all) {
		return e.undoRule(at, id, out)
	}
	e.hands.Store(newHands(rest, old.last))
	return true
}

// revokeOf takes back the orders of a rule that is gone; the lock is held. What
// finds no room in out is taken back at the next ticks.
func (e *Engine) revokeOf(rule uint32, at Time, out *Out) {
	for _, p := range e.orders.sorted() {
		if o := e.orders.live[p]; o.rule == rule && o.until > at && len(e.orders.lift) < ordersLive {
			e.orders.lift = append(e.orders.lift, p)
		}
	}
	e.lift(at, out)
}

// Revoke takes back every order against an address or prefix; it gives how
// many. Whoever carries orders out learns of it through out.
func (e *Engine) Revoke(at Time, p netip.Prefix, out *Out) int {
	e.ticking.Lock()
	defer e.ticking.Unlock()
	n := 0
	for _, q := range e.orders.sorted() {
		if o := e.orders.live[q]; o.until > at && p.Overlaps(q) && len(out.Orders) < cap(out.Orders) {
			o.until, o.candidate, o.strikes = at, at, 0
			out.Orders = append(out.Orders, Order{Prefix: q})
			n++
		}
	}
	return n
}

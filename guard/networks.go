package guard

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// Fates are how much came from somewhere lately, and what was done with it.
type Fates struct {
	Acts   [deich.Drop + 1]uint64 // requests, by what was done with them
	Before uint64                 // connections and packets refused before they were requests
}

// All is how much came.
func (f *Fates) All() (all uint64) {
	for _, times := range f.Acts {
		all += times
	}
	return all + f.Before
}

// Network is what came from one network.
type Network struct {
	Prefix netip.Prefix // a /24 or /48
	Fates
}

// Operator is what came from the networks of one operator.
type Operator struct {
	Number uint32 // of its autonomous system, as Options.Whence gave it
	Fates
}

// Country is what came from networks in one country.
type Country struct {
	Code uint16 // as Options.Whence gave it
	Fates
}

// networks counts what came from the networks that most came from. Two halves
// take turns, so that what is told is never older than two spans, and nobody is
// remembered for longer.
//
// Eight networks share a set. A newcomer to a full one takes from the lead of the
// weakest, and its place where none is left: a majority vote for the place (Boyer
// and Moore, 1981), so that many networks that send little do not drive out one
// that sends much. Where two change one place at once, a few counts go to the
// wrong one of them.
type networks struct {
	key    sketch.Key // so that nobody can choose who shares a set
	newest atomic.Uint32
	halves [2]networkHalf
}

type networkHalf struct {
	began atomic.Int64 // 0: not yet
	sets  []networkSet
}

type networkSet struct {
	names [networkWays]atomic.Uint64 // 0: free
	leads [networkWays]atomic.Uint64
	times [networkWays][fates]atomic.Uint64
}

const (
	networkWays = 8
	// The acts, and what is refused before it is a request.
	fateBefore = int(deich.Drop) + 1
	fates      = fateBefore + 1
)

func (n *networks) init(now deich.Time, most int) {
	n.key = sketch.Key{rand.Uint64(), rand.Uint64()}
	for i := range n.halves {
		n.halves[i].sets = make([]networkSet, most/networkWays)
	}
	n.halves[0].began.Store(int64(now))
}

// networkName names an address's network in a word; 0 for no address.
func networkName(a netip.Addr) uint64 {
	switch a = a.Unmap(); {
	case a.Is4():
		b := a.As4()
		return 4<<56 | uint64(binary.BigEndian.Uint32(b[:])>>8)
	case a.Is6():
		b := a.As16()
		return 6<<56 | binary.BigEndian.Uint64(b[:8])>>16
	}
	return 0
}

// networkOf is the prefix of that name.
func networkOf(name uint64) netip.Prefix {
	if name>>56 == 4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(name)<<8)
		return netip.PrefixFrom(netip.AddrFrom4(b), 24)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], name<<16)
	return netip.PrefixFrom(netip.AddrFrom16(b), 48)
}

func (n *networks) note(a netip.Addr, fate int, times uint64) { n.count(networkName(a), fate, times) }

// count counts for a name; none is 0.
func (n *networks) count(name uint64, fate int, times uint64) {
	if name == 0 || times == 0 {
		return
	}
	h, x := &n.halves[n.newest.Load()], n.key.Uint64(name)
	h.sets[x%uint64(len(h.sets))].note(name, int(x>>32), fate, times)
}

// note begins to look at a place of the name's own, so that newcomers do not all
// take the same one.
func (s *networkSet) note(name uint64, from, fate int, times uint64) {
	weakest, whose := from%networkWays, uint64(0)
	for i := range networkWays {
		i = (from + i) % networkWays
		is := s.names[i].Load()
		if is == name {
			s.leads[i].Add(times)
			s.times[i][fate].Add(times)
			return
		}
		if is == 0 {
			weakest, whose = i, 0
			break
		}
		if whose == 0 || s.leads[i].Load() < s.leads[weakest].Load() {
			weakest, whose = i, is
		}
	}
	if whose != 0 {
		if lead := s.leads[weakest].Load(); lead > times {
			s.leads[weakest].CompareAndSwap(lead, lead-times)
			return
		}
	}
	if !s.names[weakest].CompareAndSwap(whose, name) {
		return // somebody else took it: one is not counted
	}
	for i := range s.times[weakest] {
		s.times[weakest][i].Store(0)
	}
	s.leads[weakest].Store(times)
	s.times[weakest][fate].Store(times)
}

// turn begins the older half anew when the newer one is a span old.
func (n *networks) turn(now deich.Time) {
	newest := n.newest.Load()
	if now.Sub(deich.Time(n.halves[newest].began.Load())) < networkSpan {
		return
	}
	h := &n.halves[1-newest]
	for i := range h.sets {
		for k := range h.sets[i].names {
			h.sets[i].names[k].Store(0)
		}
	}
	h.began.Store(int64(now))
	n.newest.Store(1 - newest)
}

// named is how much came under a name.
type named struct {
	name uint64
	Fates
}

// list gives what came under each name lately, that with most first, and since
// when that was counted.
func (n *networks) list() (all []named, since deich.Time) {
	newest := n.newest.Load()
	newer, older := &n.halves[newest], &n.halves[1-newest]
	since = deich.Time(cmp.Or(older.began.Load(), newer.began.Load()))
	for i := range newer.sets {
		mine := len(all)
		for _, s := range []*networkSet{&newer.sets[i], &older.sets[i]} {
			for k := range s.names {
				if name := s.names[k].Load(); name != 0 {
					all = s.add(k, name, all, mine)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b named) int {
		return cmp.Or(cmp.Compare(b.All(), a.All()), cmp.Compare(a.name, b.name))
	})
	return all, since
}

// add adds the k-th of a set to those of its set, which begin at mine.
func (s *networkSet) add(k int, name uint64, all []named, mine int) []named {
	at := mine
	for at < len(all) && all[at].name != name {
		at++
	}
	if at == len(all) {
		all = append(all, named{name: name})
	}
	for act := range all[at].Acts {
		all[at].Acts[act] += s.times[k][act].Load()
	}
	all[at].Before += s.times[k][fateBefore].Load()
	return all
}

// Networks gives what came from each network lately, from which most came first,
// and since when that was counted: one to two minutes, less after the start.
func (h *Handler) Networks() (all []Network, since deich.Time) {
	counted, since := h.networks.list()
	for _, c := range counted {
		all = append(all, Network{networkOf(c.name), c.Fates})
	}
	return all, since
}

// Operators gives the same by the networks' operators; none where they cannot be told.
func (h *Handler) Operators() (all []Operator, since deich.Time) {
	counted, since := h.operators.list()
	for _, c := range counted {
		all = append(all, Operator{uint32(c.name), c.Fates})
	}
	return all, since
}

// Countries gives the same by the networks' countries; none where they cannot be told.
func (h *Handler) Countries() (all []Country, since deich.Time) {
	counted, since := h.countries.list()
	for _, c := range counted {
		all = append(all, Country{uint16(c.name), c.Fates})
	}
	return all, since
}

// noteWhence counts for where a request comes from.
func (h *Handler) noteWhence(a netip.Addr, operator uint32, country uint16, fate int, times uint64) {
	h.networks.note(a, fate, times)
	h.operators.count(uint64(operator), fate, times)
	h.countries.count(uint64(country), fate, times)
}

// Seen counts what was refused elsewhere, before it was a request.
func (h *Handler) Seen(all []deich.Count) {
	for _, c := range all {
		a := c.Prefix.Addr()
		operator, country := h.whenceOf(a)
		h.noteWhence(a, operator, country, fateBefore, c.N)
	}
}

// whenceOf asks where an address belongs; zeros where that cannot be told.
func (h *Handler) whenceOf(a netip.Addr) (operator uint32, country uint16) {
	if h.whence == nil || !a.IsValid() {
		return 0, 0
	}
	return h.whence(a)
}

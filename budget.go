package deich

import (
	"net/netip"
	"time"
)

// A budget is a rate and a burst, as GCRA counts them: one request costs every,
// and a client may be burst ahead.
type budget struct {
	every, burst time.Duration
}

func perSecond(rate, burst float64) budget {
	every := time.Duration(float64(time.Second) / rate)
	return budget{every, time.Duration(burst * float64(every))}
}

// Budgets by what a client holds. They bind only under pressure; in peace they
// are counted, so that they are known when pressure begins.
var tierBudgets = [tiers]budget{
	Stranger: perSecond(10, 150), // an address (/32, /64), times the passes seen from it
	Visitor:  perSecond(2, 80),
	Regular:  perSecond(4, 160),
	Member:   perSecond(10, 300),
	Partner:  perSecond(1000, 4000),
}

// The prefix ladder above a stranger's address: a parent has room for several
// busy children, not for all of them. Never an IPv6 /128 alone.
const (
	wide24 = 16
	wide56 = 4
	wide48 = 16
)

const (
	assetsACost = 4                      // so many assets cost as much as one page
	mintOne     = 200 * time.Millisecond // an address: 5 passes a second,
	mintBurst   = 200                    // 200 at once: a carrier's address holds many people
	mintWide    = 50 * time.Millisecond  // its /24 or /48: 20 a second,
	mintWider   = 2000                   // 2,000 at once
)

// Salts keep the uses of one table apart. They change the tag of a hash and
// not its set, so all that is counted for one source stands in one cache line.
const (
	saltAccount = uint64(iota+1) << 56
	saltPass
	saltMint
	saltDebt
	saltPlace
	saltShared
	saltWide
	saltCredential
	saltGood
	saltAside
	saltProve
)

func credentialHash(c uint64) uint64 { return c ^ saltCredential }

// sourceBits is how much of an address is one source: a whole IPv4 address, an
// IPv6 /64.
func sourceBits(a netip.Addr) int {
	if a.Is4() || a.Is4In6() {
		return 32
	}
	return 64
}

func (e *Engine) sourceHash(a netip.Addr) uint64 {
	if !a.IsValid() {
		return 0
	}
	return e.key.Addr(a, sourceBits(a))
}

// parentHash is that of the /24 or /48 above a source.
func (e *Engine) parentHash(a netip.Addr) uint64 {
	if sourceBits(a) == 32 {
		return e.key.Addr(a, 24) ^ saltWide
	}
	return e.key.Addr(a, 48) ^ saltWide
}

// spend charges the request to its budget and says how far over it is: 0
// conforms. shared says that it conforms only since many share its address.
// Pass holders are charged by pass and account, never by address.
func (e *Engine) spend(r *Request, s standing, addr, parent uint64, pressure bool) (over time.Duration, shared bool, b budget) {
	b = tierBudgets[s.tier]
	cost := b.every
	if r.Kind == Asset {
		cost /= assetsACost
	}
	now := int64(r.At)
	switch {
	case r.Pass.ID != 0 && r.Pass.Account != 0:
		return e.budgets.Take(r.Pass.Account^saltAccount, now, cost, b.burst), false, b
	case r.Pass.ID != 0:
		return e.budgets.Take(r.Pass.ID^saltPass, now, cost, b.burst), false, b
	}
	over = e.budgets.Take(addr, now, cost, b.burst)
	switch {
	case !pressure || s.tier == Partner:
	case over == 0:
		over = e.climb(r.Client, parent, now, cost, b.burst)
	default:
		// Many may share the address: as many passes as were seen from it, as many budgets.
		if n := e.past.passes(addr, r.At); n > 0 {
			over, shared = e.budgets.Take(addr^saltShared, now, cost/time.Duration(n), b.burst), true
		}
	}
	return over, shared, b
}

// climb charges the prefixes above a source. An IPv6 /56 is counted in the
// set of its /48.
func (e *Engine) climb(a netip.Addr, parent uint64, now int64, cost, burst time.Duration) time.Duration {
	if sourceBits(a) == 32 {
		return e.budgets.Take(parent, now, cost/wide24, burst)
	}
	b := a.As16()
	return max(
		e.budgets.Take(parent^saltShared^uint64(b[6])<<40, now, cost/wide56, burst),
		e.budgets.Take(parent, now, cost/wide48, burst))
}

// Mint says whether one more pass may be issued to this client now: issuance
// is bounded by prefix, so that a flood cannot farm passes without end.
func (e *Engine) Mint(at Time, client netip.Addr, how Earned) bool {
	if !client.IsValid() {
		return false
	}
	one := e.sourceHash(client) ^ saltMint
	if e.budgets.Take(one, int64(at), mintOne, mintBurst*mintOne) > 0 {
		return false
	}
	if e.budgets.Take(e.parentHash(client)^saltMint, int64(at), mintWide, mintWider*mintWide) > 0 {
		return false
	}
	if how == Proved {
		e.proofs.Add(1)
	}
	return true
}

// MayProve says whether one more proof of this client's is to be checked: of an address twice
// as many as the passes that it may be given, since some do not hold. Who solved one
// challenge could else show it without end, with answers that cost nothing, and would
// leave no turn to others.
func (e *Engine) MayProve(at Time, client netip.Addr) bool {
	return e.budgets.Take(e.sourceHash(client)^saltProve, int64(at), mintOne/2, mintBurst*mintOne) == 0
}

// difficulty gives the bits of a sub-puzzle for this source: the more passes
// it was lately issued, the harder the next.
func (e *Engine) difficulty(at Time, addr uint64) uint8 {
	level := e.budgets.Level(addr^saltMint, int64(at))
	bits := BitsMin + 1
	for _, share := range [...]time.Duration{4, 2} { // a quarter, then half of the burst used
		if level > mintBurst*mintOne/share {
			bits++
		}
	}
	return uint8(min(bits, BitsMax))
}

package deich

import (
	"math/bits"
	"time"
)

// Ranks. Whoever has earned more stands above whoever has earned less, and
// within a class the older trust stands above the younger: age is counted up
// to the moment the present pressure began, so that nothing earned since helps
// anyone climb. The gaps are wide enough that a minute more of age, at the
// scale of minutes, is a few ranks.
const (
	rankProgram   = 14  // a stranger that no page can be shown to
	rankStranger  = 16  // a stranger's browser
	rankDoubted   = 39  // a pass of not long before whose request meets a rule
	rankProven    = 40  // a pass minted under pressure
	rankAddress   = 41  // an address that was served before: counts as a pass half as old
	rankHolds     = 43  // a credential that was accepted before
	rankPass      = 44  // a pass of before, +3 a doubling of its age
	rankCalled    = 44  // its waiting-room number was called
	rankDays      = 8   // more for a Regular
	rankVouched   = 10  // more for a Member
	rankBegun     = 2   // more for what a page needs, once the page was let in
	rankPartner   = 124 // named by configuration
	rankListed    = 126 // allowed by hand
	rankOver      = 4   // whoever holds a pass and sends far more than its share
	doublingsMax  = 17  // 1.5 days: older is not better
	regularAge    = 24 * time.Hour
	regularDays   = 2
	vouchedAtOnce = 2 // more for a login of since the pressure began
)

// quarters gives 4·log2(1+d/s), rounded down to a quarter by linear
// interpolation, at most 4·doublingsMax.
func quarters(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	x := uint64(d/(time.Second/16)) + 16 // sixteenths of 1+seconds: ≥ 16
	n := bits.Len64(x) - 1               // x in [2^n, 2^(n+1))
	q := 4*(n-4) + int((x>>(n-2))&3)
	return min(q, 4*doublingsMax)
}

// standing is what a request's trust comes to.
type standing struct {
	tier Tier
	rank uint8
	age  bool          // earned before the pressure began, so not asked for a proof
	here bool          // by the address alone
	long time.Duration // how long before
}

// before gives how long before the pressure began (or before now, in peace)
// something was earned; negative if after.
func before(at, since, earned Time) time.Duration {
	if since != 0 && since < at {
		return since.Sub(earned)
	}
	return at.Sub(earned)
}

// standingOf ranks a request by what it has earned. since is when the present
// episode of pressure began, zero in peace.
func (e *Engine) standingOf(r *Request, since Time, addr uint64) standing {
	if r.Partner {
		return standing{tier: Partner, rank: rankPartner, age: true}
	}
	if r.Pass.ID != 0 {
		return passStanding(r, since)
	}
	if r.Credential != 0 {
		if age := e.past.age(credentialHash(r.Credential), r.At, since); age > 0 {
			return standing{tier: Stranger, rank: uint8(rankHolds + quarters(age)*3/4), age: true, long: age}
		}
	}
	if age := e.past.age(addr, r.At, since); age > 0 {
		return standing{tier: Stranger, rank: uint8(rankAddress + quarters(age)*3/4), age: true, here: true, long: age}
	}
	return strangers(r)
}

// strangers is the standing of a request that nothing speaks for.
func strangers(r *Request) standing {
	if r.Kind == Page && r.Safe {
		return standing{tier: Stranger, rank: rankStranger}
	}
	return standing{tier: Stranger, rank: rankProgram}
}

func passStanding(r *Request, since Time) standing {
	age := before(r.At, since, r.Pass.First)
	s := standing{tier: Visitor, rank: rankProven}
	if age > 0 {
		s.rank, s.age, s.long = uint8(rankPass+quarters(age)*3/4), true, age
		if r.Pass.Earned != Served && r.Pass.Days < regularDays {
			// Proofs can be had in bulk between two floods; age makes up for that more slowly.
			s.rank = uint8(rankProven + quarters(age)*5/8)
		}
		if age >= regularAge && r.Pass.Days >= regularDays {
			s.tier = Regular
			s.rank += rankDays
		}
	}
	if r.Pass.Account != 0 {
		s.tier = Member
		if before(r.At, since, r.Pass.Since) > 0 {
			s.rank += rankVouched
		} else {
			s.rank += vouchedAtOnce
		}
	}
	if r.Kind != Page {
		s.rank += rankBegun
	}
	return s
}

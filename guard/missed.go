package guard

import (
	"math/rand/v2"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/sketch"
)

// Missed are those who could not read or send for a while, in good order as they
// asked, as marks that a sketch.Count sums up. Strangers are apart: attackers are
// among them.
//
// Somebody is an account, or else a pass, or else a credential, or else an IPv4
// address or the /64 of an IPv6 address. So one person with two browsers counts
// twice unless logged in, two behind one address count once unless they hold
// passes, and who gets a first pass or logs in meanwhile may count twice. Who was
// given a kept page, or a receipt for a message, has not missed it; who left
// within a second neither.
type Missed struct {
	KnownRead, KnownSend       []sketch.Mark
	StrangerRead, StrangerSend []sketch.Mark
}

// missed counts them in fixed memory. The key is drawn at the start and told to
// nobody, so that nobody can choose how they count, and the marks name nobody.
type missed struct {
	key        sketch.Key
	read, send [2]sketch.Distinct // of strangers, and of all others
}

func (m *missed) init() { m.key = sketch.Key{rand.Uint64(), rand.Uint64()} }

// who hashes somebody. Numbers of 64 random bits and addresses hash apart: they
// differ in length.
func (m *missed) who(r *deich.Request) uint64 {
	switch {
	case r.Pass.Account != 0:
		return m.key.Uint64(r.Pass.Account)
	case r.Pass.ID != 0:
		return m.key.Uint64(r.Pass.ID)
	case r.Credential != 0:
		return m.key.Uint64(r.Credential)
	}
	return m.key.Addr(r.Client, sourceBits)
}

// sourceBits are those of an address that tell clients apart: all of IPv4, and a /64 of IPv6.
const sourceBits = 64

func (m *missed) note(r *deich.Request, t deich.Tier) {
	group := 0
	if t != deich.Stranger {
		group = 1
	}
	if r.Safe {
		m.read[group].Add(m.who(r))
	} else {
		m.send[group].Add(m.who(r))
	}
}

// refused notes whoever is turned away and known. That a stranger is, is how
// others are kept served; and what a client did itself is nothing that it missed.
func (m *missed) refused(r *deich.Request, v deich.Verdict) {
	if v.Act == deich.Allow || v.Act == deich.Keep || v.Tier == deich.Stranger {
		return
	}
	switch v.Reason {
	case deich.OverBudget, deich.ByHand, deich.BadRequest, deich.SlowClient, deich.BodyTooLarge, deich.BadPass, deich.BadProof, deich.NoSite:
		return
	case deich.OriginDown, deich.OriginSlow: // ended notes them
		return
	}
	m.note(r, v.Tier)
}

// ended notes whoever was let in and got no answer in time.
func (m *missed) ended(v *visit, o deich.Outcome, ok bool, took time.Duration) {
	switch {
	case ok && (took < lateAfter || v.lasting()), o.Aborted && took < leftAfter, v.verdict.Act == deich.Keep, v.verdict.Reason == deich.Cached:
		return
	}
	m.note(&v.req, v.verdict.Tier)
}

// Missed gives who could not read or send since the last call. It is for one
// caller: another would get the rest.
func (h *Handler) Missed() Missed {
	m := &h.missed
	return Missed{
		KnownRead: m.read[1].Take(), KnownSend: m.send[1].Take(),
		StrangerRead: m.read[0].Take(), StrangerSend: m.send[0].Take(),
	}
}

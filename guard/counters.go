package guard

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// Counters is a snapshot of what was counted since the start.
type Counters struct {
	Verdicts []VerdictCount `json:"verdicts"` // those that occurred
	Tiers    []TierCount    `json:"tiers"`    // every tier
	Statuses map[int]uint64 `json:"statuses"` // answers by status: the origin's and guard's own

	Own       uint64 `json:"own"`        // requests for Deich's own paths
	BadPasses uint64 `json:"bad_passes"` // passes shown that do not hold
	Minted    uint64 `json:"minted"`     // passes handed out
	Proofs    uint64 `json:"proofs"`     // proofs accepted
	BadProofs uint64 `json:"bad_proofs"` // proofs refused
	Gone      uint64 `json:"gone"`       // clients that left while queued
	Parked    int64  `json:"parked"`     // requests queued now
	BodyBytes int64  `json:"body_bytes"` // bytes of bodies held now

	Panics    uint64 `json:"panics"`     // of the engine
	LostWakes uint64 `json:"lost_wakes"` // queued requests the engine forgot
	Failopen  bool   `json:"failopen"`   // the engine is being left alone now
}

// VerdictCount says how often one verdict was carried out.
type VerdictCount struct {
	Act    string `json:"act"`
	Reason string `json:"reason"`
	Tier   string `json:"tier"`
	N      uint64 `json:"n"`
}

// TierCount says how those of a tier fared who were let in.
type TierCount struct {
	Tier    string    `json:"tier"`
	Served  uint64    `json:"served"`  // got the origin's own answer below 500, or a copy of one
	Failed  uint64    `json:"failed"`  // did not
	Latency Histogram `json:"latency"` // of the served: from the headers to the end of the answer
}

// Histogram counts durations in buckets that are a quarter of an octave or
// less apart; Bound gives where one ends.
type Histogram struct {
	Counts [latencyBuckets]uint64 `json:"counts"`
	Sum    time.Duration          `json:"sum_ns"`
}

const (
	latencyUnit    = 100 * time.Microsecond
	latencyBuckets = 81
)

// Bound is the upper end of bucket i, exclusive; 0 says that there is none.
func (*Histogram) Bound(i int) time.Duration {
	if i >= latencyBuckets-1 {
		return 0
	}
	return latencyUnit * time.Duration(4+i%4) << (i / 4) / 4
}

// N is how many were counted.
func (h *Histogram) N() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile gives an upper bound, tight to a quarter, of the q-th part.
func (h *Histogram) Quantile(q float64) time.Duration {
	left := q * float64(h.N())
	for i, c := range h.Counts {
		if left -= float64(c); left <= 0 && c > 0 {
			return h.Bound(min(i, latencyBuckets-2))
		}
	}
	return 0
}

func latencyBucket(d time.Duration) int {
	x := uint64(max(d, 0)) * 4 / uint64(latencyUnit)
	if x < 4 {
		return 0
	}
	octave := bits.Len64(x) - 3
	return min(1+4*octave+int(x>>octave)-4, latencyBuckets-1)
}

// counts is what Counters shows, as it is counted. Its size is fixed.
type counts struct {
	acts, reasons, tiers int
	verdicts             []atomic.Uint64 // act, reason, tier
	byTier               []tierCounts
	statuses             [600]atomic.Uint64

	own, badPasses, minted, proofs, badProofs, gone, panics, lostWakes atomic.Uint64
	parked                                                             atomic.Int64
}

type tierCounts struct {
	served, failed atomic.Uint64
	latency        [latencyBuckets]atomic.Uint64
	sum            atomic.Int64
}

func newCounts() counts {
	acts, reasons, tiers := len(deich.Acts()), len(deich.Reasons()), len(deich.Tiers())
	return counts{
		acts: acts, reasons: reasons, tiers: tiers,
		verdicts: make([]atomic.Uint64, acts*reasons*tiers),
		byTier:   make([]tierCounts, tiers),
	}
}

// verdict counts a verdict as it is carried out.
func (c *counts) verdict(v *visit) {
	d := &v.verdict
	v.h.noteWhence(v.req.Client, v.operator, v.country, int(d.Act), 1)
	v.h.missed.refused(&v.req, *d)
	c.verdicts[(int(d.Act)*c.reasons+int(d.Reason))*c.tiers+int(d.Tier)].Add(1)
}

// answered counts a status.
func (c *counts) answered(status int) {
	if status > 0 && status < len(c.statuses) {
		c.statuses[status].Add(1)
	}
}

// served counts how a request that was let in has fared.
func (c *counts) served(v *visit, ok bool, took time.Duration) {
	t := &c.byTier[v.verdict.Tier]
	if !ok {
		t.failed.Add(1)
		return
	}
	t.served.Add(1)
	if v.lasting() {
		return // how long a stream lasts is not how long anyone waited
	}
	t.latency[latencyBucket(took)].Add(1)
	t.sum.Add(int64(took))
}

// Counters takes a snapshot.
func (h *Handler) Counters() Counters {
	c := &h.counts
	s := Counters{
		Statuses: make(map[int]uint64), Own: c.own.Load(),
		BadPasses: c.badPasses.Load(), Minted: c.minted.Load(), Proofs: c.proofs.Load(),
		BadProofs: c.badProofs.Load(), Gone: c.gone.Load(), Parked: c.parked.Load(),
		BodyBytes: h.bodies.held.Load(), Panics: c.panics.Load(), LostWakes: c.lostWakes.Load(),
		Failopen: h.open(),
	}
	for i := range c.verdicts {
		if n := c.verdicts[i].Load(); n > 0 {
			s.Verdicts = append(s.Verdicts, VerdictCount{
				Act:    deich.Act(i / c.tiers / c.reasons).String(),
				Reason: deich.Reason(i / c.tiers % c.reasons).String(),
				Tier:   deich.Tier(i % c.tiers).String(),
				N:      n,
			})
		}
	}
	for i := range c.byTier {
		t := &c.byTier[i]
		line := TierCount{Tier: deich.Tier(i).String(), Served: t.served.Load(), Failed: t.failed.Load()}
		for b := range t.latency {
			line.Latency.Counts[b] = t.latency[b].Load()
		}
		line.Latency.Sum = time.Duration(t.sum.Load())
		s.Tiers = append(s.Tiers, line)
	}
	for status := range c.statuses {
		if n := c.statuses[status].Load(); n > 0 {
			s.Statuses[status] = n
		}
	}
	return s
}

package guard

import (
	"context"
	"sync"
	"time"

	"github.com/deichproject/deich"
)

const (
	alarmEvery  = time.Minute
	rotateEvery = time.Hour
)

// Run ticks the engine until ctx ends, delivers what it hands out, and rotates
// the keys. It is to run once beside the Handler.
func (h *Handler) Run(ctx context.Context) {
	var beside sync.WaitGroup
	beside.Go(func() { h.rotate(ctx) })
	defer beside.Wait()
	out := deich.NewOut()
	ticker := time.NewTicker(deich.TickEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if job := h.tick(n, out); job != nil {
				beside.Go(func() { h.synthesise(job) })
			}
		}
	}
}

// synthesise runs a job of the engine's beside everything else; the engine
// hands out one at a time.
func (h *Handler) synthesise(job *deich.Job) {
	out, failed := deich.NewOut(), false
	defer h.caught("synthesis", true, &failed)
	found := job.None() // were Run to fail: the engine hands out no other job before
	defer func() { h.engine.Adopt(h.now(), found, out); h.hand(out) }()
	found = job.Run()
}

// hand hands orders and events on.
func (h *Handler) hand(out *deich.Out) {
	if h.orders != nil && len(out.Orders) > 0 {
		h.orders(out.Orders)
	}
	if h.events != nil && len(out.Events) > 0 {
		h.events(out.Events)
	}
}

// tick is the n-th; it gives the job that the engine wants done, if any.
func (h *Handler) tick(n int, out *deich.Out) (job *deich.Job) {
	h.proofs.Store(proofsPerTick)
	h.lines.Store(refusalsPerTick)
	if !h.open() {
		h.askTick(out)
		h.bring(out.Wakes)
		h.hand(out)
		job = out.Job
		out.Reset()
	}
	if n%sweepEvery == 0 {
		h.sweep()
		h.noteLimits()
		h.networks.turn(h.now())
		h.operators.turn(h.now())
		h.countries.turn(h.now())
	}
	if n%int(alarmEvery/deich.TickEvery) == 0 {
		h.spare.alarmed.Store(false)
	}
	return job
}

// noteLimits remembers the engine's limits for when it fails.
func (h *Handler) noteLimits() {
	if h.open() {
		return
	}
	failed := false
	defer h.caught("pulse", true, &failed)
	for i := range h.spare.origins {
		if limit := h.engine.Pulse(uint16(i)).Limit; limit > 0 {
			h.spare.origins[i].limit.Store(int32(limit + 1))
		}
	}
}

func (h *Handler) rotate(ctx context.Context) {
	ticker := time.NewTicker(rotateEvery)
	defer ticker.Stop()
	for now := time.Now(); ; {
		if err := h.keys.Rotate(now); err != nil && h.alarm != nil {
			h.alarm(err)
		}
		select {
		case <-ctx.Done():
			return
		case now = <-ticker.C:
		}
	}
}

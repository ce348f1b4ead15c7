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
	var rotation sync.WaitGroup
	rotation.Go(func() { h.rotate(ctx) })
	defer rotation.Wait()
	out := deich.NewOut()
	ticker := time.NewTicker(deich.TickEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.tick(n, out)
		}
	}
}

// tick is the n-th.
func (h *Handler) tick(n int, out *deich.Out) {
	h.proofs.Store(proofsPerTick)
	h.lines.Store(refusalsPerTick)
	if !h.open() {
		h.askTick(out)
		h.bring(out.Wakes)
		if h.orders != nil && len(out.Orders) > 0 {
			h.orders(out.Orders)
		}
		if h.events != nil && len(out.Events) > 0 {
			h.events(out.Events)
		}
		out.Reset()
	}
	if n%sweepEvery == 0 {
		h.sweep()
		h.noteLimits()
	}
	if n%int(alarmEvery/deich.TickEvery) == 0 {
		h.spare.alarmed.Store(false)
	}
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
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := h.keys.Rotate(now); err != nil && h.alarm != nil {
				h.alarm(err)
			}
		}
	}
}

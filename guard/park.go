package guard

import (
	"sync"
	"time"

	"github.com/deichproject/deich"
)

// place is what guard knows of one slot of the engine's slab. Its lock orders
// what the request's own goroutine does with its ticket against wakes that
// others bring and against the sweep that detaches what runs long.
type place struct {
	mu     sync.Mutex
	ticket deich.Ticket // of its guest
	guest  *visit
	early  deich.Wake // came before its guest had parked; no ticket: none
	old    bool       // early was there at the last sweep
}

// enter gets a place at the origin, or says why not. Ok is false also when the
// client has gone, with no reason.
func (h *Handler) enter(v *visit) (why deich.Reason, ok bool) {
	failed := v.failopen || h.open()
	if !failed {
		out := h.out()
		now := v.req.At
		if v.body != nil || v.mail != nil {
			now = h.now() // time has passed over its body, or with the keeper
		}
		t, state, why := h.askEnter(v, now, out, &failed)
		h.deliver(out)
		switch {
		case failed:
		case state == deich.TurnedAway:
			return why, false
		case state == deich.Admitted:
			h.settleIn(v, now, t)
			return deich.NoReason, true
		default:
			why, ok, lost := h.park(v, t)
			if !lost {
				return why, ok
			}
		}
	}
	v.failopen = true
	if why = h.spare.origins[v.req.Origin].enter(v.r.Context()); why != deich.NoReason {
		return why, false
	}
	v.entered = h.now()
	return deich.NoReason, true
}

// settleIn records an admitted ticket.
func (h *Handler) settleIn(v *visit, now deich.Time, t deich.Ticket) {
	v.ticket, v.entered = t, now
	p := &h.places[t.Slot()]
	p.mu.Lock()
	p.ticket, p.guest, v.state = t, v, placed
	p.mu.Unlock()
}

// park waits for the wake of a queued ticket. Lost says that none came in time
// and the engine cannot say more.
func (h *Handler) park(v *visit, t deich.Ticket) (why deich.Reason, ok, lost bool) {
	if v.wake == nil {
		v.wake = make(chan deich.Wake, 1)
	}
	v.ticket = t
	p := &h.places[t.Slot()]
	p.mu.Lock()
	stale := p.early
	p.early, p.old = deich.Wake{}, false
	if stale.Ticket == t {
		p.mu.Unlock()
		return h.woken(v, stale)
	}
	p.ticket, p.guest, v.state = t, v, parked
	p.mu.Unlock()
	h.consume(stale)

	h.counts.parked.Add(1)
	defer h.counts.parked.Add(-1)
	late := time.NewTimer(deich.QueueWaitMax)
	defer late.Stop()
	select {
	case w := <-v.wake:
		return h.woken(v, w)
	case <-late.C:
		why = deich.QueueLate
	case <-v.r.Context().Done():
	}
	return h.giveUp(v, why)
}

// giveUp takes a queued ticket back, or else consumes its wake.
func (h *Handler) giveUp(v *visit, why deich.Reason) (_ deich.Reason, ok, lost bool) {
	out := h.out()
	taken, failed := h.askCancel(v.ticket, out)
	h.deliver(out)
	if taken {
		h.moveOut(v)
		return why, false, false
	}
	wait := wakeLate
	if failed {
		wait = 0
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case w := <-v.wake:
		return h.woken(v, w)
	case <-late.C:
	}
	h.moveOut(v)
	select {
	case w := <-v.wake: // between the timer and the moving out
		return h.woken(v, w)
	default:
	}
	h.counts.lostWakes.Add(1)
	return why, false, true
}

// woken ends the parking.
func (h *Handler) woken(v *visit, w deich.Wake) (why deich.Reason, ok, lost bool) {
	if w.State != deich.Admitted {
		h.moveOut(v)
		return w.Reason, false, false
	}
	h.settleIn(v, h.now(), w.Ticket)
	return deich.NoReason, true, false
}

// moveOut forgets the guest of a place. v.ticket stays: others may read it.
func (h *Handler) moveOut(v *visit) {
	p := &h.places[v.ticket.Slot()]
	p.mu.Lock()
	if p.guest == v {
		p.guest, p.ticket = nil, 0
	}
	v.state = away
	p.mu.Unlock()
}

// deliver brings wakes to whom they are for and gives out back.
func (h *Handler) deliver(out *deich.Out) {
	h.bring(out.Wakes)
	out.Reset()
	h.outs.Put(out)
}

func (h *Handler) bring(wakes []deich.Wake) {
	for _, w := range wakes {
		p := &h.places[w.Ticket.Slot()]
		p.mu.Lock()
		var stale deich.Wake
		if p.guest != nil && p.ticket == w.Ticket && p.guest.state == parked {
			p.guest.wake <- w // room for the one wake a ticket gets
			p.guest.state = away
		} else {
			stale, p.early, p.old = p.early, w, false
		}
		p.mu.Unlock()
		h.consume(stale)
	}
}

// consume ends a wake nobody waits for any more: a place given must be freed.
func (h *Handler) consume(w deich.Wake) {
	if w.Ticket == 0 || w.State != deich.Admitted {
		return
	}
	out := h.out()
	h.askDone(h.now(), w.Ticket, deich.Outcome{Aborted: true}, out)
	h.deliver(out)
}

func (h *Handler) out() *deich.Out { return h.outs.Get().(*deich.Out) }

// detach moves a visit's place into the pool of streams, once; later, or after
// its end, nothing happens. Where the pool has no room, sweep tries it again.
func (h *Handler) detach(v *visit) {
	if !v.failopen {
		h.detachFrom(&h.places[v.ticket.Slot()], v.ticket)
	}
}

// detachFrom does it for the guest who is there by ticket t.
func (h *Handler) detachFrom(p *place, t deich.Ticket) {
	p.mu.Lock()
	v := p.guest
	if v == nil || p.ticket != t || v.state != placed {
		p.mu.Unlock()
		return
	}
	v.state, v.long = detached, true
	out := h.out()
	// Under the place's lock, so that Done cannot come before it.
	if !h.askDetach(t, out) {
		v.state = placed // no room among the streams: the next sweep asks again
	}
	p.mu.Unlock()
	h.deliver(out)
}

// leave ends an admitted visit: exactly one Done for its ticket.
func (h *Handler) leave(v *visit, now deich.Time, o deich.Outcome) {
	if v.failopen {
		h.spare.origins[v.req.Origin].leave()
		return
	}
	h.moveOut(v)
	out := h.out()
	h.askDone(now, v.ticket, o, out)
	h.deliver(out)
}

// sweep detaches what has been running for long, and ends wakes for which
// nobody came.
func (h *Handler) sweep() {
	before := h.now().Add(-detachAfter)
	for i := range h.places {
		p := &h.places[i]
		p.mu.Lock()
		due, t := p.guest != nil && p.guest.state == placed && p.guest.entered < before, p.ticket
		var stale deich.Wake
		if p.old {
			stale, p.early = p.early, deich.Wake{}
		}
		p.old = p.early.Ticket != 0
		p.mu.Unlock()
		if due {
			h.detachFrom(p, t)
		}
		h.consume(stale)
	}
}

package sim

import (
	"fmt"

	"github.com/deichproject/deich"
)

// places keeps the books on tickets beside the engine's own: every ticket ends
// exactly once, no wake names an unknown one, and what the engine counts is
// what was handed out.
type places struct {
	slots  []held
	placed int
	parked int
	most   int     // placed at once
	limit  float64 // the engine's limit when it was most
}

type held struct {
	ticket deich.Ticket
	flight uint32
	placed bool
}

func (p *places) take(t deich.Ticket, fi uint32, placed bool) error {
	if t == 0 || t.Slot() < 0 || t.Slot() >= len(p.slots) {
		return fmt.Errorf("sim: enter gave ticket %#x, outside of %d slots", uint64(t), len(p.slots))
	}
	h := &p.slots[t.Slot()]
	if h.ticket != 0 {
		return fmt.Errorf("sim: enter gave slot %d twice: tickets %#x and %#x", t.Slot(), uint64(h.ticket), uint64(t))
	}
	*h = held{t, fi, placed}
	if placed {
		p.placed++
	} else {
		p.parked++
	}
	return nil
}

// woken gives the flight that waits for the wake.
func (p *places) woken(w deich.Wake) (uint32, error) {
	s := w.Ticket.Slot()
	if s < 0 || s >= len(p.slots) || p.slots[s].ticket != w.Ticket {
		return 0, fmt.Errorf("sim: a wake for ticket %#x that nobody holds", uint64(w.Ticket))
	}
	h := &p.slots[s]
	if h.placed || w.State == deich.Queued {
		return 0, fmt.Errorf("sim: a wake for ticket %#x: placed %v, state %d", uint64(w.Ticket), h.placed, w.State)
	}
	fi := h.flight
	p.parked--
	if w.State == deich.Admitted {
		h.placed = true
		p.placed++
	} else {
		*h = held{}
	}
	return fi, nil
}

// end takes a ticket back: by Done where it is placed, else by Cancel.
func (p *places) end(t deich.Ticket, placed bool) error {
	s := t.Slot()
	if s < 0 || s >= len(p.slots) || p.slots[s].ticket != t || p.slots[s].placed != placed {
		return fmt.Errorf("sim: ticket %#x ended twice, or while it was not held so", uint64(t))
	}
	p.slots[s] = held{}
	if placed {
		p.placed--
	} else {
		p.parked--
	}
	return nil
}

// quarter is the least a request costs, in average requests: so many more
// places than the limit can be taken by the cheapest.
const quarter = 4

// agree compares with the engine's own counts, after all wakes were handled.
func (p *places) agree(now deich.Pulse, bound bool) error {
	if now.Inflight != p.placed || now.Queued != p.parked {
		return fmt.Errorf("sim: the engine counts %d placed and %d queued; handed out were %d and %d",
			now.Inflight, now.Queued, p.placed, p.parked)
	}
	if p.placed > p.most {
		p.most, p.limit = p.placed, now.Limit
		if bound && float64(p.placed) > quarter*(now.Limit+1) {
			return fmt.Errorf("sim: %d places taken with a limit of %.1f average requests", p.placed, now.Limit)
		}
	}
	return nil
}

package guard

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// The engine fails open. A panic in it ends neither the request nor the
// server: Decide only reads, so after a panic there the one request goes on by
// a plain semaphore at the last known limit; after a panic anywhere else the
// engine may be half changed, so that for failopenPause nobody asks it and the
// semaphore holds for all, then it is tried again.

// caught is deferred around a call of the engine. It must be deferred itself,
// since recover works nowhere deeper.
func (h *Handler) caught(call string, pause bool, failed *bool) {
	p := recover()
	if p == nil {
		return
	}
	*failed = true
	h.counts.panics.Add(1)
	if pause {
		h.spare.until.Store(int64(h.now().Add(failopenPause)))
	}
	if h.alarm != nil && h.spare.alarmed.CompareAndSwap(false, true) {
		h.alarm(fmt.Errorf("guard: engine: %s: panic: %v: going on with a plain limit\n%s", call, p, debug.Stack()))
	}
}

// open says whether the engine is being left alone.
func (h *Handler) open() bool {
	until := h.spare.until.Load()
	return until != 0 && int64(h.now()) < until
}

func (h *Handler) decide(v *visit) {
	failed := h.open()
	if !failed {
		h.askDecide(v, &failed)
	}
	if failed {
		v.verdict = deich.Verdict{Act: deich.Allow, Reason: deich.Failopen}
		v.failopen = true
	}
}

func (h *Handler) askDecide(v *visit, failed *bool) {
	defer h.caught("decide", false, failed)
	v.verdict = h.engine.Decide(&v.req)
}

func (h *Handler) askEnter(v *visit, now deich.Time, out *deich.Out, failed *bool) (t deich.Ticket, s deich.State, why deich.Reason) {
	defer h.caught("enter", true, failed)
	return h.engine.Enter(now, &v.req, v.verdict, out)
}

func (h *Handler) askTurn(v *visit, why deich.Reason) {
	before, failed := v.verdict, false
	v.verdict.Act, v.verdict.Reason, v.verdict.RetryAfter = deich.Wait, why, time.Second
	if v.failopen {
		return
	}
	defer h.caught("turn", false, &failed)
	v.verdict = h.engine.Turn(&v.req, before, why)
}

func (h *Handler) askCancel(t deich.Ticket, out *deich.Out) (taken, failed bool) {
	if h.open() {
		return false, true
	}
	defer h.caught("cancel", true, &failed)
	return h.engine.Cancel(h.now(), t, out), false
}

func (h *Handler) askDetach(t deich.Ticket, out *deich.Out) (moved bool) {
	failed := h.open()
	if failed {
		return false
	}
	defer h.caught("detach", true, &failed)
	return h.engine.Detach(h.now(), t, out)
}

// askDone is called even while the engine is left alone: a ticket it gave out
// before would otherwise never end.
func (h *Handler) askDone(now deich.Time, t deich.Ticket, o deich.Outcome, out *deich.Out) {
	failed := false
	defer h.caught("done", true, &failed)
	h.engine.Done(now, t, o, out)
}

func (h *Handler) askTick(out *deich.Out) (failed bool) {
	defer h.caught("tick", true, &failed)
	h.engine.Tick(h.now(), out)
	return false
}

func (h *Handler) askMint(v *visit, how deich.Earned) (minted bool) {
	failed := h.open()
	if failed {
		return false
	}
	defer h.caught("mint", false, &failed)
	return h.engine.Mint(h.now(), v.req.Client, how)
}

// askMayProve says whether a proof is to be checked at all.
func (h *Handler) askMayProve(v *visit) (may bool) {
	failed := h.open()
	if failed {
		return false // no pass would come of it
	}
	defer h.caught("may prove", false, &failed)
	return h.engine.MayProve(h.now(), v.req.Client)
}

// askAside has whoever asked for something of Deich's own owe for it.
func (h *Handler) askAside(v *visit, vain bool) {
	failed := h.open()
	if failed {
		return
	}
	defer h.caught("aside", false, &failed)
	req := v.req
	req.At = h.now() // whoever watches a receipt has asked for it long ago
	h.engine.Aside(&req, vain)
}

// semaphores hold the origins' last known limits for when the engine does not.
type semaphores struct {
	until   atomic.Int64 // the engine is left alone until then
	alarmed atomic.Bool  // this pause was reported
	origins [deich.OriginsMax]semaphore
}

type semaphore struct {
	limit   atomic.Int32
	held    atomic.Int32
	waiting atomic.Int32
	freed   chan struct{} // a hint that held fell; whoever takes it passes it on
}

func newSemaphores() *semaphores {
	s := new(semaphores)
	for i := range s.origins {
		s.origins[i].limit.Store(failopenLimit)
		s.origins[i].freed = make(chan struct{}, 1)
	}
	return s
}

// enter takes a place, within the time a queue may take; else it says why not.
func (s *semaphore) enter(ctx context.Context) deich.Reason {
	if s.try() {
		return deich.NoReason
	}
	if s.waiting.Add(1) > failopenQueueMax {
		s.waiting.Add(-1)
		return deich.QueueFull
	}
	defer s.waiting.Add(-1)
	late := time.NewTimer(failopenWait)
	defer late.Stop()
	for {
		select {
		case <-s.freed:
		case <-late.C:
			return deich.QueueLate
		case <-ctx.Done():
			return deich.QueueLate
		}
		if s.try() {
			if s.held.Load() < s.limit.Load() {
				s.hint()
			}
			return deich.NoReason
		}
	}
}

func (s *semaphore) try() bool {
	for {
		held := s.held.Load()
		if held >= s.limit.Load() {
			return false
		}
		if s.held.CompareAndSwap(held, held+1) {
			return true
		}
	}
}

func (s *semaphore) leave() {
	s.held.Add(-1)
	s.hint()
}

func (s *semaphore) hint() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

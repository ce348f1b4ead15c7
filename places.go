package deich

// Enter asks for a place at the origin, once the body is in hand. Admitted and
// Queued come with a ticket that must end in exactly one Done (admitted, at
// once or by a Wake), Cancel (still queued) or Wake with TurnedAway. With
// TurnedAway there is no ticket, and the reason says why.
func (e *Engine) Enter(at Time, r *Request, v Verdict, out *Out) (Ticket, State, Reason) {
	i := int(r.Origin) % len(e.origins)
	o := &e.origins[i]
	addr := e.sourceHash(r.Client)
	var cred uint64
	if r.Credential != 0 {
		cred = credentialHash(r.Credential)
	}
	pass := r.Pass.ID
	principal := addr
	if pass != 0 {
		principal = pass
	}
	p := e.policy.Load()

	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.slab.take()
	if n < 0 {
		o.turned++
		return 0, TurnedAway, QueueFull
	}
	sl := &o.slab.slots[n]
	sl.addr, sl.cred, sl.pass, sl.asking, sl.sight = addr, cred, pass, askingHash(addr, r), 0
	sl.stranger = v.Tier == Stranger
	sl.known = (v.aged || v.Tier == Partner) && v.Rank >= rankAddress
	sl.trusted = v.trusted
	sl.route, sl.cost, sl.at = r.Route, o.cost(r.Route), at
	sl.principal = uint16(principal % uint64(len(o.shares)))
	t := e.ticket(i, n, sl.gen)
	if r.Kind == Stream {
		if !o.mayStream(sl, p.Streams) {
			o.slab.give(n)
			return 0, TurnedAway, StreamsFull
		}
		o.stream(sl)
		return t, Admitted, NoReason
	}
	if o.slab.queued > 0 {
		o.release(e, i, at, out)
	}
	if o.slab.queued == 0 && o.room() || p.Observe {
		if o.observed = p.Observe; o.above() > o.queueMax {
			o.turned++
		}
		o.place(sl, at)
		e.sight(at, r, v, sl, principal)
		return t, Admitted, NoReason
	}
	sl.rank = o.fair(v.Rank, sl.principal)
	sl.until = at.Add(o.patience())
	if r.Deadline != 0 {
		sl.until = min(sl.until, r.Deadline)
	}
	if o.slab.queued >= o.queueMax {
		o.turned++
		if o.turned > o.queueMax/2 {
			o.press(at)
		}
		w := o.slab.worst()
		if o.slab.slots[w].rank > sl.rank || len(out.Wakes) == cap(out.Wakes) {
			o.slab.give(n)
			return 0, TurnedAway, QueueFull
		}
		o.end(e, i, w, Wake{State: TurnedAway, Reason: QueueFull}, out)
	}
	o.shares[sl.principal] = min(o.shares[sl.principal], 254) + 1
	o.slab.push(n)
	e.sight(at, r, v, sl, principal)
	return t, Queued, NoReason
}

// ticket names slot n of origin i.
func (e *Engine) ticket(i int, n int32, gen uint32) Ticket {
	return Ticket(gen)<<32 | Ticket(i*e.perSlab+int(n)+1)
}

// find gives the slot of a ticket, nil if it has ended. The origin's lock is
// held afterwards where o is not nil.
func (e *Engine) find(t Ticket) (o *origin, i int, n int32) {
	s := t.Slot()
	if s < 0 || s >= e.Slots() {
		return nil, 0, 0
	}
	i, n = s/e.perSlab, int32(s%e.perSlab)
	o = &e.origins[i]
	o.mu.Lock()
	if sl := &o.slab.slots[n]; sl.gen != uint32(t>>32) || sl.state == slotFree {
		o.mu.Unlock()
		return nil, 0, 0
	}
	return o, i, n
}

// room: one always has company, however dear, or the origin would stand idle
// between two answers.
func (o *origin) room() bool {
	return float64(o.inflight) < o.limit*costOne || o.placed < limitMin
}

// above is how many are at the origin beyond its limit, since the policy only
// observes: whether there is pressure is judged as if they had been queued.
func (o *origin) above() int {
	if !o.observed || o.room() {
		return 0
	}
	return int(float64(o.inflight)/costOne - o.limit)
}

// fair lowers the rank of whoever has many requests queued already by up to
// three, so that one client or prefix does not take a class for itself.
func (o *origin) fair(rank uint8, principal uint16) uint8 {
	penalty := min(o.shares[principal]/4, 3)
	return rank - min(rank, penalty)
}

// place puts a request at the origin.
func (o *origin) place(sl *slot, at Time) {
	o.used(at)
	sl.state, sl.at = slotPlaced, at
	o.inflight += int(sl.cost)
	o.placed++
	sl.crowded, sl.trial = float64(o.inflight) >= nearly*o.limit*costOne, o.trial.on
	if o.alone = nil; o.placed == 1 {
		o.alone = sl
	}
	o.peak = max(o.peak, o.inflight)
}

// end takes a queued slot out, with a wake that says how.
func (o *origin) end(e *Engine, i int, n int32, w Wake, out *Out) {
	sl := &o.slab.slots[n]
	w.Ticket = e.ticket(i, n, sl.gen)
	o.slab.unlink(n)
	o.shares[sl.principal]--
	out.Wakes = append(out.Wakes, w)
	if w.State == TurnedAway {
		e.watch.pending.drop(sl.sight)
		o.slab.give(n)
	}
}

// release ends what waited too long and gives free places to the best, as far
// as out has room.
func (o *origin) release(e *Engine, i int, at Time, out *Out) {
	for o.slab.oldest >= 0 && o.slab.slots[o.slab.oldest].until <= at && len(out.Wakes) < cap(out.Wakes) {
		o.turned++
		o.end(e, i, o.slab.oldest, Wake{State: TurnedAway, Reason: QueueLate}, out)
	}
	for o.slab.queued > 0 && o.room() && len(out.Wakes) < cap(out.Wakes) {
		n := o.slab.best(o.patient)
		sl := &o.slab.slots[n]
		if sl.until <= at {
			o.turned++
			o.end(e, i, n, Wake{State: TurnedAway, Reason: QueueLate}, out)
			continue
		}
		o.end(e, i, n, Wake{State: Admitted}, out)
		o.place(sl, at)
	}
	o.lowWater = min(o.lowWater, o.slab.queued+o.above())
}

// mayStream says whether there is room for another long-lived request. One client has a
// part of the pool at most once half of it is in use, and the last quarter is for who was
// served before: else one machine's idle streams would turn everybody's away.
func (o *origin) mayStream(sl *slot, most int) bool {
	switch {
	case o.streams >= most,
		o.streams >= most/2 && int(o.streamed[sl.principal]) >= max(most/streamPart, streamLeast),
		o.streams >= most-most/4 && !sl.known:
		return false
	}
	return true
}

func (o *origin) stream(sl *slot) {
	sl.state = slotStream
	o.streams++
	o.streamed[sl.principal]++
}

// Cancel takes a queued ticket back; false says it was woken already, and its
// Wake is to be consumed.
func (e *Engine) Cancel(at Time, t Ticket, out *Out) bool {
	o, _, n := e.find(t)
	if o == nil {
		return false
	}
	defer o.mu.Unlock()
	sl := &o.slab.slots[n]
	if sl.state != slotQueued {
		return false
	}
	o.slab.unlink(n)
	o.shares[sl.principal]--
	e.watch.pending.drop(sl.sight)
	o.slab.give(n)
	o.lowWater = min(o.lowWater, o.slab.queued+o.above())
	return true
}

// Detach moves an admitted request that turns out to be long-lived into the
// pool of streams, so that it does not hold a place among the quick ones.
// False says that the pool is full, or the ticket not at the origin, and
// nothing changed. Done is due all the same.
func (e *Engine) Detach(at Time, t Ticket, out *Out) bool {
	o, i, n := e.find(t)
	if o == nil {
		return false
	}
	defer o.mu.Unlock()
	sl := &o.slab.slots[n]
	if sl.state != slotPlaced || !o.mayStream(sl, e.policy.Load().Streams) {
		return sl.state == slotStream
	}
	o.leave(sl, at)
	o.stream(sl)
	o.release(e, i, at, out)
	return true
}

// used adds up which part of the limit was in use, and how long.
func (o *origin) used(at Time) {
	if at > o.usedAt {
		o.use += min(float64(o.inflight)/(o.limit*costOne), 1) * float64(at-o.usedAt)
		o.usedAt = at
	}
}

func (o *origin) leave(sl *slot, at Time) {
	o.used(at)
	o.inflight -= int(sl.cost)
	o.placed--
}

// Done frees the place and may wake others.
func (e *Engine) Done(at Time, t Ticket, outcome Outcome, out *Out) {
	if o, was := e.done(at, t, outcome, out); o != nil {
		e.remember(at, o, &was, outcome)
	}
}

// done gives the origin and what its slot held; nil where there was nothing to
// end. Here as elsewhere the lock is given back also by a panic: whoever
// carries the engine goes on after one, and must not wait for ever.
func (e *Engine) done(at Time, t Ticket, outcome Outcome, out *Out) (_ *origin, was slot) {
	o, i, n := e.find(t)
	if o == nil {
		return nil, was
	}
	defer o.mu.Unlock()
	sl := &o.slab.slots[n]
	switch sl.state {
	case slotQueued: // never told so by a Wake: a caller's mistake must not corrupt the lists
		return nil, was
	case slotStream:
		o.streams--
		o.streamed[sl.principal]--
	case slotPlaced:
		o.leave(sl, at)
		if !outcome.Aborted || outcome.Status != 0 {
			o.sample(sl, outcome, o.since.Load() == 0)
		}
	}
	was = *sl
	o.slab.give(n)
	o.release(e, i, at, out)
	return o, was
}

// remember learns from a good answer: who holds what, and comes from where.
// Strangers are learned in peace alone; whoever holds a pass, always, since it
// says that people share the address.
func (e *Engine) remember(at Time, o *origin, sl *slot, outcome Outcome) {
	if sl.sight != 0 {
		e.watch.answered(at, sl.sight, !outcome.Aborted && outcome.Status >= 200 && outcome.Status < 400, e.key[1])
	}
	if outcome.Failed || !outcome.Aborted && outcome.Status >= 500 {
		e.failed.note(sl.asking, at)
	}
	if outcome.Status == 401 || outcome.Status == 403 {
		if sl.cred != 0 {
			o.routes[sl.route].refuses.Store(true)
		}
		return
	}
	if outcome.Status < 200 || outcome.Status >= 400 {
		return
	}
	peace := o.since.Load() == 0
	if peace || sl.pass != 0 {
		e.past.good(sl.addr, at, sl.pass)
	}
	if peace && sl.cred != 0 && o.routes[sl.route].refuses.Load() {
		e.past.good(sl.cred, at, 0)
	}
}

package edge

import (
	"net/http"
	"time"
)

// flight is one request to the origin whose answer others wait for. Whoever
// leads it ends it, or passes the lead on where the guard did not let them by.
type flight struct {
	shard *shard
	id    string // key and selection
	over  chan struct{}
	lead  chan struct{} // holds a token while nobody leads
	entry *entry        // set before over is closed; nil: the answer was not for all

	waiting int // guarded by the shard's lock
}

// join gives the flight of an id, and whether the caller is to lead it. Else it
// waits, and must end with leave or take.
func (sh *shard) join(id string) (f *flight, leads bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if f = sh.flights[id]; f != nil {
		f.waiting++
		return f, false
	}
	f = &flight{shard: sh, id: id, over: make(chan struct{}), lead: make(chan struct{}, 1)}
	sh.flights[id] = f
	return f, true
}

// end tells those who wait what came.
func (f *flight) end(e *entry) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.close(e)
}

func (f *flight) close(e *entry) {
	f.entry = e
	delete(f.shard.flights, f.id)
	close(f.over)
}

// pass lets one of those who wait lead.
func (f *flight) pass() {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.waiting == 0 {
		f.close(nil)
		return
	}
	f.lead <- struct{}{}
}

// leave ends the waiting of one; the last one ends a flight that nobody leads.
func (f *flight) leave() {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.waiting--
	if f.waiting > 0 {
		return
	}
	select {
	case <-f.lead:
		f.close(nil)
	default:
	}
}

// ask takes a request to the origin for all who want the same now: as the one
// who leads, or as one who waits. False leaves it to the guard as it is.
func (c *cache) ask(w http.ResponseWriter, rd *reading) bool {
	id := string(append(append(rd.key, '\n'), appendSelection(nil, rd.names, rd.r.Header)...))
	rd.key = []byte(id[:len(rd.key)])
	sh, _ := c.store.shard(rd.key)
	f, leads := sh.join(id)
	if leads {
		c.lead(w, rd, f)
		return true
	}
	if rd.trouble != (trouble{}) && c.standsBy(rd) {
		f.leave()
		c.hit(w, rd, !rd.entry.fresh(rd.now))
		return true
	}
	return c.follow(w, rd, f)
}

// lead is the way of the one whose answer the others get.
func (c *cache) lead(w http.ResponseWriter, rd *reading, f *flight) {
	c.counts.misses.Add(1)
	p := &plan{
		site: rd.site, request: rd.r, key: rd.key, scheme: rd.st.scheme(rd.r), names: rd.names,
		whole: rd.site.trustVary, stale: validated(rd.entry), why: "uri-miss", flight: f,
	}
	if rd.entry != nil {
		p.why = "stale"
	}
	defer p.land()
	c.guard.ServeHTTP(w, planned(rd.r.Context(), rd.r, p))
}

// follow waits for the answer of the one who leads, for a bounded time and
// without a place at the origin.
func (c *cache) follow(w http.ResponseWriter, rd *reading, f *flight) bool {
	if c.waiting.Add(1) > collapsedMax {
		c.waiting.Add(-1)
		f.leave()
		return false
	}
	late := time.NewTimer(collapseWait)
	leads := false
	select {
	case <-f.over:
	case <-f.lead:
		leads = true
	case <-late.C:
	case <-rd.r.Context().Done():
	}
	late.Stop()
	c.waiting.Add(-1)
	f.leave()
	if leads {
		c.lead(w, rd, f)
		return true
	}
	select {
	case <-f.over:
	default:
		return false
	}
	e := f.entry
	if e == nil || e.selects != string(appendSelection(nil, e.names, rd.r.Header)) {
		return false
	}
	c.counts.collapsed.Add(1)
	rd.entry, rd.now = e, c.now()
	how := how{hit: true, status: "fwd=uri-miss; collapsed"}
	c.guard.ServeKept(w, rd.r, func(w http.ResponseWriter) { c.give(w, rd.r, e, how) })
	return true
}

// validated gives an entry that the origin can be asked about; nil for others.
func validated(e *entry) *entry {
	if e == nil || e.status != http.StatusOK || e.etag == "" && e.modified == "" {
		return nil
	}
	return e
}

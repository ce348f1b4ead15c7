package gate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// The names of the ways to drop packets.
const (
	Native  = "xdp-native"
	Generic = "xdp-generic"
	Table   = "nft"
	None    = "none"
)

// NotAsked is a Status' Why where no gate was asked for.
const NotAsked = "it is not asked for"

// Port is one of Deich's own, and where it listens on it.
type Port struct {
	At  netip.AddrPort
	UDP bool
}

// Options is what a Gate is made of.
type Options struct {
	Config Config
	// Owner tells one Deich on a machine from another, by its data folder: what
	// one left pinned, another does not take over.
	Owner string
	// Ports are Deich's own: no packet to another is judged.
	Ports []Port
	// Allow gives who is never dropped, beside Config.Allow and the system's
	// resolvers. It is asked again every two seconds; nil: nobody.
	Allow func() []netip.Prefix
	// Now gives the engine's time, in which orders end.
	Now func() deich.Time
	// Seen takes what judged sources still sent, every two seconds; nil: ignored.
	Seen func([]deich.Count)
	// Log takes notices for the operator; nil: none.
	Log *slog.Logger

	sampled uint32        // one drop in so many is told of; 0: as the program has it
	lasts   time.Duration // how long a pinned gate goes on without a beat; 0: pinnedLasts
}

// verdict is one source or prefix, and until when it is dropped.
type verdict struct {
	prefix netip.Prefix
	lasts  time.Duration // from now on
}

// inherited is a verdict that an earlier Deich left, and how many packets have
// met it.
type inherited struct {
	verdict
	hits uint64
}

// wall is one way to drop packets. Its methods are called one at a time.
type wall interface {
	name() string
	interfaces() []string
	// pinned says where it is held beyond this process; "": nowhere.
	pinned() string
	// inherited gives what was there when it was opened.
	inherited() ([]inherited, error)
	// put writes verdicts down, in place of those there are for the same prefixes.
	put([]verdict) error
	// remove takes verdicts back; those that are not there do not matter.
	remove([]netip.Prefix) error
	// clear clears away verdicts that have ended, where they do not go by themselves.
	clear([]netip.Prefix) error
	// allow replaces the allow list.
	allow([]netip.Prefix) error
	// hits tells how many packets met each verdict since it was put.
	hits(func(netip.Prefix, uint64)) error
	counts() (Counts, error)
	samples() []Sample
	// cookies says when SYNs are answered before the stack.
	cookies() string
	// beat says that Deich is alive; it is called every second. See errAnew, errAway.
	beat() error
	close() error
}

// What a beat may meet beside failures: another program had taken the rules away, as
// "nft flush ruleset" does, and they stand again, without a verdict; or Takeaway had, and
// they stay away.
var (
	errAnew = errors.New("another program took the rules away; they were put up again")
	errAway = errors.New("it was taken away from outside")
)

// Count is how many packets there were, and their bytes.
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Counts are by Reason, since the gate was opened.
type Counts [reasons]Count

// MarshalJSON gives an object with a key for each reason.
func (c Counts) MarshalJSON() ([]byte, error) {
	all := make(map[Reason]Count, len(c))
	for r, n := range c {
		all[Reason(r)] = n
	}
	return json.Marshal(all)
}

// UnmarshalJSON reads that.
func (c *Counts) UnmarshalJSON(b []byte) error {
	var all map[Reason]Count
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for r, n := range all {
		c[r] = n
	}
	return nil
}

// Drops is the sum over all reasons to drop.
func (c Counts) Drops() (sum Count) {
	for r, n := range c {
		if Reason(r).Drops() {
			sum.Packets += n.Packets
			sum.Bytes += n.Bytes
		}
	}
	return sum
}

// Sample is one dropped packet out of many.
type Sample struct {
	Ago      time.Duration `json:"ago"`
	From     netip.Addr    `json:"from"`
	Port     uint16        `json:"port"` // its destination
	Protocol string        `json:"protocol"`
	Bytes    uint16        `json:"bytes"`
	Reason   Reason        `json:"reason"`
}

// Status is what can be known of a gate.
type Status struct {
	// Backend is xdp-native, xdp-generic, nft or none; Why says why that one.
	Backend    string   `json:"backend"`
	Why        string   `json:"why"`
	Interfaces []string `json:"interfaces"`
	Pinned     string   `json:"pinned,omitempty"` // where it is held beyond this process
	Ports      []string `json:"ports"`
	DryRun     bool     `json:"dry_run"`
	Lock       bool     `json:"lock"`
	Cookies    string   `json:"cookies"` // when SYNs are answered before the stack
	Sources    int      `json:"sources"` // judged, in force
	Allowed    int      `json:"allowed"` // prefixes on the allow list
	Missed     uint64   `json:"missed"`  // orders that found no room, or could not be carried out
	Counts     Counts   `json:"counts"`
	Samples    []Sample `json:"samples,omitempty"`
	// Trouble is the latest failure; empty where all goes well.
	Trouble string `json:"trouble,omitempty"`
}

// Gate is one gate that stands. All methods are safe for concurrent use.
type Gate struct {
	options Options
	why     string
	none    bool // there never was a wall
	wake    chan struct{}
	missed  atomic.Uint64

	queue   sync.Mutex
	pending []deich.Order

	mu      sync.Mutex // the wall, and what is known of it
	wall    wall       // nil: none
	held    map[netip.Prefix]*held
	held4   [2]int // how many of held: sources, wider prefixes
	held6   [2]int
	allowed []netip.Prefix
	trouble string
	failed  bool // in this round
}

// held is a verdict in force.
type held struct {
	until     deich.Time
	revoked   bool   // and could not be removed yet
	hits      uint64 // told of
	inherited bool   // from before this Deich, whose engine did not order it
}

// Open sets up what the configuration asks for and can be had here. A Gate
// without a wall is no error where the mode is off or auto: its Status says
// why. It ends with Close.
func Open(o Options) (*Gate, error) {
	o.Config = o.Config.Defaults()
	g := &Gate{options: o, wake: make(chan struct{}, 1), held: make(map[netip.Prefix]*held)}
	if o.Log == nil {
		g.options.Log = slog.New(slog.DiscardHandler)
	}
	if o.Config.Mode == Off {
		g.why, g.none = NotAsked, true
		return g, nil
	}
	allowed, err := g.allowList()
	if err == nil {
		g.wall, g.why, err = build(o, allowed)
	}
	if err == nil {
		if err = g.inherit(); err != nil {
			err = errors.Join(err, g.Close())
		}
	}
	if err != nil && o.Config.Mode != Auto {
		return nil, fmt.Errorf("gate: %w", err)
	}
	if err != nil {
		g.why, g.none = err.Error(), true
		return g, nil
	}
	g.allowed = allowed
	return g, nil
}

// inherit takes into the books what an earlier Deich left in the wall; what has
// no room there goes.
func (g *Gate) inherit() error {
	list, err := g.wall.inherited()
	if err != nil || len(list) == 0 {
		return err
	}
	now := g.options.Now()
	var gone []netip.Prefix
	for _, v := range list {
		if v.lasts <= 0 || !g.hold(v.prefix, now.Add(v.lasts)) {
			gone = append(gone, v.prefix)
			continue
		}
		h := g.held[v.prefix]
		h.hits, h.inherited = v.hits, true
	}
	return g.remove(gone)
}

// allowList is who is never dropped, in a fixed order.
func (g *Gate) allowList() ([]netip.Prefix, error) {
	list := resolvers()
	for _, text := range g.options.Config.Allow {
		p, err := ReadPrefix(text)
		if err != nil {
			return nil, fmt.Errorf("allow: %w", err)
		}
		list = append(list, p)
	}
	if g.options.Allow != nil {
		for _, p := range g.options.Allow() {
			if p, err := plain(p); err == nil {
				list = append(list, p)
			}
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	list = slices.Compact(list)
	for _, is4 := range []bool{true, false} {
		n := 0
		for _, p := range list {
			if p.Addr().Is4() == is4 {
				n++
			}
		}
		if n > allowMax {
			return nil, fmt.Errorf("allow: %d prefixes of one family: at most %d", n, allowMax)
		}
	}
	return list, nil
}

// Carry has orders carried out soon: new ones, longer ones, and revocations.
// It does not wait. A new or longer one that finds no room counts as missed; the
// listener refuses its source. A revocation always finds room: nobody else would let its
// source in again.
func (g *Gate) Carry(list []deich.Order) {
	if g.none {
		return
	}
	now := g.options.Now()
	g.queue.Lock()
	for _, o := range list {
		if o.Until > now && len(g.pending) >= pendingMax {
			g.missed.Add(1)
			continue
		}
		g.pending = append(g.pending, o)
	}
	g.queue.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Run carries orders out and counts drops until ctx ends.
func (g *Gate) Run(ctx context.Context) {
	if g.none {
		return
	}
	beat, collect := time.NewTicker(beatEvery), time.NewTicker(collectEvery)
	defer beat.Stop()
	defer collect.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wake:
			g.noted(g.carry())
		case <-beat.C:
			g.noted(g.beat())
		case <-collect.C:
			g.noted(errors.Join(g.collect(), g.renewAllow()))
			g.round()
		}
	}
}

// noted keeps a failure for the status, and tells of it when it is a new one.
func (g *Gate) noted(err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	told := g.trouble == err.Error()
	g.trouble, g.failed = err.Error(), true
	g.mu.Unlock()
	if !told {
		g.options.Log.Error("gate", "trouble", err)
	}
}

// round ends a round of collecting: what did not fail again is over.
func (g *Gate) round() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.failed {
		g.trouble = ""
	}
	g.failed = false
}

func (g *Gate) beat() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wall == nil {
		return nil
	}
	err := g.wall.beat()
	switch err {
	case errAnew:
		return errors.Join(err, g.again())
	case errAway:
		return errors.Join(err, g.end())
	}
	return err
}

// again puts down every verdict in force in a wall that has none.
func (g *Gate) again() error {
	now := g.options.Now()
	var list []verdict
	for p, h := range g.held {
		if h.hits = 0; h.until > now && !h.revoked {
			list = append(list, verdict{p, min(h.until.Sub(now), verdictMax)})
		}
	}
	return g.put(list)
}

// carry writes down what is pending.
func (g *Gate) carry() error {
	g.queue.Lock()
	list := g.pending
	g.pending = nil
	g.queue.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wall == nil || len(list) == 0 {
		return nil
	}
	now := g.options.Now()
	// The latest word about a prefix holds.
	last := make(map[netip.Prefix]deich.Time, len(list))
	for _, o := range list {
		p, err := plain(o.Prefix)
		if err != nil {
			g.missed.Add(1)
			continue
		}
		last[p] = o.Until
	}
	var put []verdict
	var gone []netip.Prefix
	for p, until := range last {
		switch {
		case until <= now:
			gone = append(gone, p)
		case g.hold(p, until):
			put = append(put, verdict{p, min(until.Sub(now), verdictMax)})
		default:
			g.missed.Add(1)
		}
	}
	return errors.Join(g.remove(gone), g.put(put))
}

// put writes verdicts down that are in the books.
func (g *Gate) put(list []verdict) (err error) {
	for part := range slices.Chunk(list, batchMax) {
		if e := g.wall.put(part); e != nil {
			g.missed.Add(uint64(len(part)))
			err = errors.Join(err, e)
		}
	}
	return err
}

// kindOf gives how many like p are held, and how many may be.
func (g *Gate) kindOf(p netip.Prefix) (n *int, most int) {
	n4 := &g.held6
	full := narrowest6
	if p.Addr().Is4() {
		n4, full = &g.held4, 32
	}
	if p.Bits() == full {
		return &n4[0], sourcesMax
	}
	return &n4[1], prefixesMax
}

// hold takes a verdict into the books; false says that there is no room, or
// that the prefix is narrower than is judged.
func (g *Gate) hold(p netip.Prefix, until deich.Time) bool {
	if h := g.held[p]; h != nil {
		*h = held{until: until} // it is put anew
		return true
	}
	if n := p.Bits(); p.Addr().Is4() && n < widest4 || !p.Addr().Is4() && (n < widest6 || n > narrowest6) {
		return false
	}
	n, most := g.kindOf(p)
	if *n >= most {
		return false
	}
	*n++
	g.held[p] = &held{until: until}
	return true
}

// remove takes verdicts back. Those that could not be stay in the books as revoked, so
// that collect tries again.
func (g *Gate) remove(gone []netip.Prefix) (err error) {
	for part := range slices.Chunk(gone, batchMax) {
		e := g.wall.remove(part)
		err = errors.Join(err, e)
		for _, p := range part {
			if h := g.held[p]; e != nil && h != nil {
				h.revoked = true
			} else {
				g.forget(p)
			}
		}
	}
	return err
}

// clear forgets verdicts that have ended.
func (g *Gate) clear(ended []netip.Prefix) (err error) {
	for part := range slices.Chunk(ended, batchMax) {
		if e := g.wall.clear(part); e != nil {
			err = errors.Join(err, e)
			continue
		}
		for _, p := range part {
			g.forget(p)
		}
	}
	return err
}

// forget takes a verdict out of the books.
func (g *Gate) forget(p netip.Prefix) {
	if g.held[p] != nil {
		n, _ := g.kindOf(p)
		*n--
		delete(g.held, p)
	}
}

// Pardon takes back what an earlier Deich judged within a prefix, and this one's
// engine did not: that the engine cannot take back by orders, since it does not
// know of it.
func (g *Gate) Pardon(p netip.Prefix) { g.noted(g.pardon(p)) }

func (g *Gate) pardon(p netip.Prefix) error {
	p, err := plain(p)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wall == nil {
		return nil
	}
	var gone []netip.Prefix
	for q, h := range g.held {
		if h.inherited && p.Overlaps(q) {
			gone = append(gone, q)
		}
	}
	return g.remove(gone)
}

// collect tells of what judged sources still sent, clears away what ended, and takes
// back what could not be before.
func (g *Gate) collect() error {
	g.mu.Lock()
	if g.wall == nil {
		g.mu.Unlock()
		return nil
	}
	var seen []deich.Count
	err := g.wall.hits(func(p netip.Prefix, n uint64) {
		if h := g.held[p]; h != nil && n > h.hits {
			seen = append(seen, deich.Count{Prefix: p, N: n - h.hits})
			h.hits = n
		}
	})
	now := g.options.Now()
	var gone, ended []netip.Prefix
	for p, h := range g.held {
		switch {
		case h.revoked:
			gone = append(gone, p)
		case h.until <= now:
			ended = append(ended, p)
		}
	}
	err = errors.Join(err, g.remove(gone), g.clear(ended))
	g.mu.Unlock()
	if g.options.Seen != nil && len(seen) > 0 && !g.options.Config.DryRun {
		g.options.Seen(seen)
	}
	return err
}

// renewAllow puts the allow list in force where it has changed.
func (g *Gate) renewAllow() error {
	list, err := g.allowList()
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wall == nil || slices.Equal(list, g.allowed) {
		return nil
	}
	if err := g.wall.allow(list); err != nil {
		return err
	}
	g.allowed = list
	return nil
}

// Status takes a snapshot.
func (g *Gate) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.options.Config
	s := Status{
		Backend: None, Why: g.why, DryRun: c.DryRun, Lock: c.Lock, Interfaces: []string{}, Ports: []string{},
		Sources: len(g.held), Allowed: len(g.allowed), Missed: g.missed.Load(), Trouble: g.trouble,
	}
	for _, p := range g.options.Ports {
		s.Ports = append(s.Ports, p.String())
	}
	slices.Sort(s.Ports)
	s.Ports = slices.Compact(s.Ports)
	if g.wall == nil {
		return s
	}
	s.Backend, s.Interfaces, s.Pinned, s.Samples, s.Cookies = g.wall.name(), g.wall.interfaces(), g.wall.pinned(), g.wall.samples(), g.wall.cookies()
	var err error
	if s.Counts, err = g.wall.counts(); err != nil {
		s.Trouble = cmp.Or(s.Trouble, err.Error())
	}
	return s
}

func (p Port) String() string {
	if p.UDP {
		return fmt.Sprintf("udp/%d", p.At.Port())
	}
	return fmt.Sprintf("tcp/%d", p.At.Port())
}

// Close takes the gate away: everything passes. It may be called again.
func (g *Gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.end()
}

// end is Close; g.mu is held.
func (g *Gate) end() error {
	if g.wall == nil {
		return nil
	}
	err := g.wall.close()
	g.wall, g.why, g.trouble = nil, "it was taken away", ""
	clear(g.held)
	g.held4, g.held6 = [2]int{}, [2]int{}
	return err
}

// tried collects why a way was not taken.
type tried []string

func (t *tried) add(name string, err error) { *t = append(*t, name+": "+err.Error()) }
func (t tried) String() string              { return strings.Join(t, "; ") }

package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich/drill/profile"
	"github.com/deichproject/deich/drill/scenarios"
)

// rehearsal is one scenario under way.
type rehearsal struct {
	spec     scenarios.Scenario
	o        *Options
	box      *sandbox
	sessions *sessions
	shielded bool
	with     *Shield   // in Deich's place; nil: Deich
	platform *Platform // in Townsquare's place; nil: Townsquare
	asks     asks
	scan     int          // fixes what the origin can do; 0: it measures itself
	door     net.Listener // where the console is to be seen from outside; nil: nowhere
	identity *identity    // of the shield; nil: without TLS

	dir     string
	clock   clock
	tally   tally
	sums    *strikes
	target  netip.AddrPort // what users and attackers visit
	inner   netip.AddrPort // the origin
	figures netip.AddrPort // where the origin tells its own figures
	console netip.AddrPort

	mu     sync.Mutex // guards the processes, which come and go
	origin *child
	shield *child
	beside []*child // further programs of a shield that is not Deich
	behind []*child // further programs of a platform that is not Townsquare
	gauges *gauges

	capacity Capacity
	atOrigin []AtOrigin
	slow     atomic.Int64     // proofs that took longer here than on a phone
	opens    time.Duration    // when the shield was there, if it came late
	away     [2]time.Duration // the origin: from when on, and until when
	notes    []string
	fail     context.CancelCauseFunc // ends the play
}

func newRehearsal(o *Options, box *sandbox, s scenarios.Scenario, shielded bool) (*rehearsal, error) {
	p, err := profile.Load()
	if err != nil {
		return nil, err
	}
	own := *box // each rehearsal counts its ports anew
	return &rehearsal{spec: s, o: o, box: &own, sessions: newSessions(p), shielded: shielded, asks: squareAsks()}, nil
}

// run rehearses and gives what was found. Everything it started has ended
// when it returns; stay, if not nil, is called before that.
func (r *rehearsal) run(ctx context.Context, stay func(Finding) error) (f Finding, err error) {
	behind := "without Deich"
	if r.shielded {
		behind = "behind " + r.shieldName()
	}
	fmt.Fprintf(r.o.Out, "%s, %s: %s. %s of peace, %s of flood, %s after it.\n", r.spec.Name, behind, r.spec.Title,
		r.spec.Phases.Peace.D(), r.spec.Phases.Flood.D(), r.spec.Phases.After.D())
	if r.dir, err = os.MkdirTemp("", "deich-drill-"); err != nil {
		return f, fmt.Errorf("drill: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	defer r.stopAll()
	if err := r.prepare(ctx); err != nil {
		return f, err
	}
	if r.door != nil {
		fmt.Fprintf(r.o.Out, "Watch it: %s\n", r.link("/"))
	}
	if err := r.play(ctx); err != nil {
		return f, err
	}
	var recorded []Recorded
	gate := ""
	if r.shielded && r.with == nil {
		if r.o.gated() {
			if gate, err = r.gateSays(ctx); err != nil {
				return f, fmt.Errorf("drill: what its gate is Deich does not say: %w", err)
			}
		}
		if recorded, err = r.recorded(ctx); err != nil {
			r.notes = append(r.notes, "what Deich recorded is not known: "+err.Error())
		}
	}
	f = r.found()
	f.Gate, f.Recorded, f.Truth = gate, recorded, r.happened(&f.Attack)
	if stay != nil {
		return f, stay(f)
	}
	return f, nil
}

// prepare starts the origin, measures it, and starts the shield.
func (r *rehearsal) prepare(ctx context.Context) (err error) {
	if r.spec.Shield.TLS {
		if r.identity, err = newIdentity(r.dir); err != nil {
			return err
		}
	}
	if r.inner, err = r.box.listener(); err != nil {
		return err
	}
	if r.figures, err = r.box.listener(); err != nil {
		return err
	}
	r.figures = near(r.figures)
	r.target = r.inner
	if r.shielded {
		if r.target, err = r.box.listener(); err != nil {
			return err
		}
	}
	if err := r.startOrigin(ctx); err != nil {
		return err
	}
	if err := r.sizeOrigin(ctx); err != nil {
		return err
	}
	if !r.shielded {
		return nil
	}
	if err := r.openConsole(); err != nil {
		return err
	}
	if r.spec.Shield.Start > -r.spec.Phases.Peace && r.spec.Shield.Start != 0 {
		return nil // play starts it
	}
	return r.startShield(ctx)
}

// openConsole finds the console's address: that of the door, if there is one.
func (r *rehearsal) openConsole() error {
	if r.door == nil {
		at, err := r.box.listener()
		r.console = near(at)
		return err
	}
	at, ok := r.door.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("drill: console: %s is no TCP address", r.door.Addr())
	}
	r.console = near(at.AddrPort())
	if r.box.kind == Namespace {
		go carry(r.door, r.console)
		return nil
	}
	return r.door.Close() // the shield itself listens there
}

func (r *rehearsal) startOrigin(ctx context.Context) error {
	if r.platform != nil {
		return r.startPlatform(ctx)
	}
	args := []string{"townsquare", "--listen", r.box.bindable(r.inner), "--stats", r.figures.String(), "--data", filepath.Join(r.dir, "origin"),
		"--searches", strconv.Itoa(r.spec.Origin.Searches)}
	if fresh := r.spec.Origin.Fresh.D(); fresh > 0 {
		args = append(args, "--fresh", fresh.String())
	}
	if r.scan > 0 {
		args = append(args, "--scan", strconv.Itoa(r.scan))
	}
	c, err := launch("origin", r.spec.Pin.Origin, r.o.Binary, args...)
	if err != nil {
		return err
	}
	r.set(&r.origin, c)
	if err := c.ready(ctx, near(r.inner)); err != nil {
		return err
	}
	return c.ready(ctx, r.figures) // it listens for that by itself
}

func (r *rehearsal) startShield(ctx context.Context) error {
	if r.with != nil {
		return r.startOther(ctx)
	}
	args := []string{"protect", "--to", "http://" + near(r.inner).String(), "--listen", r.box.bindable(r.target),
		"--data", filepath.Join(r.dir, "deich"), "--console", r.console.String(), "--status", "off"}
	if id := r.identity; id != nil {
		args = append(args, "--cert", id.certificate, "--key", id.key)
	}
	if r.o.gated() {
		file, err := r.writeConfig()
		if err != nil {
			return err
		}
		args = []string{"run", "--config", file}
	}
	c, err := launch("deich", r.spec.Pin.Shield, r.o.Binary, args...)
	if err != nil {
		return err
	}
	r.set(&r.shield, c)
	return c.ready(ctx, r.target)
}

// writeConfig says the same as startShield's flags, and that the gate stands at
// loopback, which Deich takes by itself only where it listens nowhere else.
func (r *rehearsal) writeConfig() (file string, err error) {
	site := map[string]any{"origins": []string{"http://" + near(r.inner).String()}}
	if id := r.identity; id != nil {
		site["certificate"], site["key"] = id.certificate, id.key
	}
	text, err := json.MarshalIndent(map[string]any{
		"listen": []string{r.box.bindable(r.target)}, "sites": []any{site}, "console": r.console.String(), "status": "off",
		"data": filepath.Join(r.dir, "deich"), "gate": map[string]any{"mode": r.o.Gate, "interfaces": []string{"lo"}},
	}, "", "  ")
	file = filepath.Join(r.dir, "deich.yaml")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("drill: gate: %w", err)
	}
	return file, nil
}

func (r *rehearsal) set(slot **child, c *child) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*slot = c
}

func (r *rehearsal) get(slot **child) *child {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *slot
}

func (r *rehearsal) stopAll() {
	r.mu.Lock()
	beside, behind := r.beside, r.behind
	r.mu.Unlock()
	for _, c := range slices.Backward(beside) {
		c.stop()
	}
	r.get(&r.shield).stop()
	r.get(&r.origin).stop()
	for _, c := range slices.Backward(behind) {
		c.stop()
	}
}

// play lets everybody come, each in time, until the end.
func (r *rehearsal) play(ctx context.Context) error {
	s := &r.spec
	r.clock = newClock(s.Phases.Peace.D())
	r.sums = newStrikes()
	end := s.Phases.Flood.D() + s.Phases.After.D()
	ctx, cancel := context.WithDeadline(ctx, r.clock.zero.Add(end))
	defer cancel()
	ctx, r.fail = context.WithCancelCause(ctx)
	defer r.fail(nil)
	var all sync.WaitGroup
	if len(s.Attacks) > 0 {
		f, err := newFlood(r.clock, s, r.box, r.target, append(desktopAgents(), mobileAgents()...), r.asks.search, r.sums)
		if err != nil {
			return err
		}
		all.Go(func() { f.run(ctx) })
	}
	solving := make(chan struct{}, SolversMax)
	for _, u := range r.users(solving) {
		all.Go(func() { u.live(ctx) })
	}
	var visited error // counts even where everything ended before it
	if p := r.platform; p != nil && p.Visit != nil {
		all.Go(func() {
			if visited = p.Visit(ctx, r.site(filepath.Join(r.dir, "platform")), r.clock.zero); visited != nil {
				r.fail(visited)
			}
		})
	}
	r.gauges = newGauges(r.shieldName())
	all.Go(func() { r.watch(ctx) })
	all.Go(func() { r.turnPhases(ctx) })
	all.Go(func() { r.befall(ctx) })
	all.Wait()
	if visited != nil {
		return fmt.Errorf("drill: %s: %w", s.Name, visited)
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("drill: %s: %w", s.Name, err)
	}
	return nil
}

// users makes every user with its address, agent and way through the sessions.
func (r *rehearsal) users(solving chan struct{}) []*user {
	s := &r.spec
	end := s.Phases.Flood.D() + s.Phases.After.D()
	desktop, mobile := desktopAgents(), mobileAgents()
	var all []*user
	for g := range s.Groups {
		spec := &s.Groups[g]
		for n := range spec.Count {
			rng := rand.New(rand.NewPCG(s.Seed, uint64(len(all))))
			agent := programAgent
			if spec.Kind != scenarios.Program {
				agent = mobile[rng.IntN(len(mobile))]
				if rng.Float64() < r.sessions.desktop {
					agent = desktop[rng.IntN(len(desktop))]
				}
			}
			comes := spec.From.D() + time.Duration(float64(spec.Over.D())*float64(n)/float64(spec.Count))
			leaves := end
			if spec.Stay > 0 {
				leaves = min(end, comes+spec.Stay.D())
			}
			client := newFetcher(r.box.net.user(g, n, spec), r.target, agent, spec.Kind != scenarios.Program)
			if r.identity != nil {
				client.secure(r.identity.roots)
			}
			all = append(all, &user{
				number: len(all), group: g, spec: spec, clock: r.clock, tally: &r.tally, rng: rng, shielded: r.shielded, slow: &r.slow, asks: &r.asks,
				client: client, walk: r.sessions.walk(len(all)+int(s.Seed), spec.Gap.D()), solvers: solving, comes: comes, leaves: leaves,
			})
		}
	}
	return all
}

// turnPhases has the origin's own figures read at the end of each phase.
func (r *rehearsal) turnPhases(ctx context.Context) {
	if r.platform != nil {
		return // only Townsquare has any
	}
	phases := r.phases()
	asks := newTeller(r.figures)
	defer asks.close()
	if _, err := asks.ask(ctx, true); err != nil {
		r.notes = append(r.notes, "the origin tells nothing of itself: "+err.Error())
		return
	}
	for i, p := range phases {
		at := time.Duration(p.To * float64(time.Second))
		if i != 1 {
			at -= 150 * time.Millisecond // before the origin falls, and before everything ends
		}
		if !r.clock.until(ctx, at) {
			return
		}
		stats, err := asks.ask(ctx, true)
		if err != nil {
			r.notes = append(r.notes, "what reached the origin in the phase "+p.Name+" is not known: "+err.Error())
			continue
		}
		r.atOrigin = append(r.atOrigin, stats.in(p.Name))
	}
}

// befall is what happens to the origin and the shield on the way.
func (r *rehearsal) befall(ctx context.Context) {
	s := &r.spec
	if r.shielded && s.Shield.Start > -s.Phases.Peace && s.Shield.Start != 0 {
		if r.clock.until(ctx, s.Shield.Start.D()) {
			if err := r.startShield(ctx); err != nil {
				r.fail(err)
			}
			r.opens = r.clock.now()
		}
	}
	if (s.Origin.Stall == 0 && !s.Origin.Down) || !r.clock.until(ctx, 0) {
		return
	}
	flood, cancel := context.WithDeadline(ctx, r.clock.zero.Add(s.Phases.Flood.D()))
	defer cancel()
	r.away[0] = r.clock.now()
	defer func() { r.away[1] = r.clock.now() }()
	if s.Origin.Stall > 0 {
		stall(flood, r.get(&r.origin), s.Origin.Stall)
		return
	}
	r.get(&r.origin).kill()
	<-flood.Done()
	if ctx.Err() == nil {
		if err := r.startOrigin(ctx); err != nil {
			r.fail(err)
		}
	}
}

func (r *rehearsal) phases() []Phase {
	p := r.spec.Phases
	all := []Phase{
		{"peace", -p.Peace.D().Seconds(), 0},
		{"flood", 0, p.Flood.D().Seconds()},
	}
	if p.After > 0 {
		all = append(all, Phase{"after", p.Flood.D().Seconds(), (p.Flood + p.After).D().Seconds()})
	}
	return all
}

// found reckons everything.
func (r *rehearsal) found() Finding {
	phases, samples := r.phases(), r.tally.since(0)
	attack := reckonAttack(r.sums)
	reckonSlowdown(r.atOrigin)
	f := Finding{
		Scenario: r.spec.Name, Title: r.spec.Title, Shield: r.shieldName(), Seed: r.spec.Seed, Phases: phases,
		Capacity: r.capacity, Attack: attack, Origin: r.atOrigin, LeftOut: r.tally.leftOut, Notes: r.notes,
		Groups:    reckonGroups(&r.spec, phases, samples, attack, r.opens),
		Seconds:   reckonSeconds(len(r.spec.Groups), phases, samples, r.sums, r.gauges.rates()),
		Processes: r.gauges.sums(phases),
	}
	r.gauges.fill(f.Seconds)
	f.Checks, f.Mitigation = reckonChecks(&r.spec, &f)
	f.Others, f.Interrupts, f.Stolen = r.gauges.rest(phases)
	if others := f.Others["flood"] + f.Stolen["flood"]; others > othersMost {
		f.Notes = append(f.Notes, fmt.Sprintf("other processes of the machine, or its host, used %.1f cores during the flood: the figures say less than on a quiet one", others))
	}
	if slow := r.slow.Load(); slow > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d proofs took longer here than on a phone, since they were too many at once for this machine", slow))
	}
	if len(r.spec.Attacks) > 0 && !attack.Holding {
		f.Notes = append(f.Notes, fmt.Sprintf("the attackers could not hold their rate: %d of %d requests were not begun in time", attack.Unsent, attack.Planned))
	}
	return f
}

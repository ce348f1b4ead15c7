package drill

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/deichproject/deich/drill/scenarios"
)

// Shield is what stands between users and the platform in Deich's place: other
// programs, so that what users keep behind them can be held against what they
// keep behind Deich. No command line leads here, for it starts programs; they
// run in the drill's network namespace, which has no way out.
type Shield struct {
	// Name is what the report calls it.
	Name string
	// Set writes what the programs read into the place's folder and gives them in
	// the order in which they are started; the first one listens. Each stays in
	// the foreground, and in its process group whatever it starts and does not
	// wait for: the group is ended with it, and its CPU is the shield's.
	Set func(Place) ([]Program, error)
}

// Place is where a shield stands.
type Place struct {
	Dir      string         // its own, removed at the end
	Listen   netip.AddrPort // users come here; listening at all addresses of the port is as good
	Origin   netip.AddrPort // the platform
	Capacity Capacity       // of the platform, as measured before
}

// Program is one of a shield's.
type Program struct {
	Path string
	Args []string
}

// errOwnNamespace says that programs of others are started in a namespace only.
var errOwnNamespace = errors.New("drill: another shield than Deich needs a network namespace of its own, so that nothing it does leads out")

// Behind rehearses one scenario behind another shield than Deich: nil is Deich
// as ever, and with Options.Without nothing at all. Options.Scenarios,
// Options.Seed and Options.Duration are not asked: the scenario is what its
// value says. Like Run, it runs this command again in a network namespace.
func Behind(ctx context.Context, o Options, s scenarios.Scenario, with *Shield) (Report, error) {
	o = o.withDefaults()
	if err := s.Validate(); err != nil {
		return Report{}, err
	}
	return enter(ctx, o, nil, func(box *sandbox, _ net.Listener) (Report, error) {
		rep := newReport(box)
		if with != nil && box.kind != Namespace {
			return rep, fmt.Errorf("%w: %s", errOwnNamespace, box.why)
		}
		if err := possible(&o, &s, box, !o.Without && with == nil); err != nil {
			return rep, err
		}
		r, err := newRehearsal(&o, box, s, !o.Without)
		if err != nil {
			return rep, err
		}
		r.with = with
		f, err := r.run(ctx, nil)
		if err != nil {
			return rep, err
		}
		rep.Runs = append(rep.Runs, f)
		writeTable(o.Out, f)
		return rep, rep.write(o.JSON, o.HTML)
	})
}

// startOther starts the shield that stands in Deich's place.
func (r *rehearsal) startOther(ctx context.Context) error {
	dir := filepath.Join(r.dir, "shield")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("drill: %s: %w", r.with.Name, err)
	}
	programs, err := r.with.Set(Place{Dir: dir, Listen: r.target, Origin: near(r.inner), Capacity: r.capacity})
	if err != nil {
		return fmt.Errorf("drill: %s: %w", r.with.Name, err)
	}
	for i, p := range programs {
		c, err := launch(filepath.Base(p.Path), r.spec.Pin.Shield, p.Path, p.Args...)
		if err != nil {
			return err
		}
		if i > 0 {
			r.mu.Lock()
			r.beside = append(r.beside, c)
			r.mu.Unlock()
			continue
		}
		r.set(&r.shield, c)
		if err := c.ready(ctx, r.target); err != nil {
			return err
		}
	}
	return nil
}

// pids are those that run of a process and of those started with it.
func (r *rehearsal) pids(first **child, others *[]*child) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var pids []int
	for _, c := range append([]*child{*first}, *others...) {
		if pid := pidOf(c); pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// shieldName is what the report and the terminal call what stands there.
func (r *rehearsal) shieldName() string {
	switch {
	case !r.shielded:
		return "none"
	case r.with != nil:
		return r.with.Name
	}
	return "Deich"
}

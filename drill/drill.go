package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/deichproject/deich/drill/scenarios"
)

// Options say what to rehearse. There is none for a target: the drill floods
// only what it starts.
type Options struct {
	// Scenarios are names of scenarios; none: "botnet".
	Scenarios []string
	// Binary is the built deich, which is started as the platform and as the shield ("": this program).
	Binary string
	// Without leaves the shield out: users and attackers reach the platform itself.
	Without bool
	// Seed is put in the place of the scenarios' own, if not 0.
	Seed uint64
	// Duration is put in the place of the flood phases' length, if not 0.
	Duration time.Duration
	// JSON and HTML are files that the report is written to, if named.
	JSON, HTML string
	// Gate is Deich's gate.mode ("": off). It stands in a network namespace of the drill's own alone.
	Gate string
	// Loopback does without a network namespace even where one is to be had.
	Loopback bool
	// Out is where progress and the table go (nil: nowhere). A terminal is told by being one.
	Out io.Writer
}

// List gives the scenarios that there are.
func List() ([]scenarios.Scenario, error) { return scenarios.List() }

// Run rehearses the scenarios one after the other, writes the table to Out and
// the files that are named, and gives the report. It needs no rights: as root
// or where user namespaces are allowed it runs this command again in a network
// namespace of its own, else on loopback. What cannot run here is in
// Report.Skipped, with the reason. Unmet targets are no error.
func Run(ctx context.Context, o Options) (Report, error) {
	o = o.withDefaults()
	all, err := o.find()
	if err != nil {
		return Report{}, err
	}
	return enter(ctx, o, nil, func(box *sandbox, _ net.Listener) (Report, error) {
		rep := newReport(box)
		for _, s := range all {
			f, err := rehearse(ctx, &o, box, s)
			switch {
			case errors.Is(err, errCannotHere):
				rep.Skipped = append(rep.Skipped, Skipped{s.Name, err.Error()})
				fmt.Fprintf(o.Out, "%s is left out: %v\n", s.Name, err)
			case err != nil:
				return rep, err
			default:
				rep.Runs = append(rep.Runs, f)
				writeTable(o.Out, f)
			}
		}
		return rep, rep.write(o.JSON, o.HTML)
	})
}

// gated says whether Deich is to have a gate.
func (o *Options) gated() bool { return o.Gate != "" && o.Gate != "off" }

func (o Options) withDefaults() Options {
	if len(o.Scenarios) == 0 {
		o.Scenarios = []string{"botnet"}
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Binary == "" {
		o.Binary, _ = os.Executable() // if it is not known, starting it says so
	}
	return o
}

func (o *Options) find() ([]scenarios.Scenario, error) {
	if len(o.Scenarios) > RunsMax {
		return nil, fmt.Errorf("drill: %d scenarios at once: at most %d", len(o.Scenarios), RunsMax)
	}
	var all []scenarios.Scenario
	var errs []error
	for _, name := range o.Scenarios {
		s, err := scenarios.Find(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if o.Seed != 0 {
			s.Seed = o.Seed
		}
		if o.Duration != 0 {
			s.Phases.Flood = scenarios.Duration(o.Duration)
		}
		errs = append(errs, s.Validate())
		all = append(all, s)
	}
	return all, errors.Join(errs...)
}

// enter does the work in the best sandbox that is to be had: in the inner
// process, or, where there is no namespace, in this one.
func enter(ctx context.Context, o Options, console net.Listener, work func(*sandbox, net.Listener) (Report, error)) (Report, error) {
	if inside() {
		return workInside(work)
	}
	why := "it was asked for"
	if !o.Loopback {
		rep, err := rerun(ctx, o, console)
		if !errors.Is(err, errNoNamespace) {
			return rep, err
		}
		why = err.Error()
		fmt.Fprintf(o.Out, "no network namespace, so it runs on 127.0.0.0/8: %v\n", err)
	}
	return work(&sandbox{kind: Loopback, why: why, net: addresses{net: 127}}, console)
}

// workInside is the inner process's part. What goes wrong the outer one tells.
func workInside(work func(*sandbox, net.Listener) (Report, error)) (Report, error) {
	if err := furnish(); err != nil {
		return Report{}, tell(message{NoNamespace: err.Error()})
	}
	console, err := handedConsole()
	if err != nil {
		return Report{}, tell(message{Error: err.Error()})
	}
	rep, err := work(&sandbox{kind: Namespace, net: addresses{net: 10}, port: 8079}, console)
	m := message{Report: &rep}
	if err != nil {
		m.Error = err.Error()
	}
	return rep, tell(m)
}

// errCannotHere says that a scenario needs what this machine or sandbox lacks.
var errCannotHere = errors.New("it cannot run here")

func rehearse(ctx context.Context, o *Options, box *sandbox, s scenarios.Scenario) (Finding, error) {
	if err := possible(o, &s, box, !o.Without); err != nil {
		return Finding{}, err
	}
	r, err := newRehearsal(o, box, s, !o.Without)
	if err != nil {
		return Finding{}, err
	}
	return r.run(ctx, nil)
}

// possible says whether a scenario can run here; deich, whether it is Deich that stands in front.
func possible(o *Options, s *scenarios.Scenario, box *sandbox, deich bool) error {
	if o.gated() && box.kind != Namespace {
		return fmt.Errorf("%w: a gate needs a network namespace (%s)", errCannotHere, box.why)
	}
	late := deich && s.Shield.Start > -s.Phases.Peace && s.Shield.Start != 0
	if len(s.Attacks) > 0 && (late || s.Origin.Down) && box.kind != Namespace {
		return fmt.Errorf("%w: nothing of the drill's would listen while attackers send; on loopback another program might be given the port (%s)", errCannotHere, box.why)
	}
	if s.Shield.TLS && !deich {
		return fmt.Errorf("%w: nothing but Deich speaks TLS in a drill", errCannotHere)
	}
	for _, a := range s.Attacks {
		if a.Networks > 0 && box.kind != Namespace {
			return fmt.Errorf("%w: IPv6 prefixes need a network namespace (%s)", errCannotHere, box.why)
		}
	}
	for _, core := range append(append([]int(nil), s.Pin.Origin...), s.Pin.Shield...) {
		if core >= runtime.NumCPU() {
			return fmt.Errorf("%w: there is no processor core %d", errCannotHere, core)
		}
	}
	return nil
}

func newReport(box *sandbox) Report {
	return Report{
		Made: time.Now().UTC(), Sandbox: box.kind, Why: box.why,
		Machine: Machine{System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()},
	}
}

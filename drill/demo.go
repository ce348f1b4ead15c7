package drill

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/deichproject/deich/drill/scenarios"
)

// DemoOptions say how the demo runs.
type DemoOptions struct {
	// Binary is the built deich ("": this program).
	Binary string
	// Console is the address at which Deich's console is to be seen
	// ("": 127.0.0.1:2020, or another port if that is taken).
	Console string
	// Exit ends the demo after its two halves instead of staying up.
	Exit bool
	// Duration is put in the place of the floods' length, if not 0.
	Duration time.Duration
	// Seed is put in the place of the scenario's own, if not 0.
	Seed uint64
	// JSON and HTML are files that the report is written to, if named.
	JSON, HTML string
	// Loopback does without a network namespace.
	Loopback bool
	// Out is where everything goes (nil: nowhere).
	Out io.Writer
}

// The demo's halves.
const (
	demoScenario = "botnet"
	demoPeace    = 7 * time.Second
	demoWithout  = 14 * time.Second
	demoWith     = 20 * time.Second
	demoAfter    = 5 * time.Second
)

// Demo shows one flood first without, then with Deich, live, and both side by
// side. Then it stays up, with users visiting and the console in reach, until
// ctx ends, which is no error.
func Demo(ctx context.Context, o DemoOptions) (Report, error) {
	run := Options{Binary: o.Binary, Seed: o.Seed, JSON: o.JSON, HTML: o.HTML, Loopback: o.Loopback, Out: o.Out,
		Scenarios: []string{demoScenario}}.withDefaults()
	all, err := run.find()
	if err != nil {
		return Report{}, err
	}
	var console net.Listener
	if !inside() { // else the outer process has it, and hands it in
		if console, err = listenConsole(o.Console); err != nil {
			return Report{}, err
		}
		defer console.Close()
	}
	return enter(ctx, run, console, func(box *sandbox, console net.Listener) (Report, error) {
		return demo(ctx, o, &run, box, all[0], console)
	})
}

// listenConsole takes the console's address, or a free port of it where none was asked for.
func listenConsole(at string) (net.Listener, error) {
	if at != "" {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return nil, fmt.Errorf("drill: console: %w", err)
		}
		return l, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:2020")
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("drill: console: %w", err)
	}
	return l, nil
}

func demo(ctx context.Context, o DemoOptions, run *Options, box *sandbox, s scenarios.Scenario, console net.Listener) (Report, error) {
	rep := newReport(box)
	s.Phases = scenarios.Phases{Peace: scenarios.Duration(demoPeace), Flood: scenarios.Duration(demoWithout), After: scenarios.Duration(demoAfter)}
	with := s
	with.Phases.Flood = scenarios.Duration(demoWith)
	if o.Duration > 0 {
		s.Phases.Flood, with.Phases.Flood = scenarios.Duration(o.Duration), scenarios.Duration(o.Duration)
	}
	for i := range s.Groups { // they come within a shorter peace
		hurry(&s.Groups[i], s.Phases)
		hurry(&with.Groups[i], with.Phases)
	}
	fmt.Fprintf(run.Out, "Deich's demo. A small message platform, users who visit it as people visited a real site, and a botnet of %d sources\nthat searches for random words. Everything runs on this machine only. First without Deich, then with it.\n\n", s.Attacks[0].Sources)
	first, err := newRehearsal(run, box, s, false)
	if err != nil {
		return rep, err
	}
	without, err := first.run(ctx, nil)
	if err != nil {
		return rep, err
	}
	rep.Runs = append(rep.Runs, without)
	fmt.Fprintln(run.Out)
	second, err := newRehearsal(run, box, with, true)
	if err != nil {
		return rep, err
	}
	second.scan, second.door = first.scan, console
	_, err = second.run(ctx, func(f Finding) error {
		rep.Runs = append(rep.Runs, f)
		writeSideBySide(run.Out, without, f)
		if err := rep.write(run.JSON, run.HTML); err != nil || o.Exit {
			return err
		}
		fmt.Fprintf(run.Out, "\nThe platform stays up behind Deich, with its users.\n  console      %s\n  dossier      %s\n  status page  %s\nEnd with Ctrl-C.\n",
			second.link("/"), second.link("/incidents/latest"), second.link("/status/"))
		second.linger(ctx)
		return nil
	})
	return rep, err
}

// hurry lets the users of a group come within the demo's shorter phases.
func hurry(g *scenarios.Group, p scenarios.Phases) {
	if g.From < 0 {
		g.From, g.Over = -p.Peace+scenarios.Duration(time.Second), min(g.Over, p.Peace/3)
		return
	}
	g.Over = min(g.Over, p.Flood*2/3)
}

// link is where a page of the console is to be seen from outside the sandbox.
func (r *rehearsal) link(path string) string {
	link := r.get(&r.shield).out.link()
	if link == "" {
		return "http://" + r.console.String() + path
	}
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	u.Host, u.Path = r.console.String(), path
	return u.String()
}

// linger keeps the users visiting until ctx ends. They are not counted any more.
func (r *rehearsal) linger(ctx context.Context) {
	r.tally.shut()
	var all sync.WaitGroup
	solving := make(chan struct{}, SolversMax)
	for _, u := range r.users(solving) {
		if u.spec.From < 0 {
			u.comes, u.leaves = 0, r.clock.now()+lingerMax
			all.Go(func() { u.live(ctx) })
		}
	}
	<-ctx.Done()
	all.Wait()
}

// carry lets the console be seen from outside the namespace: connections that
// the outer process's listener takes are carried to it, until the listener is
// closed.
func carry(from net.Listener, to netip.AddrPort) {
	places := make(chan struct{}, consoles)
	for {
		places <- struct{}{}
		outer, err := from.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { <-places }()
			defer outer.Close()
			inner, err := net.Dial("tcp", to.String())
			if err != nil {
				return
			}
			defer inner.Close()
			var both sync.WaitGroup
			both.Go(func() { pass(inner, outer) })
			both.Go(func() { pass(outer, inner) })
			both.Wait()
		}()
	}
}

// pass copies one way and ends that way only.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either end may go at any time
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

// writeSideBySide writes both halves' figures in one table.
func writeSideBySide(out io.Writer, without, with Finding) {
	fmt.Fprintf(out, "\nThe same flood: %.0f and %.0f requests a second; the platform can answer %.0f searches a second.\n\n",
		without.Attack.Rate, with.Attack.Rate, without.Capacity.Searches)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "while the flood lasts\twithout Deich\twith Deich\t")
	for i, g := range without.Groups {
		h := with.Groups[i]
		a, b := g.Cells[1], h.Cells[1]
		fmt.Fprintf(w, "%s: requests served\t%.1f %% of %d\t%.1f %% of %d\t\n", g.Name, 100*a.Success, a.Requests, 100*b.Success, b.Requests)
		if g.In == nil {
			fmt.Fprintf(w, "%s: users served\t%d of %d\t%d of %d\t\n", g.Name, a.UsersIn, a.Users, b.UsersIn, b.Users)
			fmt.Fprintf(w, "%s: half of the answers within\t%s\t%s\t\n", g.Name, latencyText(a), latencyText(b))
			fmt.Fprintf(w, "%s: mitigated after\t%s\t%s\t\n", g.Name, settledText(g.Mitigated), settledText(h.Mitigated))
			continue
		}
		fmt.Fprintf(w, "%s: got in\t%d of %d\t%d of %d\t\n", g.Name, g.In.Ever, g.In.Users, h.In.Ever, h.In.Users)
	}
	fmt.Fprintf(w, "attack requests that got content\t%d\t%d\t\n", without.Attack.Reached, with.Attack.Reached)
	w.Flush()
}

func latencyText(c Cell) string {
	if c.P50 == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%.0f ms", c.P50)
}

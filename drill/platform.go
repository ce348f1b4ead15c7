package drill

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/deichproject/deich/drill/scenarios"
)

// Platform is a real application in Townsquare's place. The drill starts it by
// what its recipe says, as it starts everything that it floods: nothing of it
// is an address. No command line leads here, for it starts programs; they run
// in the drill's network namespace, which has no way out.
type Platform struct {
	// Name is what the report calls it.
	Name string
	// Set writes what the programs read and gives them in the order in which they
	// are started; the last one listens. As for Shield.Set, each stays in the
	// foreground and in its process group.
	Set func(Site) ([]Program, error)
	// Pages are what people ask for, the most popular first, and Calls what
	// programs ask for. The first page answers once the platform stands.
	Pages, Calls []string
	// Search is what an attack of searches asks for; random words follow it. It answers once the platform stands.
	Search string
	// Visit, if not nil, is called when everybody begins to come, and visits the
	// platform beside the drill's own users. Its error ends the rehearsal; when
	// the rehearsal ends, ctx does.
	Visit func(ctx context.Context, s Site, flood time.Time) error
}

// Site is where a platform stands.
type Site struct {
	Dir    string         // its own, removed at the end; others of the machine's users may not enter it
	Listen netip.AddrPort // where it listens
	Users  netip.AddrPort // where users come, who see this address
}

// Of rehearses one scenario on a platform that is not Townsquare, behind Deich
// or, with Options.Without, behind nothing. It is as Behind; an attack can
// search or ask for the first page, nothing else, and no user logs in.
func Of(ctx context.Context, o Options, s scenarios.Scenario, p Platform) (Report, error) {
	o = o.withDefaults()
	if err := errors.Join(s.Validate(), p.fits(&s)); err != nil {
		return Report{}, err
	}
	return enter(ctx, o, nil, func(box *sandbox, _ net.Listener) (Report, error) {
		rep := newReport(box)
		if box.kind != Namespace {
			return rep, fmt.Errorf("%w: %s", errOwnNamespace, box.why)
		}
		if err := possible(&o, &s, box, !o.Without); err != nil {
			return rep, err
		}
		r, err := newRehearsal(&o, box, s, !o.Without)
		if err != nil {
			return rep, err
		}
		r.platform, r.asks = &p, p.asks()
		f, err := r.run(ctx, nil)
		if err != nil {
			return rep, err
		}
		rep.Runs = append(rep.Runs, f)
		writeTable(o.Out, f)
		return rep, rep.write(o.JSON, o.HTML)
	})
}

// fits says whether a scenario asks nothing of the platform that only
// Townsquare can do.
func (p *Platform) fits(s *scenarios.Scenario) error {
	if p.Set == nil || len(p.Pages) == 0 || len(p.Calls) == 0 || p.Search == "" {
		return fmt.Errorf("drill: %s: Set, Pages, Calls and Search are needed", p.Name)
	}
	for _, g := range s.Groups {
		if g.Token {
			return fmt.Errorf("drill: %s: the group %s logs in, which only Townsquare's users can", p.Name, g.Name)
		}
	}
	for _, a := range s.Attacks {
		if a.Request != scenarios.Search && a.Request != scenarios.Page || a.Pulse.On > 0 {
			return fmt.Errorf("drill: %s: the attack %s asks for what only Townsquare has", p.Name, a.Name)
		}
	}
	if s.Origin.Down {
		return fmt.Errorf("drill: %s: only Townsquare is started again", p.Name)
	}
	return nil
}

// asks are what users and attackers ask for.
type asks struct {
	page    func(rank int) string // by its rank in the profile
	assets  []string              // what a browser loads with its first page
	picture func(rank int) string // what comes with a page; "": nothing
	call    func(n int) string    // a program's n-th
	search  string
}

func (p *Platform) asks() asks {
	return asks{
		page:    func(rank int) string { return p.Pages[max(rank-1, 0)%len(p.Pages)] },
		picture: func(int) string { return "" },
		call:    func(n int) string { return p.Calls[n%len(p.Calls)] },
		search:  p.Search,
	}
}

// startPlatform starts the platform that stands in Townsquare's place.
func (r *rehearsal) startPlatform(ctx context.Context) error {
	p := r.platform
	dir := filepath.Join(r.dir, "platform")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("drill: %s: %w", p.Name, err)
	}
	programs, err := p.Set(r.site(dir))
	if err != nil {
		return fmt.Errorf("drill: %s: %w", p.Name, err)
	}
	for i, program := range programs {
		c, err := launch(filepath.Base(program.Path), r.spec.Pin.Origin, program.Path, program.Args...)
		if err != nil {
			return err
		}
		if i < len(programs)-1 {
			r.mu.Lock()
			r.behind = append(r.behind, c)
			r.mu.Unlock()
			continue
		}
		r.set(&r.origin, c)
		if err := c.ready(ctx, near(r.inner)); err != nil {
			return err
		}
	}
	return r.awaitPage(ctx)
}

func (r *rehearsal) site(dir string) Site {
	s := Site{Dir: dir, Listen: near(r.inner), Users: r.target}
	if r.target == r.inner {
		// Users reach it from outside, and the drill itself near by.
		s.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), r.inner.Port())
	}
	return s
}

// awaitPage waits until the platform's first page is there, and a search: the
// first of its kind may take an application long.
func (r *rehearsal) awaitPage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	c := newFetcher(netip.AddrFrom4([4]byte{127, 0, 0, 1}), near(r.inner), programAgent, false)
	defer c.close()
	paths := []string{r.platform.Pages[0], r.platform.Search + squareWords[0]}
	for {
		a, err := c.do(ctx, "GET", paths[0], acceptPage, "")
		if err == nil && a.content() {
			if paths = paths[1:]; len(paths) == 0 {
				return nil
			}
			continue
		}
		if !rest(ctx, 50*time.Millisecond) {
			return fmt.Errorf("drill: %s does not answer %s: status %d, %w\n%s", r.platform.Name, paths[0], a.status, errors.Join(err, ctx.Err()), r.get(&r.origin).out)
		}
	}
}

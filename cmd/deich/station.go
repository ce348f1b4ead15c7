package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/edge"
	"github.com/deichproject/deich/gate"
	"github.com/deichproject/deich/guard"
)

const (
	// saveEvery is how often what the engine learned is written down.
	saveEvery = time.Minute
	// drainWait is how long open requests may take when Deich ends; then they are cut off.
	drainWait = 30 * time.Second
	// stateBytesMax bounds the file of what the engine learned; a longer one is not read.
	stateBytesMax = 1 << 30
)

// station is one running Deich: the parts, wired together. Nothing else in
// this command knows how they fit.
type station struct {
	terminal *terminal
	data     *dataDir
	engine   *deich.Engine
	edge     *edge.Server
	desk     *desk.Desk
	page     *pageKeeper
	keeper   *desk.Keeper // of incidents
	console  net.Listener // nil: off
	token    string
	fresh    bool // the token was made just now
	hand     handList
	keeping  *keeping // nil: nothing is kept
	started  time.Time
	version  string
	now      func() deich.Time

	read      func() (settings, error) // the configuration anew
	reloading sync.Mutex
	inForce   atomic.Pointer[settings]
	refused   atomic.Bool               // the last reload was: the file says something else than what is in force
	gate      atomic.Pointer[gate.Gate] // nil: not opened yet
	origins   atomic.Pointer[[]string]  // names, by the engine's number; "" for a free one
	chronicle chronicle
}

// open makes all parts and takes what they need; nothing is listened on yet
// but the console. Whatever fails gives back what was taken.
func openStation(t *terminal, first settings, again func() (settings, error)) (s *station, err error) {
	s = &station{terminal: t, read: again, started: time.Now(), version: versionText(), now: newClock()}
	s.putInForce(first)
	if s.data, err = openData(first.Data); err != nil {
		return nil, err
	}
	data := s.data
	defer func() {
		if err != nil {
			err = errors.Join(err, data.close())
		}
	}()
	openKeys := guard.OpenKeys
	if len(first.Spool.NATS.Servers) > 0 {
		openKeys = guard.OpenSharedKeys // with the other edges of the cluster
	}
	keys, err := openKeys(s.data.path)
	if err != nil {
		return nil, hint(err, "repair or remove the file; without it everybody is a stranger again, and nothing worse")
	}
	if s.engine, err = deich.New(first.Policy, keys.EngineSeed()); err != nil {
		return nil, err
	}
	s.hand = handList{data: s.data, engine: s.engine, now: s.now}
	if err = s.hand.load(); err != nil {
		return nil, err
	}
	if s.token, s.fresh, err = desk.OpenToken(s.data.path); err != nil {
		return nil, err
	}
	if s.desk, err = desk.New(desk.Options{Token: s.token, Names: first.ConsoleNames, State: s.state, Find: s.find, Missed: s.missed}); err != nil {
		return nil, err
	}
	s.mount(s.desk)
	s.mountSpool(s.desk)
	log := slog.New(slog.NewTextHandler(t.errs, nil))
	keeping, err := openKeeping(s.data.file(spoolFolder), first.Spool, keys.SpoolSecret(), s.observe, func(err error) { log.Error("spool", "alarm", err) })
	if err != nil {
		return nil, err
	}
	s.keeping = keeping
	defer func() {
		if err != nil {
			err = errors.Join(err, keeping.close())
		}
	}()
	s.keepIncidents()
	if err = s.tellAlerts(first.Alerts, first.Mail); err != nil {
		return nil, err
	}
	if s.edge, err = edge.New(edge.Options{
		Config: first.Config, Guard: first.Guard, Engine: s.engine, Keys: keys, Origins: first.Policy.Origins,
		Storage: s.data.file(certificatesFolder), Orders: s.toGate, Events: s.take, Now: s.now,
		Whence: s.whence, Keeper: s.keeping.keeper(), Log: log,
	}); err != nil {
		return nil, err
	}
	if s.keeping != nil {
		s.keeping.edge = s.edge
	}
	s.recall()
	if first.Console != consoleOff {
		if s.console, err = net.Listen("tcp", first.Console); err != nil {
			return nil, portHint(err, "console", "--console 127.0.0.1:2022, or --console off to go without")
		}
	}
	return s, nil
}

// newClock gives the engine's time: Unix time read once, then monotonic.
func newClock() func() deich.Time {
	start := time.Now()
	unix := deich.Time(start.UnixNano())
	return func() deich.Time { return unix.Add(time.Since(start)) }
}

// portHint says what to do about an address that cannot be listened on.
func portHint(err error, what, instead string) error {
	err = fmt.Errorf("%s: %w", what, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return hint(err, "another program listens there, perhaps another Deich; take another address: %s", instead)
	case errors.Is(err, syscall.EACCES):
		return hint(err, "ports below 1024 need rights: take a higher one (%s), or give them with setcap cap_net_bind_service=+ep", instead)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return hint(err, "this machine does not have that address: %s", instead)
	}
	return hint(err, "take another address: %s", instead)
}

// carry hands orders on that did not come from a tick.
func (s *station) carry(orders []deich.Order) {
	if len(orders) > 0 {
		s.edge.Refuse(orders)
	}
}

// revoke lets in again whoever is refused at accept within a prefix.
func (s *station) revoke(p netip.Prefix) {
	for out := deich.NewOut(); s.engine.Revoke(s.now(), p, out) > 0; out.Reset() {
		s.carry(out.Orders)
	}
	s.pardon(p)
}

func (s *station) putInForce(c settings) {
	var before []string
	if old := s.origins.Load(); old != nil {
		before = *old
	}
	names := nameOrigins(before, c.Sites, c.Policy.Origins)
	s.origins.Store(&names)
	s.inForce.Store(&c)
}

// recall gives engine and guard what they had learned. Losing that is no
// reason to leave the platform without a dike: they learn again.
func (s *station) recall() {
	for _, part := range []struct {
		file string
		load func([]byte, []int) error
	}{
		{stateFile, func(b []byte, was []int) error { return s.engine.Load(b, s.now(), was...) }},
		{routesFile, func(b []byte, was []int) error { return s.edge.Guard().Load(b, was...) }},
	} {
		b, err := readBounded(s.data.file(part.file), stateBytesMax)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			names, learned := cutOrigins(b)
			err = part.load(learned, placesOf(*s.origins.Load(), names))
		}
		if err != nil {
			s.terminal.warn("what was learned before is lost, and is learned anew: %s: %v", part.file, err)
		}
	}
}

func readBounded(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s: %d bytes: at most %d", name, info.Size(), most)
	}
	return os.ReadFile(name)
}

// remember writes down what engine and guard learned.
func (s *station) remember() (err error) {
	defer func() {
		// An engine that fails is no reason to end: guard goes on without it.
		if p := recover(); p != nil {
			err = fmt.Errorf("engine: save: %v", p)
		}
	}()
	// A reload may give another platform a number meanwhile, so the names are read once.
	names := *s.origins.Load()
	return errors.Join(
		s.data.write(stateFile, s.engine.Save(headOrigins(names))),
		s.data.write(routesFile, s.edge.Guard().Save(headOrigins(names))))
}

// serve runs everything until ctx ends; then open requests are answered, what
// was learned is written down, and nothing is left behind.
func (s *station) serve(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.keeping.close(), s.data.close()) }()
	defer roomyHeap()()
	inner, stop := context.WithCancel(context.Background())
	defer stop()
	var running sync.WaitGroup
	if s.console != nil {
		// A full disk is no reason to leave the platform without a dike.
		if err := s.data.noteConsole(s.console.Addr()); err != nil {
			s.terminal.warn("deich's commands do not find this Deich: where its console listens is not written down: %v", err)
		}
		running.Go(func() {
			// The desk stands apart: without it the edge serves on.
			if err := s.desk.Serve(inner, s.console); err != nil {
				s.terminal.warn("the console has ended: %v", err)
			}
		})
	}
	if s.console == nil {
		running.Go(func() { s.desk.Run(inner) }) // incidents are kept all the same
	}
	running.Go(func() { s.saveNowAndThen(inner) })
	running.Go(func() { s.expectCrowds(inner) })
	if err := s.edge.Start(inner); err != nil {
		stop()
		running.Wait()
		var op *net.OpError
		if !errors.As(err, &op) {
			return err // a certificate, not an address
		}
		return portHint(err, "listen", "--listen :8081")
	}
	// Like the desk, the page stands apart.
	if s.page, err = openPage(s.inForce.Load().page(s.data.path), s.terminal); err != nil {
		complain(s.terminal.errs, err)
	}
	if err := s.openGate(inner, &running); err != nil {
		stop()
		err = errors.Join(err, s.edge.Shutdown(inner)) // nobody is waited for
		running.Wait()
		s.page.leave()
		return err
	}
	s.keeping.start()
	if err := s.page.start(); err != nil {
		s.terminal.warn("%v", err)
	}
	s.announce()
	running.Go(func() { s.page.keep(ctx) })
	<-ctx.Done()
	// Both at once: what is on its way to a platform must not use up the time of
	// those who wait for an answer.
	drain, cancel := context.WithTimeout(context.Background(), drainWait)
	defer cancel()
	var delivering sync.WaitGroup
	delivering.Go(func() { s.keeping.stop(drain) })
	err = s.edge.Shutdown(drain)
	delivering.Wait()
	stop()
	running.Wait()
	err = errors.Join(err, s.closeGate())
	s.page.end()
	return errors.Join(err, s.remember(), s.closeIncidents())
}

func (s *station) saveNowAndThen(ctx context.Context) {
	each := time.NewTicker(saveEvery)
	defer each.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-each.C:
			if err := s.remember(); err != nil {
				s.terminal.warn("what the engine learned is not written down: %v", err)
			}
		}
	}
}

// announce says calmly where everything is.
func (s *station) announce() {
	c := s.inForce.Load()
	t := s.terminal
	t.say("Deich stands in front of %s.", strings.Join(slices.DeleteFunc(slices.Clone(s.originNames()), func(n string) bool { return n == "" }), " and "))
	for i, a := range s.edge.Addrs() {
		t.say("  users     %s", c.link(i, a))
	}
	switch {
	case s.console == nil:
		t.say("  console   off")
	case s.fresh:
		t.say("  console   http://%s/?token=%s", reachable(s.console.Addr()), s.token)
	default:
		t.say("  console   http://%s/ (its token stands in %s)", reachable(s.console.Addr()), s.data.file(desk.TokenFile))
	}
	switch {
	case s.page.serving != nil && s.page.serving.before:
		t.say("  status    http://%s/ (its process has outlived the last Deich, and goes on)", reachableText(s.page.serving.address))
	case s.page.serving != nil:
		t.say("  status    http://%s/", reachableText(s.page.serving.address))
	case c.Status != consoleOff:
		t.say("  status    none: it could not start, as said above")
	}
	t.say("  data      %s", s.data.path)
	if c.Gate.Mode != gate.Off {
		t.say("  gate      %s", gateWords(s.gateStatus()))
	}
	if c.Policy.Observe {
		t.say("It only observes: it judges and counts, and lets everything pass.")
	}
	t.say("Ctrl-C ends it, once open requests are answered.")
}

// reload reads the configuration anew and puts it in force, whole or not at all. That it
// was refused is said to others than who asked, too: a signal has no answer. by is in
// what way it was asked for.
func (s *station) reload(by string) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	err := s.renew()
	s.refused.Store(err != nil)
	if err != nil {
		s.acted(by, "reload_refused", sentence{"The configuration was read anew and refused; what was in force before stays in force. deich reload says why.",
			"Die Konfiguration wurde neu gelesen und abgelehnt; was zuvor galt, gilt weiter. deich reload sagt, warum."})
		return err
	}
	s.acted(by, "reloaded", sentence{"The configuration was read anew and is in force.", "Die Konfiguration wurde neu gelesen und ist in Kraft."})
	return nil
}

// renew does it. The edge may find files that it cannot read, so it goes first; the engine
// was asked before.
func (s *station) renew() error {
	next, err := s.read()
	if err != nil {
		return err
	}
	before := s.inForce.Load()
	next.Policy.Origins = before.Policy.Origins // the edge says so where the engine has no room for more
	if err := s.fixed(before, &next); err != nil {
		return err
	}
	if err := s.edge.Swap(next.Config, next.Guard); err != nil {
		return err
	}
	if err := s.engine.Swap(next.Policy); err != nil {
		return errors.Join(err, s.edge.Swap(before.Config, before.Guard)) // unreachable: it was asked
	}
	if s.keeping != nil {
		if err := s.keeping.swap(next.Spool); err != nil {
			return err // unreachable: it was validated
		}
	}
	s.putInForce(next)
	return nil
}

// fixed gives an error for everything that cannot change while Deich runs, each with its
// path in the file.
func (s *station) fixed(before, next *settings) error {
	var all []error
	for _, key := range []struct {
		path string
		same bool
		text string
	}{
		{"data", next.Data == before.Data, ""},
		{"console", next.Console == before.Console, ""},
		{"console_names", slices.Equal(next.ConsoleNames, before.ConsoleNames), ""},
		{"status", next.Status == before.Status, ""},
		{"status_url", next.StatusURL == before.StatusURL, ""},
		{"subscribe", next.Subscribe == before.Subscribe, ""},
		{"mail", next.Mail == before.Mail, ""},
		{"alerts.webhooks", slices.Equal(next.Alerts.Webhooks, before.Alerts.Webhooks), ""},
		{"alerts.alertmanagers", slices.Equal(next.Alerts.Alertmanagers, before.Alerts.Alertmanagers), ""},
		{"alerts.mail", slices.Equal(next.Alerts.Mail, before.Alerts.Mail), ""},
		{"spool.keep", s.keeping != nil || len(next.Spool.Keep) == 0, "the first kept route takes a restart"},
		{"spool.bytes", next.Spool.Bytes == before.Spool.Bytes, ""},
		{"spool.nats", next.Spool.NATS.Same(before.Spool.NATS), ""},
		{"gate", next.Gate.Same(before.Gate), "cannot change while running, but for gate.allow: restart"},
		{"policy.observe", before.Gate.Mode == gate.Off || next.Policy.Observe == before.Policy.Observe, "cannot change while a gate is asked for: restart"},
	} {
		if !key.same {
			all = append(all, &deich.PolicyError{Path: key.path, Text: cmp.Or(key.text, "cannot change while running: restart")})
		}
	}
	for _, e := range policyErrors(s.engine.Swappable(next.Policy)) {
		all = append(all, &deich.PolicyError{Path: join("policy", e.Path), Text: e.Text})
	}
	return errors.Join(append(all, s.edge.Swappable(next.Config))...)
}

// bypass lets everybody pass for a span, or ends that with 0.
func (s *station) bypass(span time.Duration) (until time.Time) {
	if span == 0 {
		s.engine.Bypass(0)
		return until
	}
	s.engine.Bypass(s.now().Add(span))
	// Everybody: also those who are refused before they can ask.
	for _, p := range everybody {
		s.revoke(p)
	}
	return s.bypassed()
}

// bypassed gives until when; zero where it is not on.
func (s *station) bypassed() time.Time {
	end := s.engine.BypassUntil()
	if end <= s.now() {
		return time.Time{}
	}
	return wall(end)
}

// ordered gives the orders in force, those that last longest first.
func (s *station) ordered() []deich.Order {
	all := s.engine.Orders(s.now())
	slices.SortFunc(all, func(a, b deich.Order) int {
		return cmp.Or(cmp.Compare(b.Until, a.Until), a.Prefix.Compare(b.Prefix))
	})
	return all
}

// whence gives the operator and the country of an address' network, as the files say.
func (s *station) whence(a netip.Addr) (operator uint32, country uint16) {
	operator, of := s.inForce.Load().atlas.Find(a)
	return operator, uint16(of)
}

func (s *station) observe() bool { return s.inForce.Load().Policy.Observe }

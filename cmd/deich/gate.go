package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/gate"
)

// toGate hands orders on to the kernel, beside the listener.
func (s *station) toGate(list []deich.Order) {
	if g := s.gate.Load(); g != nil {
		g.Carry(list)
	}
}

// openGate sets up what the configuration asks for, once it is known which
// ports are Deich's own.
func (s *station) openGate(ctx context.Context, running *sync.WaitGroup) error {
	c := s.inForce.Load()
	asked := c.Gate
	asked.Allow = nil // spared gives it, as it is after a reload
	asked.DryRun = asked.DryRun || c.Policy.Observe
	g, err := gate.Open(gate.Options{
		Config: asked, Owner: gateOwner(s.data.path), Ports: s.ownPorts(c), Allow: s.spared, Now: s.now,
		Seen: func(all []deich.Count) {
			s.engine.Seen(s.now(), all)
			s.edge.Guard().Seen(all)
		},
		Log: slog.New(slog.NewTextHandler(s.terminal.errs, nil)),
	})
	if err != nil {
		return hint(err, "gate.mode auto takes what can be had, and goes without where nothing can")
	}
	s.gate.Store(g)
	if !s.bypassed().IsZero() {
		s.pardon(everybody...) // it began before there was a gate
	}
	if g.Status().Backend != gate.None {
		if err := gate.Confine(); err != nil {
			s.terminal.warn("more rights are kept than are needed: %v", err)
		}
	}
	running.Go(func() { g.Run(ctx) })
	g.Carry(s.engine.Orders(s.now())) // from before there was a gate
	return nil
}

// gateOwner tells Deichs apart whose gates are pinned on one machine.
func gateOwner(data string) string {
	if whole, err := filepath.Abs(data); err == nil {
		return whole
	}
	return data
}

// everybody is whom a bypass reaches.
var everybody = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// pardon takes back what a Deich before this one judged within prefixes, where
// the gate has outlived it.
func (s *station) pardon(all ...netip.Prefix) {
	if g := s.gate.Load(); g != nil {
		for _, p := range all {
			g.Pardon(p)
		}
	}
}

func (s *station) closeGate() error {
	if g := s.gate.Load(); g != nil {
		return g.Close()
	}
	return nil
}

// ownPorts are those that clients come in by; with HTTP/3 those of UDP, too.
func (s *station) ownPorts(c *settings) (all []gate.Port) {
	for i, a := range s.edge.Addrs() {
		at, ok := a.(*net.TCPAddr)
		if !ok {
			continue
		}
		all = append(all, gate.Port{At: at.AddrPort()})
		if c.HTTP3 != "off" && strings.HasPrefix(c.link(i, a), "https:") {
			all = append(all, gate.Port{At: at.AddrPort(), UDP: true})
		}
	}
	return all
}

// spared are who is never dropped: trusted proxies, and what is allowed by hand.
func (s *station) spared() (all []netip.Prefix) {
	c := s.inForce.Load()
	for _, text := range slices.Concat(c.TrustedProxies, c.Gate.Allow) {
		if p, err := gate.ReadPrefix(text); err == nil {
			all = append(all, p)
		}
	}
	for _, h := range s.engine.Listed(s.now()) {
		if h.Act == deich.Allow && h.Prefix.IsValid() {
			all = append(all, h.Prefix)
		}
	}
	return all
}

// gateStatus is what is known of it; it may not be open yet.
func (s *station) gateStatus() gate.Status {
	if g := s.gate.Load(); g != nil {
		return g.Status()
	}
	return gate.Status{Backend: gate.None, Why: "Deich is starting"}
}

func viewGate(s gate.Status) desk.Gate {
	v := desk.Gate{Backend: s.Backend, Why: s.Why, Sources: s.Sources, Missed: s.Missed}
	for _, r := range gate.Reasons() {
		c := s.Counts[r]
		v.Packets = append(v.Packets, desk.GatePackets{Reason: r.String(), Packets: c.Packets, Bytes: c.Bytes, Dropped: r.Drops() && !s.DryRun})
	}
	return v
}

func (s *station) serveGate(w http.ResponseWriter, _ *http.Request) { desk.JSON(w, s.gateStatus()) }

func (s *station) serveGateOff(w http.ResponseWriter, r *http.Request) {
	if err := s.closeGate(); err != nil {
		desk.Problem(w, http.StatusInternalServerError, err.Error(), "as root: deich gate off")
		return
	}
	s.acted(desk.By(r), "gate_off", sentence{"The gate was taken away: the kernel drops nothing more until Deich is started again.",
		"Das Tor wurde weggenommen: Der Kern verwirft nichts mehr, bis Deich neu gestartet wird."})
	w.WriteHeader(http.StatusNoContent)
}

// gateWords says in a line what stands.
func gateWords(s gate.Status) string {
	if s.Backend == gate.None {
		return "none: " + s.Why
	}
	text := s.Backend + " at " + strings.Join(s.Interfaces, ", ")
	if s.DryRun {
		text += ", a dry run"
	}
	if s.Lock {
		text += ", for the allow list alone"
	}
	if s.Pinned != "" {
		text += ", pinned in " + s.Pinned
	}
	return text
}

// gateCommand holds the two that look at the gate and take it away.
type gateCommand struct {
	Status gateStatusCommand `cmd:"" default:"withargs" help:"Show what stands, why, and what it dropped."`
	Off    gateOffCommand    `cmd:"" help:"Take the gate away, be its Deich alive or not."`
}

type gateStatusCommand struct {
	jsonFlag
	dataFlag
}

func (gateStatusCommand) Help() string {
	return "Examples:\n  deich gate\n  deich gate status --json\n\n" +
		"Where no Deich answers it looks at this machine's interfaces and tables itself, and names what it has no\n" +
		"right to look at. That is no error: it ends with 0; --json lists it as \"unseen\"."
}

func (c *gateStatusCommand) Run(t *terminal) error {
	to, err := c.dial()
	var status gate.Status
	if err == nil {
		err = to.ask("GET", "/api/v1/gate", nil, &status)
	}
	if err != nil {
		return c.look(t, err)
	}
	if c.JSON {
		return t.json(status)
	}
	t.say("Gate: %s.", gateWords(status))
	if status.Backend == gate.None {
		return nil
	}
	t.say("Chosen because: %s.", status.Why)
	t.say("Ports: %s. Judged sources: %d. On the allow list: %d.", strings.Join(status.Ports, ", "), status.Sources, status.Allowed)
	t.say("SYNs are answered with cookies %s.", status.Cookies)
	for _, r := range gate.Reasons() {
		if n := status.Counts[r]; n.Packets > 0 {
			t.say("  %-12s %12d packets %15d bytes  %s", r, n.Packets, n.Bytes, fate(r, status.DryRun))
		}
	}
	if len(status.Samples) > 0 {
		t.say("The latest of one drop in many:")
	}
	for _, one := range status.Samples {
		t.say("  %s ago  %s to %s/%d: %s", spanText(one.Ago.Round(time.Second)), one.From, one.Protocol, one.Port, one.Reason)
	}
	if status.Missed > 0 {
		t.say("%s could not be carried out: those sources are refused at accept.", some(int(status.Missed), "order"))
	}
	if status.Trouble != "" {
		t.say("Trouble: %s.", status.Trouble)
	}
	return nil
}

func fate(r gate.Reason, dry bool) string {
	switch {
	case r.Drops() && dry:
		return "would be dropped"
	case r.Drops():
		return "dropped"
	}
	return "passed"
}

// look finds what stands where no Deich answers. What this user may not look at
// is told, and is no failure: a monitor without rights would be alarmed by
// nothing for ever.
func (c *gateStatusCommand) look(t *terminal, why error) error {
	found, unseen, err := gate.Found()
	v := gate.Foresee(gate.Options{Ports: (&patient{}).gatePorts()})
	if c.JSON {
		return errors.Join(err, t.json(struct {
			Found   []string     `json:"found"`
			Unseen  []string     `json:"unseen"`
			Outlook gate.Outlook `json:"outlook"`
		}{append([]string{}, found...), append([]string{}, unseen...), v}))
	}
	t.say("No Deich answers: %v", why)
	if errors.Is(why, fs.ErrPermission) {
		t.say("Ask as the user who runs it, or as root.")
	}
	switch {
	case len(found) > 0 || err != nil:
	case len(unseen) > 0:
		t.say("Nothing of a gate is seen here.")
	default:
		t.say("Nothing of a gate stands here.")
	}
	for _, f := range found {
		t.say("Left standing: %s. Take it away with: deich gate off", f)
	}
	if len(unseen) > 0 {
		t.say("Not seen without more rights: %s. As root: deich gate", strings.Join(unseen, "; "))
	}
	if v.Backend == gate.None {
		t.say("gate.mode auto would find none here: %s.", v.Why)
	} else {
		t.say("gate.mode auto would take %s at %s: %s.", v.Backend, strings.Join(v.Interfaces, ", "), v.Why)
	}
	if len(v.Lacks) > 0 {
		t.say("This user lacks %s: %s", strings.Join(v.Lacks, " and "), gateRights)
	}
	return err
}

type gateOffCommand struct{ dataFlag }

func (gateOffCommand) Help() string {
	return "Examples:\n  deich gate off\n  sudo deich gate off --data /var/lib/deich\n\n" +
		"It asks the running Deich first; then, as root, it takes away whatever of a gate still stands on this\n" +
		"machine, also where Deich hangs or has died. What others put up stays. Deich goes on without a gate\n" +
		"until it is started again."
}

func (c *gateOffCommand) Run(t *terminal) error {
	asked := c.ask(t)
	gone, unseen, err := gate.Takeaway()
	for _, g := range gone {
		t.say("Taken away: %s.", g)
	}
	if err == nil && len(unseen) > 0 && !asked {
		err = errors.New("what stands here was not all seen: " + strings.Join(unseen, "; "))
	}
	if err != nil {
		return hint(fmt.Errorf("gate: %w", err), "run this as root")
	}
	switch {
	case asked && len(unseen) > 0: // what was to be done is done
		t.say("Whether another Deich left anything is not seen without more rights: %s.", strings.Join(unseen, "; "))
	case !asked && len(gone) == 0:
		t.say("Nothing of a gate stands here.")
	}
	return nil
}

// ask has the running Deich take its gate away; false where none answers.
func (c *gateOffCommand) ask(t *terminal) bool {
	to, err := c.dial()
	if err != nil {
		return false
	}
	if err := to.ask("DELETE", "/api/v1/gate", nil, nil); err != nil {
		t.warn("Deich was not asked: %v", err)
		return false
	}
	t.say("Deich goes on without a gate, until it is started again.")
	return true
}

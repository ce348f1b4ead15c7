package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/deichproject/deich"
)

// jsonFlag asks for the answer as programs read it: what the private API says.
type jsonFlag struct {
	JSON bool `name:"json" help:"Answer in JSON."`
}

// span is how long something is to hold: never no time.
type span time.Duration

// UnmarshalText reads 10m, 1h or 24h.
func (s *span) UnmarshalText(b []byte) error {
	d, err := readSpan(string(b))
	*s = span(d)
	return err
}

// listing is what allow and deny have in common.
type listing struct {
	dataFlag
	jsonFlag
	Target string `arg:"" help:"An address (203.0.113.7), a prefix (203.0.113.0/24, 2001:db8::/48) or a path and all below it (/search)."`
	Path   string `help:"An address or prefix on this path, and all below it, alone." placeholder:"PATH"`
	For    span   `help:"How long it holds; without it, until undone." placeholder:"SPAN"`
}

func (l *listing) run(t *terminal, act deich.Act) error {
	if _, _, err := readListing(l.Target, l.Path); err != nil {
		return err
	}
	c, err := l.dial()
	if err != nil {
		return err
	}
	ask := handRequest{Act: act, Target: l.Target, Path: l.Path}
	if l.For != 0 {
		ask.For = time.Duration(l.For).String()
	}
	var is handView
	if err := c.ask("POST", "/api/v1/hand", ask, &is); err != nil {
		return err
	}
	if l.JSON {
		return t.json(is)
	}
	t.say("%s %s%s. Take it back with: deich undo %d", pastWord(is.Act), clean(is.whom().English), untilWords(is.Until), is.ID)
	return nil
}

type allowCommand struct{ listing }

func (allowCommand) Help() string {
	return "Examples:\n  deich allow 203.0.113.7 --for 1h\n  deich allow 203.0.113.7 --path /api --for 1h\n  deich allow 2001:db8::/48\n  deich allow /health\n\n" +
		"A prefix on a path wins, then the narrowest prefix; what is listed later for the same one takes its place. It survives a restart."
}

func (c *allowCommand) Run(t *terminal) error { return c.run(t, deich.Allow) }

type denyCommand struct{ listing }

func (denyCommand) Help() string {
	return "Examples:\n  deich deny 203.0.113.0/24 --for 1h\n  deich deny /xmlrpc.php\n\n" +
		"Whoever is denied is told so, with a reference. The narrowest prefix wins. It survives a restart."
}

func (c *denyCommand) Run(t *terminal) error { return c.run(t, deich.Deny) }

type bypassCommand struct {
	dataFlag
	For span `help:"How long, at most 24h (${default})." default:"10m" placeholder:"SPAN"`
	Off bool `help:"End it now."`
}

func (bypassCommand) Help() string {
	return "Examples:\n  deich bypass --for 10m\n  deich bypass --off\n\n" +
		"Nobody is turned away for their rank or budget; the origin's limit and what is listed by hand hold. It ends by itself, and with a restart."
}

func (c *bypassCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	if c.Off {
		if err := to.ask("DELETE", "/api/v1/bypass", nil, nil); err != nil {
			return err
		}
		t.say("Bypass has ended: Deich judges again.")
		return nil
	}
	var is struct{ Until time.Time }
	if err := to.ask("POST", "/api/v1/bypass", bypassRequest{For: time.Duration(c.For).String()}, &is); err != nil {
		return err
	}
	t.say("Everybody passes%s; the origin's limit holds. End it with: deich bypass --off", untilWords(is.Until))
	return nil
}

type rulesCommand struct {
	dataFlag
	jsonFlag
}

func (rulesCommand) Help() string {
	return "Examples:\n  deich rules\n  deich rules --json\n\n" +
		"A rule is a sentence about what a flood has in common. It is found, watched for half a second, put in force, renewed while it is needed, " +
		"and taken back where known users meet it."
}

func (c *rulesCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	var is rulesView
	if err := to.ask("GET", "/api/v1/hand", nil, &is); err != nil {
		return err
	}
	if c.JSON {
		return t.json(is)
	}
	if !is.Bypass.IsZero() {
		t.say("Bypass is on%s: everybody passes.", untilWords(is.Bypass))
	}
	if is.Observe {
		t.say("Deich only observes: nothing below is carried out.")
	}
	if len(is.Rules) == 0 {
		t.say("No rule is in force.")
	}
	for _, r := range is.Rules {
		t.say("%5d  %s", r.ID, r.Sentence.English)
	}
	if len(is.Hand) == 0 {
		t.say("Nothing is listed by hand.")
	}
	for _, h := range is.Hand {
		t.say("%5d  %-5s  %s%s", h.ID, h.Act, clean(h.whom().English), untilWords(h.Until))
	}
	if is.OrdersAll == 0 {
		t.say("No source is refused at accept.")
		return nil
	}
	t.say("%s refused at accept, because each kept sending after it was turned away:", some(is.OrdersAll, "source"))
	for _, o := range is.Orders {
		t.say("       %s  %s%s", prefixText(o.Prefix), o.Reason, untilWords(o.Until))
	}
	if more := is.OrdersAll - len(is.Orders); more > 0 {
		t.say("       and %d more", more)
	}
	return nil
}

type undoCommand struct {
	dataFlag
	ID uint32 `arg:"" help:"The number that deich rules shows."`
}

func (undoCommand) Help() string { return "Examples:\n  deich undo 3" }

func (c *undoCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	if err := to.ask("DELETE", "/api/v1/hand/"+strconv.FormatUint(uint64(c.ID), 10), nil, nil); err != nil {
		return err
	}
	t.say("%d is taken back.", c.ID)
	return nil
}

type reloadCommand struct {
	dataFlag
	PID int `name:"pid" help:"Where there is no console to ask, send SIGHUP to this process, which answers nothing." placeholder:"NUMBER"`
}

func (reloadCommand) Help() string {
	return "Examples:\n  deich reload\n\nThe same as SIGHUP, but the exit code is 1 where it was refused. A file with a mistake, or with what takes a restart, changes nothing, and all of it is shown."
}

func (c *reloadCommand) Run(t *terminal) error {
	if _, err := readConsole(c.Data); c.PID > 0 && errors.Is(err, fs.ErrNotExist) {
		return c.signal(t)
	}
	to, err := c.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reloadWait)
	defer cancel()
	answer, err := to.send(ctx, "POST", "/api/v1/reload", nil)
	if err != nil {
		return err
	}
	answer.Body.Close()
	t.say("The configuration is in force.")
	return nil
}

// signal asks a Deich without a console.
func (c *reloadCommand) signal(t *terminal) error {
	p, err := os.FindProcess(c.PID)
	if err == nil {
		err = p.Signal(syscall.SIGHUP)
	}
	if err != nil {
		return fmt.Errorf("reload: process %d: %w", c.PID, err)
	}
	t.say("It was asked to; whether the configuration is in force its own output says.")
	return nil
}

type explainCommand struct {
	dataFlag
	jsonFlag
	What string `arg:"" name:"reference|address" help:"The reference from a refusal, or an address."`
}

func (explainCommand) Help() string {
	return "Examples:\n  deich explain REFERENCE\n  deich explain 203.0.113.7 --json\n\n" +
		"The reference stands at the foot of the page and in the header Deich-Reference. Deich keeps no row for those it refused: " +
		"the reference carries what it knew, sealed. Of an address it can say only what is listed or ordered against it now."
}

func (c *explainCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	var is explainView
	if err := to.ask("GET", "/api/v1/explain/"+url.PathEscape(c.What), nil, &is); err != nil {
		return err
	}
	if c.JSON {
		return t.json(is)
	}
	if e := is.Reference; e != nil {
		t.say("%s  %s (%s)", e.At.Local().Format("2006-01-02 15:04:05 MST"), e.Act, e.Reason)
		t.say("A %s from %s asked for a %s; it ranked %d, and the cut line stood at %d.", e.Tier, e.Prefix, kindWord(e.Kind), e.Rank, e.Cut)
		t.say("%s", reasonWords(e.Reason).English)
		return nil
	}
	sayAddress(t, is.Address)
	return nil
}

func sayAddress(t *terminal, is *addressView) {
	if len(is.Hand) == 0 && len(is.Orders) == 0 {
		t.say("Nothing is listed or ordered against %s now. Its requests are ranked like all others;", is.Address)
		t.say("why one of them was refused stands in its reference: deich explain REFERENCE")
		return
	}
	for _, h := range is.Hand {
		t.say("%s by hand: %s%s. Take it back with: deich undo %d", pastWord(h.Act), clean(h.whom().English), untilWords(h.Until), h.ID)
	}
	for _, o := range is.Orders {
		t.say("Refused at accept as %s: %s%s. Let it in with: deich allow %s", prefixText(o.Prefix), o.Reason, untilWords(o.Until), is.Address)
	}
}

func kindWord(kind string) string {
	switch kind {
	case deich.Asset.String():
		return "part of a page"
	case deich.API.String():
		return "program's answer"
	case deich.Upload.String():
		return "place for an upload"
	}
	return kind
}

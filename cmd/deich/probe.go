package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/probe"
)

// expiresSoon is how long before its end a certificate is said to end.
const expiresSoon = 21 * 24 * time.Hour

type probeCommand struct {
	dataFlag
	jsonFlag
	Checks []string      `arg:"" optional:"" help:"What to look at: [NAME=]https://host/path, tcp://host:port, tls://host:port, dns:name or dns://server/name."`
	Name   string        `help:"This probe's name (the host's)." placeholder:"NAME"`
	CA     string        `name:"ca" help:"Authorities (PEM) that certificates are checked against, in the place of the system's." type:"path" placeholder:"FILE"`
	Every  time.Duration `help:"Go on, and look so often." placeholder:"SPAN"`
	Keep   bool          `help:"Tell the Deich on this machine, for the status page."`
	Take   bool          `help:"Tell it what a probe elsewhere found: its reports (--json) come in on the standard input."`
	List   bool          `help:"Show what probes found lately, and where they agree."`
}

func (probeCommand) Help() string {
	return "Examples:\n" +
		"  deich probe https://www.example.org/ tls://www.example.org:443 dns:www.example.org\n" +
		"  deich probe https://www.example.org/ payments=https://pay.example.net/health --every 30s --keep\n" +
		"  deich probe https://www.example.org/ --every 30s --json | ssh edge deich probe --take\n" +
		"  deich probe --list\n\n" +
		"A check is named by its host, or by NAME. What has the name of a site is that site on the status page; all else is what it needs. One probe alone " +
		"calls nothing down: at least two must find it so, and more than half of those that look."
}

func (c *probeCommand) Run(t *terminal) error {
	if n := len(c.Checks); (n > 0) == (c.Take || c.List) || c.Take && c.List || n > probe.ChecksMax {
		return hint(fmt.Errorf("probe: name what to look at, at most %d things; or --take, or --list", probe.ChecksMax), "deich probe --help has examples")
	}
	switch {
	case c.List:
		return c.list(t)
	case c.Take:
		return c.take(t, os.Stdin)
	case c.Every != 0 && (c.Every < probe.EveryLeast || c.Every > probe.EveryMost):
		return fmt.Errorf("probe: --every: between %s and %s", spanText(probe.EveryLeast), spanText(probe.EveryMost))
	}
	var checks []probe.Check
	var wrong []error
	for _, text := range c.Checks {
		one, err := probe.Parse(text)
		wrong = append(wrong, err)
		checks = append(checks, one)
	}
	looker, err := c.looker()
	if err = errors.Join(append(wrong, err)...); err != nil {
		return hint(err, "deich probe --help has examples")
	}
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return hint(fmt.Errorf("probe: %w", err), "name it: --name NAME")
		}
		c.Name = host
	}
	ctx, stop := untilSignal()
	defer stop()
	var each <-chan time.Time
	if c.Every > 0 {
		ticker := time.NewTicker(c.Every)
		defer ticker.Stop()
		each = ticker.C
	}
	for {
		r := probe.Report{By: c.Name, At: time.Now().Truncate(time.Millisecond), Results: looker.Look(ctx, checks)}
		if ctx.Err() != nil {
			return nil
		}
		err := c.tell(t, &r)
		if c.Every == 0 {
			return err
		}
		if err != nil {
			t.warn("%v", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-each:
		}
	}
}

func (c *probeCommand) looker() (l probe.Looker, err error) {
	if c.CA == "" {
		return l, nil
	}
	b, err := os.ReadFile(c.CA)
	if err != nil {
		return l, fmt.Errorf("probe: --ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return l, fmt.Errorf("probe: --ca: %s holds no certificate in PEM", c.CA)
	}
	return probe.Looker{TLS: &tls.Config{RootCAs: pool}}, nil
}

// tell shows a report, and keeps it where that is asked for. What is not well
// is an error where it is looked at once.
func (c *probeCommand) tell(t *terminal, r *probe.Report) error {
	down := 0
	for i := range r.Results {
		if !r.Results[i].OK {
			down++
		}
	}
	switch {
	case c.JSON:
		if err := t.json(r); err != nil {
			return err
		}
	case c.Every == 0 || !c.Keep:
		w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		for i := range r.Results {
			f := &r.Results[i]
			is, text := "well", clean(f.Text)
			if !f.OK {
				is = "DOWN"
			}
			if left := f.Expires.Sub(r.At); !f.Expires.IsZero() && left < expiresSoon {
				text += "; its certificate ends in " + incident.Span(max(0, left)).English
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%.0f ms\t%s\n", is, clean(f.Name), clean(f.Target), f.Took, text)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if c.Keep {
		if err := c.keep(r); err != nil {
			return err
		}
	}
	if down > 0 && c.Every == 0 {
		return fmt.Errorf("%d of %s not well", down, some(len(r.Results), "check"))
	}
	return nil
}

func (c *probeCommand) keep(r *probe.Report) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	return to.ask("POST", "/api/v1/probes", r, nil)
}

// take keeps the reports that come in, one after another, until they end. What is
// not a report ends it: it would be garbage from then on.
func (c *probeCommand) take(t *terminal, in io.Reader) error {
	limit := &io.LimitedReader{R: in}
	d := json.NewDecoder(limit)
	for {
		limit.N = inputBytesMax
		var r probe.Report
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return hint(fmt.Errorf("probe: what comes in is no report: %w", err), "pipe deich probe … --json into it")
		}
		if err := c.keep(&r); err != nil {
			t.warn("%s: %v", clean(r.By), err)
		}
	}
}

func (c *probeCommand) list(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	var is desk.Outside
	if err := to.ask("GET", "/api/v1/probes", nil, &is); err != nil {
		return err
	}
	if c.JSON {
		return t.json(is)
	}
	if len(is.Views) == 0 {
		t.say("No probe has reported within a day.")
		return nil
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, v := range is.Views {
		word := "well"
		switch {
		case v.Probes == 0:
			word = "not known"
		case v.Agreed:
			word = "DOWN"
		case len(v.Down) > 0:
			word = "in doubt"
		}
		by := fmt.Sprintf("%s looked", some(v.Probes, "probe"))
		if len(v.Down) > 0 {
			by += ", down for " + strings.Join(v.Down, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", word, clean(v.Name), by)
	}
	return w.Flush()
}

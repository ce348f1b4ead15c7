package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
)

type incidentClaimCommand struct {
	oneIncident
	personFlag
	File     string    `help:"The whole claim as JSON; - reads it from the standard input." placeholder:"FILE"`
	Who      string    `help:"Who claims it, as they call themselves." placeholder:"NAME"`
	Where    string    `help:"The channel." placeholder:"TEXT"`
	When     time.Time `help:"When it was said, with the channel's zone." placeholder:"TIME"`
	Language string    `help:"The language of the text." placeholder:"CODE"`
	Text     string    `help:"What was said, word for word. Its SHA-256 is kept with it." placeholder:"TEXT"`
	Target   string    `help:"What they say they hit." placeholder:"TEXT"`
	From     time.Time `help:"The claimed window: its begin." placeholder:"TIME"`
	To       time.Time `help:"The claimed window: its end." placeholder:"TIME"`
	About    bool      `help:"The window's times are only about right."`
	Vector   string    `help:"The claimed kind: http, volumetric, or another word." placeholder:"WORD"`
	Rate     float64   `help:"The claimed size, in requests a second." placeholder:"N"`
	Bits     float64   `help:"The claimed size, in bits a second." placeholder:"N"`
	Outage   bool      `help:"They claim that users could not use it."`
	Purpose  string    `help:"The claimed purpose, such as \"a test\"." placeholder:"TEXT"`
	Proof    string    `help:"What they offer as proof." placeholder:"TEXT"`
	Relayed  []string  `help:"Who passed it on." sep:"none" placeholder:"NAME"`
	Doubted  []string  `help:"Who could not confirm it." sep:"none" placeholder:"NAME"`
	Asked    []string  `help:"Who was asked and did not answer." sep:"none" placeholder:"NAME"`
}

func (incidentClaimCommand) Help() string {
	return "Examples:\n  deich incident claim latest --who DieNet --where Telegram --from 2026-03-07T15:00:00+01:00 --about --vector http --outage --purpose \"a test\" --relayed \"SITE Intelligence Group\" --doubted AFP\n" +
		"  deich incident claim latest --file claim.json\n\n" +
		"Each point comes out consistent, contradicted or not verifiable, with reasons. Consistent is not attribution."
}

func (c *incidentClaimCommand) Run(t *terminal) error {
	q := desk.ClaimRequest{By: c.name()}
	if c.File != "" {
		b, err := readInput(c.File)
		if err == nil {
			err = json.Unmarshal(b, &q.Claim)
		}
		if err != nil {
			return hint(fmt.Errorf("claim: %s: %w", c.File, err), "docs/operate/incidents.md shows one")
		}
	} else {
		said := func(names []string) (all []incident.Said) {
			for _, n := range names {
				all = append(all, incident.Said{Who: n})
			}
			return all
		}
		q.Claim = incident.Claim{
			Who: c.Who, Where: c.Where, At: c.When, Language: c.Language, Text: c.Text, Target: c.Target,
			From: incident.Stamp{Time: c.From, About: c.About}, To: incident.Stamp{Time: c.To, About: c.About}, Vector: c.Vector, Rate: c.Rate, Bits: c.Bits,
			Outage: c.Outage, Purpose: c.Purpose, Proof: c.Proof, Relayed: said(c.Relayed), Doubted: said(c.Doubted), Asked: said(c.Asked),
		}
		if c.From.IsZero() {
			q.Claim.From.About = false
		}
		if c.To.IsZero() {
			q.Claim.To.About = false
		}
	}
	to, path, err := c.resolve()
	if err != nil {
		return err
	}
	var is desk.IncidentView
	if err := to.ask("POST", path+"/claims", q, &is); err != nil {
		return err
	}
	if c.JSON {
		return t.json(is.Claims[len(is.Claims)-1])
	}
	tellFinding(t, &is.Claims[len(is.Claims)-1])
	return nil
}

// tellFinding shows what the record says of a claim.
func tellFinding(t *terminal, h *incident.HeldClaim) {
	f := h.Finding
	if f == nil {
		return
	}
	t.say("What %s claims is %s. %s", clean(h.Who), f.Answer, clean(f.Why.English))
	for _, p := range f.Points {
		sure := ""
		if p.Answer != incident.NotVerifiable {
			sure = fmt.Sprintf(" (%.0f %%)", 100*p.Sure)
		}
		t.say("  %-28s %s%s. %s", p.Title.English+":", p.Answer, sure, clean(p.Why.English))
	}
	t.say("%s", f.Note.English)
}

package main

import (
	"fmt"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
)

// planCommand holds what people say ahead of time.
type planCommand struct {
	Maintenance planMaintenanceCommand `cmd:"" help:"Announce that something is worked on."`
	Crowd       planCrowdCommand       `cmd:"" help:"Announce that many people are expected; the engine then takes that for evidence."`
	List        planListCommand        `cmd:"" help:"List what is planned, and was."`
	Cancel      planCancelCommand      `cmd:"" help:"Call a plan off."`
}

// aPlan is what both kinds are announced with.
type aPlan struct {
	dataFlag
	jsonFlag
	personFlag
	Title   string    `arg:"" help:"What it is, in a few words. The public reads it."`
	TitleDE string    `name:"title-de" help:"The same in German." placeholder:"TEXT"`
	From    time.Time `required:"" help:"When it begins, with its zone (2026-03-07T20:00:00+01:00)." placeholder:"TIME"`
	To      time.Time `required:"" help:"When it ends." placeholder:"TIME"`
}

func (a *aPlan) announce(t *terminal, kind incident.PlanKind) error {
	to, err := a.dial()
	if err != nil {
		return err
	}
	var p incident.Plan
	q := desk.PlanRequest{Kind: kind, Title: incident.Text{English: a.Title, German: a.TitleDE}, From: a.From, To: a.To, By: a.name()}
	if err := to.ask("POST", "/api/v1/plans", q, &p); err != nil {
		return err
	}
	if a.JSON {
		return t.json(p)
	}
	t.say("Announced as %s, on the status page and in its calendar. deich plan cancel %s calls it off.", p.ID, p.ID)
	return nil
}

type planMaintenanceCommand struct{ aPlan }

func (planMaintenanceCommand) Help() string {
	return "Examples:\n  deich plan maintenance \"New disks\" --title-de \"Neue Platten\" --from 2026-03-07T20:00:00+01:00 --to 2026-03-07T22:00:00+01:00\n\n" +
		"It stands on the status page from two weeks before. What is measured meanwhile is measured as ever."
}

func (c *planMaintenanceCommand) Run(t *terminal) error { return c.announce(t, incident.Maintenance) }

type planCrowdCommand struct{ aPlan }

func (planCrowdCommand) Help() string {
	return "Examples:\n  deich plan crowd \"Tickets on sale\" --title-de \"Kartenverkauf\" --from 2026-03-07T20:00:00+01:00 --to 2026-03-07T22:00:00+01:00\n\n" +
		"While it lasts, the engine holds a crowd for a little likelier. Alone that says nothing: whoever attacks can read the calendar, too."
}

func (c *planCrowdCommand) Run(t *terminal) error { return c.announce(t, incident.Crowd) }

type planListCommand struct {
	dataFlag
	jsonFlag
}

func (planListCommand) Help() string {
	return "Examples:\n  deich plan list\n  deich plan list --json"
}

func (c *planListCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	all := []incident.Plan{}
	if err := to.ask("GET", "/api/v1/plans", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return t.json(all)
	}
	if len(all) == 0 {
		t.say("Nothing is planned.")
		return nil
	}
	now := time.Now()
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLAN\tKIND\tFROM\tTO\tIS\tTITLE")
	for _, p := range all {
		is := "ahead"
		switch {
		case p.Off:
			is = "called off"
		case p.Runs(now):
			is = "now"
		case p.To.Before(now):
			is = "over"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Kind, incident.DayClock(p.From, time.Local).English, incident.DayClock(p.To, time.Local).English, is, clean(p.Title.In("en")))
	}
	return w.Flush()
}

type planCancelCommand struct {
	dataFlag
	jsonFlag
	personFlag
	ID string `arg:"" help:"The plan, as deich plan list names it."`
}

func (planCancelCommand) Help() string {
	return "Examples:\n  deich plan cancel 2026-03-07-p1\n\nCalendars that follow the status page are told that it is called off."
}

func (c *planCancelCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	var p incident.Plan
	if err := to.ask("POST", "/api/v1/plans/"+url.PathEscape(c.ID)+"/cancel", desk.CancelRequest{By: c.name()}, &p); err != nil {
		return err
	}
	if c.JSON {
		return t.json(p)
	}
	t.say("Called off: the status page and its calendar say so.")
	return nil
}

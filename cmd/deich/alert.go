package main

import (
	"errors"
	"fmt"
	"os/user"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/alert"
	"github.com/deichproject/deich/desk/mail"
)

// tellAlerts has the desk tell people what needs them. That e-mail cannot be sent is no
// reason to leave the platform without a dike: each letter is tried again.
func (s *station) tellAlerts(c alert.Config, by mail.Config) error {
	mailer, err := by.Open()
	if err != nil {
		return err // unreachable: it was validated
	}
	if len(c.Mail) > 0 {
		if err := mailer.Ready(); err != nil {
			s.terminal.warn("nobody is told of alerts by e-mail until this is right: %v", err)
		}
	}
	sender, err := alert.NewSender(c, mailer, time.Now)
	if err != nil {
		return err
	}
	s.desk.SendAlerts(sender)
	return nil
}

// alertCommand holds what operators do with alerts.
type alertCommand struct {
	List alertListCommand `cmd:"" default:"withargs" help:"Show what needs a person, and whether the places that are told took it."`
	Take alertTakeCommand `cmd:"" help:"Take an alert on, so that it is not told again until it is over."`
	Test alertTestCommand `cmd:"" help:"Send a test to every place that alerts are told to."`
}

type alertListCommand struct {
	jsonFlag
	dataFlag
}

func (alertListCommand) Help() string {
	return "Examples:\n  deich alert list\n  deich alert list --json"
}

func (c *alertListCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	var v desk.AlertsView
	if err := to.ask("GET", "/api/v1/alerts", nil, &v); err != nil {
		return err
	}
	if c.JSON {
		return t.json(v)
	}
	for _, a := range v.Active {
		taken := ""
		if a.TakenBy != "" {
			taken = " Taken on by " + a.TakenBy + "."
		}
		t.say("%-6s  %s  since %s  %s%s", a.Severity, a.Key(), a.Since.Local().Format("2006-01-02 15:04:05"), a.Text, taken)
	}
	if len(v.Active) == 0 {
		t.say("Nothing needs you.")
	}
	for _, p := range v.Places {
		text := fmt.Sprintf("%s took %s", p.Name, some(int(p.Sent), "message"))
		if p.Trouble != "" {
			text += ", but not the last: " + p.Trouble
		}
		if p.Lost > 0 {
			text += fmt.Sprintf("; it will not hear of %s", some(int(p.Lost), "alert"))
		}
		t.say("%s.", text)
	}
	if len(v.Places) == 0 {
		t.say("Nobody is told: alerts.webhooks, alerts.mail and alerts.alertmanagers name the places that are.")
	}
	return nil
}

type alertTakeCommand struct {
	dataFlag
	Alert string `arg:"" help:"The alert, as list shows it."`
	By    string `help:"Who takes care of it (you)." placeholder:"NAME"`
}

func (alertTakeCommand) Help() string {
	return "Examples:\n  deich alert take users_not_served\n  deich alert take \"origin_failing http://10.0.0.5:3000\" --by Anna"
}

func (c *alertTakeCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	if c.By == "" {
		you, err := user.Current()
		if err != nil {
			return hint(errors.New("who takes it on?"), "name yourself: --by NAME")
		}
		c.By = you.Username
	}
	if err := to.ask("POST", "/api/v1/alerts/take", desk.TakeRequest{Alert: c.Alert, By: c.By}, nil); err != nil {
		return err
	}
	t.say("%s takes it on. It is not told again until it is over.", c.By)
	return nil
}

type alertTestCommand struct{ dataFlag }

func (alertTestCommand) Help() string {
	return "Examples:\n  deich alert test\n\nThe exit code is 1 where a place did not take it."
}

func (c *alertTestCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	var all []desk.AlertTest
	if err := to.ask("POST", "/api/v1/alerts/test", nil, &all); err != nil {
		return err
	}
	if len(all) == 0 {
		return hint(errors.New("nobody is told"), "name the places in the configuration: alerts.webhooks, alerts.mail, alerts.alertmanagers")
	}
	failed := 0
	for _, one := range all {
		if one.Trouble == "" {
			t.say("%s took it.", one.Place)
			continue
		}
		failed++
		t.say("%s did not: %s.", one.Place, one.Trouble)
	}
	if failed > 0 {
		return fmt.Errorf("alert: %d of %s did not take it", failed, some(len(all), "place"))
	}
	return nil
}

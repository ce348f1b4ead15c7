package desk

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/deichproject/deich/desk/alert"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/probe"
)

// SendAlerts lets the desk tell people what needs them; before Serve.
func (d *Desk) SendAlerts(s *alert.Sender) {
	d.alerts = s
	d.Mount("GET /api/v1/alerts", d.answer(func(*http.Request) (any, error) {
		return AlertsView{s.Active(), s.Places()}, nil
	}))
	d.Mount("POST /api/v1/alerts/test", d.answer(func(r *http.Request) (any, error) {
		ctx, cancel := context.WithTimeout(r.Context(), alertTestWait)
		defer cancel()
		all := []AlertTest{}
		for place, err := range s.Test(ctx) {
			one := AlertTest{Place: place}
			if err != nil {
				one.Trouble, one.German = err.Error(), "die Probe kam dort nicht an ("+err.Error()+")"
			}
			all = append(all, one)
		}
		d.Did(Action{At: d.now(), Kind: "alert_tested", By: By(r), Text: "A test was sent to every place that alerts are told to.",
			German: "Eine Probe ging an alle Stellen, denen Alarme gemeldet werden."})
		return all, nil
	}))
	d.Mount("POST /api/v1/alerts/take", d.answer(func(r *http.Request) (any, error) {
		var q TakeRequest
		if err := readForm(r, &q); err != nil {
			return nil, err
		}
		if err := checkName(q.By); err != nil {
			return nil, err
		}
		if !s.Take(q.Alert, q.By) {
			return nil, errNoAlert
		}
		d.Did(Action{At: d.now(), Kind: "alert_taken", By: q.By, Text: "The alert " + q.Alert + " is taken care of.",
			German: "Um den Alarm " + q.Alert + " kümmert sich jemand."})
		return AlertsView{s.Active(), s.Places()}, nil
	}))
}

// AlertsView is what needs a person, and the places that are told.
type AlertsView struct {
	Active []alert.Alert `json:"active"`
	Places []alert.Place `json:"places"`
}

// AlertTest is what came of a test at one place; no trouble: it took it.
type AlertTest struct {
	Place   string `json:"place"`
	Trouble string `json:"trouble,omitempty"`
	German  string `json:"trouble_de,omitempty"`
}

// TakeRequest says who takes care of an alert, by its name and, where it has
// one, its origin behind a space.
type TakeRequest struct {
	Alert string `json:"alert"`
	By    string `json:"by"`
}

// alarms are what needs a person now, also by what was seen from outside. A flood
// that is held back is none.
func alarms(s *State, v *Live, outside []probe.View) (all []alert.Alert) {
	add := func(name, origin string, severity alert.Severity, lasts time.Duration, english, german string) {
		all = append(all, alert.Alert{Name: name, Origin: origin, Severity: severity, For: lasts, Text: english, German: german})
	}
	for i := range s.Origins {
		if o := &s.Origins[i]; o.Failing {
			add("origin_failing", o.Name, alert.Page, 30*time.Second, "The platform "+o.Name+" does not answer.", "Die Plattform "+o.Name+" antwortet nicht.")
		}
	}
	for i := range outside {
		if o := &outside[i]; o.Agreed {
			text := unreachedText(o)
			add("unreached", o.Name, alert.Page, time.Minute, text.English, text.German)
		}
	}
	if share, asked := known(v.Groups); share >= 0 && share < .99 && asked >= 1 {
		add("users_not_served", "", alert.Page, time.Minute, english.Share(share)+" of known users' requests are served.",
			german.Share(share)+" der Anfragen bekannter Nutzer werden bedient.")
	}
	if s.Failopen {
		add("fails_open", "", alert.Page, time.Minute, "The engine failed and is being left alone: requests pass without ranks.",
			"Die Maschine ist ausgefallen und wird in Ruhe gelassen: Anfragen kommen ohne Rang durch.")
	}
	if s.Panics > 0 {
		add("engine_failed", "", alert.Ticket, 0, "The engine failed and was caught; requests went on. Please report it.",
			"Die Maschine fiel aus und wurde aufgefangen; Anfragen liefen weiter. Bitte melden Sie das.")
	}
	if bypassed(s, v.At) {
		add("bypass_forgotten", "", alert.Ticket, time.Hour, "Bypass is on for an hour: everybody passes.", "Bypass gilt seit einer Stunde: Alle kommen durch.")
	}
	if s.ReloadRefused {
		add("reload_refused", "", alert.Ticket, 10*time.Minute, "The last reload was refused: what the configuration says now is not in force.",
			"Das letzte Neuladen wurde abgelehnt: Was die Konfiguration jetzt sagt, ist nicht in Kraft.")
	}
	if s.Spool != nil && !s.Spool.Keeping {
		add("keeps_nothing", "", alert.Page, time.Minute, "The disk, or the cluster, takes no messages, or the folder of kept ones could not be read.",
			"Die Platte oder der Cluster nimmt keine Nachrichten, oder der Ordner der aufbewahrten war nicht zu lesen.")
	}
	if s.Spool != nil && s.Spool.Paused {
		add("delivery_paused", "", alert.Ticket, time.Hour, "The delivery of kept messages is paused for an hour.", "Die Zustellung aufbewahrter Nachrichten ist seit einer Stunde angehalten.")
	}
	return all
}

// unreachedText says what several probes find down.
func unreachedText(v *probe.View) incident.Text {
	english, german := v.Name, v.Name
	if v.Name == incident.Nameless {
		english, german = "The website", "Die Website"
	}
	return incident.Text{
		English: fmt.Sprintf("%s cannot be reached from outside: %d of %d probes find it down.", english, len(v.Down), v.Probes),
		German:  fmt.Sprintf("%s ist von außen nicht zu erreichen: %d von %d Sonden finden es ausgefallen.", german, len(v.Down), v.Probes),
	}
}

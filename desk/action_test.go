package desk

import (
	"fmt"
	"strings"
	"testing"

	"github.com/deichproject/deich/desk/incident"
)

// What people did is in the record: it is there after a start with a snapshot,
// and after one without.
func TestActionsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	d := newDesk(t, func() State { return State{} })
	d.KeepIncidents(o.k)
	d.Did(Action{At: o.at, Kind: "undone", By: "console", Text: "What is listed as 7 was taken back.", German: "Was als 7 gelistet war, wurde zurückgenommen."})
	opened, err := o.k.openByHand(OpenRequest{Title: incident.Text{English: "A test"}, By: "Anna"}, o.at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.k.say(incident.Fact{Kind: incident.Noted, Incident: opened.ID, By: "Ben", Text: incident.Text{English: "A secret remark"}}, o.at); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		all := o.k.actions(10)
		said := fmt.Sprint(all)
		if len(all) != 3 || all[0].Kind != "noted" || all[0].By != "Ben" || all[1].Kind != "opened" || all[1].By != "Anna" || all[2].By != "console" || all[2].German == "" {
			t.Errorf("%s: %s", when, said)
		}
		if strings.Contains(said, "secret") {
			t.Errorf("%s: the note's text is in the log: %s", when, said)
		}
	}
	check("at once")
	if e := d.events.last(5); len(e) != 1 || e[0].Kind != "undone" {
		t.Errorf("events: %v", e)
	}
	if err := o.k.log.Close(); err != nil { // killed: no snapshot
		t.Fatal(err)
	}
	o.open(t, dir)
	check("after a kill")
	if err := o.k.Close(o.at); err != nil {
		t.Fatal(err)
	}
	o.open(t, dir)
	check("with a snapshot")
	for n := range actionsMax + 5 {
		o.k.index.take(incident.Fact{At: o.at, Kind: actedKind, Other: "x", By: "console", Text: incident.Text{English: fmt.Sprint(n)}}, o.k.index.Days["x"], o.k.index.Days["x"], o.k.zone)
	}
	if all := o.k.actions(2 * actionsMax); len(all) != actionsMax || all[0].Text != fmt.Sprint(actionsMax+4) {
		t.Errorf("%d are known, the newest %q", len(all), all[0].Text)
	}
	if err := o.k.Close(o.at); err != nil {
		t.Fatal(err)
	}
}

// A disk that fails is told of; what was done is done.
func TestActionIsToldOfWhereItIsNotKept(t *testing.T) {
	o := newOutage(t, t.TempDir())
	o.k.log.Close()
	o.k.did(Action{At: o.at, Kind: "bypassed", By: "command", Text: "Bypass is on."})
	if len(o.warned) == 0 || !strings.Contains(o.warned[len(o.warned)-1], "Bypass is on.") {
		t.Errorf("%q", o.warned)
	}
}

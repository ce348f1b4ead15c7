package desk

import (
	"fmt"
	"net/http/httptest"
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
		all, err := o.k.actions(10)
		said := fmt.Sprint(all)
		if err != nil || len(all) != 3 || all[0].Kind != "noted" || all[0].By != "Ben" || all[1].Kind != "opened" || all[1].By != "Anna" || all[2].By != "console" || all[2].German == "" {
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
	if all, err := o.k.actions(2 * actionsMax); err != nil || len(all) != actionsMax || all[0].Text != fmt.Sprint(actionsMax+4) {
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

// The way back stands with an action while what it listed is in force, over a
// restart, too; a number that was given again is the newest action's.
func TestActionsCanBeUndone(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	s := State{}
	d := newDesk(t, func() State { return s })
	d.KeepIncidents(o.k)
	for _, a := range []Action{{By: "Anna", Text: "first", Undo: 3}, {By: "Anna", Text: "second", Undo: 3}, {By: "Ben", Text: "third", Undo: 4}, {By: "Ben", Text: "fourth"}} {
		a.At, a.Kind = o.at, "by_hand"
		d.Did(a)
	}
	check := func(when, want string, listed ...Listing) {
		t.Helper()
		s.Hand = listed
		d.sample()
		v, _ := d.live.newest()
		var said []string
		for _, a := range v.Actions {
			said = append(said, fmt.Sprint(a.Text, a.Undo))
		}
		if got := strings.Join(said, " "); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	check("nothing is in force", "fourth0 third0 second0 first0")
	check("both are", "fourth0 third4 second3 first0", Listing{ID: 3}, Listing{ID: 4})
	if err := o.k.Close(o.at); err != nil {
		t.Fatal(err)
	}
	o.open(t, dir)
	d = newDesk(t, func() State { return s })
	d.KeepIncidents(o.k)
	check("after a restart", "fourth0 third4 second0 first0", Listing{ID: 4})
	if err := o.k.Close(o.at); err != nil {
		t.Fatal(err)
	}
}

// A person's name goes with what they do, by whichever way; one that cannot stand
// in the record does nothing.
func TestBySaysWho(t *testing.T) {
	for path, want := range map[string]string{"/x": "console", "/x?by=Anna%20%C3%9C.": "Anna Ü.", "/x?by=": "console"} {
		if got := By(httptest.NewRequest("POST", path, nil)); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	d := newDesk(t, flooded)
	for by, status := range map[string]int{"Anna": 200, "": 422, "a%00b": 422, "%20": 422, strings.Repeat("x", nameMax+1): 422} {
		r := httptest.NewRequest("POST", "http://127.0.0.1:2020/api/v1/act?by="+by, nil)
		r.Header.Set("Authorization", "Bearer "+testToken)
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%q: %d %s", by, w.Code, w.Body)
		}
	}
}

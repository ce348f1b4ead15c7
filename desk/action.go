package desk

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// Action is what a person did.
type Action struct {
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	By       string    `json:"by"` // a name where one was given; else console, command or signal
	Incident string    `json:"incident,omitempty"`
	Text     string    `json:"text"` // one sentence
	German   string    `json:"de,omitempty"`
	// Undo is the number of what was listed by it, to take it back by; on the page
	// only while that is in force. 0: there is nothing to take back.
	Undo uint32 `json:"undo,omitempty"`
}

// actedKind is the fact that somebody did something; its Other is the action's kind.
const actedKind incident.Kind = "acted"

// By says who does what a request asks for: the name that it gives with ?by=,
// or else in what way it came, from the console's pages or from a command.
func By(r *http.Request) string {
	if name := r.URL.Query().Get("by"); name != "" {
		return name
	}
	if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		return "command"
	}
	return "console"
}

// Did notes what a person did, for the page and in the record. It was done
// already: where the record cannot be written, that is said aloud and no more.
func (d *Desk) Did(a Action) {
	d.Note(Event{At: a.At, Kind: a.Kind, Text: a.Text, German: a.German})
	if d.incidents != nil {
		d.incidents.did(a)
	}
}

func (k *Keeper) did(a Action) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.keep([]incident.Fact{{At: a.At, Kind: actedKind, Other: a.Kind, By: a.By, Rule: a.Undo, Text: incident.Text{English: a.Text, German: a.German}}})
	if err != nil {
		k.warn(fmt.Sprintf("what a person did is not in the record: %s (%v)", a.Text, err))
	}
}

// actionWords tell of what people do about incidents.
var actionWords = map[incident.Kind][2]string{
	incident.Opened:     {"%s was opened by hand.", "%s wurde von Hand angelegt."},
	incident.Edited:     {"%s was given another title or begin.", "%s bekam einen anderen Titel oder Beginn."},
	incident.Noted:      {"A note was added to %s.", "%s bekam eine Notiz."},
	incident.Updated:    {"The public was told something about %s.", "Zu %s gab es eine öffentliche Meldung."},
	incident.Translated: {"What the public was told about %s was translated.", "Eine öffentliche Meldung zu %s wurde übersetzt."},
	incident.Planned:    {"The plan %s was announced.", "Der Plan %s wurde angekündigt."},
	incident.Cancelled:  {"The plan %s was called off.", "Der Plan %s wurde abgesagt."},
	incident.Approved:   {"A word on the cause of %s was approved.", "Ein Wort zur Ursache von %s wurde freigegeben."},
	incident.Merged:     {"%s was merged into another.", "%s ging in einem anderen auf."},
	incident.Split:      {"%s was split.", "%s wurde geteilt."},
	incident.Claimed:    {"A claim was noted at %s.", "Zu %s wurde eine Behauptung notiert."},
	incident.Imported:   {"%s was imported.", "%s wurde eingelesen."},
}

// actionOf gives what a person did; false where a fact is Deich's own.
func actionOf(f incident.Fact) (Action, bool) {
	a := Action{At: f.At, Kind: string(f.Kind), By: f.By, Incident: f.Incident}
	if f.Kind == actedKind {
		a.Kind, a.Text, a.German, a.Undo = f.Other, f.Text.English, f.Text.German, f.Rule
		return a, true
	}
	words, known := actionWords[f.Kind]
	if f.By == "" || !known {
		return a, false
	}
	of := f.Incident
	if f.Plan != nil {
		of = f.Plan.ID
	}
	a.Text, a.German = fmt.Sprintf(words[0], of), fmt.Sprintf(words[1], of)
	return a, true
}

// actions gives the last n, the newest first, or says why they cannot be told.
func (k *Keeper) actions(n int) ([]Action, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lastActions(n), k.readable()
}

// lastActions gives the last n, the newest first; k.mu is held.
func (k *Keeper) lastActions(n int) []Action {
	all := k.index.Actions
	last := slices.Clone(all[max(0, len(all)-n):])
	slices.Reverse(last)
	return last
}

package dossier

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// Dossier is all that is known of one incident.
type Dossier struct {
	Incident *incident.Incident
	Rows     []incident.Row // measurements, oldest first
	Made     time.Time
	Zone     *time.Location
	Names    bool   // leave names and addresses as they are
	Number   uint64 // of the record's last line
	Head     string // and its hash
}

// form is a dossier for programs.
type form struct {
	Format   string             `json:"format"`
	Made     time.Time          `json:"made"`
	Names    bool               `json:"names"` // false: pseudonyms
	Incident *incident.Incident `json:"incident"`
	Cause    string             `json:"cause"`
	Sure     float64            `json:"sure"`
	Rows     []incident.Row     `json:"rows"`
	Record   struct {
		Lines uint64 `json:"lines"`
		Head  string `json:"head"`
	} `json:"record"`
	Note incident.Text `json:"note"`
}

// JSON writes everything as programs read it.
func (d *Dossier) JSON(w io.Writer) error {
	i, err := d.incident("en")
	if err != nil {
		return err
	}
	f := form{Format: "deich dossier 1", Made: d.Made, Names: d.Names, Incident: i, Rows: d.Rows, Note: incident.NotAttribution}
	f.Cause, f.Sure = i.Cause()
	f.Record.Lines, f.Record.Head = d.Number, d.Head
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(f)
}

// incident gives a copy that may be shown; lang is of the pseudonyms.
func (d *Dossier) incident(lang string) (*incident.Incident, error) {
	b, err := json.Marshal(d.Incident)
	if err != nil {
		return nil, fmt.Errorf("dossier: %w", err)
	}
	i := new(incident.Incident)
	if err := json.Unmarshal(b, i); err != nil {
		return nil, fmt.Errorf("dossier: %w", err)
	}
	if !d.Names {
		newMask(lang).cover(i)
	}
	return i, nil
}

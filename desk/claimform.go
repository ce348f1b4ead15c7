package desk

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// The form for a claim: the same as POST /api/v1/incidents/{id}/claims, for people.

type claimField struct {
	Name, Label, Kind, Note string
	Needed                  bool
	Rows                    int
	Value                   string
}

type claimGroup struct {
	Title  string
	Fields []claimField
}

// claimForm is the form, with what was filled in.
func claimForm(zone *time.Location, given url.Values) []claimGroup {
	groups := []claimGroup{
		{"Who says it, and where", []claimField{
			{Name: "who", Label: "Who claims it, as they call themselves", Kind: "text", Needed: true},
			{Name: "where", Label: "Where they said it", Kind: "text", Note: "the channel"},
			{Name: "said", Label: "When they said it", Kind: "datetime-local"},
			{Name: "language", Label: "Language of the text", Kind: "text"},
			{Name: "text", Label: "What they said, word for word", Kind: "textarea", Rows: 5, Note: "its SHA-256 is kept with it"},
		}},
		{"What they claim", []claimField{
			{Name: "target", Label: "What they say they hit", Kind: "text"},
			{Name: "from", Label: "From", Kind: "datetime-local"},
			{Name: "to", Label: "To", Kind: "datetime-local"},
			{Name: "about", Label: "These two times are only about right", Kind: "checkbox"},
			{Name: "zone", Label: "Zone of all times here", Kind: "text", Note: "as +03:00 or Europe/Berlin; empty: this machine’s, " + zone.String()},
			{Name: "vector", Label: "Kind", Kind: "text", Note: "http, volumetric or another word"},
			{Name: "rate", Label: "Size in requests a second", Kind: "number"},
			{Name: "bits", Label: "Size in bits a second", Kind: "number"},
			{Name: "outage", Label: "They claim that users could not use it", Kind: "checkbox"},
			{Name: "purpose", Label: "Purpose", Kind: "text"},
			{Name: "proof", Label: "What they offer as proof", Kind: "textarea", Rows: 2},
		}},
		{"What others did with it", []claimField{
			{Name: "relayed", Label: "Who passed it on", Kind: "textarea", Rows: 2, Note: "a name a line, as below"},
			{Name: "doubted", Label: "Who could not confirm it", Kind: "textarea", Rows: 2},
			{Name: "asked", Label: "Who was asked and did not answer", Kind: "textarea", Rows: 2},
		}},
		{"You", []claimField{{Name: "by", Label: "Your name", Kind: "text", Needed: true}}},
	}
	for g := range groups {
		for f := range groups[g].Fields {
			groups[g].Fields[f].Value = given.Get(groups[g].Fields[f].Name)
		}
	}
	return groups
}

// claimOf reads a form, and says all that is wrong with it.
func claimOf(form url.Values, zone *time.Location) (c incident.Claim, err error) {
	var wrong []error
	text := func(name string) string {
		return strings.TrimSpace(strings.ReplaceAll(form.Get(name), "\r\n", "\n"))
	}
	if name := text("zone"); name != "" {
		if at, err := time.Parse("-07:00", name); err == nil {
			zone = at.Location()
		} else if known, err := time.LoadLocation(name); err == nil {
			zone = known
		} else {
			wrong = append(wrong, fmt.Errorf("zone: %.40q is none: write it as +03:00 or Europe/Berlin", name))
		}
	}
	moment := func(name string) time.Time {
		value := text(name)
		for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
			if t, err := time.ParseInLocation(layout, value, zone); err == nil {
				return t
			}
		}
		if value != "" {
			wrong = append(wrong, fmt.Errorf("%s: %.40q is no time: write it as 2026-03-07T15:00", name, value))
		}
		return time.Time{}
	}
	number := func(name string) float64 {
		n, err := strconv.ParseFloat(cmp.Or(text(name), "0"), 64)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %.40q is no number", name, text(name)))
		}
		return n
	}
	names := func(name string) (all []incident.Said) {
		for line := range strings.Lines(text(name)) {
			if who := strings.TrimSpace(line); who != "" {
				all = append(all, incident.Said{Who: who})
			}
		}
		return all
	}
	about := text("about") != ""
	stamp := func(name string) incident.Stamp {
		t := moment(name)
		return incident.Stamp{Time: t, About: about && !t.IsZero()}
	}
	c = incident.Claim{
		Who: text("who"), Where: text("where"), At: moment("said"), Language: text("language"), Text: text("text"), Target: text("target"),
		From: stamp("from"), To: stamp("to"), Vector: text("vector"), Rate: number("rate"), Bits: number("bits"), Outage: text("outage") != "",
		Purpose: text("purpose"), Proof: text("proof"), Relayed: names("relayed"), Doubted: names("doubted"), Asked: names("asked"),
	}
	return c, errors.Join(append(wrong, c.Check())...)
}

// mountClaimForm gives people the form.
func (d *Desk) mountClaimForm(k *Keeper) {
	d.Mount("GET /claim.css", asset("claim.css", "text/css; charset=utf-8"))
	show := func(w http.ResponseWriter, status int, id string, given url.Values, err error) {
		var wrong []string
		if err != nil {
			wrong = strings.Split(err.Error(), "\n")
		}
		// Without a referrer browsers send a form with the origin "null", which is nobody's.
		w.Header().Set("Referrer-Policy", "same-origin")
		d.render(w, status, "claim.html", struct {
			ID     string
			Wrong  []string
			Groups []claimGroup
		}{id, wrong, claimForm(k.zone, given)})
	}
	d.Mount("GET /incidents/{id}/claim", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := k.named(r.PathValue("id"))
		if err != nil {
			problemOf(w, err)
			return
		}
		show(w, http.StatusOK, id, nil, nil)
	}))
	d.Mount("POST /incidents/{id}/claim", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := k.named(r.PathValue("id"))
		if err == nil {
			err = r.ParseForm()
		}
		if err != nil {
			problemOf(w, err)
			return
		}
		claim, err := claimOf(r.PostForm, k.zone)
		by := strings.TrimSpace(r.PostForm.Get("by"))
		if err = errors.Join(err, checkName(by)); err == nil {
			_, err = k.say(incident.Fact{Kind: incident.Claimed, Incident: id, By: by, Claim: &claim}, d.now())
		}
		if err != nil {
			show(w, http.StatusUnprocessableEntity, id, r.PostForm, err)
			return
		}
		w.Header().Set("Location", "/incidents/"+url.PathEscape(id))
		w.WriteHeader(http.StatusSeeOther)
	}))
}

package desk

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/status"
)

// The form for a claim: the same as POST /api/v1/incidents/{id}/claims, for people.

type claimField struct {
	Name, Kind  string
	Label, Note incident.Text
	Needed      bool
	Rows        int
	Value       string
}

type claimGroup struct {
	Title  incident.Text
	Fields []claimField
}

// claimForm is the form, with what was filled in.
func claimForm(zone *time.Location, given url.Values) []claimGroup {
	in := func(english, german string) incident.Text { return incident.Text{English: english, German: german} }
	here := time.Now().In(zone).Format("-07:00")
	groups := []claimGroup{
		{in("Who says it, and where", "Wer es sagt, und wo"), []claimField{
			{Name: "who", Label: in("Who claims it, as they call themselves", "Wer es behauptet, wie sie sich nennen"), Kind: "text", Needed: true},
			{Name: "where", Label: in("Where they said it", "Wo sie es sagten"), Kind: "text", Note: in("the channel", "der Kanal")},
			{Name: "said", Label: in("When they said it", "Wann sie es sagten"), Kind: "datetime-local"},
			{Name: "language", Label: in("Language of the text", "Sprache des Textes"), Kind: "text"},
			{Name: "text", Label: in("What they said, word for word", "Was sie sagten, Wort für Wort"), Kind: "textarea", Rows: 5,
				Note: in("its SHA-256 is kept with it", "sein SHA-256 wird dazu aufgehoben")},
		}},
		{in("What they claim", "Was sie behaupten"), []claimField{
			{Name: "target", Label: in("What they say they hit", "Was sie getroffen haben wollen"), Kind: "text"},
			{Name: "from", Label: in("From", "Von"), Kind: "datetime-local"},
			{Name: "to", Label: in("To", "Bis"), Kind: "datetime-local"},
			{Name: "about", Label: in("These two times are only about right", "Diese beiden Zeiten stimmen nur ungefähr"), Kind: "checkbox"},
			{Name: "zone", Label: in("Zone of all times here", "Zeitzone aller Zeiten hier"), Kind: "text", Note: in(
				"as +03:00 or Europe/Berlin; empty: this machine’s, "+here, "als +03:00 oder Europe/Berlin; leer: die dieses Rechners, "+here)},
			{Name: "vector", Label: in("Kind", "Art"), Kind: "text", Note: in("http, volumetric or another word", "http, volumetric oder ein anderes Wort")},
			{Name: "rate", Label: in("Size in requests a second", "Größe in Anfragen je Sekunde"), Kind: "number"},
			{Name: "bits", Label: in("Size in bits a second", "Größe in Bit je Sekunde"), Kind: "number"},
			{Name: "outage", Label: in("They claim that users could not use it", "Sie behaupten, dass Nutzer es nicht nutzen konnten"), Kind: "checkbox"},
			{Name: "purpose", Label: in("Purpose", "Zweck"), Kind: "text"},
			{Name: "proof", Label: in("What they offer as proof", "Was sie als Beleg anbieten"), Kind: "textarea", Rows: 2},
		}},
		{in("What others did with it", "Was andere damit taten"), []claimField{
			{Name: "relayed", Label: in("Who passed it on", "Wer es weitergab"), Kind: "textarea", Rows: 2,
				Note: in("a name a line, as below", "ein Name je Zeile, wie unten")},
			{Name: "doubted", Label: in("Who could not confirm it", "Wer es nicht bestätigen konnte"), Kind: "textarea", Rows: 2},
			{Name: "asked", Label: in("Who was asked and did not answer", "Wer gefragt wurde und nicht antwortete"), Kind: "textarea", Rows: 2},
		}},
		{in("You", "Sie"), []claimField{{Name: "by", Label: in("Your name", "Ihr Name"), Kind: "text", Needed: true}}},
	}
	for g := range groups {
		for f := range groups[g].Fields {
			groups[g].Fields[f].Value = given.Get(groups[g].Fields[f].Name)
		}
	}
	return groups
}

// claimWords are the rest of the form, in one language.
type claimWords struct{ Lang, Title, Head, Lead, Rest, Nothing, Send string }

var claimEnglish = claimWords{"en", "A claim about", "Somebody says that it was them", "Write down what exactly they say. It is held against what was measured in",
	"point by point. Consistent is not attribution.", "Nothing was written down:", "Write it down and hold it against the record"}

var claimGerman = claimWords{"de", "Eine Behauptung zu", "Jemand sagt, er sei es gewesen", "Schreiben Sie auf, was genau behauptet wird. Es wird mit dem verglichen, was gemessen wurde, in",
	"Punkt für Punkt. Vereinbar heißt nicht bewiesen.", "Nichts wurde aufgeschrieben:", "Aufschreiben und mit der Aufzeichnung vergleichen"}

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
			wrong = append(wrong, incident.Wrongf("zone: %.40q is none: write it as +03:00 or Europe/Berlin", "Zeitzone: %.40q ist keine; schreiben Sie +03:00 oder Europe/Berlin", name))
		}
	}
	label := func(name string) incident.Text {
		for _, g := range claimForm(zone, nil) {
			for _, f := range g.Fields {
				if f.Name == name {
					return f.Label
				}
			}
		}
		return incident.Text{English: name}
	}
	moment := func(name string) time.Time {
		value := text(name)
		for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
			if t, err := time.ParseInLocation(layout, value, zone); err == nil {
				return t
			}
		}
		if value != "" {
			wrong = append(wrong, incident.Wrongf("%s: %.40q is no time: write it as 2026-03-07T15:00", "%s: %.40q ist keine Zeit; schreiben Sie 2026-03-07T15:00", label(name), value))
		}
		return time.Time{}
	}
	number := func(name string) float64 {
		n, err := strconv.ParseFloat(cmp.Or(text(name), "0"), 64)
		if err != nil {
			wrong = append(wrong, incident.Wrongf("%s: %.40q is no number", "%s: %.40q ist keine Zahl", label(name), text(name)))
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
	show := func(w http.ResponseWriter, r *http.Request, code int, id string, given url.Values, err error) {
		words := claimEnglish
		if status.Language(r) == claimGerman.Lang {
			words = claimGerman
		}
		// Without a referrer browsers send a form with the origin "null", which is nobody's.
		w.Header().Set("Referrer-Policy", "same-origin")
		d.render(w, code, "claim.html", struct {
			W      claimWords
			ID     string
			Wrong  []string
			Groups []claimGroup
		}{words, id, incident.AllWrong(err, words.Lang), claimForm(k.zone, given)})
	}
	d.Mount("GET /incidents/{id}/claim", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := k.named(r.PathValue("id"))
		if err != nil {
			problemOf(w, err)
			return
		}
		show(w, r, http.StatusOK, id, nil, nil)
	}))
	d.Mount("POST /incidents/{id}/claim", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := k.named(r.PathValue("id"))
		if err != nil {
			problemOf(w, err)
			return
		}
		if r.ParseForm() != nil {
			show(w, r, http.StatusRequestEntityTooLarge, id, r.PostForm, incident.Wrongf("the form holds too much: at most %d bytes", "das Formular enthält zu viel: höchstens %d Byte", requestBodyMax))
			return
		}
		claim, err := claimOf(r.PostForm, k.zone)
		by := strings.TrimSpace(r.PostForm.Get("by"))
		if err = errors.Join(err, checkName(by)); err == nil {
			_, err = k.say(incident.Fact{Kind: incident.Claimed, Incident: id, By: by, Claim: &claim}, d.now())
		}
		switch {
		case errors.Is(err, errNotKept): // why, the log says, and the disk
			show(w, r, http.StatusServiceUnavailable, id, r.PostForm, errNotKept)
			return
		case err != nil:
			show(w, r, http.StatusUnprocessableEntity, id, r.PostForm, err)
			return
		}
		w.Header().Set("Location", "/incidents/"+url.PathEscape(id)+"?lang="+status.Language(r))
		w.WriteHeader(http.StatusSeeOther)
	}))
}

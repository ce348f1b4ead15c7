package desk

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/status"
)

// IncidentView is an incident as the private API gives it.
type IncidentView struct {
	*incident.Incident
	Cause string  `json:"cause"` // what the evidence speaks for
	Sure  float64 `json:"sure"`
}

// IncidentLine is one of a list.
type IncidentLine struct {
	ID        string        `json:"id"`
	Title     incident.Text `json:"title,omitzero"`
	Life      incident.Life `json:"life"`
	Begin     time.Time     `json:"begin"`
	Mitigated time.Time     `json:"mitigated,omitzero"`
	Restored  time.Time     `json:"restored,omitzero"`
	End       time.Time     `json:"end,omitzero"`
	Hurt      bool          `json:"hurt"`
	Asked     uint64        `json:"asked"` // by users, while something was off
	Lost      uint64        `json:"lost"`
	// Missed is how many different people could not read or send.
	Missed   incident.Missed `json:"missed,omitzero"`
	Cause    string          `json:"cause"`
	Sure     float64         `json:"sure"`
	Approved string          `json:"approved,omitempty"` // the cause that a person approved
	Claims   int             `json:"claims"`
	Into     string          `json:"into,omitempty"`
	Imported bool            `json:"imported,omitempty"`
}

// The forms that people send.
type (
	// OpenRequest opens an incident by hand.
	OpenRequest struct {
		Title incident.Text `json:"title"`
		Begin time.Time     `json:"begin,omitzero"` // zero: now
		By    string        `json:"by"`
	}
	// NoteRequest adds a remark that is not public.
	NoteRequest struct {
		Text string `json:"text"`
		By   string `json:"by"`
	}
	// UpdateRequest tells the public something, in own words or in a common sentence.
	UpdateRequest struct {
		Life incident.Life `json:"life,omitempty"`
		Text incident.Text `json:"text,omitzero"`
		Also incident.Also `json:"also,omitempty"` // further languages
		Say  string        `json:"say,omitempty"`  // the sentence's name
		By   string        `json:"by"`
	}
	// EditRequest gives an incident another title; what a person opened, another begin, too.
	EditRequest struct {
		Title incident.Text `json:"title,omitzero"` // a language that is missing stays as it is
		Begin time.Time     `json:"begin,omitzero"`
		By    string        `json:"by"`
	}
	// TranslateRequest says the newest update that lacks a language in that language.
	TranslateRequest struct {
		Text incident.Text `json:"text,omitzero"`
		Also incident.Also `json:"also,omitempty"`
		By   string        `json:"by"`
	}
	// ApproveRequest makes a cause public. Without a text, the common sentence is taken.
	ApproveRequest struct {
		Cause string        `json:"cause"`
		Text  incident.Text `json:"text,omitzero"`
		By    string        `json:"by"`
	}
	// MergeRequest puts an incident into another.
	MergeRequest struct {
		Into string `json:"into"`
		By   string `json:"by"`
	}
	// SplitRequest lets what began at a time be an incident of its own.
	SplitRequest struct {
		At time.Time `json:"at"`
		By string    `json:"by"`
	}
	// ClaimRequest notes a claim and holds it against the record.
	ClaimRequest struct {
		incident.Claim
		By string `json:"by"`
	}
	// ImportRequest takes in an incident that others told of.
	ImportRequest struct {
		Case *incident.Case `json:"case"`
		By   string         `json:"by"`
	}
)

// KeepIncidents lets the desk keep incidents and gives it their part of the
// private API; before Serve. The keeper is closed by its owner, after Serve.
func (d *Desk) KeepIncidents(k *Keeper) {
	d.incidents = k
	d.mountPlans(k)
	d.mountOutside(k)
	d.mountClaimForm(k)
	d.Mount("GET /incidents/{id}", http.HandlerFunc(d.serveIncidentPage))
	// The page as the public sees it, where nobody else is to see it yet.
	page := http.StripPrefix("/status", status.NewServer(k.data, "", k.zone))
	d.Mount("GET /status/{$}", page)
	d.Mount("GET /status/feed.atom", page)
	d.Mount("GET /status/feed.json", page)
	d.Mount("GET /status/badge.svg", page)
	d.Mount("GET /status/calendar.ics", page)
	d.Mount("GET /api/v1/incidents", d.answer(func(*http.Request) (any, error) { return k.listed() }))
	d.Mount("GET /api/v1/incidents/{id}", d.answer(func(r *http.Request) (any, error) { return k.view(r.PathValue("id")) }))
	d.Mount("GET /api/v1/incidents/{id}/dossier", http.HandlerFunc(d.serveDossier))
	d.Mount("GET /api/v1/incidents/{id}/rows", d.answer(func(r *http.Request) (any, error) {
		id, err := k.named(r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return k.rows(id)
	}))
	d.Mount("POST /api/v1/incidents", d.answer(func(r *http.Request) (any, error) {
		var q OpenRequest
		if err := readForm(r, &q); err != nil {
			return nil, err
		}
		return k.openByHand(q, d.now())
	}))
	d.Mount("POST /api/v1/incidents/import", d.answer(func(r *http.Request) (any, error) {
		var q ImportRequest
		if err := readForm(r, &q); err != nil {
			return nil, err
		}
		return k.importCase(q, d.now())
	}))
	d.Mount("POST /api/v1/incidents/{id}/notes", d.act(func(r *http.Request, f *incident.Fact) error {
		var q NoteRequest
		err := readForm(r, &q)
		*f = incident.Fact{Kind: incident.Noted, By: q.By, Text: incident.Text{English: q.Text}}
		return errors.Join(err, wanted("text", f.Text, incident.TextMax))
	}))
	d.Mount("POST /api/v1/incidents/{id}/edit", d.act(func(r *http.Request, f *incident.Fact) error {
		var q EditRequest
		err := readForm(r, &q)
		*f = incident.Fact{Kind: incident.Edited, By: q.By, Text: q.Title, Time: q.Begin}
		if q.Title == (incident.Text{}) && q.Begin.IsZero() {
			err = errors.Join(err, errors.New("title or begin is missing"))
		}
		return errors.Join(err, bounded("title", q.Title, incident.TitleMax))
	}))
	d.Mount("POST /api/v1/incidents/{id}/updates", d.act(func(r *http.Request, f *incident.Fact) error {
		var q UpdateRequest
		err := errors.Join(readForm(r, &q), q.choose())
		*f = incident.Fact{Kind: incident.Updated, By: q.By, Life: q.Life, Text: q.Text, Also: q.Also}
		if q.Life != "" && !slices.Contains([]incident.Life{incident.Investigating, incident.Identified, incident.Monitoring, incident.Resolved, incident.PostMortem}, q.Life) {
			err = errors.Join(err, errors.New("life: investigating, identified, monitoring, resolved or postmortem is wanted"))
		}
		return errors.Join(err, wanted("text", q.Text, incident.TextMax), q.Also.Check())
	}))
	d.Mount("POST /api/v1/incidents/{id}/translations", d.act(func(r *http.Request, f *incident.Fact) error {
		var q TranslateRequest
		err := readForm(r, &q)
		*f = incident.Fact{Kind: incident.Translated, By: q.By, Text: q.Text, Also: q.Also}
		if len(q.Also) > 0 {
			return errors.Join(err, bounded("text", q.Text, incident.TextMax), q.Also.Check())
		}
		return errors.Join(err, wanted("text", q.Text, incident.TextMax))
	}))
	d.Mount("GET /api/v1/sentences", d.answer(func(*http.Request) (any, error) { return incident.Sentences(), nil }))
	d.Mount("POST /api/v1/incidents/{id}/approve", d.act(func(r *http.Request, f *incident.Fact) error {
		var q ApproveRequest
		err := readForm(r, &q)
		common := incident.CauseText(q.Cause)
		if common == (incident.Text{}) {
			return errors.Join(err, errors.New("cause: flood, crowd, origin_fault, retry_storm, upstream or mixed is wanted"))
		}
		if q.Text == (incident.Text{}) {
			q.Text = common
		}
		*f = incident.Fact{Kind: incident.Approved, By: q.By, Cause: q.Cause, Text: q.Text}
		return errors.Join(err, bounded("text", q.Text, incident.TextMax))
	}))
	d.Mount("POST /api/v1/incidents/{id}/merge", d.act(func(r *http.Request, f *incident.Fact) error {
		var q MergeRequest
		err := readForm(r, &q)
		*f = incident.Fact{Kind: incident.Merged, By: q.By, Other: q.Into}
		return errors.Join(err, wanted("into", incident.Text{English: q.Into}, incident.TextMax))
	}))
	d.Mount("POST /api/v1/incidents/{id}/split", d.act(func(r *http.Request, f *incident.Fact) error {
		var q SplitRequest
		err := readForm(r, &q)
		*f = incident.Fact{Kind: incident.Split, By: q.By, Time: q.At}
		return err
	}))
	d.Mount("POST /api/v1/incidents/{id}/claims", d.act(func(r *http.Request, f *incident.Fact) error {
		var q ClaimRequest
		if err := readForm(r, &q); err != nil {
			return err
		}
		q.Claim.ID = ""
		*f = incident.Fact{Kind: incident.Claimed, By: q.By, Claim: &q.Claim}
		return q.Claim.Check()
	}))
}

// choose puts the sentence that was chosen in the place of own words.
func (q *UpdateRequest) choose() error {
	if q.Say == "" {
		return nil
	}
	s, ok := incident.SentenceOf(q.Say)
	switch {
	case !ok:
		return fmt.Errorf("say: there is no sentence %.40q", q.Say)
	case q.Text != (incident.Text{}):
		return errors.New("say: a sentence or own words, not both")
	}
	q.Text, q.Life = s.Text, cmp.Or(q.Life, s.Life)
	return nil
}

var (
	errNoIncident = errors.New("no such incident")
	errNoAlert    = incident.Wrongf("there is no such alert", "diesen Alarm gibt es nicht oder nicht mehr")
	// errNotKept does not say that nothing came of it: a line that was written whole and
	// could not be synced is believed once the record is opened again.
	errNotKept = incident.Wrongf("the record of incidents cannot be written: nothing is changed for now, but what you said may still appear once it can be",
		"die Aufzeichnung der Vorfälle lässt sich nicht schreiben: vorerst ist nichts geändert, doch was Sie sagten, kann noch erscheinen, sobald es wieder geht")
	errNotRead = incident.Wrongf("the record of incidents cannot be read yet", "die Aufzeichnung der Vorfälle lässt sich noch nicht lesen")
)

// wanted says whether a text is there, and no longer than most bytes in either language.
func wanted(name string, t incident.Text, most int) error {
	if strings.TrimSpace(t.English+t.German) == "" {
		return fmt.Errorf("%s is missing", name)
	}
	return bounded(name, t, most)
}

func bounded(name string, t incident.Text, most int) error {
	if n := max(len(t.English), len(t.German)); n > most {
		return fmt.Errorf("%s has %d bytes: at most %d", name, n, most)
	}
	return nil
}

// readForm takes a JSON body that holds what into has room for and nothing else.
func readForm(r *http.Request, into any) error {
	j := json.NewDecoder(r.Body)
	j.DisallowUnknownFields()
	if err := j.Decode(into); err != nil {
		return fmt.Errorf("the body is not the JSON that is wanted here: %w", err)
	}
	if _, err := j.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body holds more than one value")
	}
	return nil
}

// answer is a handler for what gives a value or an error.
func (d *Desk) answer(do func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := do(r)
		if err != nil {
			problemOf(w, err)
			return
		}
		JSON(w, v)
	})
}

func problemOf(w http.ResponseWriter, err error) {
	var long *http.MaxBytesError
	switch {
	case errors.Is(err, errNoPlan):
		Refuse(w, http.StatusNotFound, err, "deich plan list shows those that there are")
	case errors.Is(err, errNoIncident):
		Refuse(w, http.StatusNotFound, err, "deich incident list shows those that there are")
	case errors.Is(err, errNoAlert):
		Refuse(w, http.StatusNotFound, err, "deich alert list shows those that there are")
	case errors.Is(err, errNotKept), errors.Is(err, errNotRead):
		Refuse(w, http.StatusServiceUnavailable, err, "look at the disk that holds the data folder")
	case errors.As(err, &long):
		Problem(w, http.StatusRequestEntityTooLarge, "the body is too long", "")
	default:
		Refuse(w, http.StatusUnprocessableEntity, err, "")
	}
}

// act is a handler for what a person says about an incident: make reads it into
// a fact, which is kept and then believed.
func (d *Desk) act(fact func(*http.Request, *incident.Fact) error) http.Handler {
	return d.answer(func(r *http.Request) (any, error) {
		var f incident.Fact
		if err := fact(r, &f); err != nil {
			return nil, err
		}
		if err := checkName(f.By); err != nil {
			return nil, err
		}
		f.Incident = r.PathValue("id")
		return d.incidents.say(f, d.now())
	})
}

// checkName says whether a person's name may stand in the record.
func checkName(name string) error {
	if strings.TrimSpace(name) == "" || len(name) > nameMax || strings.ContainsFunc(name, unicode.IsControl) {
		return incident.Wrongf("by: who says this is wanted, in at most %d bytes", "Ihr Name fehlt oder ist zu lang: höchstens %d Byte", nameMax)
	}
	return nil
}

// view gives an incident; what it points to must not be changed.
func (k *Keeper) view(id string) (*IncidentView, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.copyOf(id)
}

// Latest names the incident that is going on, or else the newest that was
// measured here, or else the newest.
const Latest = "latest"

// get gives an incident; k.mu is held.
func (k *Keeper) get(id string) (*incident.Incident, error) {
	if err := k.readable(); err != nil {
		return nil, err
	}
	i := k.index.Book.Get(id)
	if id == Latest {
		if i = k.index.Book.Open(); i == nil {
			i = newest(k.index.Book.Incidents())
		}
	}
	if i == nil {
		return nil, fmt.Errorf("%w: %q", errNoIncident, id)
	}
	return i, nil
}

func newest(all []*incident.Incident) *incident.Incident {
	for _, i := range all {
		if i.Measured() && i.Into == "" {
			return i
		}
	}
	if len(all) > 0 {
		return all[0]
	}
	return nil
}

// named gives an incident's own name.
func (k *Keeper) named(id string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i, err := k.get(id)
	if err != nil {
		return "", err
	}
	return i.ID, nil
}

// copyOf gives an incident that later facts do not change; k.mu is held.
func (k *Keeper) copyOf(id string) (*IncidentView, error) {
	i, err := k.get(id)
	if err != nil {
		return nil, err
	}
	c := *i
	c.Timeline, c.Updates, c.Verdicts = slices.Clone(i.Timeline), slices.Clone(i.Updates), slices.Clone(i.Verdicts)
	c.Rules, c.Claims, c.Origins, c.Parts = slices.Clone(i.Rules), slices.Clone(i.Claims), slices.Clone(i.Origins), slices.Clone(i.Parts)
	c.Outside = slices.Clone(i.Outside)
	cause, sure := c.Cause()
	return &IncidentView{&c, cause, sure}, nil
}

// list gives all incidents, the newest first.
func (k *Keeper) list() []IncidentLine {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := []IncidentLine{}
	for _, i := range k.index.Book.Incidents() {
		cause, sure := i.Cause()
		l := IncidentLine{
			ID: i.ID, Title: i.Title, Life: i.Life, Begin: i.Begin, Mitigated: i.Mitigated, Restored: i.Restored, End: i.End, Hurt: i.Hurt,
			Asked: i.Toll.Users.Asked, Lost: i.Toll.Users.Lost(), Missed: i.Toll.Missed, Cause: cause, Sure: sure, Claims: len(i.Claims), Into: i.Into, Imported: !i.Measured(),
		}
		if i.Approval != nil {
			l.Approved = i.Approval.Cause
		}
		all = append(all, l)
	}
	return all
}

// current gives what the live page shows: the incident that is going on, or
// the last one of the last day; k.mu is held.
func (k *Keeper) current() *LiveIncident {
	i := k.index.Book.Open()
	if i == nil {
		for _, last := range k.index.Book.Incidents() {
			if last.Measured() && last.Into == "" && k.index.Book.Said().Sub(last.Begin) < 24*time.Hour {
				i = last
				break
			}
		}
	}
	if i == nil {
		return nil
	}
	said := k.sentence(i)
	live := &LiveIncident{ID: i.ID, Life: string(i.Life), Sentence: said.English, German: said.German, Timeline: []LiveMoment{}}
	pressed := map[string]bool{} // whose newest word on pressure is told: what flickers would leave room for nothing else
	for n := len(i.Timeline) - 1; n >= 0 && len(live.Timeline) < momentsShown; n-- {
		m := &i.Timeline[n]
		if m.Kind == incident.Pressed || m.Kind == incident.Eased {
			if pressed[m.Origin] {
				continue
			}
			pressed[m.Origin] = true
		}
		text := m.Sentence(k.zone)
		live.Timeline = append(live.Timeline, LiveMoment{m.At, m.By, brief(text.In("en")), brief(text.In("de"))})
	}
	return live
}

// brief cuts a text that is too long for the live page.
func brief(text string) string {
	if len(text) <= momentBytesMax {
		return text
	}
	return strings.ToValidUTF8(text[:momentBytesMax], "") + " …"
}

// sentence says in a few words what is known of an incident.
func (k *Keeper) sentence(i *incident.Incident) incident.Text {
	var all incident.Text
	say := func(english, german string, values ...any) {
		one := func(language, form string) string {
			in := slices.Clone(values)
			for n, v := range in {
				if text, ok := v.(incident.Text); ok {
					in[n] = text.In(language)
				}
			}
			return fmt.Sprintf(form, in...)
		}
		all.English += one("en", english)
		all.German += one("de", german)
	}
	clock := func(t time.Time) incident.Text { return incident.ClockSeconds(t, k.zone) }
	say("Began at %s.", "Begann um %s.", clock(i.Begin))
	lost, asked := i.Toll.Users.Lost(), i.Toll.Users.Asked-min(i.Toll.Users.Own, i.Toll.Users.Asked)
	switch {
	case i.FromOutside():
		var names []string
		for _, o := range i.Outside {
			if !slices.Contains(names, o.Name) {
				names = append(names, o.Name)
			}
		}
		say(" Probes elsewhere could not reach: %s.", " Sonden anderswo erreichten nicht: %s.", strings.Join(names, ", "))
	case !i.Hurt && asked > 0:
		say(" Users were served throughout: %d of %d requests.", " Nutzer wurden durchgehend bedient: %d von %d Anfragen.", asked-min(lost, asked), asked)
	case !i.Hurt:
	case i.Mitigated.IsZero():
		say(" Users are affected: %d of %d requests were not served.", " Nutzer sind betroffen: %d von %d Anfragen wurden nicht bedient.", lost, asked)
	default:
		say(" Users were served again at %s; %d of %d requests were not.", " Ab %s wurden Nutzer wieder bedient; %d von %d Anfragen wurden es nicht.", clock(i.Mitigated), lost, asked)
	}
	if i.Hurt && i.Toll.Missed.All > 0 {
		say(" That met %s.", " Das traf %s.", i.Toll.Missed.People())
	}
	if !i.Restored.IsZero() {
		say(" Everybody since %s.", " Alle seit %s.", clock(i.Restored))
	}
	if !i.End.IsZero() {
		say(" Over at %s.", " Vorbei um %s.", clock(i.End))
	}
	if cause, sure := i.Cause(); i.Approval != nil {
		say(" Cause, approved: %s.", " Ursache, freigegeben: %s.", incident.CauseName(i.Approval.Cause))
	} else if cause != "unknown" {
		say(" The evidence speaks for %s (%.0f %%); no person has approved that yet.",
			" Die Belege sprechen für: %s (%.0f %%); noch hat das kein Mensch freigegeben.", incident.CauseName(cause), incident.InPercent(sure))
	}
	return all
}

// say keeps what a person says about an incident.
func (k *Keeper) say(f incident.Fact, now time.Time) (*IncidentView, error) {
	f.At = now
	is, err := k.view(f.Incident)
	if err != nil {
		return nil, err
	}
	f.Incident = is.ID
	// What is read from the record is read before: nobody waits for that.
	var rows []incident.Row
	var finding incident.Finding
	switch f.Kind {
	case incident.Split:
		if rows, err = k.rows(f.Incident); err != nil {
			return nil, err
		}
	case incident.Claimed:
		finding = k.finding(f.Claim, is.Incident, now)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	i, err := k.get(f.Incident)
	if err != nil {
		return nil, err
	}
	if err := k.complete(&f, i, rows); err != nil {
		return nil, err
	}
	facts := []incident.Fact{f}
	if f.Kind == incident.Claimed {
		facts = append(facts, incident.Fact{At: now, Kind: incident.Held, Incident: i.ID, Claim: &incident.Claim{ID: f.Claim.ID}, Finding: &finding})
	}
	if err := k.keep(facts); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotKept, err)
	}
	k.watch.Took(k.index.Book)
	k.publish(now)
	if f.Kind == incident.Split {
		return k.copyOf(f.Other)
	}
	if f.Kind == incident.Merged {
		return k.copyOf(f.Other)
	}
	return k.copyOf(i.ID)
}

// complete checks a fact against what is so, and fills what only the record
// knows; k.mu is held.
func (k *Keeper) complete(f *incident.Fact, i *incident.Incident, rows []incident.Row) error {
	switch f.Kind {
	case incident.Approved:
		return roomToTell(i) // the public is told the cause in an update
	case incident.Updated:
		if err := roomToTell(i); err != nil {
			return err
		}
		if f.Life == incident.PostMortem && i.Life != incident.Resolved {
			return errors.New("life: a post-mortem is for what is resolved")
		}
		if f.Life != incident.Resolved && i.Life != incident.Resolved {
			f.Time = i.Promised
		}
	case incident.Edited:
		switch {
		case !i.Measured():
			return errors.New("what was imported stays as it was told: import it again")
		case !f.Time.IsZero() && i.By == "":
			return errors.New("begin: it was measured, and stays")
		case !f.Time.IsZero() && (f.Time.After(f.At) || !i.End.IsZero() && f.Time.After(i.End)):
			return errors.New("begin: a time before its end is wanted")
		}
	case incident.Translated:
		u := i.Untranslated(f.Text, f.Also)
		if u == nil {
			return errors.New("text: no update lacks that language")
		}
		f.Time = u.At
	case incident.Merged:
		to := k.index.Book.Get(f.Other)
		switch {
		case to == nil:
			return fmt.Errorf("%w: %q", errNoIncident, f.Other)
		case to == i || i.Into != "" || to.Into != "" || !i.Measured() || !to.Measured():
			return errors.New("these two cannot be merged: both must be measured here, different, and merged into no other")
		}
	case incident.Split:
		end := i.End
		if end.IsZero() {
			end = f.At
		}
		if !f.Time.After(i.Begin) || !f.Time.Before(end) || i.Into != "" || !i.Measured() {
			return fmt.Errorf("at: a time within %s is wanted, after its begin", i.ID)
		}
		f.Other = k.watch.NewID(f.At)
		f.Tolls = make([]incident.Toll, 2)
		for n := range rows {
			r := &rows[n]
			if r.Off == 0 || !r.At.After(i.Begin) {
				continue
			}
			half := 0
			if r.At.After(f.Time) {
				half = 1
			}
			f.Tolls[half].Count(r)
		}
	case incident.Claimed:
		if len(i.Claims) >= incident.ClaimsMax {
			return incident.Wrongf("this incident has %d claims, which is all that there is room for", "dieser Vorfall hat %d Behauptungen; mehr haben nicht Platz", incident.ClaimsMax)
		}
		f.Claim.ID = i.NewClaimID()
	}
	return nil
}

func roomToTell(i *incident.Incident) error {
	if len(i.Updates) >= incident.UpdatesMax {
		return fmt.Errorf("this incident has %d updates, which is all that there is room for", incident.UpdatesMax)
	}
	return nil
}

func (k *Keeper) openByHand(q OpenRequest, now time.Time) (*IncidentView, error) {
	if err := errors.Join(checkName(q.By), wanted("title", q.Title, incident.TitleMax)); err != nil {
		return nil, err
	}
	if q.Begin.IsZero() {
		q.Begin = now
	}
	if q.Begin.After(now) {
		return nil, errors.New("begin: it lies in the future")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	id := k.watch.NewID(now)
	if err := k.keep([]incident.Fact{{At: now, Kind: incident.Opened, Incident: id, By: q.By, Time: q.Begin, Text: q.Title}}); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotKept, err)
	}
	return k.copyOf(id)
}

func (k *Keeper) importCase(q ImportRequest, now time.Time) (*IncidentView, error) {
	if q.Case == nil {
		return nil, errors.New("case is missing")
	}
	if err := errors.Join(checkName(q.By), q.Case.Check()); err != nil {
		return nil, err
	}
	facts := []incident.Fact{{At: now, Kind: incident.Imported, By: q.By, Case: q.Case}}
	told := &incident.Incident{Case: q.Case, Begin: q.Case.Begin.Time, End: q.Case.End.Time}
	for _, c := range q.Case.Claims {
		finding := k.finding(&c, told, now)
		facts = append(facts, incident.Fact{At: now, Kind: incident.Claimed, By: q.By, Claim: &c},
			incident.Fact{At: now, Kind: incident.Held, Claim: &incident.Claim{ID: c.ID}, Finding: &finding})
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	id := k.watch.NewID(now)
	for n := range facts {
		facts[n].Incident = id
	}
	if err := k.keep(facts); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotKept, err)
	}
	return k.copyOf(id)
}

// listed gives all incidents, or says why they cannot be told.
func (k *Keeper) listed() ([]IncidentLine, error) {
	all := k.list()
	k.mu.Lock()
	defer k.mu.Unlock()
	return all, k.readable()
}

// readable says why what is in the record cannot be told, or nil; k.mu is held.
func (k *Keeper) readable() error {
	if k.unread {
		return fmt.Errorf("%w: %w", errNotRead, k.trouble)
	}
	return nil
}

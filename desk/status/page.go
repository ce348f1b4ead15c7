package status

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

//go:embed page
var pageFiles embed.FS

var (
	pages = template.Must(template.New("").Funcs(template.FuncMap{
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"pair": func(told any, w words, open bool) any {
			return struct {
				Told  any
				Words words
				Open  bool
			}{told, w, open}
		},
	}).ParseFS(pageFiles, "page/*.html"))
	style, policy = styleAndPolicy()
)

// styleAndPolicy gives the style sheet, and a policy that lets it in by its
// hash and nothing else at all.
func styleAndPolicy() (template.CSS, string) {
	b, err := pageFiles.ReadFile("page/status.css")
	if err != nil {
		panic("status: the style sheet is not built in") // a broken build, found by any test
	}
	sum := sha256.Sum256(b)
	return template.CSS(b), "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// view is a document for the page, in one language.
type view struct {
	Lang                  string // of the page's own words
	Others                []language
	Style                 template.CSS
	Title, Sentence, Mood string
	Head                  string // the sentence where it stands as the page's title
	SentenceLang          string // where it is another
	Water                 int
	Heard                 string // when it was last heard, in words
	HeardAt               time.Time
	Silent                bool
	SilentText            string
	Words                 words
	Components            []row
	Planned               []plan
	Current, Past         []told
	Cells                 []cell
	DaysLabel, DaysNote   string
	DayRows               []row
	Atom, JSON, Calendar  string
	Subscribe             string
	Policy                string // for a file: nobody sends it as a header
}

// language is another one that the page can be read in.
type language struct{ Tag, Name, Link string }

type row struct{ Name, State, Word string }

type plan struct {
	Title, Kind, From, To string
	Begin, End            time.Time
	Runs                  bool
}

type cell struct {
	X     int
	State string
}

type told struct {
	ID, Title, Life, LifeWord, Begin, Lasted string
	BeginAt                                  time.Time
	Facts                                    []fact
	Updates                                  []update
	After                                    []update // what looks back
}

type fact struct {
	Name, Text string
	At         time.Time // zero: it is no time
}

type update struct {
	When, Life, Text string
	Lang             string // of the text, where it is not the page's
	At               time.Time
	Draft            bool
}

// render gives the page in a language. live says that it is made for this very
// moment; a published one names times and no distances from now.
func (d *Document) render(lang string, now time.Time, zone *time.Location, live bool, links links) ([]byte, error) {
	v := d.view(lang, now, zone, live)
	if links.files {
		v.Policy, _, _ = strings.Cut(policy, "; frame-ancestors") // which a page cannot say itself
	}
	for _, tag := range append([]string{"en", "de"}, d.languages()...) {
		if tag != lang {
			v.Others = append(v.Others, language{tag, cmp.Or(languageNames[tag], tag), links.page(tag)})
		}
	}
	v.Atom, v.JSON, v.Calendar = links.Atom(lang), links.JSON(lang), links.feed("calendar", lang, ".ics")
	if links.subscribe {
		v.Subscribe = "subscribe?lang=" + lang
	}
	for {
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, "status.html", v); err != nil {
			return nil, fmt.Errorf("status: page: %w", err)
		}
		if b.Len() <= pageBytesMax || !v.shrink() {
			return b.Bytes(), nil
		}
	}
}

// shrink leaves out some of what is missed least, and says whether there was any.
func (v *view) shrink() bool {
	if n := len(v.Past); n > 0 {
		v.Past = v.Past[:n-1]
		return true
	}
	updates, text := 0, len(v.Sentence)
	for _, c := range v.Current {
		updates = max(updates, len(c.Updates), len(c.After))
		for _, u := range slices.Concat(c.Updates, c.After) {
			text = max(text, len(u.Text))
		}
	}
	switch {
	case updates > 1:
		for i := range v.Current {
			c := &v.Current[i]
			c.Updates, c.After = c.Updates[:min(len(c.Updates), updates/2)], c.After[:min(len(c.After), updates/2)]
		}
	case len(v.Current) > 1:
		v.Current = v.Current[:len(v.Current)/2]
	case text > textBytesMin:
		text = max(text/2, textBytesMin)
		v.Sentence = cut(v.Sentence, text)
		for _, c := range v.Current {
			for _, list := range [][]update{c.Updates, c.After} {
				for i := range list {
					list[i].Text = cut(list[i].Text, text)
				}
			}
		}
	default:
		all := len(v.Components)
		v.Components = slices.DeleteFunc(v.Components, func(r row) bool { return r.State == string(Up) })
		return len(v.Components) < all
	}
	return true
}

// cut shortens a text to so many bytes, and says by its end that it did.
func cut(text string, most int) string {
	const end = " …"
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(end)], "") + end
}

// links name the other pages and the feeds; served ones differ from files.
type links struct {
	files     bool
	subscribe bool
}

func (l links) page(lang string) string {
	switch {
	case !l.files:
		return "?lang=" + lang
	case lang == "en":
		return "index.html"
	}
	return lang + ".html"
}

func (l links) Atom(lang string) string { return l.feed("feed", lang, ".atom") }
func (l links) JSON(lang string) string { return l.feed("feed", lang, ".json") }

// file is the name of what is served at a path.
func (l links) file(path, lang string) string {
	name, ending, ok := strings.Cut(strings.TrimPrefix(path, "/"), ".")
	if !ok {
		return l.page(lang)
	}
	return l.feed(name, lang, "."+ending)
}

func (l links) feed(name, lang, ending string) string {
	switch {
	case lang == "en":
		return name + ending
	case l.files:
		return name + "." + lang + ending
	}
	return name + ending + "?lang=" + lang
}

func (d *Document) view(lang string, now time.Time, zone *time.Location, live bool) *view {
	w := wordsIn(lang)
	v := &view{Lang: ownWords(lang), Style: style, Words: w, HeardAt: d.Heard}
	in := func(t incident.Text) string { return t.In(lang) }
	ago := max(0, now.Sub(d.Heard).Truncate(time.Second))
	v.Silent = live && ago > unheardAfter
	at := in(incident.DayClock(d.Heard, zone))
	v.Heard = fmt.Sprintf(w.HeardAt, at)
	if live {
		v.Heard = fmt.Sprintf(w.Heard, in(incident.Span(ago)))
	}
	switch {
	case v.Silent && d.Ended:
		v.SilentText = fmt.Sprintf(w.Ended, at)
	case v.Silent:
		v.SilentText = fmt.Sprintf(w.Silent, in(incident.Span(ago)), at)
	}
	worst := d.worst()
	for _, c := range d.Components {
		name := c.Name
		if name == "" {
			name = w.Website
		}
		v.Components = append(v.Components, row{name, string(c.State), w.States[c.State]})
	}
	for _, i := range d.Current {
		v.Current = append(v.Current, d.tell(i, lang, zone, d.Heard))
	}
	for _, i := range d.Past {
		v.Past = append(v.Past, d.tell(i, lang, zone, d.Heard))
	}
	if worst == Up && len(d.missing()) > 0 {
		worst = Slow
	}
	v.Title, v.Mood, v.Water = w.Title, string(worst), map[State]int{Up: 4, Slow: 45, Down: 90}[worst]
	if !live {
		now = d.Heard
	}
	v.Planned = d.planned(w, lang, now, zone)
	v.Sentence, v.SentenceLang = d.sentence(d.worst(), w, lang, now, zone)
	v.Head = cut(v.Sentence, titleBytesMax)
	v.history(d, w, lang, zone)
	return v
}

// sentence is the one at the top: what is so. While something goes on, it is
// the newest word to the public about the newest such incident; is names its language
// where that is not the page's.
func (d *Document) sentence(worst State, w words, lang string, now time.Time, zone *time.Location) (text, is string) {
	var newest *Incident // of those that are restored
	var again time.Time
	for i := range d.Current {
		c := &d.Current[i]
		if len(c.Updates) == 0 {
			continue
		}
		if c.Restored.IsZero() {
			return c.Updates[0].in(lang)
		}
		if newest == nil {
			newest = c
		}
		if c.Restored.After(again) {
			again = c.Restored
		}
	}
	switch {
	case newest != nil && worst == Down:
		return newest.Updates[0].in(lang)
	case newest != nil:
		return fmt.Sprintf(w.Again, incident.Clock(again, zone).In(lang)), ""
	}
	if until := d.working(now); worst != Up && !until.IsZero() {
		return fmt.Sprintf(w.Working, incident.Clock(until, zone).In(lang)), ""
	}
	if missing := d.missing(); worst == Up && len(missing) > 0 {
		return fmt.Sprintf(w.Needs, strings.Join(missing, ", ")), ""
	}
	return w.Sentences[worst], ""
}

// in gives what is said to who reads lang; is names its language where that is not
// the page's.
func (u *Update) in(lang string) (text, is string) {
	text, is = u.Also.In(lang, u.Text)
	if is == ownWords(lang) {
		is = ""
	}
	return text, is
}

func (d *Document) tell(i Incident, lang string, zone *time.Location, now time.Time) told {
	w := wordsIn(lang)
	t := told{ID: i.ID, Life: string(i.Life), LifeWord: incident.LifeName(i.Life).In(lang), BeginAt: i.Begin, Begin: incident.DayClock(i.Begin, zone).In(lang), Title: i.Title.In(lang)}
	if t.Title == "" {
		switch {
		case i.Hurt:
			t.Title = w.Affected
		case i.Outside:
			t.Title = w.Outside
		default:
			t.Title = w.Held
		}
	}
	end := i.End
	if end.IsZero() {
		end = now
	}
	if i.End.IsZero() {
		t.Lasted = fmt.Sprintf(w.Lasting, incident.Span(end.Sub(i.Begin)).In(lang))
	} else {
		t.Lasted = fmt.Sprintf(w.Lasted, incident.Span(end.Sub(i.Begin)).In(lang))
	}
	t.Facts = append(t.Facts, fact{w.Begin, incident.ClockSeconds(i.Begin, zone).In(lang), i.Begin})
	if i.Hurt && !i.Mitigated.IsZero() {
		t.Facts = append(t.Facts, fact{w.Mitigated, incident.ClockSeconds(i.Mitigated, zone).In(lang), i.Mitigated})
	}
	if !i.Restored.IsZero() {
		t.Facts = append(t.Facts, fact{w.Restored, incident.ClockSeconds(i.Restored, zone).In(lang), i.Restored})
	}
	if !i.End.IsZero() {
		t.Facts = append(t.Facts, fact{w.End, incident.ClockSeconds(i.End, zone).In(lang), i.End})
	}
	if i.Missed.All > 0 {
		t.Facts = append(t.Facts, fact{w.Missed, i.Missed.People().In(lang), time.Time{}})
	}
	for _, u := range i.Updates {
		text, is := u.in(lang)
		say := update{incident.DayClock(u.At, zone).In(lang), incident.LifeName(u.Life).In(lang), text, is, u.At, u.Draft}
		if u.Life == incident.PostMortem {
			t.After = append(t.After, say)
		} else {
			t.Updates = append(t.Updates, say)
		}
	}
	return t
}

// history draws a cell for each day, and lists those that are not plain.
func (v *view) history(d *Document, w words, lang string, zone *time.Location) {
	good, measured := 0, 0
	for x, day := range d.Days {
		state := "none"
		switch {
		case day.Measured == 0:
		case day.Hurt >= 60:
			state = "bad"
		case day.Hurt > 0 || day.Off >= 60:
			state = "some"
		default:
			state = "good"
		}
		v.Cells = append(v.Cells, cell{x * 10, state})
		if day.Measured > 0 {
			measured++
		}
		if state == "good" {
			good++
			continue
		}
		if state == "none" {
			continue
		}
		at, err := time.ParseInLocation(time.DateOnly, day.Day, zone)
		if err != nil {
			continue
		}
		text := fmt.Sprintf(w.DayOff, incident.Span(time.Duration(day.Off)*time.Second).In(lang))
		switch {
		case day.Hurt == 0 && 2*day.Out > day.Off: // most of it
			text = fmt.Sprintf(w.DayOut, incident.Span(time.Duration(day.Out)*time.Second).In(lang))
		case day.Hurt > 0:
			text = fmt.Sprintf(w.DayHurt, incident.Span(time.Duration(day.Hurt)*time.Second).In(lang))
		}
		v.DayRows = append(v.DayRows, row{incident.Day(at, zone).In(lang), state, text})
	}
	v.DaysNote = fmt.Sprintf(w.DaysNote, measured, len(d.Days), good)
	v.DaysLabel = w.Days + ": " + v.DaysNote
}

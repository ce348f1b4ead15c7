package status

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

var cet = time.FixedZone("CET", 3600)

var now = time.Date(2026, 3, 7, 15, 20, 0, 0, cet)

const script = `<script>alert("1")</script>`

// full is as much as a document can hold.
func full() *Document {
	d := &Document{Heard: now, Components: []Component{{Name: "www.example.org", State: Down}, {Name: script, State: Slow}, {State: Up}}, Current: []Incident{}, Past: []Incident{}}
	for n := range plansMax {
		d.Plans = append(d.Plans, Plan{ID: fmt.Sprint("p", n), UID: fmt.Sprint("uid", n), Kind: incident.Crowd, Said: now, From: now.Add(time.Duration(n) * time.Hour), To: now.Add(time.Duration(n+2) * time.Hour),
			Title: incident.Text{English: script + strings.Repeat(" word", 30), German: "Kartenverkauf"}})
	}
	for i := days - 1; i >= 0; i-- {
		d.Days = append(d.Days, Day{now.AddDate(0, 0, -i).Format(time.DateOnly), 86400, i % 3 * 90, i % 2 * 400, 0})
	}
	for n := range pastMax + 1 {
		i := Incident{ID: fmt.Sprintf("2026-03-07-%d", n+1), Life: incident.Resolved, Begin: now.Add(-time.Hour), Mitigated: now.Add(-50 * time.Minute), Restored: now.Add(-40 * time.Minute), End: now.Add(-30 * time.Minute), Hurt: true}
		if n == 0 {
			i.Life, i.Title, i.Restored, i.End = incident.Investigating, incident.Text{English: script}, time.Time{}, time.Time{}
		}
		for k := range updatesMax {
			i.Updates = append(i.Updates, Update{now.Add(-time.Duration(k) * time.Minute), incident.Investigating, incident.Text{English: script + strings.Repeat(" word", 60), German: script + strings.Repeat(" Wort", 60)}, nil, k%2 == 0})
		}
		if n == 0 {
			d.Current = append(d.Current, i)
		} else {
			d.Past = append(d.Past, i)
		}
	}
	return d
}

func write(t testing.TB, dir string, d *Document) {
	t.Helper()
	b, err := json.Marshal(d)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, File), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func serverAt(dir string, at time.Time) *Server {
	s := NewServer(dir, "https://status.example.org", cet)
	s.now = func() time.Time { return at }
	return s
}

func ask(s *Server, path, languages string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Language", languages)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestThePageIsSmallAndStaysText(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, full())
	for _, lang := range []string{"en", "de"} {
		w := ask(serverAt(dir, now), "/", lang)
		body := w.Body.String()
		if w.Code != 200 || w.Body.Len() > pageBytesMax || w.Header().Get("Content-Language") != lang || !strings.Contains(body, `<html lang="`+lang+`">`) {
			t.Errorf("%s: %d, %d bytes, %v", lang, w.Code, w.Body.Len(), w.Header())
		}
		for _, bad := range []string{"<script", " src=", "<link rel=\"stylesheet", "javascript:", "%!"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s: the page holds %q", lang, bad)
			}
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", lang, csp)
		}
	}
}

func TestThePageSaysWhenItWasLastHeard(t *testing.T) {
	dir := t.TempDir()
	d := &Document{Heard: now, Components: []Component{{State: Up}}, Days: []Day{{"2026-03-07", 600, 0, 0, 0}}}
	write(t, dir, d)
	for _, c := range []struct {
		after    time.Duration
		language string
		want     []string
		not      string
	}{
		{4 * time.Second, "en", []string{"Last heard 4 seconds ago.", "Everything works."}, "was last heard"},
		{40 * time.Second, "en", []string{"Last heard 40 seconds ago.", "was last heard 40 seconds ago", "15:20 CET"}, ""},
		{40 * time.Second, "de-AT,en;q=0.5", []string{"Zuletzt gehört vor: 40 Sekunden.", "15:20 Uhr (MEZ)", "wissen wir nicht"}, ""},
	} {
		body := ask(serverAt(dir, now.Add(c.after)), "/", c.language).Body.String()
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("after %s: %q is missing", c.after, want)
			}
		}
		if c.not != "" && strings.Contains(body, c.not) {
			t.Errorf("after %s: it says %q", c.after, c.not)
		}
	}
	d.Ended = true
	write(t, dir, d)
	if body := ask(serverAt(dir, now.Add(time.Hour)), "/", "en").Body.String(); !strings.Contains(body, "was switched off") {
		t.Error("that Deich was ended in peace is not said")
	}
}

// A file that is damaged while it was read before changes nothing but the age.
func TestADamagedFile(t *testing.T) {
	dir := t.TempDir()
	s := serverAt(dir, now)
	if w := ask(s, "/", "en"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("without a file: %d", w.Code)
	}
	write(t, dir, full())
	s.now = func() time.Time { return now.Add(time.Second) }
	if w := ask(s, "/", "en"); w.Code != 200 {
		t.Errorf("with one: %d", w.Code)
	}
	os.WriteFile(filepath.Join(dir, File), []byte("{"), 0o600)
	s.now = func() time.Time { return now.Add(2 * time.Minute) }
	if w := ask(s, "/", "en"); w.Code != 200 || !strings.Contains(w.Body.String(), "was last heard 2 minutes ago") {
		t.Errorf("with a damaged one: %d", w.Code)
	}
}

func TestLanguages(t *testing.T) {
	for accept, want := range map[string]string{
		"": "en", "de": "de", "de-DE,de;q=0.9,en;q=0.8": "de", "en-US,en;q=0.9,de;q=0.8": "en", "fr,de;q=0.4,en;q=0.3": "de", "fr": "en",
		"de;q=0": "en", "en;q=x,de;q=0.1": "de", strings.Repeat("fr,", 100) + "de": "en", ";;;,,,": "en",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", accept)
		if got := Language(r); got != want {
			t.Errorf("%.60q: %s, want %s", accept, got, want)
		}
	}
	r := httptest.NewRequest("GET", "/?lang=de", nil)
	r.Header.Set("Accept-Language", "en")
	if Language(r) != "de" {
		t.Error("what was chosen is not given")
	}
}

// What is said in further languages is read in them, in the page's own words where
// it has none: served and as files, in the feeds, and marked as what it is.
func TestFurtherLanguages(t *testing.T) {
	dir := t.TempDir()
	d := full()
	d.Current[0].Updates[0].Also = incident.Also{"fr": "Nous cherchons <b>.", "pt-br": "Procuramos."}
	d.Past[0].Updates[0].Also = incident.Also{"ar": "نبحث"}
	write(t, dir, d)
	s := serverAt(dir, now)
	for _, c := range []struct {
		path, accept, lang string
		want               []string
	}{
		{"/", "fr-CA, en;q=0.5", "fr", []string{`<html lang="en">`, `<h1 id="now" lang="fr">Nous cherchons &lt;b&gt;.</h1>`, `<p lang="fr">`, `<a href="?lang=ar" lang="ar" hreflang="ar">العربية</a>`, `<a href="?lang=de"`, `<a href="?lang=en"`, `href="feed.atom?lang=fr"`}},
		{"/", "pt-BR", "pt-br", []string{`lang="pt-br">Procuramos.</h1>`}},
		{"/", "pt", "en", []string{`<a href="?lang=pt-br" lang="pt-br" hreflang="pt-br">Português (Brasil)</a>`}},
		{"/?lang=fr", "de", "fr", []string{`lang="fr">Nous`}},
		{"/?lang=tlh", "de", "de", []string{`<html lang="de">`, `<a href="?lang=fr" lang="fr" hreflang="fr">Français</a>`}},
		{"/feed.atom?lang=fr", "", "fr", []string{`xml:lang="fr"`, `Nous cherchons &lt;b&gt;.`}},
		{"/badge.svg", "fr", "fr", []string{"Status"}},
	} {
		w := ask(s, c.path, c.accept)
		if w.Code != 200 || w.Header().Get("Content-Language") != c.lang {
			t.Errorf("%s for %q: %d in %s", c.path, c.accept, w.Code, w.Header().Get("Content-Language"))
		}
		for _, want := range c.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s for %q lacks %s", c.path, c.accept, want)
			}
		}
	}
	to := t.TempDir()
	if _, err := Publish(dir, to, "https://status.example.org", now, cet); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"fr.html": "Nous cherchons", "index.html": `<a href="fr.html" lang="fr"`, "feed.fr.json": "Nous cherchons", "pt-br.html": `href="feed.pt-br.atom"`} {
		if b, err := os.ReadFile(filepath.Join(to, name)); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %s, %v", name, want, err)
		}
	}
	for n := range 3 * languagesMax {
		d.Past[n%len(d.Past)].Updates[n/len(d.Past)].Also = incident.Also{fmt.Sprintf("x%c%c", 'a'+n/26, 'a'+n%26): "x"}
	}
	if all := d.languages(); len(all) != languagesMax || !slices.Contains(all, "fr") {
		t.Errorf("%d languages: %s", len(all), all)
	}
}

func TestOnlyItsPages(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, full())
	s := serverAt(dir, now)
	for _, path := range []string{"/status.json", "/token", "/..%2ftoken", "/index.html", "/incidents"} {
		if w := ask(s, path, "en"); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("x")))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestFeeds(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, full())
	w := ask(serverAt(dir, now), "/feed.atom", "de")
	var atom struct {
		XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
		ID      string   `xml:"id"`
		Title   string   `xml:"title"`
		Updated string   `xml:"updated"`
		Author  string   `xml:"author>name"`
		Entries []struct {
			ID      string `xml:"id"`
			Title   string `xml:"title"`
			Updated string `xml:"updated"`
			Content string `xml:"content"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &atom); err != nil {
		t.Fatal(err)
	}
	if want := (pastMax + 1) * updatesMax; len(atom.Entries) != want || atom.ID != "https://status.example.org/?lang=de#status" || atom.Author == "" || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/atom+xml") {
		t.Errorf("%d entries, want %d: %+v", len(atom.Entries), want, atom.ID)
	}
	seen := map[string]bool{}
	for _, e := range atom.Entries {
		if _, err := time.Parse(time.RFC3339, e.Updated); err != nil || e.ID == "" || seen[e.ID] || e.Title == "" || e.Content == "" {
			t.Errorf("%+v, %v", e, err)
		}
		seen[e.ID] = true
	}
	var feed jsonFeed
	w = ask(serverAt(dir, now), "/feed.json", "en")
	if err := json.Unmarshal(w.Body.Bytes(), &feed); err != nil || feed.Version != "https://jsonfeed.org/version/1.1" || len(feed.Items) == 0 || feed.Items[0].ID == "" || feed.Items[0].Text == "" {
		t.Errorf("%v, %+v", err, feed)
	}
}

func TestPublish(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "public")
	if _, err := Publish(dir, to, "", now, cet); err == nil {
		t.Error("nothing to publish, and no error")
	}
	write(t, dir, full())
	names, err := Publish(dir, to, "", now, cet)
	if err != nil || len(names) != 10 {
		t.Fatalf("%q, %v", names, err)
	}
	for name, want := range map[string]string{
		"index.html": `href="de.html"`, "de.html": "Stand: 7. März 2026, 15:20 Uhr (MEZ).", "feed.atom": "<feed", "feed.de.atom": `xml:lang="de"`, "feed.json": "jsonfeed", "feed.de.json": `"de"`,
		"badge.svg": "<svg", "badge.de.svg": "15:20", "calendar.ics": "BEGIN:VCALENDAR", "calendar.de.ics": "Kartenverkauf",
	} {
		b, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %q is missing, %v", name, want, err)
		}
		if info, _ := os.Stat(filepath.Join(to, name)); info != nil && info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %s", name, info.Mode())
		}
		if strings.HasSuffix(name, ".html") && !strings.Contains(string(b), "Content-Security-Policy") {
			t.Errorf("%s says no policy", name)
		}
	}
}

func BenchmarkServe(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, full())
	s := NewServer(dir, "", cet)
	for b.Loop() {
		ask(s, "/", "de")
	}
}

// What the platform needs is told apart from the platform.
func TestWhatIsNeededIsMissing(t *testing.T) {
	d := &Document{Heard: now, Components: []Component{{"www.example.org", Up, false}, {"pay", Down, true}, {"mail", Unknown, true}}}
	for lang, want := range map[string][]string{
		"en": {"something that it needs does not answer: pay.", "not known"}, "de": {"gehört, antwortet nicht: pay.", "nicht bekannt"},
	} {
		b, err := d.render(lang, now, cet, true, links{})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(b), w) {
				t.Errorf("%s: %q is missing", lang, w)
			}
		}
	}
	if b := string(d.badge("en", now, cet, true)); !strings.Contains(b, "a part is missing") {
		t.Error(b)
	}
	d.Components[0].State = Down
	if b, _ := d.render("en", now, cet, true, links{}); !strings.Contains(string(b), "The site does not answer") {
		t.Error("that the site is down is not what is said first")
	}
}

// A text that was not translated says in which language it is.
func TestTheOtherLanguageIsMarked(t *testing.T) {
	d := &Document{Heard: now, Current: []Incident{{ID: "x", Updates: []Update{{At: now, Text: incident.Text{English: "Only in English."}}, {At: now, Text: incident.Text{German: "Nur deutsch."}}}}}}
	for lang, want := range map[string][2]string{
		"de": {`<p lang="en">Only in English.`, `<p>Nur deutsch.`}, "en": {`<p>Only in English.`, `<p lang="de">Nur deutsch.`},
	} {
		b, err := d.render(lang, now, cet, true, links{})
		if err != nil || !strings.Contains(string(b), want[0]) || !strings.Contains(string(b), want[1]) {
			t.Errorf("%s: %v, %q are missing in %s", lang, err, want, b[strings.Index(string(b), "<main"):])
		}
	}
}

// Whatever is said, and however much goes on, the page stays small, and its first
// words are the newest.
func TestThePageIsSmallWhateverIsSaid(t *testing.T) {
	long := "Newest: " + strings.Repeat(`"<&`+"\u00fc", incident.TextMax/5)
	for name, change := range map[string]func(d *Document){
		"one long word": func(d *Document) {
			d.Current[0].Updates = []Update{{At: now, Text: incident.Text{English: long, German: long}}}
		},
		"long words, and much looked back at": func(d *Document) {
			for k := range d.Current[0].Updates {
				d.Current[0].Updates[k].Text = incident.Text{English: long, German: long}
				d.Current[0].Updates[k].Life = incident.PostMortem
			}
			d.Current[0].Title = incident.Text{English: strings.Repeat(`"`, incident.TitleMax), German: strings.Repeat(`"`, incident.TitleMax)}
		},
		"much goes on": func(d *Document) {
			for n := range 40 {
				i := d.Current[0]
				i.ID = fmt.Sprint("x", n)
				d.Current = append(d.Current, i)
			}
			d.Current[0].Updates = []Update{{At: now, Text: incident.Text{English: long, German: long}}}
		},
		"many parts": func(d *Document) {
			for n := range 1000 {
				d.Components = append(d.Components, Component{Name: fmt.Sprint("part ", n, ".example.org"), State: Up})
			}
			d.Current[0].Updates = []Update{{At: now, Text: incident.Text{English: long, German: long}}}
		},
	} {
		d := full()
		change(d)
		for _, lang := range []string{"en", "de"} {
			b, err := d.render(lang, now, cet, true, links{})
			if err != nil || len(b) > pageBytesMax || !strings.Contains(string(b), `<h1 id="now">Newest: `) {
				t.Errorf("%s, %s: %d bytes, %v", name, lang, len(b), err)
			}
			if !strings.Contains(string(b), `<i class="mark down"></i>`) || !strings.Contains(string(b), `</html>`) {
				t.Errorf("%s, %s: what does not work is not on it", name, lang)
			}
		}
	}
	// What fits is told whole, but in the title.
	d := &Document{Heard: now, Current: []Incident{{ID: "x", Updates: []Update{{At: now, Text: incident.Text{English: strings.Repeat("word ", 1000)}}}}}}
	if b, err := d.render("en", now, cet, true, links{}); err != nil || strings.Count(string(b), strings.TrimSpace(strings.Repeat("word ", 1000))) != 2 || !strings.Contains(string(b), " …</title>") {
		t.Errorf("%v: %d bytes", err, len(b))
	}
	if got := cut("aüüü", 6); got != "a …" {
		t.Errorf("%q", got)
	}
}

// It works again once everything does that was said not to.
func TestItWorksAgainOnceAllDoes(t *testing.T) {
	said := func(text string) []Update { return []Update{{At: now, Text: incident.Text{English: text}}} }
	over, long := Incident{ID: "b", Restored: now.Add(-time.Minute), Updates: said("Newer.")}, Incident{ID: "a", Updates: said("Older.")}
	ended := long
	ended.Restored = now
	for _, c := range []struct {
		name    string
		current []Incident
		state   State
		want    string
	}{
		{"an older one goes on", []Incident{over, long}, Up, "Older."},
		{"a newer one goes on", []Incident{long, over}, Up, "Older."},
		{"all is over, and the older one was last", []Incident{over, ended}, Up, "It works again since 15:20 CET. We keep watching."},
		{"all is over, and it does not answer", []Incident{over, ended}, Down, "Newer."},
		{"nothing was said of it", []Incident{{ID: "c"}, over}, Up, "It works again since 15:19 CET. We keep watching."},
		{"nothing was said", []Incident{{ID: "c"}}, Up, "Everything works."},
	} {
		d := &Document{Heard: now, Components: []Component{{State: c.state}}, Current: c.current}
		if got, _ := d.sentence(d.worst(), english, "en", now, cet); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What was written in a language that is not offered any more goes, and nothing that
// somebody else put there.
func TestPublishRemovesWhatIsNotOffered(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	d := full()
	d.Current[0].Updates[0].Also = incident.Also{"fr": "Nous cherchons.", "pt-br": "Procuramos."}
	publish := func() {
		t.Helper()
		write(t, dir, d)
		if _, err := Publish(dir, to, "https://status.example.org", now, cet); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	var others []string
	for name, text := range map[string]string{
		"es.html": "hola", "feed.es.atom": `<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="es"><author><name>Ada</name></author></feed>`,
		"it.html": "ciao", "notes.txt": "x", "feed.xx-yy-zz-long.atom": "x", "x.html": "x", "feed..atom": "x",
	} {
		others = append(others, name)
		if err := os.WriteFile(filepath.Join(to, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	feed, err := os.ReadFile(filepath.Join(to, "feed.fr.atom"))
	if err == nil {
		err = os.WriteFile(elsewhere, []byte(strings.Replace(string(feed), `"fr"`, `"nl"`, 1)), 0o644)
	}
	if err == nil {
		err = os.Symlink(elsewhere, filepath.Join(to, "feed.nl.atom"))
	}
	if err == nil { // a folder in the place of a file of ours
		err = errors.Join(os.Remove(filepath.Join(to, "badge.fr.svg")), os.Mkdir(filepath.Join(to, "badge.fr.svg"), 0o755), os.WriteFile(filepath.Join(to, "nl.html"), []byte("x"), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	others = append(others, "feed.nl.atom", "nl.html", "badge.fr.svg", "index.html", "de.html", "feed.de.atom", "feed.atom", "pt-br.html", "feed.pt-br.atom", "calendar.pt-br.ics")
	d.Current[0].Updates[0].Also = incident.Also{"pt-br": "Procuramos."}
	publish()
	for _, name := range []string{"fr.html", "feed.fr.atom", "feed.fr.json", "calendar.fr.ics"} {
		if _, err := os.Lstat(filepath.Join(to, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s stays: %v", name, err)
		}
	}
	for _, name := range others {
		if _, err := os.Lstat(filepath.Join(to, name)); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Error(err)
	}
}

package desk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/probe"
	"github.com/deichproject/deich/desk/record"
	"github.com/deichproject/deich/desk/status"
)

// outage plays seconds to a keeper: regulars ask, and some of them are failed.
type outage struct {
	k      *Keeper
	at     time.Time
	ok     uint64
	failed uint64
	warned []string
}

func newOutage(t testing.TB, dir string) *outage {
	t.Helper()
	o := &outage{at: time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC)}
	o.open(t, dir)
	return o
}

func (o *outage) open(t testing.TB, dir string) {
	t.Helper()
	o.k = OpenKeeper(dir, time.UTC, o.at, func(s string) { o.warned = append(o.warned, s) })
	if o.k.trouble != nil {
		t.Fatal(o.k.trouble)
	}
}

func (o *outage) play(seconds int, ok, failed uint64, failing bool) {
	for range seconds {
		o.at = o.at.Add(time.Second)
		o.ok += ok
		o.failed += failed
		origin := Origin{Name: "http://10.0.0.5:3000", Public: "www.example.org", Failing: failing, Cause: "none"}
		if failing {
			origin.Cause, origin.Sure, origin.Terms = "origin_fault", .9, []deich.Term{{Name: "down", Value: 1}}
		}
		o.k.see(o.at, &State{
			Served:  []Served{{Tier: deich.Regular.String(), OK: o.ok, Failed: o.failed}},
			Origins: []Origin{origin},
		})
	}
}

// down is an outage of half a minute after two minutes of peace.
func (o *outage) down() {
	o.play(121, 20, 0, false)
	o.play(30, 0, 20, true)
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// However a Deich ends, what it showed is there after a restart: at any
// second of an outage the folder is taken as it stands, and read.
func TestWhatWasShownSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.play(121, 20, 0, false)
	for range 6 {
		o.play(7, 0, 20, true)
		shown := jsonOf(t, o.k.list())
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		again := newOutage(t, copied)
		if got := jsonOf(t, again.k.list()); got != shown {
			t.Fatalf("shown was\n%s\nand after the kill there is\n%s", shown, got)
		}
		if len(again.warned) > 0 {
			t.Errorf("%q", again.warned)
		}
		again.k.log.Close()
	}
}

func TestAnIncidentIsToldEverywhere(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.down()
	open := o.at
	o.play(5, 20, 0, false)
	all := o.k.list()
	if len(all) != 1 {
		t.Fatalf("%d incidents", len(all))
	}
	begin := time.Date(2026, 3, 7, 15, 2, 1, 0, time.UTC)
	if i := all[0]; !i.Begin.Equal(begin) || i.Lost != 600 || i.Cause != "origin_fault" {
		t.Errorf("%+v", i)
	}
	d, err := status.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Current) != 1 || !d.Current[0].Begin.Equal(begin) || len(d.Current[0].Updates) == 0 || d.Current[0].Updates[0].At.Sub(begin) > time.Minute {
		t.Errorf("the status page: %+v", d.Current)
	}
	b, _ := os.ReadFile(filepath.Join(dir, status.File))
	for _, secret := range []string{"10.0.0.5", "origin_fault", "identified"} {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the status page's file tells %q", secret)
		}
	}
	if d.Components[0].Name != "www.example.org" {
		t.Errorf("%+v", d.Components)
	}
	v, err := o.k.say(incident.Fact{Kind: incident.Approved, Incident: all[0].ID, By: "ada", Cause: "origin_fault", Text: incident.CauseText("origin_fault")}, open)
	if err != nil || v.Approval == nil {
		t.Fatal(err)
	}
	if d, _ = status.Read(dir); !strings.Contains(d.Current[0].Updates[0].Text.English, "fault of our own") {
		t.Errorf("approved, and the public is not told: %+v", d.Current[0].Updates)
	}
	if b, _ = os.ReadFile(filepath.Join(dir, status.File)); bytes.Contains(b, []byte("ada")) {
		t.Error("the status page's file names a person")
	}
}

func TestClaimsAreHeldAgainstTheKeptRecord(t *testing.T) {
	o := newOutage(t, t.TempDir())
	o.down()
	o.play(60, 20, 0, false)
	id := o.k.list()[0].ID
	begin := o.k.list()[0].Begin
	claim := incident.Claim{Who: "somebody", From: incident.Stamp{Time: begin, About: true}, To: incident.Stamp{Time: begin.Add(40 * time.Second), About: true}, Vector: "http", Outage: true}
	v, err := o.k.say(incident.Fact{Kind: incident.Claimed, Incident: id, By: "ada", Claim: &claim}, o.at)
	if err != nil {
		t.Fatal(err)
	}
	if f := v.Claims[0].Finding; f == nil || f.Answer != incident.Contradicted || f.Note != incident.NotAttribution {
		t.Errorf("%+v", f)
	}
}

func TestSplitCountsAnew(t *testing.T) {
	o := newOutage(t, t.TempDir())
	o.down()
	o.play(40, 20, 0, false)
	o.play(30, 0, 20, true)
	o.play(60, 20, 0, false)
	all := o.k.list()
	if len(all) != 1 || all[0].Lost != 1200 {
		t.Fatalf("%+v", all)
	}
	at := all[0].Begin.Add(50 * time.Second)
	v, err := o.k.say(incident.Fact{Kind: incident.Split, Incident: all[0].ID, By: "ada", Time: at}, o.at)
	if err != nil {
		t.Fatal(err)
	}
	if v.Toll.Users.Lost() != 600 || !v.Begin.Equal(at) {
		t.Errorf("%+v", v.Toll)
	}
	merged, err := o.k.say(incident.Fact{Kind: incident.Merged, Incident: v.ID, By: "ada", Other: all[0].ID}, o.at)
	if err != nil || merged.Toll.Users.Lost() != 1200 {
		t.Errorf("%v: %+v", err, merged)
	}
	rows, err := o.k.rows(all[0].ID)
	if err != nil || len(rows) < 150 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// A snapshot is believed only where the record names it.
func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.down()
	o.play(60, 20, 0, false)
	shown := jsonOf(t, o.k.list())
	if err := o.k.Close(o.at); err != nil {
		t.Fatal(err)
	}
	o.open(t, dir)
	if got := jsonOf(t, o.k.list()); got != shown || o.k.lines > 1 {
		t.Errorf("%d lines read for\n%s\nwant\n%s", o.k.lines, got, shown)
	}
	o.k.log.Close()
	name := filepath.Join(dir, IncidentsFolder, snapshotFile)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(b, []byte(`"hurt":true`), []byte(`"hurt":false`), 1)
	if bytes.Equal(forged, b) {
		t.Fatal("nothing to forge")
	}
	var s snapshot
	if err := json.Unmarshal(forged, &s); err != nil {
		t.Fatal(err)
	}
	s.Sum = sumOf(s.State) // whoever forges it makes its own hash fit
	for what, text := range map[string][]byte{"damaged": forged, "forged": []byte(jsonOf(t, s)), "no JSON": b[:len(b)/2]} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		o.warned = nil
		o.open(t, dir)
		if got := jsonOf(t, o.k.list()); got != shown || len(o.warned) != 1 {
			t.Errorf("%s: %q, %s", what, o.warned, got)
		}
		o.k.log.Close()
	}
}

// While the record cannot be written nothing new is shown, and afterwards it
// goes on.
func TestNothingIsShownThatIsNotKept(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.play(100, 20, 0, false)
	o.k.log.Close() // what a failing disk does
	o.play(20, 0, 20, true)
	if all := o.k.list(); len(all) != 0 {
		t.Fatalf("shown and not kept: %+v", all)
	}
	if len(o.warned) != 1 {
		t.Errorf("%q", o.warned)
	}
	o.play(60, 0, 20, true)
	if all := o.k.list(); len(all) != 1 {
		t.Fatalf("after the disk is there again: %+v", all)
	}
	if r, err := record.Verify(filepath.Join(dir, IncidentsFolder), ""); err != nil || len(r.Damage) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What people send stays text, is bounded, and says what is wrong with it.
func TestIncidentsAPI(t *testing.T) {
	d := newDesk(t, flooded)
	o := newOutage(t, t.TempDir())
	o.down()
	d.KeepIncidents(o.k)
	id := o.k.list()[0].ID
	const script = `<script>alert(1)</script>`
	long := strings.Repeat("x", incident.TextMax+1)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"list", "GET", "", "", 200},
		{"show", "GET", "/" + id, "", 200},
		{"rows", "GET", "/" + id + "/rows", "", 200},
		{"none", "GET", "/2020-01-01-1", "", 404},
		{"note", "POST", "/" + id + "/notes", `{"text":"` + script + `","by":"ada"}`, 200},
		{"note by nobody", "POST", "/" + id + "/notes", `{"text":"x","by":" "}`, 422},
		{"empty note", "POST", "/" + id + "/notes", `{"text":"","by":"ada"}`, 422},
		{"long note", "POST", "/" + id + "/notes", `{"text":"` + strings.Repeat("x", 3*incident.TextMax) + `","by":"ada"}`, 422},
		{"note that is a byte too long", "POST", "/" + id + "/notes", `{"text":"` + long + `","by":"ada"}`, 422},
		{"long update", "POST", "/" + id + "/updates", `{"text":{"de":"` + long + `"},"by":"ada"}`, 422},
		{"long update in both languages", "POST", "/" + id + "/updates", `{"text":{"en":"` + long[1:] + `","de":"` + long[1:] + `"},"by":"ada"}`, 200},
		{"long word on the cause", "POST", "/" + id + "/approve", `{"cause":"origin_fault","text":{"en":"` + long + `"},"by":"ada"}`, 422},
		{"unknown field", "POST", "/" + id + "/notes", `{"txt":"x","by":"ada"}`, 422},
		{"note on none", "POST", "/x/notes", `{"text":"x","by":"ada"}`, 404},
		{"update", "POST", "/" + id + "/updates", `{"text":{"en":"` + script + `"},"by":"ada","life":"identified"}`, 200},
		{"no stage", "POST", "/" + id + "/updates", `{"text":{"en":"x"},"by":"ada","life":"done"}`, 422},
		{"edit", "POST", "/" + id + "/edit", `{"title":{"de":"` + script + `"},"by":"ada"}`, 200},
		{"edit nothing", "POST", "/" + id + "/edit", `{"by":"ada"}`, 422},
		{"edit what was measured", "POST", "/" + id + "/edit", `{"begin":"2026-03-07T15:00:00Z","by":"ada"}`, 422},
		{"look back too early", "POST", "/" + id + "/updates", `{"text":{"en":"x"},"by":"ada","life":"postmortem"}`, 422},
		{"common sentence", "POST", "/" + id + "/updates", `{"say":"found","by":"ada"}`, 200},
		{"no such sentence", "POST", "/" + id + "/updates", `{"say":"lost","by":"ada"}`, 422},
		{"sentence and own words", "POST", "/" + id + "/updates", `{"say":"found","text":{"en":"x"},"by":"ada"}`, 422},
		{"nothing lacks it", "POST", "/" + id + "/translations", `{"text":{"en":"x"},"by":"ada"}`, 422},
		{"in French", "POST", "/" + id + "/translations", `{"also":{"fr":"` + script + `"},"by":"ada"}`, 200},
		{"in no language", "POST", "/" + id + "/translations", `{"also":{"../x":"x"},"by":"ada"}`, 422},
		{"in French, with long German", "POST", "/" + id + "/translations", `{"also":{"fr":"x"},"text":{"de":"` + long + `"},"by":"ada"}`, 422},
		{"in German, elsewhere", "POST", "/" + id + "/updates", `{"text":{"en":"x"},"also":{"de":"x"},"by":"ada"}`, 422},
		{"in French, without words", "POST", "/" + id + "/updates", `{"text":{"en":"x"},"also":{"fr":" "},"by":"ada"}`, 422},
		{"in French alone", "POST", "/" + id + "/updates", `{"also":{"fr":"x"},"by":"ada"}`, 422},
		{"translate into nothing", "POST", "/" + id + "/translations", `{"text":{},"by":"ada"}`, 422},
		{"approve", "POST", "/" + id + "/approve", `{"cause":"origin_fault","by":"ada"}`, 200},
		{"no cause", "POST", "/" + id + "/approve", `{"cause":"aliens","by":"ada"}`, 422},
		{"claim", "POST", "/" + id + "/claims", `{"who":"` + script + `","text":"` + script + `","by":"ada"}`, 200},
		{"claim of nobody", "POST", "/" + id + "/claims", `{"who":"","by":"ada"}`, 422},
		{"open", "POST", "", `{"title":{"en":"Mail is late"},"by":"ada"}`, 200},
		{"open without title", "POST", "", `{"by":"ada"}`, 422},
		{"open with a long title", "POST", "", `{"title":{"de":"` + long[:incident.TitleMax+1] + `"},"by":"ada"}`, 422},
		{"merge with itself", "POST", "/" + id + "/merge", `{"into":"` + id + `","by":"ada"}`, 422},
		{"merge with none", "POST", "/" + id + "/merge", `{"into":"x","by":"ada"}`, 404},
		{"split before it began", "POST", "/" + id + "/split", `{"at":"2020-01-01T00:00:00Z","by":"ada"}`, 422},
		{"import nothing", "POST", "/import", `{"by":"ada"}`, 422},
		{"dossier", "GET", "/" + id + "/dossier", "", 200},
		{"dossier in German", "GET", "/" + id + "/dossier?lang=de&format=md", "", 200},
		{"dossier in no format", "GET", "/" + id + "/dossier?format=pdf", "", 422},
	} {
		r := send(d, c.method, "/api/v1/incidents"+c.path, c.body)
		if r.Code != c.status {
			t.Errorf("%s: %d, want %d: %.200s", c.name, r.Code, c.status, r.Body)
		}
		if strings.HasPrefix(c.path, "/"+id+"/dossier") && strings.Contains(r.Body.String(), "<script") {
			t.Errorf("%s: a script is markup", c.name)
		}
	}
	if r := send(d, "GET", "/incidents/"+id, ""); r.Code != http.StatusOK || !strings.Contains(r.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page: %d, %v", r.Code, r.Header())
	}
}

// send asks as a program that holds the token does.
func send(d *Desk, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:2020"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+testToken)
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, r)
	return w
}

// incidentsOfAMillion are in that record: nearly as many as are remembered.
const incidentsOfAMillion = incident.IncidentsMax - 1

// aMillion writes a record of a million lines: a year of measurements, incidents,
// and what people did. id is the first incident, with its seconds.
func aMillion(b *testing.B) (dir string, id string) {
	b.Helper()
	dir = b.TempDir()
	o := newOutage(b, dir)
	o.down()
	o.play(400, 20, 0, false)
	id = o.k.list()[0].ID
	row := incident.Row{Span: 60, Groups: [incident.Groups]incident.Group{2: {Asked: 1200, Served: 1200, P50: 40, P99: 90}}, P50: 40, P99: 90, Acts: [6]uint32{1200}}
	at := o.at.Add(incident.QuietFor)
	for n := range 250 {
		var facts []incident.Fact
		for k := range 2 {
			if n == 0 {
				break // the first one is there
			}
			id := fmt.Sprintf("%s-%d", at.Format(time.DateOnly), 10+k)
			facts = append(facts,
				incident.Fact{At: at, Kind: incident.Opened, Incident: id, Time: at},
				incident.Fact{At: at, Kind: incident.Affected, Incident: id, Time: at},
				incident.Fact{At: at, Kind: incident.CauseIs, Incident: id, Origin: "origin", Cause: "flood", Sure: .9},
				incident.Fact{At: at, Kind: incident.Noted, Incident: id, By: "ada", Text: incident.Text{English: "Looked at it."}},
				incident.Fact{At: at, Kind: incident.Closed, Incident: id, Time: at})
		}
		for len(facts) < 4000 {
			at = at.Add(34 * time.Second)
			r := row
			r.At, r.Span = at, 1
			facts = append(facts, incident.Fact{At: at, Kind: incident.Minute, Row: &r})
		}
		if err := o.k.keep(facts); err != nil {
			b.Fatal(err)
		}
	}
	if err := o.k.Close(at); err != nil {
		b.Fatal(err)
	}
	return dir, id
}

// BenchmarkAMillionEvents opens a record of a million lines and lists its
// incidents, and then opens one with its measurements.
func BenchmarkAMillionEvents(b *testing.B) {
	dir, id := aMillion(b)
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			k := OpenKeeper(dir, time.UTC, at, func(s string) { b.Error(s) })
			if n := len(k.list()); n != incidentsOfAMillion {
				b.Fatal(n)
			}
			k.log.Close()
		}
	})
	b.Run("open", func(b *testing.B) {
		k := OpenKeeper(dir, time.UTC, at, func(s string) { b.Error(s) })
		for b.Loop() {
			d, err := k.dossierOf(id, at)
			if err != nil || len(d.Rows) < 90 {
				b.Fatal(err, fmt.Sprint(len(d.Rows)))
			}
		}
		k.log.Close()
	})
	b.Run("all", func(b *testing.B) { // as after a snapshot was lost
		os.Remove(filepath.Join(dir, IncidentsFolder, snapshotFile))
		for b.Loop() {
			k := OpenKeeper(dir, time.UTC, at, func(string) {})
			k.log.Close()
		}
	})
}

// What is planned is on disk before it is told, and stands on the status page.
func TestPlansAreKeptAndTold(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.play(2, 20, 0, false)
	p, err := o.k.plan(PlanRequest{Kind: incident.Crowd, Title: incident.Text{English: "Tickets"}, From: o.at, To: o.at.Add(time.Hour), By: "ada"}, o.at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.k.plan(PlanRequest{Kind: "party", By: "ada"}, o.at); err == nil {
		t.Error("an unknown kind is planned")
	}
	if until := o.k.CrowdUntil(o.at); !until.Equal(p.To) {
		t.Errorf("expected until %s", until)
	}
	again := newOutage(t, copyOf(t, dir))
	defer again.k.log.Close()
	if all, err := again.k.plans(); err != nil || len(all) != 1 || all[0].UID != p.UID || all[0].By != "ada" {
		t.Errorf("after a kill: %v, %+v", err, all)
	}
	d, err := status.Read(dir)
	if err != nil || len(d.Plans) != 1 || d.Plans[0].UID != p.UID {
		t.Fatalf("%v, the status page: %+v", err, d)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, status.File)); bytes.Contains(b, []byte("ada")) {
		t.Error("the status page's file names a person")
	}
	if p, err = o.k.cancel(p.ID, "ada", o.at); err != nil || !p.Off {
		t.Fatal(err)
	}
	if _, err := o.k.cancel(p.ID, "ada", o.at); err == nil {
		t.Error("called off twice")
	}
	if d, _ = status.Read(dir); !d.Plans[0].Off || !o.k.CrowdUntil(o.at).IsZero() {
		t.Error("called off, and not told")
	}
	if all, err := o.k.actions(5); err != nil || len(all) != 2 || all[0].Text != "The plan "+p.ID+" was called off." || all[1].German != "Der Plan "+p.ID+" wurde angekündigt." || all[1].By != "ada" {
		t.Errorf("what people did: %+v", all)
	}
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// One probe alone calls nothing down; several that agree do, of a site and of
// what it needs.
func TestProbesAgreeOnTheStatusPage(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.play(2, 20, 0, false)
	d, err := New(Options{Token: strings.Repeat("t", tokenLen), State: func() State { return State{} }, Now: func() time.Time { return o.at }})
	if err != nil {
		t.Fatal(err)
	}
	d.KeepIncidents(o.k)
	say := func(by string) {
		t.Helper()
		body := `{"by":"` + by + `","at":"2020-01-01T00:00:00Z","results":[{"name":"www.example.org","target":"https://www.example.org/","ok":false},{"name":"pay","target":"tcp://a:1","ok":false},{"name":"mail","target":"tcp://b:1","ok":true}]}`
		r := httptest.NewRequest("POST", "/api/v1/probes", strings.NewReader(body))
		r.Host = "127.0.0.1"
		r.Header.Set("Authorization", "Bearer "+strings.Repeat("t", tokenLen))
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		o.play(6, 20, 0, false)
	}
	parts := func() string {
		t.Helper()
		is, err := status.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, c := range is.Components {
			all = append(all, fmt.Sprintf("%s %s %t", c.Name, c.State, c.Needed))
		}
		return strings.Join(all, ", ")
	}
	say("one")
	if got, want := parts(), "www.example.org up false, mail up true, pay up true"; got != want {
		t.Errorf("one alone: %s, want %s", got, want)
	}
	say("two")
	if got, want := parts(), "www.example.org down false, mail up true, pay down true"; got != want {
		t.Errorf("two: %s, want %s", got, want)
	}
	o.play(200, 20, 0, false)
	if got, want := parts(), "www.example.org up false, mail unknown true, pay unknown true"; got != want {
		t.Errorf("nobody lately: %s, want %s", got, want)
	}
}

// Where several probes agree and nothing is open, an incident opens, since the
// first failed check, and says who found what; one alone opens none.
func TestProbesOpenAnIncident(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	look := func(ok bool, all ...string) {
		t.Helper()
		r := probe.Result{Name: "pay", Target: "tcp://192.0.2.1:443", OK: ok, Text: "connection refused"}
		for _, by := range all {
			if err := probe.Write(dir, probe.Report{By: by, At: o.at, Results: []probe.Result{r}}); err != nil {
				t.Fatal(err)
			}
		}
		o.play(30, 20, 0, false)
	}
	look(true, "berlin", "paris")
	first := o.at
	look(false, "berlin")
	look(false, "berlin")
	if all := o.k.list(); len(all) != 0 {
		t.Fatalf("one probe alone opens %+v", all)
	}
	look(false, "berlin", "paris")
	v, err := o.k.view(Latest)
	if err != nil {
		t.Fatal(err)
	}
	if !v.Begin.Equal(first) || v.Hurt || v.Cause != "unknown" || len(v.Outside) != 1 || v.Outside[0].Name != "pay" || !v.Outside[0].To.IsZero() ||
		v.Outside[0].Text.English != "2 of 2 probes find it down: berlin (connection refused), paris (connection refused)." {
		t.Errorf("begin %s, want %s; %+v", v.Begin, first, v)
	}
	d, err := status.Read(dir)
	if err != nil || len(d.Current) != 1 || !d.Current[0].Outside || !strings.Contains(d.Current[0].Updates[0].Text.English, "pay cannot be reached from outside.") {
		t.Errorf("%v, the public is told %+v", err, d)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, status.File)); bytes.Contains(b, []byte("berlin")) {
		t.Error("the status page's file names a probe")
	}
	o.k.log.Close()
	o.open(t, dir) // as after a kill
	look(true, "paris")
	if v, err = o.k.view(Latest); err != nil || len(v.Outside) != 1 || !v.Outside[0].To.IsZero() {
		t.Errorf("in doubt: %v, %+v", err, v.Outside)
	}
	back := o.at
	for o.at.Sub(back) < incident.QuietFor+2*time.Minute {
		look(true, "berlin", "paris")
	}
	if v, err = o.k.view(Latest); err != nil || v.Life != incident.Resolved || v.End.Sub(back) > 10*time.Second || v.Outside[0].To.IsZero() {
		t.Errorf("%v, %s, over at %s, back since %s: %+v", err, v.Life, v.End, back, v.Outside)
	}
	if all := o.k.list(); len(all) != 1 {
		t.Errorf("%d incidents", len(all))
	}
}

// What is said in one language is said in the other later, also after a restart,
// and what was said before stands.
func TestUpdatesAreTranslated(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.down()
	say := func(f incident.Fact) {
		t.Helper()
		f.Incident, f.By = Latest, "ada"
		if _, err := o.k.say(f, o.at); err != nil {
			t.Fatal(err)
		}
		o.play(1, 20, 0, false)
	}
	say(incident.Fact{Kind: incident.Updated, Text: incident.Text{English: "One."}})
	say(incident.Fact{Kind: incident.Updated, Text: incident.Text{English: "Two.", German: "Zwei."}})
	say(incident.Fact{Kind: incident.Updated, Text: incident.Text{German: "Drei."}})
	say(incident.Fact{Kind: incident.Translated, Text: incident.Text{German: "Eins."}})
	say(incident.Fact{Kind: incident.Translated, Text: incident.Text{English: "Three.", German: "Nein."}})
	if _, err := o.k.say(incident.Fact{Kind: incident.Translated, Incident: Latest, By: "ada", Text: incident.Text{English: "Four."}}, o.at); err == nil {
		t.Error("a fourth")
	}
	say(incident.Fact{Kind: incident.Translated, Also: incident.Also{"fr": "Trois."}})
	say(incident.Fact{Kind: incident.Translated, Also: incident.Also{"fr": "Deux.", "tr": "Üç."}}) // the third lacks one of them
	say(incident.Fact{Kind: incident.Translated, Also: incident.Also{"fr": "Deux."}})
	if all, err := o.k.actions(9); err != nil || len(all) != 8 || all[0].Kind != "translated" {
		t.Errorf("what people did: %+v", all)
	}
	again := newOutage(t, copyOf(t, dir))
	defer again.k.log.Close()
	for _, k := range []*Keeper{o.k, again.k} {
		v, err := k.view(Latest)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, u := range v.Updates {
			if u.By != "" {
				said := u.Text.English + " " + u.Text.German
				for _, tag := range u.Also.Tags() {
					said += " " + u.Also[tag]
				}
				all = append(all, said)
			}
		}
		if got := strings.Join(all, ", "); got != "One. Eins., Two. Zwei. Deux., Three. Drei. Trois. Üç." {
			t.Error(got)
		}
	}
	if d, err := status.Read(dir); err != nil || d.Current[0].Updates[0].Text.English != "Three." || d.Current[0].Updates[0].Also["tr"] != "Üç." {
		t.Errorf("%v, %+v", err, d.Current[0].Updates)
	}
}

// A person gives an incident another title, and looks back at it once it is over; that
// stands on the status page, in the dossier and after a restart, and opens nothing anew.
func TestWhatIsEditedAndLookedBackOn(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.down()
	say := func(f incident.Fact) error {
		f.Incident, f.By = Latest, "ada"
		_, err := o.k.say(f, o.at)
		o.play(1, 20, 0, false)
		return err
	}
	for _, f := range []incident.Fact{
		{Kind: incident.Edited, Text: incident.Text{English: "Mail is late", German: "Mail verspätet"}},
		{Kind: incident.Edited, Text: incident.Text{German: "E-Mail verspätet"}},
		{Kind: incident.Updated, Life: incident.PostMortem, Text: incident.Text{English: "A disk had failed.", German: "Eine Platte war ausgefallen."}},
	} {
		if f.Life != "" {
			o.play(700, 20, 0, false) // it is over
		}
		if err := say(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := say(incident.Fact{Kind: incident.Edited, Time: o.at.Add(-time.Hour)}); err == nil {
		t.Error("what was measured has another begin")
	}
	again := newOutage(t, copyOf(t, dir))
	defer again.k.log.Close()
	for _, k := range []*Keeper{o.k, again.k} {
		v, err := k.view(Latest)
		if err != nil {
			t.Fatal(err)
		}
		if v.Title != (incident.Text{English: "Mail is late", German: "E-Mail verspätet"}) || v.Life != incident.Resolved || v.Closed.IsZero() {
			t.Errorf("%+v, %s, closed %v", v.Title, v.Life, v.Closed)
		}
		d, err := k.dossierOf(Latest, o.at)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := d.Markdown(&b, "de"); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"# E-Mail verspätet\n", "- Eine Platte war ausgefallen. (Person 1)\n", "Der Titel ist nun „E-Mail verspätet“."} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("the dossier lacks %q:\n%s", want, b.String())
			}
		}
	}
	if live := o.k.current(); live == nil || len(live.Timeline) != momentsShown || live.Timeline[0].By != "ada" || !strings.Contains(live.Timeline[0].German, "Eine Platte war ausgefallen.") {
		t.Errorf("the page's timeline: %+v", live)
	}
	d, err := status.Read(dir)
	if err != nil || len(d.Current) != 0 || len(d.Past) != 1 {
		t.Fatalf("%v, %+v", err, d)
	}
	w := httptest.NewRecorder()
	status.NewServer(dir, "", time.UTC).ServeHTTP(w, httptest.NewRequest("GET", "/?lang=de", nil))
	page := w.Body.String()
	at, folded := strings.Index(page, "Eine Platte war ausgefallen."), strings.LastIndex(page, "<summary>Meldungen")
	if !strings.Contains(page, "<h3>E-Mail verspätet</h3>") || !strings.Contains(page, "· Rückblick</small>") || at < 0 || folded < at {
		t.Errorf("the status page says:\n%s", page[strings.Index(page, "<main"):])
	}
}

// Pressure that comes and goes each second leaves room for the rest on the page.
func TestFlickeringPressureIsOneMoment(t *testing.T) {
	o := newOutage(t, t.TempDir())
	o.down()
	id := o.k.current().ID
	o.k.index.Book.Apply(incident.Fact{At: o.at, Kind: incident.Noted, Incident: id, By: "ada", Text: incident.Text{English: "Called them."}})
	for n := range 2 * momentsShown {
		for _, origin := range []string{"a", "b"} {
			o.k.index.Book.Apply(incident.Fact{At: o.at.Add(time.Duration(n) * time.Second), Kind: []incident.Kind{incident.Pressed, incident.Eased}[n%2], Incident: id, Origin: origin})
		}
	}
	var all []string
	for _, m := range o.k.current().Timeline {
		all = append(all, m.Text)
	}
	if len(all) < 4 || all[0] != "b keeps up again." || all[1] != "a keeps up again." || !strings.Contains(all[2], "Called them.") {
		t.Errorf("the page tells %q", all)
	}
}

// tear leaves an unfinished line at the end of the record, as a disk that was full
// does, and gives its file.
func (o *outage) tear(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, IncidentsFolder, "*.log"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	o.k.log.Close()
	f, err := os.OpenFile(files[0], os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString("0123")
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	return files[0]
}

// repaired gives what the record says of its own repair.
func repaired(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := record.Read(filepath.Join(dir, IncidentsFolder), record.Place{}, record.Place{}, func(l record.Line) error {
		var f incident.Fact
		if err := json.Unmarshal(l.Payload, &f); err != nil {
			return err
		}
		if f.Kind == incident.Repaired {
			all = append(all, f.Text.English)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A line that a full disk cut short is set aside at the first try, and the record says so.
func TestATornLineIsRepairedAtTheFirstTry(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.down()
	o.tear(t, dir)
	o.play(1, 0, 20, true)
	if o.k.trouble == nil {
		t.Fatal("nothing is wrong")
	}
	o.play(int(reopenEvery.Seconds())+1, 0, 20, true)
	if o.k.trouble != nil {
		t.Fatalf("after %s: %v; %q", reopenEvery, o.k.trouble, o.warned)
	}
	if all := repaired(t, dir); len(all) != 2 || !strings.Contains(all[0], "unfinished line of 4 bytes") || !strings.Contains(all[1], "What was seen for a while is missing") {
		t.Errorf("%q", all)
	}
	if all := o.k.list(); len(all) != 1 {
		t.Errorf("%d incidents", len(all))
	}
	o.k.log.Close()
}

// A record that cannot be opened at the start is opened once it can be. Until then
// nobody is told that all is well.
func TestARecordIsOpenedLater(t *testing.T) {
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.down()
	p, err := o.k.plan(PlanRequest{Kind: incident.Maintenance, Title: incident.Text{English: "New disks"}, From: o.at.Add(time.Hour), To: o.at.Add(48 * time.Hour), By: "ada"}, o.at)
	if err != nil {
		t.Fatal(err)
	}
	shown, id := jsonOf(t, o.k.list()), o.k.list()[0].ID
	file := o.tear(t, dir)
	if err := os.Mkdir(file+".torn", 0o700); err != nil { // as on a full disk, nothing can be set aside
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, status.File))
	if err != nil {
		t.Fatal(err)
	}
	o.k = OpenKeeper(dir, time.UTC, o.at, func(s string) { o.warned = append(o.warned, s) })
	d := newDesk(t, flooded)
	d.KeepIncidents(o.k)
	o.play(5, 20, 0, false)
	if len(o.warned) != 1 || !strings.Contains(o.warned[0], "incidents are not kept") {
		t.Errorf("%q", o.warned)
	}
	for path, want := range map[string]int{"": 503, "/latest": 503, "/" + id: 503} {
		if r := send(d, "GET", "/api/v1/incidents"+path, ""); r.Code != want {
			t.Errorf("%s: %d %s", path, r.Code, r.Body)
		}
	}
	for _, path := range []string{"/plans", "/tables/incidents.csv", "/tables/incidents.json", "/tables/actions.csv"} {
		if r := send(d, "GET", "/api/v1"+path, ""); r.Code != 503 || r.Header().Get("Content-Disposition") != "" {
			t.Errorf("%s: %d %s", path, r.Code, r.Body)
		}
	}
	if r := send(d, "POST", "/api/v1/incidents", `{"title":{"en":"Mail is late"},"by":"ada"}`); r.Code != 503 {
		t.Errorf("opened, and not kept: %d %s", r.Code, r.Body)
	}
	cancel := func() int { return send(d, "POST", "/api/v1/plans/"+p.ID+"/cancel", `{"by":"ada"}`).Code }
	if code := cancel(); code != 503 {
		t.Errorf("a plan that cannot be read is called off: %d", code)
	}
	if b, err := os.ReadFile(filepath.Join(dir, status.File)); err != nil || !bytes.Equal(b, page) {
		t.Errorf("the public is told otherwise: %v %s", err, b)
	}
	if err := os.Remove(file + ".torn"); err != nil {
		t.Fatal(err)
	}
	o.play(int(reopenEvery.Seconds())-5, 20, 0, false)
	if got := jsonOf(t, o.k.list()); o.k.trouble != nil || got != shown {
		t.Errorf("%v: there is\n%s\nwant\n%s", o.k.trouble, got, shown)
	}
	if live := o.k.glance().incident; live == nil || live.ID != id {
		t.Errorf("the page shows %+v", live)
	}
	for _, path := range []string{"/plans", "/tables/incidents.csv", "/tables/actions.csv"} {
		if r := send(d, "GET", "/api/v1"+path, ""); r.Code != 200 || !strings.Contains(r.Body.String(), "2026-03-07-1") && !strings.Contains(r.Body.String(), p.ID) {
			t.Errorf("%s: %d %s", path, r.Code, r.Body)
		}
	}
	if err := o.k.Close(o.at); err != nil {
		t.Error(err)
	}
	// And one that never could be is left alone at the end.
	never := t.TempDir()
	if err := os.WriteFile(filepath.Join(never, IncidentsFolder), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.k = OpenKeeper(never, time.UTC, o.at, func(string) {})
	o.play(65, 0, 20, true)
	if err := o.k.Close(o.at); err != nil {
		t.Error(err)
	}
}

// An incident's measurements are there for each second once, whether it was said by
// itself or in a minute, also where a restart lies between.
func TestRowsAreJoined(t *testing.T) {
	o := newOutage(t, t.TempDir())
	const id = "2026-03-07-1"
	facts := []incident.Fact{{At: o.at, Kind: incident.Opened, Incident: id, Time: o.at}}
	row := func(kind incident.Kind, second, span int) {
		r := incident.Row{At: o.at.Add(time.Duration(second) * time.Second), Span: span, Off: span, Hurt: span}
		r.Groups[2] = incident.Group{Asked: uint32(span)}
		facts = append(facts, incident.Fact{At: r.At, Kind: kind, Incident: id, Row: &r})
	}
	seconds := func(from, to int) {
		for n := from; n <= to; n++ {
			row(incident.Second, n, 1)
		}
	}
	seconds(1, 60)
	row(incident.Minute, 60, 60)
	row(incident.Minute, 120, 60)
	row(incident.Minute, 180, 60)
	seconds(181, 240)
	row(incident.Minute, 240, 60)
	row(incident.Minute, 300, 60)
	if err := o.k.keep(facts); err != nil {
		t.Fatal(err)
	}
	o.at = o.at.Add(300 * time.Second)
	check := func(when string) {
		t.Helper()
		rows, err := o.k.rows(id)
		if err != nil || len(rows) != 123 {
			t.Errorf("%s: %d rows, %v", when, len(rows), err)
		}
		for n := 1; n < len(rows); n++ {
			if !rows[n].From().Equal(rows[n-1].At) {
				t.Errorf("%s: one from %s follows one to %s", when, rows[n].From(), rows[n-1].At)
			}
		}
	}
	check("at first")
	if got := o.k.list()[0].Lost; got != 300 {
		t.Errorf("%d requests are lost of 300", got)
	}
	split, err := o.k.say(incident.Fact{Kind: incident.Split, Incident: id, By: "ada", Time: o.at.Add(-90 * time.Second)}, o.at)
	if err != nil || split.Toll.Users.Lost()+o.k.index.Book.Get(id).Toll.Users.Lost() != 300 {
		t.Errorf("%v, split into %d and %d", err, split.Toll.Users.Lost(), o.k.index.Book.Get(id).Toll.Users.Lost())
	}
	// Spans that lie within each other are read once.
	if _, err := o.k.say(incident.Fact{Kind: incident.Merged, Incident: split.ID, By: "ada", Other: id}, o.at); err != nil {
		t.Fatal(err)
	}
	o.k.index.Rows[split.ID] = o.k.index.Rows[id]
	check("after a merge")
	o.k.log.Close()
}

// The public is told a cause in an update, of which there are so many and no more.
func TestApprovalsAreBounded(t *testing.T) {
	o := newOutage(t, t.TempDir())
	o.down()
	id := o.k.list()[0].ID
	for len(o.k.index.Book.Get(id).Updates) < incident.UpdatesMax {
		o.k.index.Book.Apply(incident.Fact{At: o.at, Kind: incident.Updated, Incident: id, By: "ada", Text: incident.Text{English: "x"}})
	}
	if _, err := o.k.say(incident.Fact{Kind: incident.Approved, Incident: id, By: "ada", Cause: "flood", Text: incident.CauseText("flood")}, o.at); err == nil {
		t.Error("one update too many")
	}
	o.k.log.Close()
}

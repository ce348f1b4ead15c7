package dossier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

const script = `<script>alert("1")</script>`

var cet = time.FixedZone("CET", 3600)

// measured is a flood with everything that people can add.
func measured(t *testing.T) *Dossier {
	t.Helper()
	begin := time.Date(2026, 3, 7, 15, 0, 0, 0, cet)
	b := incident.NewBook(cet)
	fact := func(after time.Duration, f incident.Fact) {
		f.At, f.Incident = begin.Add(after), "2026-03-07-1"
		b.Apply(f)
	}
	fact(2*time.Second, incident.Fact{Kind: incident.Opened, Time: begin})
	fact(2*time.Second, incident.Fact{Kind: incident.Affected, Time: begin})
	fact(2*time.Second, incident.Fact{Kind: incident.Updated, Life: incident.Investigating, Text: incident.Text{English: "Since 15:00 …", German: "Seit 15:00 …"}})
	fact(3*time.Second, incident.Fact{Kind: incident.CauseIs, Origin: "http://10.0.0.5:3000", Cause: "flood", Sure: .93, Terms: []incident.Term{{Name: "times_usual", Value: 40, Weight: 1.5}}})
	fact(4*time.Second, incident.Fact{Kind: incident.RuleActs, Rule: 7, Text: incident.Text{English: "agents like " + script, German: "Agenten wie " + script}})
	var rows []incident.Row
	for s := range 90 {
		r := incident.Row{At: begin.Add(time.Duration(s-29) * time.Second), Span: 1, P50: 40, P99: 90}
		r.Groups[2] = incident.Group{Asked: 20, Served: 20}
		if s >= 30 && s < 33 {
			r.Groups[2].Served, r.Hurt = 8, 1
		}
		if s >= 30 && s < 70 {
			r.Groups[4], r.Acts, r.Off = incident.Group{Asked: 900, Held: 880}, [6]uint32{40, 0, 300, 0, 580, 0}, 1
			r.Press, r.Apart = true, true
		}
		rows = append(rows, r)
		fact(time.Duration(s-29)*time.Second, incident.Fact{Kind: incident.Second, Row: &r})
	}
	fact(8*time.Second, incident.Fact{Kind: incident.Mitigated, Time: begin.Add(3 * time.Second)})
	fact(20*time.Second, incident.Fact{Kind: incident.Noted, By: "ada lovelace", Text: incident.Text{English: "called http://10.0.0.5:3000 at 203.0.113.7 and [2001:db8::1]:443, ada lovelace, ops@example.org; 15:04:05 " + script}})
	fact(46*time.Second, incident.Fact{Kind: incident.Restored, Time: begin.Add(40 * time.Second)})
	fact(70*time.Second, incident.Fact{Kind: incident.Ended, Time: begin.Add(40 * time.Second)})
	claim := &incident.Claim{ID: "c1", Who: "we " + script, Text: "we did it to 203.0.113.7 " + script, Purpose: "a test"}
	if err := claim.Check(); err != nil {
		t.Fatal(err)
	}
	fact(80*time.Second, incident.Fact{Kind: incident.Claimed, By: "grace", Claim: claim})
	finding := incident.Hold(claim, b.Get("2026-03-07-1"), incident.Measured{}, begin, cet)
	fact(80*time.Second, incident.Fact{Kind: incident.Held, Claim: claim, Finding: &finding})
	return &Dossier{Incident: b.Get("2026-03-07-1"), Rows: rows, Made: begin.Add(time.Hour), Zone: cet, Number: 99, Head: strings.Repeat("ab", 32)}
}

func imported(t *testing.T) *Dossier {
	t.Helper()
	x, err := incident.Example("x-2025-05-24")
	if err != nil {
		t.Fatal(err)
	}
	b := incident.NewBook(time.UTC)
	at := time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC)
	b.Apply(incident.Fact{At: at, Kind: incident.Imported, Incident: "x", By: "ada", Case: x})
	c := x.Claims[0]
	from, to := c.Window(b.Get("x"))
	finding := incident.Hold(&c, b.Get("x"), incident.Measured{From: from, To: to, Worst: 1}, at, x.Location())
	b.Apply(incident.Fact{At: at, Kind: incident.Claimed, Incident: "x", By: "ada", Claim: &c})
	b.Apply(incident.Fact{At: at, Kind: incident.Held, Incident: "x", Claim: &c, Finding: &finding})
	return &Dossier{Incident: b.Get("x"), Made: at, Zone: x.Location()}
}

func text(t *testing.T, d *Dossier, format, lang string) string {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch format {
	case "html":
		err = d.HTML(&b, lang)
	case "md":
		err = d.Markdown(&b, lang)
	case "json":
		err = d.JSON(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDossierNeedsNothingElseAndStaysText(t *testing.T) {
	for name, d := range map[string]*Dossier{"measured": measured(t), "imported": imported(t)} {
		for _, format := range []string{"html", "md"} {
			for _, lang := range []string{"en", "de"} {
				got := text(t, d, format, lang)
				for _, bad := range []string{"<script", " src=", "@import", "url(", "%!", "(MISSING)"} {
					if strings.Contains(got, bad) {
						t.Errorf("%s, %s, %s: it holds %q", name, format, lang, bad)
					}
				}
				if note := incident.NotAttribution.In(lang); !strings.Contains(got, note) {
					t.Errorf("%s, %s, %s: the line about attribution is missing", name, format, lang)
				}
			}
		}
	}
}

func TestPseudonyms(t *testing.T) {
	d := measured(t)
	secrets := []string{"ada lovelace", "grace", "10.0.0.5", "2001:db8::1", "ops@example.org"}
	for _, format := range []string{"html", "md", "json"} {
		got := text(t, d, format, "en")
		for _, s := range secrets {
			if strings.Contains(got, s) {
				t.Errorf("%s names %q", format, s)
			}
		}
		if n := strings.Count(got, "203.0.113.7"); n != 1 { // as the claim has it, whose hash must fit
			t.Errorf("%s: an address stands in it %d times", format, n)
		}
		if !strings.Contains(got, "15:04:05") || !strings.Contains(got, "Person 1") || !strings.Contains(got, "Platform 1") {
			t.Errorf("%s: pseudonyms or a time are missing", format)
		}
	}
	d.Names = true
	if got := text(t, d, "html", "en"); !strings.Contains(got, "ada lovelace") || !strings.Contains(got, "10.0.0.5") {
		t.Error("names were asked for and are missing")
	}
	if d.Incident.Timeline[0].By == "Person 1" || d.Incident.Origins[0] == "Platform 1" {
		t.Error("the incident itself was changed")
	}
}

// The figures are those that were measured, and the words those of the result.
func TestTheFiguresAreThere(t *testing.T) {
	d := measured(t)
	en, de := text(t, d, "html", "en"), text(t, d, "html", "de")
	k := d.Incident.Toll.Users
	if k.Lost() != 36 || k.Asked != 800 {
		t.Fatalf("%+v", k)
	}
	for _, want := range []string{"36 of 800 requests", "4.50 %", "after 3 seconds", "15:00:03 CET", "35,200", "a flood (93 %)", "No person has approved"} {
		if !strings.Contains(en, want) {
			t.Errorf("English: %q is missing", want)
		}
	}
	for _, want := range []string{"36 von 800 Anfragen", "4,50 %", "15:00:03 Uhr (MEZ)", "35.200", "eine Flut", "kein Mensch"} {
		if !strings.Contains(de, want) {
			t.Errorf("German: %q is missing", want)
		}
	}
	for _, svg := range []string{`<svg viewBox="0 0 720 190" role="img"`, `class="line served"`, ">users back</text>"} {
		if !strings.Contains(en, svg) {
			t.Errorf("%q is missing", svg)
		}
	}
	var form map[string]any
	if err := json.Unmarshal([]byte(text(t, d, "json", "")), &form); err != nil || form["format"] != "deich dossier 1" || len(form["rows"].([]any)) != 90 {
		t.Errorf("JSON: %v", err)
	}
}

// X on 24 May 2025, as a journalist and an engineer would read it.
func TestTheCaseOfX(t *testing.T) {
	d := imported(t)
	for lang, all := range map[string][]string{
		"en": {"24 May 2025, about 15:00 CEST – about 17:00 CEST", "about 2 hours", "DieNet", "SITE Intelligence Group", "AFP", "not verifiable", "want of measurements", "data centre", "Nothing of this was measured here", "“test”", "The text itself is not archived here."},
		"de": {"24. Mai 2025, etwa 15:00 Uhr (MESZ) – etwa 17:00 Uhr (MESZ)", "etwa 2 Stunden", "DieNet", "SITE Intelligence Group", "AFP", "nicht überprüfbar", "Es fehlen Messungen", "Rechenzentrum", "Nichts davon wurde hier gemessen", "Der Wortlaut ist hier nicht archiviert."},
	} {
		got := text(t, d, "html", lang)
		for _, want := range all {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing", lang, want)
			}
		}
		for _, bad := range []string{">consistent<", ">vereinbar<", ">contradicted<", ">widerlegt<"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s: it says %q", lang, bad)
			}
		}
	}
}

func TestALongIncidentStaysSmall(t *testing.T) {
	d := measured(t)
	for len(d.Rows) < incident.SecondsMax {
		r := d.Rows[len(d.Rows)-1]
		r.At = r.At.Add(time.Second)
		d.Rows = append(d.Rows, r)
	}
	if got := text(t, d, "html", "en"); len(got) > 200<<10 {
		t.Errorf("%d bytes", len(got))
	}
}

func BenchmarkHTML(b *testing.B) {
	d := measured(&testing.T{})
	for b.Loop() {
		var out bytes.Buffer
		if err := d.HTML(&out, "en"); err != nil {
			b.Fatal(fmt.Sprint(err))
		}
	}
}

// A short name is no part of a longer word, and of two names the longer one is meant.
func TestPseudonymsOfShortNames(t *testing.T) {
	m := newMask("en")
	for _, name := range []string{"pay", "example.org", "www.example.org"} {
		m.origin(name)
	}
	if got, want := m.plain("pay: a payment to www.example.org, example.org and Épay."), "Platform 1: a payment to Platform 3, Platform 2 and Épay."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Every piece of the engine's evidence has words in both languages.
func TestEvidenceHasWords(t *testing.T) {
	engine, err := os.ReadFile("../../cause.go")
	if err != nil {
		t.Fatal(err)
	}
	terms := regexp.MustCompile(`(?:Term\{Name: |\badd\()"(\w+)"`).FindAllSubmatch(engine, -1)
	if len(terms) < 10 {
		t.Fatalf("only %d pieces of evidence were found in the engine", len(terms))
	}
	for _, term := range terms {
		if name := string(term[1]); english.terms[name] == "" || german.terms[name] == "" {
			t.Errorf("%s has no words", name)
		}
	}
}

// Each sentence on the cause leads to what it rests on; and how long users waited while
// nobody was served is a gap in its plot, not a low.
func TestTheCauseLeadsToItsFigures(t *testing.T) {
	d := measured(t)
	for n := range d.Rows {
		if n >= 70 && n < 80 {
			d.Rows[n].P50, d.Rows[n].P99 = 0, 0
		}
	}
	for lang, all := range map[string][]string{
		"en": {"requests a second came, and at most", "requests were refused by rule or dropped", "half of users’ answers were there within"},
		"de": {"Anfragen je Sekunde, währenddessen höchstens", "Nach Regel abgewiesen oder fallengelassen wurden", "Hälfte der Antworten an Nutzer binnen"},
	} {
		got := text(t, d, "html", lang)
		for _, want := range all {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing", lang, want)
			}
		}
		anchors := regexp.MustCompile(`<a href="#([\w-]+)">`).FindAllStringSubmatch(got, -1)
		if len(anchors) < 5 {
			t.Errorf("%s: %q", lang, anchors)
		}
		for _, a := range anchors {
			if strings.Count(got, `id="`+a[1]+`"`) != 1 {
				t.Errorf("%s: there is no %s, or several", lang, a[1])
			}
		}
		if line := regexp.MustCompile(`class="line sea" d="([^"]*)"`).FindStringSubmatch(got); line == nil || strings.Count(line[1], "M") != 2 || strings.Contains(got, "NaN") {
			t.Errorf("%s: how long users waited is drawn as %q", lang, line)
		}
	}
}

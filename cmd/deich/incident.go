package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/record"
)

// incidentCommand holds what people do with incidents.
type incidentCommand struct {
	List      incidentListCommand      `cmd:"" help:"List incidents, the newest first."`
	Show      incidentShowCommand      `cmd:"" help:"Show one: what was measured, what people said, what others claim."`
	Open      incidentOpenCommand      `cmd:"" help:"Open one by hand."`
	Edit      incidentEditCommand      `cmd:"" help:"Give one another title, or another begin where a person opened it."`
	Note      incidentNoteCommand      `cmd:"" help:"Write down a remark. It is not public."`
	Update    incidentUpdateCommand    `cmd:"" help:"Tell the public something, on the status page."`
	Translate incidentTranslateCommand `cmd:"" help:"Say the last update in a language that it lacks."`
	Sentences incidentSentencesCommand `cmd:"" help:"List common sentences for the public, in both languages."`
	Approve   incidentApproveCommand   `cmd:"" help:"Approve a word on the cause, so that it is public."`
	Merge     incidentMergeCommand     `cmd:"" help:"Put an incident into another: the same outage, seen twice."`
	Split     incidentSplitCommand     `cmd:"" help:"Let what began at a time be an incident of its own."`
	Claim     incidentClaimCommand     `cmd:"" help:"Write down what somebody claims, and hold it against the record."`
	Import    incidentImportCommand    `cmd:"" help:"Take in an incident that others told of, from a file."`
	Verify    incidentVerifyCommand    `cmd:"" help:"Say whether the stored record is what was written."`
	Export    incidentExportCommand    `cmd:"" help:"Write the dossier: HTML, Markdown or JSON."`
}

// personFlag names who says something.
type personFlag struct {
	By string `help:"Who says this (the user who runs the command)." placeholder:"NAME"`
}

func (p *personFlag) name() string {
	if p.By != "" {
		return p.By
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "operator"
}

// oneIncident names one; "latest" is the newest.
type oneIncident struct {
	dataFlag
	jsonFlag
	ID string `arg:"" help:"The incident, as deich incident list names it; latest is the one that goes on, or the newest."`
}

// resolve gives the client and the incident's path.
func (o *oneIncident) resolve() (*client, string, error) {
	c, err := o.dial()
	if err != nil {
		return nil, "", err
	}
	return c, "/api/v1/incidents/" + url.PathEscape(o.ID), nil
}

// say sends what a person says and shows what is so then.
func (o *oneIncident) say(t *terminal, what string, body any, done string) error {
	c, path, err := o.resolve()
	if err != nil {
		return err
	}
	var is desk.IncidentView
	if err := c.ask("POST", path+what, body, &is); err != nil {
		return err
	}
	if o.JSON {
		return t.json(is)
	}
	t.say("%s", done)
	return nil
}

type incidentListCommand struct {
	dataFlag
	jsonFlag
}

func (incidentListCommand) Help() string {
	return "Examples:\n  deich incident list\n  deich incident list --json\n\n" +
		"Lost are requests of users that were not served while something was off."
}

func (c *incidentListCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	all := []desk.IncidentLine{}
	if err := to.ask("GET", "/api/v1/incidents", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return t.json(all)
	}
	if len(all) == 0 {
		t.say("No incident is known.")
		return nil
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "INCIDENT\tLIFE\tBEGIN\tLASTED\tLOST\tCAUSE\tTITLE")
	for _, i := range all {
		lasted := "goes on"
		if !i.End.IsZero() {
			lasted = incident.Span(i.End.Sub(i.Begin)).English
		}
		lost, cause := fmt.Sprintf("%d of %d", i.Lost, i.Asked), i.Cause
		if i.Approved != "" {
			cause = i.Approved + " (approved)"
		}
		if i.Imported {
			lost, cause = "not measured", "not measured"
		}
		if i.Into != "" {
			cause = "merged into " + i.Into
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.Life, i.Begin.Local().Format("2006-01-02 15:04:05"), lasted, lost, cause, clean(i.Title.In("en")))
	}
	return w.Flush()
}

// clean keeps what others wrote from moving the terminal's cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

type incidentShowCommand struct{ oneIncident }

func (incidentShowCommand) Help() string {
	return "Examples:\n  deich incident show latest\n  deich incident show 2026-03-07-1 --json"
}

func (c *incidentShowCommand) Run(t *terminal) error {
	to, path, err := c.resolve()
	if err != nil {
		return err
	}
	if c.JSON {
		var is desk.IncidentView
		if err := to.ask("GET", path, nil, &is); err != nil {
			return err
		}
		return t.json(is)
	}
	text, err := to.text(path + "/dossier?format=md&names=1")
	if err != nil {
		return err
	}
	t.say("%s", plainMarkdown(text))
	return nil
}

// text gives an answer that is no JSON.
func (c *client) text(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), clientWait)
	defer cancel()
	response, err := c.send(ctx, "GET", path, nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return "", fmt.Errorf("console: %s: %w", path, err)
	}
	return string(b), nil
}

// plainMarkdown takes the marks of Markdown out where a terminal shows it; the
// tables behind plots are left to the dossier.
func plainMarkdown(text string) string {
	var b strings.Builder
	skip := false
	undo := strings.NewReplacer("\\", "", "&lt;", "<", "&gt;", ">", "&amp;", "&", "**", "")
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "## ") {
			skip = line == "## Over time"
		}
		if skip || strings.HasPrefix(line, "| ---") {
			continue
		}
		if strings.HasPrefix(line, "| ") {
			line = "  " + strings.Join(strings.Split(strings.Trim(line, "| "), " | "), "  ")
		}
		b.WriteString(clean(undo.Replace(line)) + "\n")
	}
	return strings.TrimSpace(b.String())
}

type incidentOpenCommand struct {
	dataFlag
	jsonFlag
	personFlag
	Title   string    `arg:"" help:"What it is, in a few words."`
	TitleDE string    `name:"title-de" help:"The same in German." placeholder:"TEXT"`
	Begin   time.Time `help:"Since when, with its zone (now)." placeholder:"TIME"`
}

func (incidentOpenCommand) Help() string {
	return "Examples:\n  deich incident open \"Mail is late\"\n  deich incident open \"Mail is late\" --title-de \"E-Mail verspätet\" --begin 2026-03-07T15:00:00+01:00\n\n" +
		"What Deich measures opens incidents by itself. One that is opened by hand is ended by hand: deich incident update ID --life resolved."
}

func (c *incidentOpenCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	var is desk.IncidentView
	if err := to.ask("POST", "/api/v1/incidents", desk.OpenRequest{Title: incident.Text{English: c.Title, German: c.TitleDE}, Begin: c.Begin, By: c.name()}, &is); err != nil {
		return err
	}
	if c.JSON {
		return t.json(is)
	}
	t.say("Incident %s is open. Tell the public with: deich incident update %s \"…\"", is.ID, is.ID)
	return nil
}

type incidentEditCommand struct {
	oneIncident
	personFlag
	Title   string    `help:"What it is, in a few words. The public reads it." placeholder:"TEXT"`
	TitleDE string    `name:"title-de" help:"The same in German." placeholder:"TEXT"`
	Begin   time.Time `help:"Since when, with its zone, where a person opened it: what was measured stays." placeholder:"TIME"`
}

func (incidentEditCommand) Help() string {
	return "Examples:\n  deich incident edit latest --title \"Messages are late\" --title-de \"Nachrichten verspätet\"\n\n" +
		"What it was called before stays in the record and in the timeline."
}

func (c *incidentEditCommand) Run(t *terminal) error {
	return c.say(t, "/edit", desk.EditRequest{Title: incident.Text{English: c.Title, German: c.TitleDE}, Begin: c.Begin, By: c.name()}, "Changed, on the status page too.")
}

type incidentNoteCommand struct {
	oneIncident
	personFlag
	Text string `arg:"" help:"The remark."`
}

func (incidentNoteCommand) Help() string {
	return "Examples:\n  deich incident note latest \"Called the hosting company at 15:10\"\n\n" +
		"It stands in the incident's timeline and in the dossier, and not on the status page."
}

func (c *incidentNoteCommand) Run(t *terminal) error {
	return c.say(t, "/notes", desk.NoteRequest{Text: c.Text, By: c.name()}, "Written down.")
}

// alsoFlag gives further languages.
type alsoFlag struct {
	In map[string]string `help:"The same in another language, as in fr=…; may be given again." placeholder:"LANG=TEXT" mapsep:"none"`
}

type incidentUpdateCommand struct {
	oneIncident
	personFlag
	Text string `arg:"" optional:"" help:"What the public is told, in English."`
	DE   string `name:"de" help:"The same in German." placeholder:"TEXT"`
	alsoFlag
	Say  string `help:"Say a common sentence instead, in both languages: deich incident sentences lists them." placeholder:"NAME"`
	Life string `help:"The stage from now on: investigating, identified, monitoring or resolved; or postmortem, for a word that looks back at what is resolved." enum:",investigating,identified,monitoring,resolved,postmortem" default:"" placeholder:"STAGE"`
}

func (incidentUpdateCommand) Help() string {
	return "Examples:\n  deich incident update latest \"We have found the cause and are at it.\" --de \"Wir haben die Ursache und sind dabei.\"\n" +
		"  deich incident update latest \"Everything works again.\" --life resolved\n  deich incident update latest --say watching\n" +
		"  deich incident update latest \"A disk had failed; there is a second one now.\" --life postmortem\n\n" +
		"It stands on the status page and in its feeds at once."
}

func (c *incidentUpdateCommand) Run(t *terminal) error {
	return c.say(t, "/updates", desk.UpdateRequest{Life: incident.Life(c.Life), Text: incident.Text{English: c.Text, German: c.DE}, Also: c.In, Say: c.Say, By: c.name()},
		"The status page says so.")
}

type incidentTranslateCommand struct {
	oneIncident
	personFlag
	DE string `name:"de" help:"The text in German." placeholder:"TEXT"`
	EN string `name:"en" help:"The text in English." placeholder:"TEXT"`
	alsoFlag
}

func (incidentTranslateCommand) Help() string {
	return "Examples:\n  deich incident translate latest --de \"Wir haben die Ursache und sind dabei.\"\n" +
		"  deich incident translate latest --in \"fr=Nous avons trouvé la cause.\" --in \"tr=Nedenini bulduk.\"\n\n" +
		"It is put to the newest update that lacks that language; what was said before stands."
}

func (c *incidentTranslateCommand) Run(t *terminal) error {
	return c.say(t, "/translations", desk.TranslateRequest{Text: incident.Text{English: c.EN, German: c.DE}, Also: c.In, By: c.name()}, "The status page says so, too.")
}

type incidentSentencesCommand struct{ jsonFlag }

func (incidentSentencesCommand) Help() string {
	return "Examples:\n  deich incident sentences\n  deich incident update latest --say found"
}

func (c *incidentSentencesCommand) Run(t *terminal) error {
	all := incident.Sentences()
	if c.JSON {
		return t.json(all)
	}
	for _, s := range all {
		stage := ""
		if s.Life != "" {
			stage = " (" + string(s.Life) + ")"
		}
		t.say("%s%s\n  %s\n  %s", s.Name, stage, s.Text.English, s.Text.German)
	}
	return nil
}

type incidentApproveCommand struct {
	oneIncident
	personFlag
	Cause  string `arg:"" help:"flood, crowd, origin_fault, retry_storm, upstream or mixed." enum:"flood,crowd,origin_fault,retry_storm,upstream,mixed"`
	Text   string `help:"Say it in these words instead of the common ones." placeholder:"TEXT"`
	TextDE string `name:"text-de" help:"The same in German." placeholder:"TEXT"`
}

func (incidentApproveCommand) Help() string {
	return "Examples:\n  deich incident approve latest flood\n  deich incident approve latest origin_fault --text \"A disk had failed.\" --text-de \"Eine Platte war ausgefallen.\"\n\n" +
		"Until a person approves one, no word on the cause is public."
}

func (c *incidentApproveCommand) Run(t *terminal) error {
	return c.say(t, "/approve", desk.ApproveRequest{Cause: c.Cause, Text: incident.Text{English: c.Text, German: c.TextDE}, By: c.name()},
		"Approved: the status page names the cause.")
}

type incidentMergeCommand struct {
	oneIncident
	personFlag
	Into string `arg:"" help:"The incident that it is a part of."`
}

func (incidentMergeCommand) Help() string {
	return "Examples:\n  deich incident merge 2026-03-07-2 2026-03-07-1\n\nBegin, end and figures of both count as one."
}

func (c *incidentMergeCommand) Run(t *terminal) error {
	return c.say(t, "/merge", desk.MergeRequest{Into: c.Into, By: c.name()}, "Merged into "+c.Into+".")
}

type incidentSplitCommand struct {
	oneIncident
	personFlag
	At time.Time `arg:"" help:"When the other one began, with its zone (2026-03-07T15:20:00+01:00)."`
}

func (incidentSplitCommand) Help() string {
	return "Examples:\n  deich incident split 2026-03-07-1 2026-03-07T15:20:00+01:00\n\nThe figures of both are counted anew from the record."
}

func (c *incidentSplitCommand) Run(t *terminal) error {
	return c.say(t, "/split", desk.SplitRequest{At: c.At, By: c.name()}, "Split: deich incident list shows both.")
}

// inputBytesMax bounds a file that a command sends; the private server takes no more.
const inputBytesMax = 64 << 10

func readInput(name string) ([]byte, error) {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, inputBytesMax+1))
	if err == nil && len(b) > inputBytesMax {
		err = fmt.Errorf("more than %d bytes", inputBytesMax)
	}
	return b, err
}

type incidentImportCommand struct {
	dataFlag
	jsonFlag
	personFlag
	File string `arg:"" help:"The file; - reads the standard input, and example:x-2025-05-24 is one that Deich brings."`
}

func (incidentImportCommand) Help() string {
	return "Examples:\n  deich incident import example:x-2025-05-24\n  deich incident import outage.json\n\n" +
		"What is imported was measured by nobody here: its claims come out not verifiable, and it is not on the status page."
}

func (c *incidentImportCommand) Run(t *terminal) error {
	var (
		told *incident.Case
		err  error
	)
	if name, ok := strings.CutPrefix(c.File, "example:"); ok {
		told, err = incident.Example(name)
	} else {
		var b []byte
		if b, err = readInput(c.File); err == nil {
			told, err = incident.ReadCase(strings.NewReader(string(b)))
		}
	}
	if err != nil {
		return hint(err, "docs/operate/incidents.md shows such a file")
	}
	to, err := c.dial()
	if err != nil {
		return err
	}
	var is desk.IncidentView
	if err := to.ask("POST", "/api/v1/incidents/import", desk.ImportRequest{Case: told, By: c.name()}, &is); err != nil {
		return err
	}
	if c.JSON {
		return t.json(is)
	}
	t.say("Imported as %s: %s. Its dossier: deich incident export %s", is.ID, clean(is.Title.English), is.ID)
	for k := range is.Claims {
		tellFinding(t, &is.Claims[k])
	}
	return nil
}

type incidentVerifyCommand struct {
	dataFlag
	jsonFlag
	Noted string `help:"A hash that was noted earlier, from a dossier: is it still in the chain?" placeholder:"HASH"`
}

func (incidentVerifyCommand) Help() string {
	return "Examples:\n  deich incident verify\n  deich incident verify --noted 5d41… --json\n\n" +
		"It reads the files themselves, whether or not a Deich runs. The exit code is 0 where nothing was changed."
}

func (c *incidentVerifyCommand) Run(t *terminal) error {
	dir := filepath.Join(c.Data, desk.IncidentsFolder)
	r, err := record.Verify(dir, c.Noted)
	if err != nil {
		return hint(err, "run this as the user who runs Deich, or name its folder: --data DIR")
	}
	if c.JSON {
		if err := t.json(r); err != nil {
			return err
		}
	} else {
		c.tell(t, dir, &r)
	}
	switch {
	case len(r.Damage) > 0:
		return hint(fmt.Errorf("the record was changed since it was written, in %s", some(len(r.Damage), "place")), "compare it with a backup: %s", dir)
	case c.Noted != "" && !r.Noted:
		return hint(errors.New("the noted hash is not in the chain: the record was cut off or written anew, or it is older than what is kept"),
			"the oldest line that is kept has number %d", r.First)
	}
	return nil
}

func (c *incidentVerifyCommand) tell(t *terminal, dir string, r *record.Report) {
	for _, d := range r.Damage {
		t.say("changed: %s", d)
	}
	t.say("%s in %s: lines %d to %d of %s.", some(int(r.Lines), "line"), some(r.Files, "file"), r.First, r.Last, dir)
	if r.Torn > 0 {
		t.say("The last line is not finished (%d bytes): it is being written, or Deich was killed meanwhile. Nobody was told of it.", r.Torn)
	}
	if len(r.Damage) == 0 && r.Lines > 0 {
		t.say("Nothing was changed. Hash of the last line: %s", r.Head)
	}
	if r.Noted {
		t.say("The noted hash stands in the chain.")
	}
}

type incidentExportCommand struct {
	oneIncident
	Format string `help:"html, md or json (${default})." enum:"html,md,json" default:"html" placeholder:"FORMAT"`
	Lang   string `help:"en or de (${default})." enum:"en,de" default:"en" placeholder:"CODE"`
	Names  bool   `help:"Leave names of persons and platforms, and addresses, as they are."`
	Out    string `short:"o" help:"The file; - is the standard output (the incident's name)." type:"path" placeholder:"FILE"`
}

func (incidentExportCommand) Help() string {
	return "Examples:\n  deich incident export latest\n  deich incident export latest --lang de --out dossier.html\n  deich incident export 2026-03-07-1 --format md --out -\n\n" +
		"The HTML file needs nothing else and prints well. Persons and platforms have pseudonyms, unless names are asked for."
}

func (c *incidentExportCommand) Run(t *terminal) error {
	if c.JSON {
		c.Format = "json"
	}
	to, path, err := c.resolve()
	if err != nil {
		return err
	}
	q := url.Values{"format": {c.Format}, "lang": {c.Lang}}
	if c.Names {
		q.Set("names", "1")
	}
	text, err := to.text(path + "/dossier?" + q.Encode())
	if err != nil {
		return err
	}
	name := c.Out
	if name == "" {
		name = "incident-" + c.ID + "." + c.Format
	}
	if name == "-" || strings.HasSuffix(name, "/-") {
		_, err := io.WriteString(t.out, text)
		return err
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	t.say("Written to %s.", name)
	return nil
}

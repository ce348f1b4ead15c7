package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/spool"
)

// spoolListView is what GET /api/v1/spool/messages answers.
type spoolListView struct {
	Messages []spool.Line `json:"messages"` // the first of them
	All      int          `json:"all"`
}

// mountSpool puts the spool's part of the private API on the desk.
func (s *station) mountSpool(d *desk.Desk) {
	d.Mount("GET /api/v1/spool", s.kept(func(k *keeping, w http.ResponseWriter, _ *http.Request) {
		desk.JSON(w, k.store.Stats())
	}))
	d.Mount("GET /api/v1/spool/messages", s.kept(func(k *keeping, w http.ResponseWriter, r *http.Request) {
		list, n := k.store.List(r.URL.Query().Has("all"))
		desk.JSON(w, spoolListView{list, n})
	}))
	d.Mount("GET /api/v1/spool/messages/{id}", s.kept(func(k *keeping, w http.ResponseWriter, r *http.Request) {
		id, known := spool.ParseID(r.PathValue("id"))
		whole, err := k.store.Show(id)
		if !known || err != nil {
			spoolProblem(w, r, err)
			return
		}
		s.acted(desk.By(r), "spool_shown", said("Message %s was read by an operator.", "Nachricht %s wurde von Hand geöffnet und gelesen.", id))
		desk.JSON(w, whole)
	}))
	d.Mount("DELETE /api/v1/spool/messages/{id}", s.kept(func(k *keeping, w http.ResponseWriter, r *http.Request) {
		id, known := spool.ParseID(r.PathValue("id"))
		if err := k.store.Drop(id); !known || err != nil {
			spoolProblem(w, r, err)
			return
		}
		s.acted(desk.By(r), "spool_dropped", said("Message %s was given up by an operator; its sender is told and keeps the text.",
			"Nachricht %s wurde von Hand aufgegeben; wer sie sandte, erfährt es und behält den Text.", id))
		w.WriteHeader(http.StatusNoContent)
	}))
	for word, do := range map[string]struct {
		run  func(*keeping) error
		text sentence
	}{
		"pause":  {func(k *keeping) error { return k.store.Pause() }, sentence{"Kept messages are not delivered until deich spool resume.", "Aufbewahrte Nachrichten werden erst nach deich spool resume zugestellt."}},
		"resume": {func(k *keeping) error { return k.courier.Resume() }, sentence{"Messages are kept and delivered again.", "Nachrichten werden wieder aufbewahrt und zugestellt."}},
		"drain": {func(k *keeping) error { k.store.Drain(); return nil }, sentence{"Nothing new is kept until deich spool resume; what is here is delivered.",
			"Neues wird erst nach deich spool resume wieder aufbewahrt; was hier ist, wird zugestellt."}},
	} {
		d.Mount("POST /api/v1/spool/"+word, s.kept(func(k *keeping, w http.ResponseWriter, r *http.Request) {
			if err := do.run(k); err != nil {
				err = incident.Wrongf("%v", "es gilt, aber ein Neustart wird es vergessen: %v", err)
				desk.Refuse(w, http.StatusInternalServerError, err, "look at the disk that holds the data folder")
				return
			}
			s.acted(desk.By(r), "spool_"+word, do.text)
			desk.JSON(w, k.store.Stats())
		}))
	}
	d.Mount("GET /api/v1/spool/export", s.kept(func(k *keeping, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		n, err := k.store.Export(w)
		s.acted(desk.By(r), "spool_exported", said("An operator exported kept messages: %d.", "Aufbewahrte Nachrichten wurden ausgegeben: %d.", n))
		if err != nil {
			s.terminal.warn("spool: export: %v", err)
			panic(http.ErrAbortHandler) // what came must not be taken for all
		}
	}))
}

// kept answers where a spool is open, and says how to get one where none is.
func (s *station) kept(answer func(*keeping, http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.keeping == nil {
			desk.Refuse(w, http.StatusNotFound, incident.Wrongf("no messages are kept by this Deich", "dieses Deich bewahrt keine Nachrichten auf"),
				"name their routes in the configuration: spool.keep")
			return
		}
		answer(s.keeping, w, r)
	})
}

func spoolProblem(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil || spool.Unknown(err) {
		desk.Problem(w, http.StatusNotFound, "no message "+r.PathValue("id")+" waits here", "deich spool list shows those that do")
		return
	}
	desk.Problem(w, http.StatusConflict, err.Error(), "")
}

// spoolState is what the metrics tell of the spool; nil without one.
func (s *station) spoolState() *desk.Spool {
	if s.keeping == nil {
		return nil
	}
	st := s.keeping.store.Stats()
	v := &desk.Spool{
		Waiting: st.Waiting, Receipts: st.Receipts, Bytes: st.Bytes, Files: st.Files, Keeping: st.Keeping, Keys: st.Keys, Paused: st.Paused, Draining: st.Draining,
		Shared: st.Shared, Courier: st.Courier, Kept: st.Kept, Refused: st.Refused, Damaged: st.Damaged, Ended: make(map[string]uint64),
	}
	if !st.Oldest.IsZero() {
		v.OldestSeconds = time.Since(st.Oldest).Seconds()
	}
	for state, n := range st.Ended {
		v.Ended[string(state)] = n
	}
	return v
}

// spoolCommand holds what operators do with kept messages.
type spoolCommand struct {
	List   spoolListCommand   `cmd:"" help:"Show what is kept, without what it says."`
	Show   spoolShowCommand   `cmd:"" help:"Show one message with its text; the console notes that it was read."`
	Drop   spoolDropCommand   `cmd:"" help:"Give a message up; its sender is told and keeps the text."`
	Pause  spoolPauseCommand  `cmd:"" help:"Stop the delivery until resume, over restarts too."`
	Resume spoolResumeCommand `cmd:"" help:"Deliver again, and keep again after drain."`
	Drain  spoolDrainCommand  `cmd:"" help:"Keep nothing new, and wait until everything is delivered."`
	Export spoolExportCommand `cmd:"" help:"Write every undelivered message to a file, for the day the platform never comes back."`
}

type spoolListCommand struct {
	dataFlag
	jsonFlag
	All bool `help:"Receipts of what does not wait any more, too."`
}

func (spoolListCommand) Help() string {
	return "Examples:\n  deich spool list\n  deich spool list --all --json\n\n" +
		"sender is the same word for all that one sender sent; it names nobody."
}

func (c *spoolListCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	path := "/api/v1/spool/messages"
	if c.All {
		path += "?all"
	}
	var view spoolListView
	var stats spool.Stats
	if err := errors.Join(to.ask("GET", path, nil, &view), to.ask("GET", "/api/v1/spool", nil, &stats)); err != nil {
		return err
	}
	if c.JSON {
		return t.json(view)
	}
	for _, m := range view.Messages {
		t.say("%s  %-11s  %s  %s  sender %s  %s%s", m.ID, m.State, m.At.Local().Format("2006-01-02 15:04:05"), m.Route, m.Sender, bytesText(int64(m.Bytes)), triesText(m))
	}
	if n := view.All - len(view.Messages); n > 0 {
		t.say("and %d more", n)
	}
	t.say("%s; %s on disk.%s", waitText(stats), bytesText(stats.Files), modeText(stats))
	for _, d := range stats.Damage {
		t.say("%s", d)
	}
	return nil
}

func waitText(s spool.Stats) string {
	if s.Waiting == 0 {
		return "Nothing waits"
	}
	return some(s.Waiting, "message") + " waiting, the oldest for " + spanText(time.Since(s.Oldest).Truncate(time.Second))
}

func modeText(s spool.Stats) string {
	text := ""
	if s.Paused {
		text += " Paused: deich spool resume delivers again."
	}
	if s.Draining {
		text += " Draining: deich spool resume keeps again."
	}
	switch {
	case s.KeysFull:
		text += fmt.Sprintf(" %d keys are remembered: no message with a new one is kept.", s.Keys)
	case s.Unread && s.Shared:
		text += " The folder could not be read: what this Deich kept on its own disk lies there undelivered; see its log."
	case s.Unread:
		text += " The folder could not be read: nothing is kept or delivered; see the log."
	case !s.Keeping && s.Shared:
		text += " The cluster takes nothing: nothing is kept."
	case !s.Keeping:
		text += " The disk takes nothing: nothing is kept."
	}
	switch {
	case s.Courier:
		text += " They lie on the cluster, and this Deich delivers them."
	case s.Shared:
		text += " They lie on the cluster, and another Deich delivers them."
	}
	return text
}

func triesText(m spool.Line) string {
	if m.Tries == 0 {
		return ""
	}
	return fmt.Sprintf("  tried %d times, last answer %d", m.Tries, m.Status)
}

func bytesText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

type spoolShowCommand struct {
	dataFlag
	jsonFlag
	ID string `arg:"" help:"The message's id, as list shows it."`
}

func (spoolShowCommand) Help() string {
	return "Examples:\n  deich spool show k22jfrivestqm7kq2opsuxdpei\n\nWhat a login is made of (Cookie, Authorization) is not shown."
}

func (c *spoolShowCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	var m spool.Whole
	if err := to.ask("GET", "/api/v1/spool/messages/"+c.ID, nil, &m); err != nil {
		return err
	}
	if c.JSON {
		return t.json(m)
	}
	t.say("%s %s on %s, %s since %s, from %s", m.Method, m.URI, m.Host, m.State, m.At.Local().Format("2006-01-02 15:04:05"), m.Client)
	t.say("\n%s", m.Body)
	return nil
}

type spoolDropCommand struct {
	dataFlag
	ID string `arg:"" help:"The message's id, as list shows it."`
}

func (spoolDropCommand) Help() string {
	return "Examples:\n  deich spool drop k22jfrivestqm7kq2opsuxdpei\n\nIts sender's receipt says that it expired, and has the text for seven days."
}

func (c *spoolDropCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	if err := to.ask("DELETE", "/api/v1/spool/messages/"+c.ID, nil, nil); err != nil {
		return err
	}
	t.say("Given up. Its sender is told, and keeps the text.")
	return nil
}

type spoolPauseCommand struct{ dataFlag }

func (spoolPauseCommand) Help() string { return "Examples:\n  deich spool pause" }

func (c *spoolPauseCommand) Run(t *terminal) error {
	stats, err := c.order("pause")
	if err == nil {
		t.say("Paused. %s. deich spool resume delivers again.", waitText(stats))
	}
	return err
}

type spoolResumeCommand struct{ dataFlag }

func (spoolResumeCommand) Help() string { return "Examples:\n  deich spool resume" }

func (c *spoolResumeCommand) Run(t *terminal) error {
	stats, err := c.order("resume")
	if err == nil {
		t.say("Messages are kept and delivered. %s.", waitText(stats))
	}
	return err
}

// order changes what the spool of a running Deich does.
func (f *dataFlag) order(word string) (stats spool.Stats, err error) {
	to, err := f.dial()
	if err != nil {
		return stats, err
	}
	return stats, to.ask("POST", "/api/v1/spool/"+word, nil, &stats)
}

type spoolDrainCommand struct {
	dataFlag
	Wait span `help:"How long to wait (${default})." default:"10m" placeholder:"SPAN"`
}

func (spoolDrainCommand) Help() string {
	return "Examples:\n  deich spool drain\n  deich spool drain --wait 1h\n\nUse it before Deich is taken away for good. deich spool resume keeps again."
}

func (c *spoolDrainCommand) Run(t *terminal) error {
	stats, err := c.order("drain")
	if err != nil {
		return err
	}
	to, err := c.dial()
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Duration(c.Wait)); stats.Waiting > 0; {
		t.say("%s.%s", waitText(stats), modeText(stats))
		if time.Now().After(end) {
			return hint(fmt.Errorf("%s after %s", waitText(stats), spanText(time.Duration(c.Wait))),
				"does the platform answer? deich spool list shows what waits, deich spool export writes it to a file")
		}
		time.Sleep(2 * time.Second)
		if err := to.ask("GET", "/api/v1/spool", nil, &stats); err != nil {
			return err
		}
	}
	t.say("Nothing waits, and nothing new is kept.")
	return nil
}

type spoolExportCommand struct {
	dataFlag
	File string `arg:"" help:"The file to write; it must not exist." type:"path"`
}

func (spoolExportCommand) Help() string {
	return "Examples:\n  deich spool export messages.ndjson\n\n" +
		"One JSON value a line, with the text in base64 (body). The file is readable by its owner only. Nothing is removed."
}

func (c *spoolExportCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	n, err := exportTo(to, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return hint(fmt.Errorf("export: %w", err), "%s is not complete; Deich's own output says what could not be read", c.File)
	}
	t.say("%s written to %s. Nothing was removed.", some(n, "message"), c.File)
	return nil
}

func exportTo(to *client, f io.Writer) (n int, err error) {
	answer, err := to.send(context.Background(), "GET", "/api/v1/spool/export", nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := json.NewDecoder(answer.Body)
	for ; ; n++ {
		var line json.RawMessage
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
		if _, err := f.Write(append(line, '\n')); err != nil {
			return n, err
		}
	}
}

package probe

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Folder is where reports are, in the data folder: a file for each probe.
const Folder = "probes"

// Report is what one probe found.
type Report struct {
	By      string    `json:"by"` // the probe's name
	At      time.Time `json:"at"`
	Results []Result  `json:"results"`
}

// Check says all that is wrong with a report.
func (r *Report) Check() error {
	var wrong []error
	if r.By == "" || len(r.By) > nameMax || r.By[0] == '.' || strings.ContainsFunc(r.By, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_'
	}) {
		wrong = append(wrong, fmt.Errorf("by: %.80q: letters, digits, dots, - and _, at most %d", r.By, nameMax))
	}
	if r.At.IsZero() {
		wrong = append(wrong, errors.New("at is missing"))
	}
	if n := len(r.Results); n == 0 || n > ChecksMax {
		wrong = append(wrong, fmt.Errorf("results: %d: between 1 and %d", n, ChecksMax))
	}
	for i := range r.Results {
		if err := checkName(r.Results[i].Name); err != nil {
			wrong = append(wrong, err)
			break
		}
		r.Results[i].Text = short(r.Results[i].Text)
		if len(r.Results[i].Target) > targetMax {
			wrong = append(wrong, fmt.Errorf("results: target: at most %d bytes", targetMax))
		}
	}
	return errors.Join(wrong...)
}

// Write puts a report in the place of the same probe's one before, and notes in
// it since when checks fail. Reports that are older than keptFor are removed.
func Write(dir string, r Report) error {
	if err := r.Check(); err != nil {
		return fmt.Errorf("probe: report: %w", err)
	}
	folder := filepath.Join(dir, Folder)
	name := filepath.Join(folder, r.By+".json")
	before, _ := readReport(name) // none, or a damaged one: it fails since now
	r.follow(before)
	b, err := json.Marshal(r)
	if err == nil && len(b) > reportBytesMax {
		err = fmt.Errorf("%d bytes: at most %d", len(b), reportBytesMax)
	}
	if err == nil {
		err = os.MkdirAll(folder, 0o700)
	}
	if err == nil {
		err = makeRoom(folder, name, r.At)
	}
	if err != nil {
		return fmt.Errorf("probe: report: %w", err)
	}
	f, err := os.CreateTemp(folder, ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("probe: report: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("probe: report: %w", err)
	}
	return nil
}

// follow notes since when checks fail in a row, as the same probe's report before
// has it (nil: there is none). One from too long ago says nothing of the time since.
func (r *Report) follow(before *Report) {
	r.Results = slices.Clone(r.Results) // the caller's stay as they are
	for i := range r.Results {
		f := &r.Results[i]
		f.Since = time.Time{}
		if f.OK {
			continue
		}
		f.Since = r.At
		if before == nil || r.At.Sub(before.At) > freshFor {
			continue
		}
		for _, was := range before.Results {
			if was.Name == f.Name && was.Target == f.Target && !was.OK && was.Since.Before(f.Since) && !was.Since.IsZero() {
				f.Since = was.Since
			}
		}
	}
}

func makeRoom(folder, name string, now time.Time) error {
	all, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	others := 0
	for _, e := range all {
		at := filepath.Join(folder, e.Name())
		if at == name {
			return nil
		}
		info, err := e.Info()
		switch {
		case err != nil || !e.Type().IsRegular():
		case now.Sub(info.ModTime()) > keptFor:
			os.Remove(at)
		case strings.HasSuffix(e.Name(), ".json"):
			others++
		}
	}
	if others >= ReportsMax {
		return fmt.Errorf("%d probes report already, which is all that there is room for", others)
	}
	return nil
}

// Read gives the reports of a data folder, by their probe. What cannot be read
// is left out.
func Read(dir string) (all []Report) {
	folder := filepath.Join(dir, Folder)
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if len(all) >= ReportsMax {
			break
		}
		by, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !e.Type().IsRegular() {
			continue
		}
		if r, err := readReport(filepath.Join(folder, e.Name())); err == nil && r.By == by {
			all = append(all, *r)
		}
	}
	return all
}

func readReport(name string) (*Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, reportBytesMax+1))
	if err != nil || len(b) > reportBytesMax {
		return nil, errors.Join(err, errors.New("it is too long"))
	}
	r := new(Report)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	return r, r.Check()
}

// View is what several probes say of one thing.
type View struct {
	Name   string   `json:"name"`
	Probes int      `json:"probes"` // that looked lately
	Down   []string `json:"down"`   // those of them that found it down
	// Agreed: at least AgreeLeast found it down, and more than half of those that looked.
	Agreed bool `json:"agreed"`
	// Well: as many, and such a share, found it well.
	Well bool `json:"well"`
	// Since is the first failed check of those that agree. One that found it down
	// much longer than the others was alone with that then: its word is from its own way.
	Since time.Time `json:"since,omitzero"`
	Found []Found   `json:"found,omitempty"` // by those in Down, in their order
}

// Found is what one probe saw that found something down.
type Found struct {
	By    string    `json:"by"`
	Since time.Time `json:"since"`
	Text  string    `json:"text"`
}

// agree counts the votes.
func (v *View) agree() {
	agree := func(n int) bool { return n >= AgreeLeast && 2*n > v.Probes }
	v.Agreed, v.Well = agree(len(v.Down)), agree(v.Probes-len(v.Down))
	if !v.Agreed {
		return
	}
	begins := make([]time.Time, len(v.Found))
	for i, f := range v.Found {
		begins[i] = f.Since
	}
	slices.SortFunc(begins, time.Time.Compare)
	enough := begins[max(AgreeLeast, v.Probes/2+1)-1]
	for _, t := range begins {
		if enough.Sub(t) <= freshFor {
			v.Since = t
			return
		}
	}
}

// Agree says of each thing that was looked at within keptFor what those say who
// looked lately, by its name. One probe alone calls nothing down: it may be its
// own way there that is broken.
func Agree(reports []Report, now time.Time) []View {
	views := map[string]*View{}
	for i := range reports {
		r := &reports[i]
		age := now.Sub(r.At)
		if age > keptFor || age < -aheadMost {
			continue
		}
		looked := map[string]*Found{} // nil: it is well
		for _, f := range r.Results {
			is := looked[f.Name]
			if !f.OK && is == nil {
				is = &Found{r.By, r.At, f.Text}
			}
			if !f.OK && !f.Since.IsZero() && f.Since.Before(is.Since) {
				is.Since = f.Since
			}
			looked[f.Name] = is
		}
		for name, found := range looked {
			v := views[name]
			if v == nil {
				v = &View{Name: name, Down: []string{}}
				views[name] = v
			}
			if age > freshFor {
				continue
			}
			v.Probes++
			if found != nil {
				v.Down = append(v.Down, r.By)
				v.Found = append(v.Found, *found)
			}
		}
	}
	all := make([]View, 0, len(views))
	for _, v := range views {
		v.agree()
		all = append(all, *v)
	}
	slices.SortFunc(all, func(a, b View) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

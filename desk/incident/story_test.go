package incident

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the golden stories anew")

var cet = time.FixedZone("CET", 3600)

// storyBegins is when every story begins.
var storyBegins = time.Date(2026, 3, 7, 15, 0, 0, 0, cet)

// A story is a file of lines, each a number of seconds and what was so in each
// of them; behind "---" stands what the watch said and what the book holds.
//
//	60 known=20 p50=40
//	10 known=20 lost=18 press cause=flood:0.93 rule=7
type story struct {
	watch *Watch
	book  *Book
	at    time.Time
	told  strings.Builder
	facts []Fact
}

func newStory() *story {
	b := NewBook(cet)
	return &story{watch: NewWatch(cet, b), book: b, at: storyBegins}
}

func (s *story) play(t *testing.T, line string) {
	t.Helper()
	fields := strings.Fields(line)
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if fields[1] == "restart" {
		b, err := json.Marshal(s.book)
		if err != nil {
			t.Fatal(err)
		}
		s.book = NewBook(cet)
		if err := json.Unmarshal(b, s.book); err != nil {
			t.Fatal(err)
		}
		s.watch = NewWatch(cet, s.book)
		s.at = s.at.Add(time.Duration(n) * time.Second)
		return
	}
	for range n {
		s.at = s.at.Add(time.Second)
		s.see(sampleOf(t, s.at, fields[1:]))
	}
}

func (s *story) see(sample Sample) {
	for _, f := range s.watch.See(sample) {
		s.facts = append(s.facts, f)
		s.book.Apply(f)
		if f.Row == nil {
			s.tell(f)
		}
	}
}

func (s *story) tell(f Fact) {
	fmt.Fprintf(&s.told, "%s %s %s", f.At.In(cet).Format("15:04:05"), f.Incident, f.Kind)
	if !f.Time.IsZero() {
		fmt.Fprintf(&s.told, " %s", f.Time.In(cet).Format("15:04:05"))
	}
	if f.Cause != "" {
		fmt.Fprintf(&s.told, " %s %s %.2f", f.Origin, f.Cause, f.Sure)
	} else if f.Origin != "" {
		fmt.Fprintf(&s.told, " %s", f.Origin)
	}
	if f.Rule != 0 {
		fmt.Fprintf(&s.told, " %d", f.Rule)
	}
	if f.Text.English != "" {
		fmt.Fprintf(&s.told, " %q", f.Text.English)
	}
	s.told.WriteByte('\n')
}

func clockOr(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(cet).Format("15:04:05")
}

func (s *story) sum() {
	for _, i := range slices.Backward(s.book.Incidents()) {
		cause, sure := i.Cause()
		k := i.Toll.Users
		fmt.Fprintf(&s.told, "= %s %s begin %s affected %s mitigated %s restored %s end %s; %s %.2f; known users asked %d, lost %d; newcomers held %d; %d relapses\n",
			i.ID, i.Life, clockOr(i.Begin), clockOr(i.Affected), clockOr(i.Mitigated), clockOr(i.Restored), clockOr(i.End),
			cause, sure, k.Asked, k.Lost(), i.Toll.New.Held, i.Relapses)
	}
	for _, d := range s.book.Days() {
		fmt.Fprintf(&s.told, "= %s: %d s measured, %d s off, %d s known users affected, %d asked, %d lost\n", d.Day, d.Measured, d.Off, d.Hurt, d.Asked, d.Lost)
	}
}

func sampleOf(t *testing.T, at time.Time, words []string) Sample {
	t.Helper()
	o := Origin{Name: "site", Cause: "none"}
	s := Sample{Row: Row{At: at, Span: 1}}
	r := &s.Row
	k, n := &r.Groups[2], &r.Groups[Groups-1]
	var lost, failed uint32
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		v := uint32(0)
		if value != "" && !slices.Contains([]string{"cause", "down", "up", "doubt"}, name) {
			u, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				t.Fatalf("%q: %v", w, err)
			}
			v = uint32(u)
		}
		switch name {
		case "known":
			k.Asked = v
		case "lost":
			lost = v
		case "failed": // strangers, at the origin
			failed = v
		case "own":
			k.Own = v
		case "new":
			n.Asked = v
		case "held":
			n.Held = v
		case "p50":
			r.P50 = int32(v)
		case "ruled":
			r.Ruled = v
		case "gate":
			r.Gate = v
		case "empty":
			r.Empty = v
		case "press":
			o.Press = true
		case "fail":
			o.Failing = true
		case "down": // probes agree, since so many seconds before this one
			thing, ago, _ := strings.Cut(value, ":")
			n, err := strconv.Atoi(ago)
			if err != nil {
				t.Fatalf("%q: %v", w, err)
			}
			s.Outside = append(s.Outside, Outside{Name: thing, Down: true, Since: at.Add(-time.Duration(n) * time.Second), Text: Text{"2 of 2 probes find it down.", "2 von 2 Sonden finden es ausgefallen."}})
		case "up", "doubt":
			s.Outside = append(s.Outside, Outside{Name: value, Up: name == "up"})
		case "rule":
			s.Rules = append(s.Rules, Rule{v, Text{"a rule", "eine Regel"}})
		case "from":
			s.Whence = Text{"it came from somewhere", "es kam irgendwoher"}
		case "cause":
			c, sure, _ := strings.Cut(value, ":")
			o.Cause = c
			o.Sure, _ = strconv.ParseFloat(sure, 64)
		default:
			t.Fatalf("%q is no word of a story", w)
		}
	}
	k.Served = k.Asked - lost - k.Own
	n.Served = n.Asked - n.Held - min(n.Asked-n.Held, r.Ruled) - failed
	r.Demand = float32(k.Asked + n.Asked)
	s.Origins = []Origin{o}
	return s
}

func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d stories, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(b), "---\n")
			s := newStory()
			for line := range strings.Lines(script) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					s.play(t, line)
				}
			}
			s.sum()
			if *rewrite {
				if err := os.WriteFile(file, []byte(script+"---\n"+s.told.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got := s.told.String(); got != want {
				t.Errorf("the story goes otherwise; -rewrite writes it anew:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// What people closed while probes still find it down opens no other incident, and
// keeps none open, until they find it well and down again.
func TestWhatPeopleClosedFromOutside(t *testing.T) {
	s := newStory()
	s.play(t, "60 known=20 p50=40 up=pay")
	s.play(t, "20 known=20 p50=40 down=pay:5")
	f := Fact{At: s.at, Kind: Updated, Incident: s.book.Open().ID, By: "ada", Life: Resolved, Text: Text{"It is theirs.", "Es ist deren."}}
	s.book.Apply(f)
	s.watch.Took(s.book)
	s.play(t, "60 known=20 p50=40 down=pay:80")
	if i := s.book.Open(); i != nil {
		t.Errorf("%s is open again", i.ID)
	}
	s.play(t, "10 known=20 lost=20 fail down=pay:90 cause=origin_fault:0.9")
	s.play(t, "400 known=20 p50=40 down=pay:500")
	if all := s.book.Incidents(); len(all) != 2 || all[0].Life != Resolved || len(all[0].Outside) != 0 {
		t.Errorf("an outage meanwhile: %d incidents, the last %+v", len(all), all[0])
	}
	s.play(t, "10 known=20 p50=40 up=pay")
	s.play(t, "5 known=20 p50=40 down=pay:1")
	if i := s.book.Open(); i == nil || len(i.Outside) != 1 {
		t.Errorf("down again: %+v", i)
	}
}

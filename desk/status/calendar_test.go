package status

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// calendarFaults holds a calendar against RFC 5545, as far as this page makes
// use of it.
func calendarFaults(b []byte) (faults []string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !bytes.HasSuffix(b, []byte("\r\n")) || bytes.Count(b, []byte("\n")) != bytes.Count(b, []byte("\r\n")) {
		say("a line does not end in CR LF")
	}
	for line := range strings.SplitSeq(string(b), "\r\n") { // 3.1
		if len(line) > 75 || strings.ToValidUTF8(line, "") != line {
			say("a line of %d bytes, or a letter is cut: %q", len(line), line)
		}
	}
	var open []string
	counts := map[string]int{}
	once := map[string][]string{ // 3.6, 3.6.1
		"VCALENDAR": {"PRODID", "VERSION", "NAME", "REFRESH-INTERVAL"},
		"VEVENT":    {"UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION", "URL", "TRANSP", "SEQUENCE", "STATUS"},
	}
	must := map[string][]string{"VCALENDAR": {"PRODID", "VERSION"}, "VEVENT": {"UID", "DTSTAMP", "DTSTART"}}
	uids := map[string]bool{}
	var start string
	for line := range strings.SplitSeq(strings.ReplaceAll(strings.TrimSuffix(string(b), "\r\n"), "\r\n ", ""), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		name, _, _ = strings.Cut(name, ";")
		if !ok || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }) {
			say("no name, or control characters: %q", line)
			continue
		}
		switch name {
		case "BEGIN":
			open = append(open, value)
			for _, n := range once[value] {
				counts[value+n] = 0
			}
			continue
		case "END":
			if len(open) == 0 || open[len(open)-1] != value {
				return append(faults, "END:"+value+" ends nothing")
			}
			open = open[:len(open)-1]
			for _, n := range must[value] {
				if counts[value+n] != 1 {
					say("%s has %d %s", value, counts[value+n], n)
				}
			}
			continue
		}
		if len(open) == 0 {
			return append(faults, "outside: "+line)
		}
		at := open[len(open)-1]
		known := false
		for _, n := range once[at] {
			known = known || n == name
		}
		if counts[at+name]++; !known || counts[at+name] > 1 {
			say("%s: %s has no place here, or is there twice", at, name)
		}
		switch name {
		case "UID":
			if value == "" || uids[value] {
				say("UID %q is none, or not the only one", value)
			}
			uids[value] = true
		case "DTSTAMP", "DTSTART", "DTEND": // 3.3.5, in UTC
			if _, err := time.Parse("20060102T150405Z", value); err != nil {
				say("%v", err)
			}
			if name == "DTSTART" {
				start = value
			} else if name == "DTEND" && value <= start {
				say("it ends before it begins")
			}
		case "SUMMARY", "DESCRIPTION": // 3.3.11
			if plain := strings.NewReplacer(`\\`, "", `\;`, "", `\,`, "", `\n`, "").Replace(value); strings.ContainsAny(plain, `\;,`) {
				say("not escaped: %q", value)
			}
		}
	}
	if len(open) > 0 {
		say("%v are open at the end", open)
	}
	return faults
}

func TestCalendarsAreValid(t *testing.T) {
	d := full()
	d.Plans[0].Title = incident.Text{English: "a, b; c\\d\ne\r\x00" + strings.Repeat("ä€😀", 60)}
	d.Plans[1].Off = true
	for _, d := range []*Document{d, {}} {
		for _, lang := range []string{"en", "de"} {
			for _, home := range []string{"", "https://status.example.org/"} {
				if faults := calendarFaults(d.calendar(lang, home)); len(faults) > 0 {
					t.Errorf("%s, %q: %q", lang, home, faults)
				}
			}
		}
	}
	good := d.calendar("en", "https://status.example.org/")
	if !bytes.Contains(good, []byte("STATUS:CANCELLED")) {
		t.Error("that it is called off is not said")
	}
	for what, change := range map[string][2]string{
		"no UID": {"UID:", "NAME:"}, "one UID for all": {"UID:uid", "UID:same\r\nX:"}, "lines end otherwise": {"\r\n", "\n"}, "long lines": {"\r\n ", ""}, "no end": {"END:VEVENT", "STATUS:X"},
		"not escaped": {`\;`, ";"}, "local times": {"Z\r\n", "\r\n"},
	} {
		broken := bytes.ReplaceAll(good, []byte(change[0]), []byte(change[1]))
		if bytes.Equal(broken, good) || len(calendarFaults(broken)) == 0 {
			t.Errorf("%s: no fault found", what)
		}
	}
}

func TestThePageTellsWhatIsPlanned(t *testing.T) {
	d := &Document{Heard: now, Components: []Component{{State: Down}}, Plans: []Plan{
		{UID: "1", Kind: incident.Maintenance, Title: incident.Text{English: "New disks", German: "Neue Platten"}, From: now.Add(time.Hour), To: now.Add(2 * time.Hour)},
		{UID: "2", Kind: incident.Crowd, Title: incident.Text{English: "Tickets"}, From: now.Add(40 * 24 * time.Hour), To: now.Add(41 * 24 * time.Hour)},
		{UID: "3", Kind: incident.Crowd, Title: incident.Text{English: "Called off"}, From: now, To: now.Add(time.Hour), Off: true},
	}}
	for _, c := range []struct {
		after     time.Duration
		lang      string
		want, not []string
	}{
		{0, "en", []string{"New disks", "16:20 CET", "to <time", "does not answer at the moment"}, []string{"Tickets", "Called off", "maintenance until"}},
		{90 * time.Minute, "en", []string{"Planned maintenance until 17:20 CET", "New disks", "</i>now<"}, []string{"Tickets"}},
		{90 * time.Minute, "de", []string{"Geplante Wartung bis 17:20 Uhr (MEZ)", "Neue Platten", "</i>jetzt<"}, nil},
		{3 * time.Hour, "en", []string{"does not answer at the moment"}, []string{"New disks", "Tickets"}},
		{30 * 24 * time.Hour, "de", []string{"Tickets", "Viele Besucher werden erwartet"}, []string{"Neue Platten"}},
	} {
		at := now.Add(c.after)
		d.Heard = at
		b, err := d.render(c.lang, at, cet, true, links{})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(b), want) {
				t.Errorf("after %s, %s: %q is missing", c.after, c.lang, want)
			}
		}
		for _, not := range c.not {
			if strings.Contains(string(b), not) {
				t.Errorf("after %s, %s: it says %q", c.after, c.lang, not)
			}
		}
	}
}

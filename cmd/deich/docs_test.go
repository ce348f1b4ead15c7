package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/deichproject/deich"
	"github.com/deichproject/deich/spool"
)

// The documentation is held against the code: what exists is named there, and
// what is named there exists.

const top = "../.."

// reference reads a page of docs/reference.
func reference(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, "docs/reference", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// texts are all pages of documentation, by their path from the top.
func texts(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	add := func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		b, err := os.ReadFile(path)
		all[filepath.ToSlash(strings.TrimPrefix(path, top+"/"))] = string(b)
		return err
	}
	if err := filepath.WalkDir(filepath.Join(top, "docs"), add); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "SECURITY.md", "ARCHITECTURE.md"} {
		path := filepath.Join(top, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

func newParser(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := kong.New(new(commands), kong.Name("deich"), kong.Writers(io.Discard, io.Discard),
		kong.Vars{"data": dataDirDefault()}, kong.Bind(&terminal{io.Discard, io.Discard}))
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// sections cuts a page at its second-level headings.
func sections(page string) map[string]string {
	all := make(map[string]string)
	for _, part := range strings.Split("\n"+page, "\n## ")[1:] {
		head, body, _ := strings.Cut(part, "\n")
		all[head] = body
	}
	return all
}

func TestDocsNameEveryCommandAndFlag(t *testing.T) {
	parts := sections(reference(t, "commands.md"))
	known := map[string]bool{}
	for _, leaf := range newParser(t).Model.Leaves(true) {
		name := "deich " + strings.TrimPrefix(leaf.Path(), "deich ")
		known[name] = true
		body, ok := parts[name]
		if !ok {
			t.Errorf("commands.md has no heading %q", name)
			continue
		}
		for _, f := range leaf.Flags {
			if !f.Hidden && f.Name != "help" && !strings.Contains(body, "`--"+f.Name) {
				t.Errorf("commands.md, %s: --%s is missing", name, f.Name)
			}
		}
		for _, word := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(body, -1) {
			if !slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == word[1] }) {
				t.Errorf("commands.md, %s: there is no --%s", name, word[1])
			}
		}
	}
	for head := range parts {
		if strings.HasPrefix(head, "deich ") && !known[head] {
			t.Errorf("commands.md: there is no command %q", head)
		}
	}
}

// fenced gives the blocks of a page in one language.
func fenced(page, language string) []string {
	var all []string
	for _, part := range strings.Split(page, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		all = append(all, block)
	}
	return all
}

var shellWord = regexp.MustCompile(`"[^"]*"|\S+`)

// Every command line that a page shows is one that Deich understands.
func TestDocsCommandsParse(t *testing.T) {
	n := 0
	for path, page := range texts(t) {
		for _, block := range fenced(page, "sh") {
			for line := range strings.Lines(block) {
				line, _, _ = strings.Cut(line, " #")
				line, _, _ = strings.Cut(line, " | ")
				line = strings.TrimSuffix(strings.TrimSpace(line), " &")
				words := shellWord.FindAllString(strings.TrimPrefix(strings.TrimPrefix(line, "sudo "), "-u deich "), -1)
				for i := range words {
					words[i] = strings.Trim(words[i], `"`)
				}
				if len(words) < 2 || words[0] != "deich" && words[0] != "bin/deich" {
					continue
				}
				n++
				if _, err := newParser(t).Parse(words[1:]); err != nil {
					t.Errorf("%s: %s: %v", path, line, err)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d command lines found", n)
	}
}

func TestDocsNameEveryReason(t *testing.T) {
	http, day := reference(t, "http.md"), texts(t)["docs/operate/flood-day.md"]
	for _, r := range deich.Reasons() {
		if !strings.Contains(http, "| `"+r.String()+"` |") {
			t.Errorf("http.md: the reason %s is missing", r)
		}
		if !strings.HasPrefix(reasonWords(r.String()).English, "The reason is") && !strings.Contains(day, "| `"+r.String()+"` |") {
			t.Errorf("flood-day.md: the reason %s is missing", r)
		}
	}
	for _, a := range deich.Acts() {
		if !strings.Contains(http, "| `"+a.String()+"` |") {
			t.Errorf("http.md: the act %s is missing", a)
		}
	}
	for _, tier := range deich.Tiers() {
		if !strings.Contains(http, "| `"+tier.String()+"` |") {
			t.Errorf("http.md: the tier %s is missing", tier)
		}
	}
}

func TestDocsNameEveryMetric(t *testing.T) {
	page := reference(t, "metrics.md")
	keeps := func(s *settings) { s.Spool.Keep = []spool.Route{{Route: "POST /messages"}} }
	served := call(standing(t, t.TempDir(), keeps), "GET", "/metrics", "").Body.String()
	var known []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(served, -1) {
		known = append(known, m[1])
		if !regexp.MustCompile("(?m)^\\| `" + m[1] + "` \\| " + m[2] + " \\|").MatchString(page) {
			t.Errorf("metrics.md: no row for %s, a %s", m[1], m[2])
		}
	}
	if len(known) < 10 {
		t.Fatalf("only %d metrics served", len(known))
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `((?:deich|go|process)_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		if !slices.Contains(known, m[1]) {
			t.Errorf("metrics.md: there is no %s", m[1])
		}
	}
}

// configKey is a key with its default as the page writes it; "" where it
// depends on the machine or must be set.
type configKey struct{ path, standard string }

func configKeys(v reflect.Value, path string) (all []configKey) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if flattened(f) {
			all = append(all, configKeys(v.Field(i), path)...)
			continue
		}
		name := jsonName(f)
		if name == "" {
			continue
		}
		name, one := join(path, name), v.Field(i)
		_, scalar := scalarText(one)
		switch {
		case scalar:
			all = append(all, configKey{name, standardText(one)})
		case one.Kind() == reflect.Struct:
			all = append(all, configKeys(one, name)...)
		case one.Kind() == reflect.Slice && one.Type().Elem().Kind() == reflect.Struct && !reflect.PointerTo(one.Type().Elem()).Implements(textType):
			for _, inner := range configKeys(reflect.Zero(one.Type().Elem()), name+"[]") {
				all = append(all, configKey{inner.path, ""})
			}
		default:
			all = append(all, configKey{name, standardText(one)})
		}
	}
	return all
}

func standardText(v reflect.Value) string {
	if v.Kind() == reflect.Slice {
		if v.Len() == 0 {
			return "none"
		}
		v = v.Index(0)
	}
	text, _ := scalarText(v)
	if text = strings.Trim(text, `"`); text == "" {
		return "none"
	}
	return "`" + text + "`"
}

func TestDocsNameEveryKey(t *testing.T) {
	page := reference(t, "configuration.md")
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(page, -1) {
		rows[m[1]] = strings.TrimSpace(m[2])
	}
	ofMachine := []string{"data", "limits.connections", "limits.origin_connections", "policy.streams"}
	known := map[string]bool{}
	for _, k := range configKeys(reflect.ValueOf(settings{}.defaults()), "") {
		known[k.path] = true
		said, ok := rows[k.path]
		switch {
		case !ok:
			t.Errorf("configuration.md: no row for %s", k.path)
		case k.standard != "" && !slices.Contains(ofMachine, k.path) && said != k.standard:
			t.Errorf("configuration.md: %s: the default is said to be %s, and is %s", k.path, said, k.standard)
		}
	}
	for path := range rows {
		if !known[path] {
			t.Errorf("configuration.md: there is no key %s", path)
		}
	}
}

// The unit for those who have no package keeps what the packages' promises.
func TestDocsUnitIsAsThePackages(t *testing.T) {
	shipped, err := os.ReadFile(filepath.Join(top, "packaging/systemd/deich.service"))
	if err != nil {
		t.Fatal(err)
	}
	units := fenced(texts(t)["docs/operate/install.md"], "ini")
	if len(units) != 1 {
		t.Fatalf("%d units in install.md", len(units))
	}
	for _, key := range []string{"StartLimitIntervalSec", "TimeoutStopSec", "StateDirectory", "StateDirectoryMode", "LogsDirectory", "LogsDirectoryMode", "UMask",
		"AmbientCapabilities", "CapabilityBoundingSet", "NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateDevices"} {
		line := regexp.MustCompile(`(?m)^` + key + `=(\S+?)s?$`)
		want, got := line.FindSubmatch(shipped), line.FindStringSubmatch(units[0])
		if want == nil || got == nil || got[1] != string(want[1]) {
			t.Errorf("%s: %q in install.md, %q in the packages' unit", key, got, want)
		}
	}
}

// A container that is stopped has as long to end as the packages' service, wherever
// a page starts one or says how it is started.
func TestDocsContainersMayDrain(t *testing.T) {
	pages := texts(t)
	for _, name := range []string{"packaging/Dockerfile", "packaging/systemd/deich.service"} {
		b, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = string(b)
	}
	unit := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)s$`).FindStringSubmatch(pages["packaging/systemd/deich.service"])
	if unit == nil {
		t.Fatal("the packages' unit does not say how long it may take to end")
	}
	if s, err := strconv.Atoi(unit[1]); err != nil || time.Duration(s)*time.Second <= drainWait {
		t.Errorf("the packages' unit gives %s s: draining may take %s", unit[1], drainWait)
	}
	runs, waits := 0, 0
	for path, page := range pages {
		for _, m := range regexp.MustCompile(`(?m)^(?:podman|docker) run .*$`).FindAllString(page, -1) {
			runs++
			if !strings.Contains(m, " --stop-timeout ") {
				t.Errorf("%s: %s: runtimes kill after ten seconds", path, m)
			}
		}
		for _, m := range regexp.MustCompile(`(?:--stop-timeout|stop_grace_period:|terminationGracePeriodSeconds:) (\d+)`).FindAllStringSubmatch(page, -1) {
			waits++
			if m[1] != unit[1] {
				t.Errorf("%s: %s: the packages' unit gives %s", path, m[0], unit[1])
			}
		}
	}
	if runs == 0 || waits < 5 { // podman twice, Compose, Kubernetes, the image
		t.Errorf("pages start %d containers, and say %d times how long one may take to end", runs, waits)
	}
}

// Prometheus is not sent to a file that only Deich's user may read.
func TestDocsScrapeWhatCanBeRead(t *testing.T) {
	n := 0
	for path, page := range texts(t) {
		for _, m := range regexp.MustCompile(`credentials_file: (\S+)`).FindAllStringSubmatch(page, -1) {
			n++
			if strings.HasPrefix(m[1], dataOfService) {
				t.Errorf("%s: %s lies in Deich's data folder", path, m[1])
			}
		}
	}
	if n == 0 {
		t.Error("no page has Prometheus scrape Deich")
	}
}

// Every configuration that a page shows is right, but for the files it names.
func TestDocsConfigurationsAreRight(t *testing.T) {
	n := 0
	for path, page := range texts(t) {
		for _, block := range fenced(page, "yaml") {
			if strings.Contains(block, "scrape_configs:") {
				continue // Prometheus' own
			}
			n++
			_, err := parseConfig(path, []byte(block))
			var m *mistakes
			if err != nil && !errors.As(err, &m) {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if m == nil {
				continue
			}
			for _, one := range m.All {
				if !strings.HasPrefix(one.Path, "networks[") && !strings.HasSuffix(one.Path, ".certificate") && !strings.HasSuffix(one.Path, ".origin_ca") {
					t.Errorf("%s: %s: %s\n%s", path, one.Path, one.Text, block)
				}
			}
		}
	}
	if n < 3 {
		t.Errorf("only %d configurations found", n)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchors are what a page's headings can be linked by.
func anchors(page string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		text := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		all = append(all, text)
	}
	return all
}

func TestDocsLinksLeadSomewhere(t *testing.T) {
	pages := texts(t)
	n := 0
	for path, page := range pages {
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			to := m[1] + m[2]
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") || strings.HasPrefix(to, "/") {
				continue // elsewhere, or on a site
			}
			n++
			file, anchor, _ := strings.Cut(to, "#")
			file = filepath.ToSlash(filepath.Join(filepath.Dir(path), file))
			if strings.HasPrefix(to, "#") {
				file = path
			}
			if _, err := os.Stat(filepath.Join(top, file)); err != nil {
				t.Errorf("%s: %s leads nowhere", path, to)
			} else if anchor != "" && !slices.Contains(anchors(pages[file]), anchor) {
				t.Errorf("%s: %s: there is no such heading", path, to)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d links found", n)
	}
}

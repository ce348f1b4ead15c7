package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden texts anew")

// golden compares got with the file, or writes it with -rewrite.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", file, got, want)
	}
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(all) < 3 {
		t.Fatalf("%s: %d files, %v", folder, len(all), err)
	}
	return all
}

// machine is what differs between machines: limits from open files, and what they leave
// to streams, folders.
var machine = regexp.MustCompile(`(?m)^(  (?:origin_)?connections|  streams|data): [^\[].*$`)

func TestGoodConfigurations(t *testing.T) {
	for _, file := range files(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s, err := loadConfig(file)
			if err != nil {
				t.Fatal(err)
			}
			var shown bytes.Buffer
			if err := showYAML(&shown, s); err != nil {
				t.Fatal(err)
			}
			text := shown.String()
			if !strings.HasSuffix(file, "full.yaml") {
				text = machine.ReplaceAllString(text, "$1: of this machine")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".show", text)

			again, err := parseConfig(file, shown.Bytes())
			if err != nil {
				t.Fatalf("what is shown is not a configuration: %v", err)
			}
			again.resolve(".") // no path is left to resolve
			var shownAgain bytes.Buffer
			showYAML(&shownAgain, again)
			if shownAgain.String() != strings.ReplaceAll(shown.String(), "testdata/good/", "testdata/good/testdata/good/") {
				t.Errorf("shown, read and shown again:\n%s\nfirst:\n%s", shownAgain.String(), shown.String())
			}
		})
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, file := range files(t, "bad") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := loadConfig(file)
			var m *mistakes
			if !errors.As(err, &m) {
				t.Fatalf("error %v, want mistakes", err)
			}
			for _, one := range m.All {
				if one.Line < 1 || one.Column < 1 || one.Text == "" {
					t.Errorf("a mistake without a place or a text: %+v", one)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".errors", err.Error()+"\n")
		})
	}
}

// On a machine with few files, streams do not take the connections that quick requests need.
func TestStreamsLeaveConnectionsToTheQuick(t *testing.T) {
	for _, c := range []struct{ connections, limitMax, streams, want int }{
		{8192, 0, 0, 4096}, {307, 0, 0, 154}, {307, 16, 0, 243}, {1, 0, 0, 1}, {307, 0, 100, 100}, {307, 0, 4096, 154}, {110_000, 0, 100_000, 100_000},
	} {
		var s settings
		s.Limits.OriginConnections, s.Policy.LimitMax, s.Policy.Streams = c.connections, c.limitMax, c.streams
		if got := s.defaults().Policy.Streams; got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestConfigTooLong(t *testing.T) {
	_, err := parseConfig("x.yaml", bytes.Repeat([]byte("# long\n"), configBytesMax/7+1))
	if err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("error %v", err)
	}
}

// What nests without end is refused before it is parsed, wherever it stands; what
// only looks like it is read.
func TestNestingIsBounded(t *testing.T) {
	const much = 10_000
	for name, text := range map[string]string{
		"brackets":                 strings.Repeat("[", much),
		"maps in braces":           strings.Repeat("{a: ", much),
		"lists on a line":          strings.Repeat("- ", much) + "a",
		"keys on a line":           strings.Repeat("? ", much) + "a",
		"tags":                     strings.Repeat("!a\n", much),
		"tags with comments":       strings.Repeat("!a # and so on\n", much),
		"anchors":                  strings.Repeat("&a\n", much),
		"maps with tags":           strings.Repeat("!!map a: ", much),
		"behind a banner":          "# -------------------- [[[\na: '# '\nb: " + strings.Repeat("[", much),
		"behind a quote of quotes": "a: 'it''s \"'\nb: \"\\\"'\"\nc: " + strings.Repeat("{a: ", much),
		"behind a block":           "a: |\n  [ # ' \"\nb: " + strings.Repeat("- ", much),
		"with CR and LF":           strings.Repeat("!a\r\n", much),
	} {
		b := bindYAML([]byte(text), new(settings))
		if len(b.wrong) != 1 || b.wrong[0].Text != "nested too deep: at most 16 levels" {
			t.Errorf("%s: %v", name, b.wrong)
		}
	}
	banner := strings.Repeat("-", 40) + strings.Repeat("[", 40)
	for name, text := range map[string]string{
		"as deep as may be": "sites: " + strings.Repeat("[", configDepthMax) + strings.Repeat("]", configDepthMax),
		"a comment":         "# " + banner + " TLS\ndata: here # " + banner + "\n",
		"with CR and LF":    "# " + banner + "\r\n#" + banner + "\r\ndata: here\r\n",
		"quotes":            "data: '" + banner + "'\n",
		"double quotes":     "data: \"\\\"" + banner + "\"\n",
		"a text":            "data: x" + banner + "\n",
		"a block":           "data: |\n  " + banner + "\n  " + banner + "\n",
		"a long list":       "networks:\n" + strings.Repeat("- a\n", 40),
		"empty entries":     "networks:\n" + strings.Repeat("-\n", 40),
	} {
		for _, m := range bindYAML([]byte(text), new(settings)).wrong {
			if strings.Contains(m.Text, "nested") {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

// Every key that a file may hold is reached by a path of its own, and none is
// of a kind that cannot be read from a file.
func TestEveryKeyCanBeSet(t *testing.T) {
	var walk func(rt reflect.Type, path string, depth int)
	n := 0
	walk = func(rt reflect.Type, path string, depth int) {
		if depth > configDepthMax {
			t.Fatalf("%s: too deep", path)
		}
		for i := range rt.NumField() {
			f := rt.Field(i)
			if flattened(f) {
				walk(f.Type, path, depth)
				continue
			}
			name := jsonName(f)
			if name == "" {
				continue
			}
			n++
			ft := f.Type
			for ft.Kind() == reflect.Slice || ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			switch {
			case isDuration(ft), reflect.PointerTo(ft).Implements(textType):
			case ft.Kind() == reflect.Struct:
				walk(ft, join(path, name), depth+1)
			case ft.Kind() == reflect.Interface, ft.Kind() == reflect.Func, ft.Kind() == reflect.Chan:
				t.Errorf("%s: a %s cannot be read from a file", join(path, name), ft.Kind())
			}
		}
	}
	walk(reflect.TypeFor[settings](), "", 0)
	if n < 20 {
		t.Errorf("only %d keys found", n)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"listen", "sites", "policy", "observe", "names", "origins"}
	for word, want := range map[string]string{
		"listne": "listen", "polcy": "policy", "site": "sites", "obsreve": "observe", "Names": "names",
		"colour": "", "": "", strings.Repeat("x", 1000): "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		all, _ := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
		if len(all) == 0 {
			f.Fatal("no seeds in " + folder)
		}
		for _, file := range all {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Add([]byte("? [a]\n: b\n"))
	f.Add([]byte("<<: {listen: []}\n"))
	f.Add([]byte("sites:\n- - - - a\n"))
	f.Add([]byte("policy: {sources: 0x10000, streams: .inf}\n"))
	f.Add([]byte("# -------------------- TLS\r\ndata: |\r\n  [[[ # -\r\n"))
	f.Add([]byte("!!map a: !!map b: &c\n!d # -\n- - '# [' : [#["))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s settings
		b := bindYAML(text, &s)
		for _, m := range b.wrong {
			if m.Line < 1 || m.Column < 1 || m.Text == "" {
				t.Fatalf("a mistake without a place or a text: %+v", m)
			}
		}
		if len(b.wrong) > 0 {
			return
		}
		// What was read can be shown and read again.
		var shown, again bytes.Buffer
		showYAML(&shown, s)
		var second settings
		if b := bindYAML(shown.Bytes(), &second); len(b.wrong) > 0 {
			t.Fatalf("shown:\n%s\nmistakes: %v", shown.String(), b.wrong)
		}
		showYAML(&again, second)
		if shown.String() != again.String() {
			t.Fatalf("shown:\n%s\nread and shown again:\n%s", shown.String(), again.String())
		}
	})
}

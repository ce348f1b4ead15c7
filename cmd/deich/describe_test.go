package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func described(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := command(append([]string{"describe"}, args...), &out, &errs); code != 0 {
		t.Fatalf("describe %v: exit %d\n%s", args, code, errs.String())
	}
	return out.String()
}

// Whatever help shows stands in the manual page and in every completion, and
// what it hides stands in none.
func TestDescribeIsComplete(t *testing.T) {
	t.Setenv("HOME", "/home/builder")
	root := grammar(new(commands), dataEverywhere).Model.Node
	for _, form := range []string{"man", "bash", "zsh", "fish"} {
		text := described(t, form)
		seen := 0
		walk(root, func(n *kong.Node) {
			if n != root && !strings.Contains(text, n.Name) {
				t.Errorf("%s: no word of %s", form, n.Path())
			}
			for _, f := range flagsOf(n) {
				seen++
				name := map[string]string{"man": dashes("--" + f.Name), "fish": "-l " + f.Name}[form]
				if name == "" {
					name = "--" + f.Name
				}
				if !strings.Contains(text, name) {
					t.Errorf("%s: no word of %s --%s", form, n.Path(), f.Name)
				}
			}
		})
		if seen == 0 {
			t.Errorf("no flag seen")
		}
		for _, hidden := range []string{"townsquare", "Print the manual page", "/home/builder"} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s speaks of %s", form, hidden)
			}
		}
	}
}

// The manual page has examples as they are typed, and no line that roff would
// take for a request.
func TestManual(t *testing.T) {
	text := described(t, "man", "--date", "2026-01-02")
	if head := ".TH DEICH 1 \"2026-01-02\" \"deich\"\n"; !strings.HasPrefix(text, head) {
		t.Errorf("it does not begin with %q", head)
	}
	if example := ".EX\ndeich config check deich.yaml\ndeich config check deich.yaml \\-\\-json\n.EE\n"; !strings.Contains(text, example) {
		t.Errorf("no %q", example)
	}
	if got, want := roff(`.it's --a \b`), `\&.it's \-\-a \eb`; got != want {
		t.Errorf("roff: %q, not %q", got, want)
	}
}

func TestDescribeRefuses(t *testing.T) {
	var out, errs bytes.Buffer
	if code := command([]string{"describe", "tcsh"}, &out, &errs); code != 2 || out.Len() > 0 {
		t.Errorf("exit %d, %q", code, out.String())
	}
}

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asked are lines as they are typed, and what has to be offered for the last word.
var asked = []struct {
	line string
	want []string
}{
	{"deich con", []string{"config"}},
	{"deich config ", []string{"check", "show"}},
	{"deich drill --s", []string{"--seed", "--sim"}},
	{"deich config check /etc/pass", []string{"/etc/passwd"}},
	{"deich run --config /etc/pass", []string{"/etc/passwd"}},
}

// worksInShells types into each shell.
func worksInShells(t *testing.T, r released) {
	for shell, script := range map[string]string{
		"bash": `source "$1"; read -r -a COMP_WORDS <<<"$2"; [[ $2 != *" " ]] || COMP_WORDS+=("")
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _deich; printf '%s\n' "${COMPREPLY[@]}"`,
		"fish": `source $argv[1]; complete -C $argv[2]`,
	} {
		t.Run(shell, func(t *testing.T) {
			need(t, shell, shell)
			file := untar(t, the(t, r.first, firstVersion, "tar.gz"), "completions/deich."+shell)
			for _, a := range asked {
				args := []string{"-c", script, file, a.line}
				if shell == "bash" {
					args = slices.Insert(args, 2, "bash")
				}
				out, err := exec.Command(shell, args...).CombinedOutput()
				if err != nil {
					t.Fatalf("%q: %v\n%s", a.line, err, out)
				}
				offered := map[string]bool{}
				for line := range strings.Lines(string(out)) {
					word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
					offered[word] = true
				}
				for _, want := range a.want {
					if !offered[want] {
						t.Errorf("%q: %s is not offered:\n%s", a.line, want, out)
					}
				}
				if offered["version"] {
					t.Errorf("%q: something out of place is offered:\n%s", a.line, out)
				}
			}
		})
	}
	t.Run("zsh", func(t *testing.T) { worksInZsh(t, r) })
}

// worksInZsh asks the completion what it hands to zsh's own functions, which
// want a terminal: they are stood in for.
func worksInZsh(t *testing.T, r released) {
	need(t, "zsh", "zsh")
	file := untar(t, the(t, r.first, firstVersion, "tar.gz"), "completions/deich.zsh")
	const standIns = `compdef() { print "compdef $*" }
		_arguments() { print -rl -- "$@"; state=$asked; words=(config) }
		_describe() { print -rl -- "${(@P)2}" }
		source "$1" || exit
		asked=command _deich; asked=command _deich_config; _deich_config_check; _deich_drill`
	out, err := exec.Command("zsh", "-f", "-c", standIns, "zsh", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"compdef _deich deich", "config:Check a", "check:Say", ":file:_files", "--seed=[", "*:scenario: "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if first, _ := os.ReadFile(file); !strings.HasPrefix(string(first), "#compdef deich\n") {
		t.Errorf("compinit does not know it for a completion:\n%.40s", first)
	}
}

func hasManual(t *testing.T, r released) {
	need(t, "mandoc", "mandoc")
	page := untar(t, the(t, r.first, firstVersion, "tar.gz"), "deich.1")
	if out, err := output(t, "", nil, "mandoc", "-T", "lint", "-W", "warning", page); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := output(t, filepath.Dir(page), nil, "mandoc", "-T", "ascii", page)
	if err != nil || !strings.Contains(out, "2023-11-14") || !strings.Contains(out, "deich run --config deich.yaml") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Versions are in a form that dpkg sorts as people do.
func TestVersions(t *testing.T) {
	need(t, "dpkg", "dpkg")
	dir := t.TempDir()
	script, err := os.ReadFile("../packaging/version.sh")
	if err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"}, args...)
		if out, err := output(t, dir, nil, args...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "packaging"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "packaging/version.sh"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "one")
	var all []string
	note := func(prefix string) {
		t.Helper()
		out, err := output(t, dir, nil, "packaging/version.sh")
		v := strings.TrimSpace(out)
		if err != nil || !strings.HasPrefix(v, prefix) || strings.ContainsAny(v, "- _") {
			t.Errorf("%q, not %q…: %v", v, prefix, err)
		}
		if len(all) > 0 {
			if _, err := output(t, "", nil, "dpkg", "--compare-versions", all[len(all)-1], "lt", v); err != nil {
				t.Errorf("%s does not sort after %s", v, all[len(all)-1])
			}
		}
		all = append(all, v)
	}
	note("0.0.0~git20")
	git("tag", "v1.2.0-rc.1")
	note("1.2.0~rc.1")
	git("commit", "-q", "--allow-empty", "-m", "two")
	note("1.2.0~rc.1+1.g")
	git("tag", "v1.2.0")
	note("1.2.0")
	git("commit", "-q", "--allow-empty", "-m", "three")
	note("1.2.0+1.g")
	if err := os.WriteFile(filepath.Join(dir, "more"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	note("1.2.0+1.g")
	if last := all[len(all)-1]; !strings.HasSuffix(last, ".dirty") {
		t.Errorf("%s does not say that something is not committed", last)
	}
}

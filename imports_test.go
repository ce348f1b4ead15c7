package deich_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/deichproject/deich"

// arrows is the law of imports: what each package of the product may use of
// the others. Siblings do not know each other.
var arrows = map[string][]string{
	"":                     {"sketch"},
	"sketch":               {},
	"atlas":                {},
	"guard":                {"", "sketch"},
	"edge":                 {"", "sketch", "guard", "edge/h1", "edge/h2"},
	"edge/h1":              {},
	"edge/h2":              {},
	"spool":                {""},
	"gate":                 {""},
	"desk":                 {"", "desk/incident", "desk/record", "desk/dossier", "desk/status", "desk/probe", "desk/alert"},
	"desk/alert":           {"desk/mail"},
	"desk/mail":            {},
	"desk/mail/mailtest":   {},
	"desk/derive":          {},
	"desk/incident":        {"sketch"},
	"desk/record":          {},
	"desk/probe":           {},
	"desk/dossier":         {"desk/incident"},
	"desk/status":          {"desk/incident", "desk/mail"},
	"drill":                {"", "drill/profile", "drill/scenarios"},
	"drill/profile":        {},
	"drill/profile/derive": {"drill/profile"},
	"drill/scenarios":      {},
	"drill/sim":            {"", "drill/profile"},
	"example/townsquare":   {},
	"example/guestbook":    {"", "guard"},
	"cmd/deich": {"", "sketch", "atlas", "guard", "edge", "desk", "gate", "spool", "drill", "drill/profile", "drill/scenarios",
		"drill/sim", "example/townsquare", "desk/incident", "desk/record", "desk/dossier", "desk/status", "desk/probe", "desk/alert", "desk/mail"},
	"e2e":        {""},
	"bench/gate": {"", "gate"},
	"bench":      {"", "drill", "drill/scenarios"},

	"packaging/sbom": {},
}

// engineMayUse is what the engine's package may import of the standard
// library: nothing with a clock's hands, a socket, a file or a log.
var engineMayNot = []string{"net", "net/http", "os", "log", "log/slog", "io/fs", "math/rand", "math/rand/v2", "crypto/rand"}

func TestImportsPointOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(strings.TrimPrefix(fields[0], module), "/")
		allowed, known := arrows[from]
		if !known {
			t.Errorf("package %q has no line in the law of imports: add one, with what it may use", from)
			continue
		}
		seen++
		for _, imp := range fields[1:] {
			to, ours := strings.CutPrefix(imp, module)
			if to = strings.TrimPrefix(to, "/"); ours && !slices.Contains(allowed, to) {
				t.Errorf("%q imports %q: the arrows are %q → %q", from, to, from, allowed)
			}
			if from == "" && slices.Contains(engineMayNot, imp) {
				t.Errorf("the engine imports %q: it has no clock, I/O, goroutine or log", imp)
			}
		}
	}
	if seen < 2 {
		t.Fatalf("only %d packages seen", seen)
	}
}

package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limitsHead stands above what is taken from the code.
const limitsHead = `# Limits

Whatever a stranger can make grow has a bound with a name. This page is taken from the files named
` + "`limits.go`" + ` as they are: ` + "`go test ./cmd/deich -run DocsLimits -rewrite`" + ` writes it anew, and the test fails where
it is out of date. What can be configured stands in [configuration](configuration.md). Sizes are in
bytes; Ki is 1,024 and Mi is 1,048,576.
`

var limitsOf = []struct{ file, title, about string }{
	{"limits.go", "The engine", "Tables, queues and what can be listed."},
	{"sketch/limits.go", "The engine's tables", "What the tables underneath hold."},
	{"atlas/limits.go", "Operators and countries", "The files that say who runs a network and in which country it is."},
	{"guard/limits.go", "Requests and answers", "Bodies, proofs, tickets, passes, and what happens while the engine is left alone."},
	{"edge/limits.go", "Connections", "Clients' connections, origins' connections, the access log."},
	{"edge/h1/limits.go", "HTTP/1.1", "What one of its connections may hold, and how long it may take."},
	{"edge/h2/limits.go", "HTTP/2", "What one of its connections may hold, and how long it may take."},
	{"spool/limits.go", "Kept messages", "What is kept, for whom, and for how long."},
	{"gate/limits.go", "The gate", "What the kernel holds for Deich."},
	{"desk/limits.go", "The private server", "The console and the private API."},
	{"desk/alert/limits.go", "Alerts", "Who is told what needs a person, and how often."},
	{"desk/mail/limits.go", "E-mail", "What is sent to subscribers, and to those who are told what needs a person."},
	{"desk/incident/limits.go", "Incidents", "What one incident may hold, and from which figures on it is one."},
	{"desk/dossier/limits.go", "Dossiers", "How much of a long incident a dossier shows one by one."},
	{"desk/status/limits.go", "The status page", "What it may hold, and what its server takes."},
	{"desk/probe/limits.go", "Looks from outside", "What probes may report, and from when on they agree."},
	{"desk/record/limits.go", "The record of incidents", "Files of the log that tells when it was changed."},
	{"drill/limits.go", "Rehearsals", "What one rehearsal may keep and wait for."},
	{"drill/scenarios/limits.go", "Scenarios", "What a scenario may ask for; beyond it, it is refused before anything starts."},
	{"drill/sim/limits.go", "Rehearsals in virtual time", "What one simulation may hold."},
	{"cmd/deich/limits.go", "The process", "What the running program takes for itself."},
	{"bench/limits.go", "Benchmarks", "What a contest beside other servers may take."},
	{"example/townsquare/limits.go", "The example platform", "Townsquare's own."},
}

func TestDocsLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString(limitsHead)
	for _, of := range limitsOf {
		rows := limitRows(t, filepath.Join(top, of.file))
		if len(rows) == 0 {
			t.Errorf("%s: no limit found", of.file)
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s ([`%s`](../../%s))\n\n| limit | value | what it bounds, and what happens |\n| --- | --- | --- |\n%s",
			of.title, of.about, of.file, of.file, strings.Join(rows, ""))
	}
	page := filepath.Join(top, "docs/reference/limits.md")
	if *rewrite {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is := strings.Split(reference(t, "limits.md"), "\n")
	for i, want := range strings.Split(b.String(), "\n") {
		if i >= len(is) || is[i] != want {
			t.Fatalf("limits.md is out of date from line %d on, which should be:\n%s", i+1, want)
		}
	}
	all, err := filepath.Glob(top + "/*/limits.go")
	deeper, _ := filepath.Glob(top + "/*/*/limits.go")
	if n := 1 + len(all) + len(deeper); err != nil || n != len(limitsOf) {
		t.Errorf("there are %d files limits.go, and the page is made of %d", n, len(limitsOf))
	}
}

// limitRows gives a line for each comment in a file of constants: the names it
// stands above, their values and its words.
func limitRows(t *testing.T, file string) []string {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	info := types.Info{Defs: make(map[*ast.Ident]types.Object)}
	if _, err := (&types.Config{Importer: timeOnly{}}).Check(f.Name.Name, set, []*ast.File{f}, &info); err != nil {
		t.Fatal(err)
	}
	type row struct{ names, values, words []string }
	var rows []row
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		fresh := true // a comment above the whole group says nothing of one limit
		for _, s := range g.Specs {
			spec := s.(*ast.ValueSpec)
			if !g.Lparen.IsValid() {
				spec.Doc = g.Doc // it stands above the word const
			}
			words := wordsOf(spec)
			if fresh || words != "" {
				rows = append(rows, row{words: []string{words}})
			}
			fresh = false
			last := &rows[len(rows)-1]
			for _, name := range spec.Names {
				last.names = append(last.names, "`"+name.Name+"`")
				last.values = append(last.values, limitText(info.Defs[name].(*types.Const)))
			}
		}
	}
	var lines []string
	for _, r := range rows {
		if r.words[0] == "" {
			t.Errorf("%s: %s: no comment says what happens", file, strings.Join(r.names, ", "))
		}
		lines = append(lines, fmt.Sprintf("| %s | %s | %s |\n", strings.Join(r.names, "<br>"), strings.Join(r.values, "<br>"), r.words[0]))
	}
	return lines
}

// wordsOf gives a limit's comment as one line of a table.
func wordsOf(spec *ast.ValueSpec) string {
	text := strings.TrimSpace(spec.Doc.Text() + spec.Comment.Text())
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
	return strings.NewReplacer("[", "", "]", "").Replace(text)
}

func limitText(c *types.Const) string {
	if c.Type().String() == "time.Duration" {
		n, _ := constant.Int64Val(c.Val())
		return spanText(time.Duration(n))
	}
	n, whole := constant.Int64Val(constant.ToInt(c.Val()))
	if !whole {
		return c.Val().String()
	}
	text := thousands(n)
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		text += fmt.Sprintf(" (%d Mi)", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		text += fmt.Sprintf(" (%d Ki)", n>>10)
	}
	return text
}

func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// timeOnly imports as much of package time as a limit needs.
type timeOnly struct{}

func (timeOnly) Import(path string) (*types.Package, error) {
	if path != "time" {
		return nil, fmt.Errorf("limits import %q: only time", path)
	}
	p := types.NewPackage("time", "time")
	name := types.NewTypeName(token.NoPos, p, "Duration", nil)
	span := types.NewNamed(name, types.Typ[types.Int64], nil)
	p.Scope().Insert(name)
	for unit, d := range map[string]time.Duration{
		"Nanosecond": 1, "Microsecond": time.Microsecond, "Millisecond": time.Millisecond,
		"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
	} {
		p.Scope().Insert(types.NewConst(token.NoPos, p, unit, span, constant.MakeInt64(int64(d))))
	}
	p.MarkComplete()
	return p, nil
}

package deich

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// parsers lists, by folder, the functions that read what others wrote, each
// with the fuzz target that reaches it.
var parsers = map[string]map[string]string{
	".": {"Load": "FuzzLoad", "ParseProof": "FuzzParseProof", "UnmarshalText": "FuzzWord"},
	"guard": {
		"showPass": "FuzzPass", "readTicket": "FuzzTicket", "readToken": "FuzzToken", "explain": "FuzzReference",
		"ownCookies": "FuzzCookies", "stripCookies": "FuzzCookies", "returnPath": "FuzzReturnPath", "proofForm": "FuzzProofForm",
		"language": "FuzzLanguage", "formText": "FuzzFormText", "partsText": "FuzzPartsText", "keepPrivate": "FuzzKeepPrivate", "kindOf": "FuzzKind",
		"hashes": "FuzzRoutePath", "loadRoutes": "FuzzLoadRoutes", "parseKeys": "FuzzKeys", "remoteAddr": "FuzzRemoteAddr",
	},
	"desk": {"sameSession": "FuzzSession", "ownHost": "FuzzHost", "sameOrigin": "FuzzOrigin", "ReadToken": "FuzzReadToken"},
	"cmd/deich": {
		"bindYAML": "FuzzConfig", "parseConfig": "FuzzConfig", "readTarget": "FuzzTarget", "readSpan": "FuzzSpan",
		"UnmarshalText": "FuzzSpan", "recall": "FuzzHandFile", "read": "FuzzRequestBody",
	},
	"drill": {
		"parseHead": "FuzzParseHead", "parsePuzzle": "FuzzParseHead", "parseUsage": "FuzzParseUsage", "parseGroup": "FuzzParseUsage",
		"parseBusy": "FuzzParseUsage",
	},
	"drill/profile":   {"Parse": "FuzzParse", "Derive": "FuzzDerive", "readNASA": "FuzzDerive", "readCombined": "FuzzDerive"},
	"drill/scenarios": {"Parse": "FuzzParse", "UnmarshalText": "FuzzParse"},
}

// parserName is what a function that reads is called: it must be listed.
var parserName = regexp.MustCompile(`^([pP]arse|Unmarshal)`)

// Every parser has a fuzz target with seeds.
func TestParsersAreFuzzed(t *testing.T) {
	for dir, listed := range parsers {
		code, targets := declared(t, dir)
		for name, target := range listed {
			if !code[name] {
				t.Errorf("%s: there is no %s: take it off the list", dir, name)
			}
			if seeded, ok := targets[target]; !ok || !seeded {
				t.Errorf("%s: %s: no %s with seeds", dir, name, target)
			}
		}
		for name := range code {
			if parserName.MatchString(name) && listed[name] == "" {
				t.Errorf("%s: %s is not on the list: name its fuzz target", dir, name)
			}
		}
		for target, seeded := range targets {
			if !seeded {
				t.Errorf("%s: %s has no seeds", dir, target)
			}
		}
	}
}

// declared gives a folder's functions, and its fuzz targets with whether each
// adds seeds.
func declared(t *testing.T, dir string) (code, targets map[string]bool) {
	t.Helper()
	code, targets = make(map[string]bool), make(map[string]bool)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			switch {
			case !ok:
			case !strings.HasSuffix(e.Name(), "_test.go"):
				code[f.Name.Name] = true
			case strings.HasPrefix(f.Name.Name, "Fuzz"):
				targets[f.Name.Name] = seeds(f)
			}
		}
	}
	return code, targets
}

// seeds says whether a fuzz target calls Add.
func seeds(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
				found = true
			}
		}
		return true
	})
	return found
}

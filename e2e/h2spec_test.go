package e2e

import (
	"context"
	"encoding/xml"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	// h2specModule is a suite of 145 cases for HTTP/2 servers (RFC 7540, RFC 7541).
	h2specModule = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"
	// h2specCases is how many there are. All must hold.
	h2specCases = 145
)

// fetchTool builds a tool that is a module of its own.
func fetchTool(t *testing.T, module string) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", module)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s: %v\n%s", module, err, out)
		}
		t.Skipf("%s cannot be had here: %v\n%s", module, err, out)
	}
	return filepath.Join(dir, "h2spec")
}

// junit is what the report of such a suite holds.
type junit struct {
	Suites []struct {
		Package string `xml:"package,attr"`
		Cases   []struct {
			Name    string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// The built Deich as a server of HTTP/2 over TLS. It only observes: where the machine is
// busy, a case's hundred streams at once are more than its platform can do, and what comes
// after them would be told to come later, before it could err.
func TestH2Spec(t *testing.T) {
	tool := fetchTool(t, h2specModule)
	cert, key, _ := certificate(t)
	origin := platform(t, "hello")
	p := build(t).protect(t, t.TempDir(), origin.URL, "--cert", cert, "--key", key, "--observe")
	to, err := url.Parse(p.users)
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// It exits with 1 where any case fails: the report says which.
	said, err := exec.CommandContext(ctx, tool, "--tls", "--insecure", "--host", to.Hostname(), "--port", to.Port(), "--junit-report", report).CombinedOutput()
	text, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("no report: %v, %v\n%s", readErr, err, said)
	}
	var all junit
	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	cases, held := 0, 0
	for _, suite := range all.Suites {
		for _, c := range suite.Cases {
			cases++
			switch {
			case c.Failure == nil && c.Error == nil && c.Skipped == nil:
				held++
			default:
				t.Logf("%s: %s: DOES NOT HOLD", suite.Package, c.Name)
			}
		}
	}
	t.Logf("%d of %d hold", held, cases)
	if cases != h2specCases || held < cases {
		t.Errorf("%d of %d hold, want %d", held, cases, h2specCases)
	}
	p.stop(t)
}

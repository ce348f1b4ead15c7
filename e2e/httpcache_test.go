package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	cacheTests       = "http-cache-tests@0.4.5"
	cacheTestsLeast  = 138
	cacheTestsExpect = 165 // required ones that are not for browsers only
)

// knownFailures are the required tests that Deich's cache fails, with why. A
// failure that is not listed here fails the test.
var knownFailures = map[string]string{
	"headers-store-Set-Cookie":             "nothing with Set-Cookie is kept: it is one person's",
	"headers-store-Set-Cookie2":            "the same",
	"304-etag-update-response-Set-Cookie":  "the same",
	"304-etag-update-response-Set-Cookie2": "the same",
	"stale-close-must-revalidate":          "answered with 502, which the suite takes for an answer from memory",
	"stale-close-proxy-revalidate":         "the same",
	"stale-close-no-cache":                 "the same",
	"stale-close-s-maxage=2":               "the same",
	"age-parse-prefix":                     "of two ages the answer counts as stale, and the suite wants the first one believed",
	"headers-store-Transfer-Encoding":      "the origin's Transfer-Encoding is none: 502 rather than a guess",
	"surrogate-max-age-0-expires":          "Surrogate-Control is in no RFC, and is not read",
	"surrogate-max-age-long-cc-max-age":    "the same",
	"surrogate-no-store-cc-fresh":          "the same",
	"surrogate-fresh-cc-nostore":           "the same: no-store stands",
}

// The suite by which HTTP caches are compared, against a site that is cached always.
func TestHTTPCacheTests(t *testing.T) {
	if os.Getenv("DEICH_EXAM") == "" {
		t.Skip("left out: it takes over a minute; make exam runs it (DEICH_EXAM=1)")
	}
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("left out: %s is not installed (Debian: apt-get install nodejs npm)", name)
		}
	}
	dir := t.TempDir()
	install := exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", dir, cacheTests)
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("left out: npm cannot get %s: %v\n%s", cacheTests, err, out)
	}
	suite := filepath.Join(dir, "node_modules", "http-cache-tests")
	origin := startCacheOrigin(t, suite)
	config := filepath.Join(dir, "deich.yaml")
	text := fmt.Sprintf("listen: [\"127.0.0.1:0\"]\nconsole: \"off\"\ndata: %s\nsites:\n"+
		"  - origins: [%q]\n    cache: always\n    cache_trust_vary: true\n", filepath.Join(dir, "state"), origin)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := build(t).start(t, filepath.Join(dir, "state"), "run", "--config", config)
	run := exec.Command("node", "--no-warnings", "testdata/httpcache.mjs", suite, p.users)
	run.Stderr = os.Stderr
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	var kinds map[string]struct {
		Passed int
		Failed map[string]string
	}
	if err := json.Unmarshal(out, &kinds); err != nil {
		t.Fatalf("%v in %.200q", err, out)
	}
	for kind, r := range kinds {
		t.Logf("%s: %d of %d", kind, r.Passed, r.Passed+len(r.Failed))
	}
	required := kinds["required"]
	if required.Passed < cacheTestsLeast || required.Passed+len(required.Failed) != cacheTestsExpect {
		t.Errorf("%d of %d passed, want at least %d of %d",
			required.Passed, required.Passed+len(required.Failed), cacheTestsLeast, cacheTestsExpect)
	}
	for id, why := range required.Failed {
		if knownFailures[id] == "" {
			t.Errorf("%s: %s", id, why)
		}
	}
}

// startCacheOrigin runs the suite's own server.
func startCacheOrigin(t *testing.T, suite string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.Command("node", "--no-warnings", "server/server.mjs")
	cmd.Dir = suite
	cmd.Env = append(os.Environ(), "npm_config_protocol=http", "npm_config_port="+port, "npm_config_pidfile="+filepath.Join(t.TempDir(), "pid"))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	url = "http://localhost:" + port
	for late := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if r, err := visitor(t).Get(url + "/"); err == nil {
			r.Body.Close()
			if r.StatusCode < http.StatusInternalServerError {
				return url
			}
		}
		if time.Now().After(late) {
			t.Fatalf("the suite's server does not answer:\n%s", said.String())
		}
	}
}

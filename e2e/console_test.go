package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"testing"
)

// The console opens to whoever holds the token, from its own pages alone.
func TestConsoleAsksWho(t *testing.T) {
	origin := platform(t, "hello")
	p := build(t).protect(t, t.TempDir(), origin.URL)
	link, token, _ := strings.Cut(p.link, "?token=")
	base := strings.TrimSuffix(link, "/")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := visitor(t)
	browser.Jar = jar
	if r, body := get(t, browser, p.link); r.StatusCode != 200 || strings.Contains(r.Request.URL.String(), "token") || strings.Contains(body, token) {
		t.Fatalf("the link: %s at %s", r.Status, r.Request.URL)
	}
	stranger := visitor(t)
	const bypass = `{"for":"5m"}`
	for _, c := range []struct {
		name, method, path, body string
		client                   *http.Client
		header                   []string
		status                   int
	}{
		{"nobody", "GET", "/", "", stranger, nil, 401},
		{"nobody, for metrics", "GET", "/metrics", "", stranger, nil, 401},
		{"nobody, for health", "GET", "/healthz", "", stranger, nil, 401},
		{"a wrong token", "GET", "/?token=" + strings.Repeat("A", 43), "", stranger, nil, 401},
		{"a wrong bearer", "GET", "/api/v1/state", "", stranger, []string{"Authorization", "Bearer " + token[1:] + "A"}, 401},
		{"the token as a name", "GET", "/api/v1/state", "", stranger, []string{"Authorization", "Basic " + token}, 401},
		{"the token as a cookie", "GET", "/api/v1/state", "", stranger, []string{"Cookie", "deich-desk=" + token}, 401},
		{"another Host", "GET", "/api/v1/state", "", stranger, []string{"Host", "evil.example", "Authorization", "Bearer " + token}, 421},
		{"a Host that begins like it", "GET", "/?token=" + token, "", stranger, []string{"Host", "127.0.0.1.evil.example"}, 421},
		{"the token in a link that changes", "POST", "/api/v1/bypass?token=" + token, bypass, stranger, nil, 401},
		{"the session, from another site", "POST", "/api/v1/bypass", bypass, browser, []string{"Origin", "http://evil.example"}, 403},
		{"the session, from a sandbox", "POST", "/api/v1/bypass", bypass, browser, []string{"Origin", "null"}, 403},
		{"the session, from another port", "POST", "/api/v1/bypass", bypass, browser, []string{"Origin", "http://127.0.0.1:1"}, 403},
		{"the session, untold from where", "POST", "/api/v1/bypass", bypass, browser, nil, 403},
		{"the session, told as another site", "DELETE", "/api/v1/bypass", "", browser, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"the bearer, from another site", "POST", "/api/v1/bypass", bypass, stranger, []string{"Origin", "http://evil.example", "Authorization", "Bearer " + token}, 401},
		{"the session looks", "GET", "/api/v1/state", "", browser, nil, 200},
		{"the session, from its own page", "POST", "/api/v1/bypass", bypass, browser, []string{"Origin", base}, 200},
		{"the bearer", "DELETE", "/api/v1/bypass", "", stranger, []string{"Authorization", "Bearer " + token}, 204},
		{"a path that is none", "GET", "/nothing", "", browser, nil, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			ask, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(c.header); i += 2 {
				if c.header[i] == "Host" {
					ask.Host = c.header[i+1]
				}
				ask.Header.Set(c.header[i], c.header[i+1])
			}
			r, err := c.client.Do(ask)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != c.status {
				t.Errorf("%s, want %d", r.Status, c.status)
			}
		})
	}
	if n := p.metric(t, "deich_bypass"); n != 0 {
		t.Error("somebody turned bypass on")
	}
	p.stop(t)
}

// Only watching, Deich lets pass what it would have refused, and says so.
func TestObserves(t *testing.T) {
	b := build(t)
	origin := platform(t, "hello")
	p := b.protect(t, t.TempDir(), origin.URL, "--observe")
	b.must(t, "deny", "127.0.0.1", "--data", p.data)
	if r, body := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 || body != "hello" {
		t.Errorf("%s %q", r.Status, body)
	}
	if out := b.must(t, "rules", "--data", p.data); !strings.Contains(out, "only observes") {
		t.Errorf("rules: %q", out)
	}
	if n := p.metric(t, `deich_requests_total{act="allow",reason="observed",tier="stranger"}`); n != 1 {
		t.Errorf("%v requests were observed", n)
	}
	p.stop(t)
}

// Every command that a machine may read answers in JSON.
func TestAnswersInJSON(t *testing.T) {
	b := build(t)
	origin := platform(t, "hello")
	p := b.protect(t, t.TempDir(), origin.URL)
	var listed struct {
		ID                 uint32
		Act, Target, Until string
	}
	unmarshal(t, b.must(t, "allow", "203.0.113.0/24", "--for", "1h", "--json", "--data", p.data), &listed)
	if listed.ID == 0 || listed.Act != "allow" || listed.Target != "203.0.113.0/24" || listed.Until == "" {
		t.Errorf("allow: %+v", listed)
	}
	var rules struct{ Hand, Orders []any }
	unmarshal(t, b.must(t, "rules", "--json", "--data", p.data), &rules)
	if len(rules.Hand) != 1 || rules.Orders == nil {
		t.Errorf("rules: %+v", rules)
	}
	var address struct{ Address struct{ Hand []any } }
	unmarshal(t, b.must(t, "explain", "203.0.113.9", "--json", "--data", p.data), &address)
	if len(address.Address.Hand) != 1 {
		t.Errorf("explain: %+v", address)
	}
	var live struct{ Sentence string }
	unmarshal(t, b.must(t, "top", "--json", "--seconds", "1", "--data", p.data), &live)
	if live.Sentence == "" {
		t.Errorf("top: %+v", live)
	}
	for _, span := range []string{"0", "0s", "-1h", "soon", "1"} {
		if _, errs, code := b.run(t, "deny", "203.0.113.9", "--for="+span, "--data", p.data); code != 2 || !strings.Contains(errs, "10m, 1h or 24h") || !strings.Contains(errs, "hint: deich deny --help") {
			t.Errorf("--for %s: exit %d\n%s", span, code, errs)
		}
	}
	p.stop(t)
}

// A wrong file is told of whole: each mistake with its place, and what to write.
func TestConfigCheck(t *testing.T) {
	b := build(t)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want []string // line:column and words
	}{
		"words": {"listne: [\":80\"]\nsites:\n  - origins: http://x\n    names: [a, 5]\npolicy: {sources: 5, obsreve: true}\ntimeouts: {idle: 5}\n", []string{
			"1:1: listne: unknown key: did you mean listen?", "3:14: sites[0].origins: text found: write a list, as in [http://x]",
			`4:16: sites[0].names[1]: a number found: write text, as in "5"`, "5:19: policy.sources: 5: a power of two between",
			"5:22: policy.obsreve: unknown key: did you mean observe?", "6:18: timeouts.idle: 5 has no unit: write 5s"}},
		"values": {"listen: [\":80\", \"ftp://:21\"]\nconsole: nowhere\ntrusted_proxies: [10.0.0.0/99]\nsites:\n  - origins: [\"ftp://x\"]\n    certificate: none.pem\nguard:\n  pass_days: 900\n  api: [search]\n", []string{
			"1:17: listen[1]", "2:10: console", "3:19: trusted_proxies[0]", "5:15: sites[0].origins[0]", "sites[0].certificate", "8:14: guard.pass_days", "9:9: guard.api[0]"}},
		"no sites": {"listen: [\":80\"]\n", []string{"1:1: sites: none: name at least one"}},
		"no YAML":  {"sites: [\n", []string{":1:"}},
		"indent":   {"sites:\n  - origins: [http://x]\n   names: [a]\n", []string{":3:"}},
		"empty":    {"", []string{"sites"}},
		"binary":   {"\x00\x01\x02", []string{":1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yaml")
			writeFile(t, file, c.text)
			out, errs, code := b.run(t, "config", "check", file)
			if code != 1 || out != "" || !strings.HasPrefix(errs, "deich: ") || strings.Contains(errs, "panic") {
				t.Errorf("exit %d, said %q\n%s", code, out, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("no %q in\n%s", want, errs)
				}
			}
			out, _, code = b.run(t, "config", "check", file, "--json")
			var all []struct {
				Line, Column int
				Text         string
			}
			unmarshal(t, out, &all)
			if code != 1 || len(all) == 0 || len(all) < len(c.want) {
				t.Errorf("--json: exit %d, %d mistakes", code, len(all))
			}
			for _, one := range all {
				if one.Line < 1 || one.Column < 1 || one.Text == "" {
					t.Errorf("a mistake without a place or words: %+v", one)
				}
			}
		})
	}
	good := filepath.Join(dir, "good.yaml")
	writeFile(t, good, "sites:\n  - origins: [http://127.0.0.1:3000]\n")
	if out := b.must(t, "config", "check", good); !strings.Contains(out, "is right: 1 site") {
		t.Errorf("%q", out)
	}
	if out := b.must(t, "config", "check", good, "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("%q", out)
	}
	if _, errs, code := b.run(t, "config", "check", filepath.Join(dir, "none.yaml"), "--json"); code != 1 || !strings.Contains(errs, "hint:") {
		t.Errorf("a file that is not there: exit %d\n%s", code, errs)
	}
}

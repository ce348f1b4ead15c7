package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The built command, as an operator meets it.
func TestBinary(t *testing.T) {
	b := build(t)
	for name, test := range map[string]func(*testing.T, binary){
		"stands and leaves nothing behind": standsAndLeaves,
		"drains":                           drains,
		"second signal ends at once":       secondSignal,
		"reloads":                          reloads,
		"lists by hand":                    listsByHand,
		"bypasses":                         bypasses,
		"says what is in the way":          saysWhatIsInTheWay,
		"stands without a console":         standsWithoutConsole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}

func platform(t *testing.T, answer string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer) }))
	t.Cleanup(s.Close)
	return s
}

func standsAndLeaves(t *testing.T, b binary) {
	origin, data := platform(t, "hello"), filepath.Join(t.TempDir(), "state")
	p := b.protect(t, data, origin.URL)
	if r, body := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 || body != "hello" {
		t.Fatalf("%s %q", r.Status, body)
	}
	if !strings.Contains(p.link, "/?token=") {
		t.Fatalf("the first start printed no link: %q", p.link)
	}
	if r, body := get(t, visitor(t), strings.Split(p.link, "?")[0]); r.StatusCode != 401 || strings.Contains(body, "hello") {
		t.Errorf("the console without its token: %s", r.Status)
	}
	link, token, _ := strings.Cut(p.link, "?token=")
	for _, path := range []string{"healthz", "metrics", "api/v1/state", ""} {
		ask, _ := http.NewRequest("GET", link+path, nil)
		ask.Header.Set("Authorization", "Bearer "+token)
		r, err := visitor(t).Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || len(body) == 0 {
			t.Errorf("/%s: %s", path, r.Status)
		}
		if path == "metrics" && !strings.Contains(string(body), `deich_served_total{tier="stranger",ok="true"} 1`) {
			t.Errorf("one request was served; metrics:\n%s", body)
		}
	}
	if out := b.must(t, "top", "--seconds", "1", "--data", data); !strings.Contains(out, "stranger") {
		t.Errorf("top: %q", out)
	}
	p.stop(t)
	if c, err := net.Dial("tcp", strings.TrimPrefix(p.users, "http://")); err == nil {
		c.Close()
		t.Error("somebody still listens")
	}
	onlyKept(t, data)

	p = b.protect(t, data, origin.URL)
	if strings.Contains(strings.Join(p.lines(), "\n"), token) {
		t.Error("a later start printed the token")
	}
	p.stop(t)
}

// onlyKept says that the data folder holds what is meant to stay, for its owner alone.
func onlyKept(t *testing.T, data string) {
	t.Helper()
	kept := map[string]bool{"token": true, "lock": true, "pass.keys": true, "engine.state": true, "routes.state": true, "hand.json": true,
		"status.json": true, "incidents/000000000001.log": true, "incidents/snapshot.json": true}
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := os.ReadDir(filepath.Join(data, "incidents"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range append(entries, inner...) {
		info, err := e.Info()
		if e.IsDir() && e.Name() == "incidents" && info.Mode().Perm() == 0o700 {
			continue
		}
		if err != nil || !kept[e.Name()] && !kept["incidents/"+e.Name()] || info.Mode().Perm() != 0o600 {
			t.Errorf("left behind: %s %v %v", e.Name(), info.Mode(), err)
		}
	}
	for _, name := range []string{"token", "pass.keys", "engine.state"} {
		if _, err := os.Stat(filepath.Join(data, name)); err != nil {
			t.Error(err)
		}
	}
}

// held is a platform that answers a request only when it is let go.
func held(t *testing.T) (s *httptest.Server, came chan struct{}, let chan struct{}) {
	came, let = make(chan struct{}, 10), make(chan struct{})
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		select {
		case <-let:
			io.WriteString(w, "late, but whole")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s, came, let
}

func drains(t *testing.T, b binary) {
	origin, came, let := held(t)
	p := b.protect(t, t.TempDir(), origin.URL)
	answer := make(chan string, 1)
	go func() {
		r, err := visitor(t).Get(p.users + "/")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(body)
	}()
	<-came
	p.signal(t, syscall.SIGTERM)
	p.hear(t, "open requests are being answered")
	close(let)
	if got := <-answer; got != "late, but whole" {
		t.Errorf("the open request got %q", got)
	}
	if code := p.end(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func secondSignal(t *testing.T, b binary) {
	origin, came, _ := held(t)
	p := b.protect(t, t.TempDir(), origin.URL)
	go func() {
		if r, err := visitor(t).Get(p.users + "/"); err == nil {
			r.Body.Close()
		}
	}()
	<-came
	p.signal(t, syscall.SIGINT)
	p.hear(t, "Once more ends it at once")
	p.signal(t, syscall.SIGINT)
	if code := p.end(t); code != 1 {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Stat(filepath.Join(p.data, "console")); err == nil {
		t.Error("it left the console's address behind")
	}
}

func reloads(t *testing.T, b binary) {
	first, second := platform(t, "first"), platform(t, "second")
	dir := t.TempDir()
	config, data := filepath.Join(dir, "deich.yaml"), filepath.Join(dir, "state")
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	head := "listen: [\"127.0.0.1:0\"]\nconsole: 127.0.0.1:0\ndata: state\n"
	write(head + "sites:\n  - origins: [" + first.URL + "]\n")
	p := b.start(t, data, "run", "--config", config)
	user := visitor(t)
	reused := func(want string) bool {
		t.Helper()
		var again bool
		ask, _ := http.NewRequest("GET", p.users+"/", nil)
		ask = ask.WithContext(httptrace.WithClientTrace(ask.Context(), &httptrace.ClientTrace{
			GotConn: func(c httptrace.GotConnInfo) { again = c.Reused },
		}))
		r, err := user.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if body, _ := io.ReadAll(r.Body); string(body) != want {
			t.Fatalf("%q, want %q", body, want)
		}
		return again
	}
	reused("first")
	write(head + "sites:\n  - origins: [" + second.URL + "]\n")
	p.signal(t, syscall.SIGHUP)
	p.hear(t, "The configuration is in force.")
	if !reused("second") {
		t.Error("the reload dropped the connection")
	}
	write(head + "sites:\n  - orgins: [" + first.URL + "]\npolicy: {sources: 5}\n")
	_, errs, code := b.run(t, "reload", "--data", data)
	if code != 1 || !strings.Contains(errs, "deich.yaml:5:5: sites[0].orgins: unknown key: did you mean origins?") ||
		!strings.Contains(errs, "deich.yaml:6:19: policy.sources") {
		t.Errorf("exit %d:\n%s", code, errs)
	}
	if !reused("second") {
		t.Error("a reload that failed dropped the connection")
	}
	write(head + "sites:\n  - origins: [" + first.URL + "]\n")
	b.must(t, "reload", "--data", data)
	if !reused("first") {
		t.Error("the reload dropped the connection")
	}
	p.stop(t)
}

func listsByHand(t *testing.T, b binary) {
	origin, data := platform(t, "hello"), t.TempDir()
	p := b.protect(t, data, origin.URL)
	out := b.must(t, "deny", "127.0.0.1", "--for", "1h", "--data", data)
	id := regexp.MustCompile(`deich undo (\d+)`).FindStringSubmatch(out)
	if id == nil {
		t.Fatalf("deny: %q", out)
	}
	r, _ := get(t, visitor(t), p.users+"/")
	reference := r.Header.Get("Deich-Reference")
	if r.StatusCode != 403 || r.Header.Get("Deich-Reason") != "by_hand" || reference == "" {
		t.Fatalf("denied: %s %v", r.Status, r.Header)
	}
	if out := b.must(t, "explain", reference, "--data", data); !strings.Contains(out, "deny (by_hand)") || !strings.Contains(out, "127.0.0.0/24") {
		t.Errorf("explain: %q", out)
	}
	if out := b.must(t, "explain", "127.0.0.1", "--data", data); !strings.Contains(out, "deich undo "+id[1]) {
		t.Errorf("explain: %q", out)
	}
	if _, errs, code := b.run(t, "explain", "nonsense", "--data", data); code != 1 || !strings.Contains(errs, "hint:") {
		t.Errorf("explain nonsense: %d %q", code, errs)
	}
	p.stop(t)

	p = b.protect(t, data, origin.URL)
	if r, _ := get(t, visitor(t), p.users+"/"); r.StatusCode != 403 {
		t.Errorf("after a restart: %s", r.Status)
	}
	if out := b.must(t, "explain", reference, "--data", data); !strings.Contains(out, "by_hand") {
		t.Errorf("explain after a restart: %q", out)
	}
	if out := b.must(t, "rules", "--data", data); !strings.Contains(out, "deny   127.0.0.1 until") {
		t.Errorf("rules: %q", out)
	}
	b.must(t, "undo", id[1], "--data", data)
	if r, _ := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 {
		t.Errorf("after undo: %s", r.Status)
	}
	if _, errs, code := b.run(t, "undo", id[1], "--data", data); code != 1 || !strings.Contains(errs, "nothing is listed") {
		t.Errorf("undo twice: %d %q", code, errs)
	}
	b.must(t, "deny", "/secret", "--data", data)
	if r, _ := get(t, visitor(t), p.users+"/secret/x"); r.StatusCode != 403 {
		t.Errorf("denied path: %s", r.Status)
	}
	for _, bad := range []string{"10.0.0.1/8", "example.org", ""} {
		if _, _, code := b.run(t, "deny", bad, "--data", data); code == 0 {
			t.Errorf("deny %q went well", bad)
		}
	}
	p.stop(t)
}

func bypasses(t *testing.T, b binary) {
	origin, data := platform(t, "hello"), t.TempDir()
	p := b.protect(t, data, origin.URL)
	b.must(t, "bypass", "--for", "5m", "--data", data)
	if out := b.must(t, "rules", "--data", data); !strings.Contains(out, "Bypass is on until") {
		t.Errorf("rules: %q", out)
	}
	b.must(t, "bypass", "--off", "--data", data)
	if out := b.must(t, "rules", "--data", data); strings.Contains(out, "Bypass") {
		t.Errorf("rules: %q", out)
	}
	if _, errs, code := b.run(t, "bypass", "--for", "48h", "--data", data); code != 1 || !strings.Contains(errs, "at most 24h") {
		t.Errorf("a long bypass: %d %q", code, errs)
	}
	p.stop(t)
}

func saysWhatIsInTheWay(t *testing.T, b binary) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	origin := platform(t, "hello")
	p := b.protect(t, t.TempDir(), origin.URL)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"console's port", []string{"--listen", "127.0.0.1:0", "--console", taken.Addr().String(), "--data", t.TempDir()}, "--console off"},
		{"users' port", []string{"--listen", taken.Addr().String(), "--console", "off", "--data", t.TempDir()}, "--listen"},
		{"data folder", []string{"--listen", "127.0.0.1:0", "--console", "off", "--data", p.data}, "in use by another Deich"},
		{"certificate", []string{"--cert", "/nonexistent", "--data", t.TempDir()}, "--cert"},
	} {
		_, errs, code := b.run(t, append([]string{"protect", "--to", origin.URL}, c.args...)...)
		if code != 1 || !strings.Contains(errs, c.want) || !strings.Contains(errs, "hint: ") {
			t.Errorf("%s: exit %d:\n%s", c.name, code, errs)
		}
	}
	if r, _ := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 {
		t.Errorf("the one that stands: %s", r.Status)
	}
	// A page that cannot be served is no reason not to stand.
	aside := b.protect(t, t.TempDir(), origin.URL, "--status", taken.Addr().String())
	aside.hear(t, "status    none")
	if r, _ := get(t, visitor(t), aside.users+"/"); r.StatusCode != 200 || !strings.Contains(strings.Join(aside.lines(), "\n"), "--status off") {
		t.Errorf("without a place for the status page: %s\n%s", r.Status, strings.Join(aside.lines(), "\n"))
	}
	aside.stop(t)
	if _, errs, code := b.run(t, "rules", "--data", t.TempDir()); code != 1 || !strings.Contains(errs, "no Deich") {
		t.Errorf("rules without a Deich: %d %q", code, errs)
	}
	if _, _, code := b.run(t, "protect"); code != 2 {
		t.Errorf("called wrongly: exit %d", code)
	}
	p.stop(t)
}

func standsWithoutConsole(t *testing.T, b binary) {
	origin, data := platform(t, "hello"), t.TempDir()
	p := b.start(t, data, "protect", "--to", origin.URL, "--listen", "127.0.0.1:0", "--console", "off", "--status", "off", "--data", data)
	if r, body := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 || body != "hello" {
		t.Errorf("%s %q", r.Status, body)
	}
	if _, errs, code := b.run(t, "top", "--data", data); code != 1 || !strings.Contains(errs, "no Deich with a console") {
		t.Errorf("top: %d %q", code, errs)
	}
	p.stop(t)
}

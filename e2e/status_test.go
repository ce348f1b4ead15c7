package e2e

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/mail/mailtest"
)

// What people announce, and what several probes agree on, stands on the status
// page; the page follows Deich to another address, also after a kill.
func TestStatusPageTells(t *testing.T) {
	b, origin, data := build(t), platform(t, "hello"), t.TempDir()
	p := b.protect(t, data, origin.URL, "--status", "127.0.0.1:0")
	page := pageOf(t, p)
	now := time.Now()
	b.must(t, "plan", "crowd", "Tickets on sale", "--title-de", "Kartenverkauf", "--from", now.Format(time.RFC3339), "--to", now.Add(time.Hour).Format(time.RFC3339), "--data", data)
	checks := []string{"probe", "website=" + p.users + "/", "pay=tcp://127.0.0.1:1", "--keep", "--data", data, "--name"}
	down := regexp.MustCompile(`pay</span><span><i class="mark (\w+)"`)
	for n, want := range []string{"up", "down"} { // one alone calls nothing down
		if _, errs, code := b.run(t, append(checks, string(rune('a'+n)))...); code != 1 || !strings.Contains(errs, "1 of 2") {
			t.Errorf("probe: exit %d, %s", code, errs)
		}
		var body string
		for end := time.Now().Add(patience); ; time.Sleep(aMoment) {
			_, body = get(t, visitor(t), page+"/?lang=en")
			if m := down.FindStringSubmatch(body); m != nil && m[1] == want {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("after %d probes pay is not %s: %s", n+1, want, body[strings.Index(body, "<main"):])
			}
		}
		if len(body) > 50<<10 || !strings.Contains(body, "Tickets on sale") {
			t.Errorf("%d bytes, or the plan is not told", len(body))
		}
	}
	if out := b.must(t, "probe", "--list", "--data", data); !strings.Contains(out, "DOWN  pay") || !strings.Contains(out, "well  website") {
		t.Error(out)
	}
	if out := b.must(t, "incident", "show", "latest", "--data", data); !strings.Contains(out, "pay cannot be reached from outside since") || !strings.Contains(out, "2 of 2 probes find it down: a (") {
		t.Error(out)
	}
	console, token, _ := strings.Cut(p.link, "/?token=")
	ask, err := http.NewRequest("GET", console+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Authorization", "Bearer "+token)
	if r, err := visitor(t).Do(ask); err != nil {
		t.Error(err)
	} else {
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		for _, want := range []string{`deich_unreached{name="pay"} 1`, `deich_unreached{name="website"} 0`} {
			if err != nil || !strings.Contains(string(text), want+"\n") {
				t.Errorf("%v, no %s among the metrics", err, want)
			}
		}
	}
	for path, want := range map[string]string{
		"/feed.atom": "application/atom+xml; charset=utf-8", "/feed.json": "application/feed+json; charset=utf-8", "/badge.svg": "image/svg+xml", "/calendar.ics": "text/calendar; charset=utf-8",
	} {
		if r, _ := get(t, visitor(t), page+path); r.StatusCode != 200 || r.Header.Get("Content-Type") != want {
			t.Errorf("%s: %s, %s", path, r.Status, r.Header.Get("Content-Type"))
		}
	}
	p.cmd.Process.Kill()
	<-p.ended
	if r, body := get(t, visitor(t), page+"/"); r.StatusCode != 200 || !strings.Contains(body, "Tickets on sale") {
		t.Errorf("after a kill: %s", r.Status)
	}
	again := b.protect(t, data, origin.URL, "--status", "127.0.0.2:0")
	moved := pageOf(t, again)
	if _, body := get(t, visitor(t), moved+"/"); !strings.Contains(body, "Tickets on sale") {
		t.Error("at its new address it does not say what was planned")
	}
	if r, err := visitor(t).Get(page + "/"); err == nil {
		r.Body.Close()
		t.Error("the old address goes on")
	}
	again.stop(t)
	if r, err := visitor(t).Get(moved + "/"); err == nil {
		r.Body.Close()
		t.Error("it goes on after Deich was ended")
	}
}

// On the page that protect starts people subscribe, too: what that takes reaches its
// process, but for the password, which stays in its file.
func TestStatusPageOfProtectLetsPeopleSubscribe(t *testing.T) {
	b, origin, data, inbox := build(t), platform(t, "hello"), t.TempDir(), mailtest.New(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := b.protect(t, data, origin.URL, "--status", "127.0.0.1:0", "--status-url", "https://status.example.org/",
		"--smtp", inbox.Addr(), "--from", "status@example.org", "--smtp-user", "status", "--smtp-password", password)
	page := pageOf(t, p)
	if r, body := get(t, visitor(t), page+"/subscribe?lang=de"); r.StatusCode != 200 || !strings.Contains(body, "E-Mail-Adresse") || strings.Contains(body, "Webhook") {
		t.Errorf("%s %s", r.Status, body)
	}
	r, err := visitor(t).PostForm(page+"/subscribe?lang=de", url.Values{"mail": {"ada@example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	var got []string
	for end := time.Now().Add(patience); len(got) == 0; time.Sleep(aMoment) {
		if got = inbox.Took(); len(got) == 0 && time.Now().After(end) {
			t.Fatalf("%s, and nobody is asked", r.Status)
		}
	}
	if !strings.Contains(got[0], "To: ada@example.org\r\n") || !strings.Contains(got[0], "https://status.example.org/confirm?t=") {
		t.Errorf("%q", got)
	}
	if all := inbox.Auth(); len(all) != 1 || all[0] != "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00status\x00hunter2")) {
		t.Errorf("it signs in by %q", all)
	}
	pid, err := os.ReadFile(filepath.Join(data, "status.pid"))
	if err != nil {
		t.Fatal(err)
	}
	number, _, _ := strings.Cut(string(pid), "\n")
	if said, err := os.ReadFile("/proc/" + number + "/cmdline"); runtime.GOOS == "linux" && (err != nil || !strings.Contains(string(said), "--smtp-password=") || strings.Contains(string(said), "hunter2")) {
		t.Errorf("%v, its command line is %q", err, said)
	}
	if all := strings.Join(p.lines(), "\n"); strings.Contains(all, "hunter2") {
		t.Error(all)
	}
	p.stop(t)
}

// pageOf is where a Deich's status page is.
func pageOf(t *testing.T, p *process) string {
	t.Helper()
	for _, line := range p.lines() {
		if found := statusLine.FindStringSubmatch(line); found != nil {
			return found[1]
		}
	}
	t.Fatal("no status page was named")
	return ""
}

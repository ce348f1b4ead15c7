package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"
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

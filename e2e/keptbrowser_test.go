package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// square is a townsquare that can be taken down and brought back.
type square struct {
	*testing.T
	b          binary
	addr, data string
	cmd        *exec.Cmd
}

func (s *square) up() {
	s.Helper()
	s.cmd = exec.Command(string(s.b), "townsquare", "--listen", s.addr, "--data", s.data, "--scan", "100")
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if r, err := http.Get("http://" + s.addr + "/healthz"); err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			return
		}
		if time.Now().After(end) {
			s.Fatal("townsquare does not come up")
		}
	}
}

func (s *square) down() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// squareKept starts a townsquare and, in front of it, a Deich that keeps what is posted there.
func squareKept(t *testing.T) (*square, *process) {
	t.Helper()
	deich := build(t)
	dir := t.TempDir()
	s := &square{T: t, b: deich, addr: loopback(freePort(t)), data: filepath.Join(dir, "square")}
	s.up()
	t.Cleanup(s.down)
	file := filepath.Join(dir, "deich.yaml")
	writeFile(t, file, fmt.Sprintf(`listen: ["http://127.0.0.1:0"]
sites:
  - origins: ["http://%s"]
console: 127.0.0.1:0
data: state
spool:
  keep:
    - route: POST /messages
      confirm: GET /api/messages?key={key}
      key: key
      probe: /healthz
`, s.addr))
	return s, deich.start(t, filepath.Join(dir, "state"), "run", "--config", file)
}

// Townsquare's own page says that a message will be sent, and that it was: it is not
// left, the next message goes the same way, and what is posted in peace is shown as ever.
func TestPagesOwnFormIsKept(t *testing.T) {
	shared.start(t)
	s, p := squareKept(t)
	b := newTab(t)
	b.view(narrow, narrowHeight)
	b.do(chromedp.Navigate(p.users + "/login"))
	ask[bool](b, `document.querySelector("#name").value = "user0007", document.querySelector("#password").value = "by-the-sea-2026", document.querySelector("main form").submit(), true`)
	post := func(text string) {
		b.waitFor(`document.querySelector("form.compose[data-deich-keep]") !== null && document.readyState === "complete"`)
		ask[bool](b, fmt.Sprintf(`document.querySelector("#text").value = %q, document.querySelector("form.compose").requestSubmit(), true`, text))
	}
	shows := func(text string) {
		b.waitFor(fmt.Sprintf(`[...document.querySelectorAll("article .text")].filter(e => e.textContent === %q).length === 1`, text))
	}
	post("Written in peace.")
	shows("Written in peace.")
	b.do(chromedp.Navigate(p.users + "/"))
	b.waitFor(`document.querySelector("form.compose") !== null && document.readyState === "complete"`)
	s.down()
	ask[bool](b, `window.stayed = true`)
	for n, text := range []string{"The first of the outage.", "The second of it."} {
		post(text)
		b.waitFor(fmt.Sprintf(`document.querySelectorAll("[data-deich-state=kept]").length === %d`, n+1))
		if left := ask[string](b, `document.querySelector("#text").value`); left != "" {
			t.Errorf("%q stands in the form, though it is kept", left)
		}
	}
	if says := ask[string](b, `document.querySelector("[data-deich-state]").textContent`); !strings.Contains(says, "will be sent") {
		t.Errorf("the page says %q", says)
	}
	b.prefer("light", true)
	b.shoot("kept-in-own-page")
	s.up()
	b.waitFor(`document.querySelectorAll("[data-deich-state=delivered]").length === 2`)
	if stayed := ask[bool](b, `window.stayed === true`); !stayed {
		t.Error("the page was left")
	}
	b.do(chromedp.Navigate(p.users + "/"))
	shows("The first of the outage.")
	shows("The second of it.")
}

// Somebody posts while the platform is down, sees the receipt, sees it turn to
// delivered without reloading, and finds the message on the timeline; without
// JavaScript as well.
func TestBrowserSeesItDelivered(t *testing.T) {
	shared.start(t)
	s, p := squareKept(t)
	for _, c := range []struct {
		name, lang, head, delivered string
		scripts                     bool
	}{
		{"with JavaScript", "de", "Ihre Nachricht ist hier gespeichert.", "Ihre Nachricht wurde zugestellt.", true},
		{"without JavaScript", "en", "Your message is saved here.", "Your message was delivered.", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTab(t)
			b.speak(c.lang)
			b.view(narrow, narrowHeight)
			if !c.scripts {
				b.do(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
			}
			b.do(chromedp.Navigate(p.users + "/login"))
			ask[bool](b, `document.querySelector("#name").value = "user0007", document.querySelector("#password").value = "by-the-sea-2026", document.querySelector("main form").submit(), true`)
			b.waitFor(`document.querySelector("#text") !== null`)
			s.down()
			text := "Written during the outage, " + c.name
			ask[bool](b, fmt.Sprintf(`document.querySelector("#text").value = %q, document.querySelector("form.compose").submit(), true`, text))
			b.waitFor(`document.querySelector("main[data-state=kept]") !== null`)
			if head := ask[string](b, `document.querySelector("h1").textContent`); head != c.head {
				t.Errorf("it says %q", head)
			}
			shot := "kept-" + c.lang
			if !c.scripts {
				shot = "kept-without-javascript"
			}
			b.prefer("light", true)
			b.shoot(shot)
			ask[bool](b, `window.stayed = true`)
			s.up()
			b.waitFor(`document.querySelector("main[data-state=delivered]") !== null`)
			if head := ask[string](b, `document.querySelector("h1").textContent`); head != c.delivered {
				t.Errorf("it says %q", head)
			}
			if stayed := ask[bool](b, `window.stayed === true`); stayed != c.scripts {
				t.Errorf("the page stayed %v: with JavaScript it is not loaded anew", stayed)
			}
			b.shoot(strings.Replace(shot, "kept", "delivered", 1))
			b.do(chromedp.Navigate(p.users + "/"))
			b.waitFor(fmt.Sprintf(`[...document.querySelectorAll("article .text")].filter(e => e.textContent === %q).length === 1`, text))
		})
	}
}

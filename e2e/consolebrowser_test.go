package e2e

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keeps starts a Deich with a console and a spool before an origin, that tells a
// webhook what needs a person.
func keeps(t *testing.T, b binary, webhook string) *process {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "deich.yaml")
	writeFile(t, file, fmt.Sprintf(`listen: ["http://127.0.0.1:0"]
console: 127.0.0.1:0
data: %s
sites:
  - origins: [%s]
spool:
  keep:
    - {route: "POST /messages"}
alerts:
  webhooks: [%s]
`, filepath.Join(dir, "data"), platform(t, "hello").URL, webhook))
	return b.start(t, filepath.Join(dir, "data"), "run", "--config", file)
}

// floodRule has the page see a rule and an alert, as in a flood, with texts that were
// chosen by who sends it: what it does with them is the page's own.
const floodRule = `const real = window.EventSource;
window.EventSource = class extends real {
	set onmessage(f) {
		super.onmessage = (m) => {
			const v = JSON.parse(m.data);
			v.rules = [{id: 4294967295, text: "<img src=x onerror='window.hurt=1'><script>window.hurt=1</script>", de: "<b onclick='window.hurt=1'>x</b>"}];
			v.alerts = [{name: "users_not_served", severity: "page", text: "<img src=x onerror='window.hurt=1'>", de: "<img src=x onerror='window.hurt=1'>"}];
			Object.assign(v.origins[0], {why: "<img src=x onerror='window.hurt=1'>", why_de: "<img src=x onerror='window.hurt=1'>", sure: .97, cause_since: v.at,
				terms: [{name: "times_usual", value: 9.5, weight: 0}, {name: "by_rule", value: .97, weight: 3}, {name: "<img src=x onerror='window.hurt=1'>", value: 1, weight: -1.2}]});
			f({data: JSON.stringify(v)});
		};
	}
};`

// Every button of the console, by mouse and by keyboard; in both languages,
// light, dark and on a phone; without a fault that axe-core calls serious.
func TestBrowserConsole(t *testing.T) {
	shared.start(t)
	deich := build(t)
	var hooked atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, err := io.ReadAll(r.Body); err == nil && strings.Contains(string(text), "This is a test.") {
			hooked.Add(1)
		}
	}))
	t.Cleanup(hook.Close)
	p := keeps(t, deich, hook.URL)
	base, _, _ := strings.Cut(p.link, "/?token=")
	for i, c := range []struct {
		lang, scheme string
		wide         bool
	}{{"en", "light", true}, {"de", "dark", true}, {"de", "light", false}, {"en", "dark", false}} {
		b := newTab(t)
		if c.wide {
			b.view(1280, 900)
		}
		b.prefer(c.scheme, true)
		b.speak(c.lang + "-XX, fr;q=0.5")
		b.before(floodRule)
		if i == 0 {
			b.do(chromedp.Navigate(base + "/")) // the page that asks for the token
			b.axe("sign in")
		}
		b.do(chromedp.Navigate(p.link))
		b.waitFor(`document.querySelector("#link").textContent === "Live." && document.querySelector("#rules button") !== null`)
		if got := ask[string](b, `document.documentElement.lang`); got != c.lang {
			t.Errorf("%+v: the page speaks %q", c, got)
		}
		if ask[bool](b, `window.hurt === 1 || document.querySelector("#rules img, #rules script, #rules span b, #alerts img, #causes img, #terms img") !== null`) {
			t.Errorf("%+v: a rule's text became markup", c)
		}
		evidence := map[string]string{
			"en": "Requests that meet a rule|97.0 %|flood 3|<img src=x onerror='window.hurt=1'>|1|crowd 1.2|Asked, against what is usual|9.5 ×|–",
			"de": "Anfragen, auf die eine Regel passt|97,0 %|Flut 3|<img src=x onerror='window.hurt=1'>|1|Andrang 1,2|Verlangt, gegen sonst|9,5 ×|–",
		}[c.lang]
		if got := ask[string](b, `[...document.querySelectorAll("#terms th, #terms td.n")].map(e => e.textContent).join("|")`); got != evidence {
			t.Errorf("%+v: the evidence is %q", c, got)
		}
		if got := ask[string](b, `[...document.querySelectorAll("#terms rect")].map(e => e.getAttribute("class") + e.getAttribute("x") + e.getAttribute("width")).join()`); got != "flood03,crowd-1.21.2" {
			t.Errorf("%+v: the bars are %q", c, got)
		}
		name := fmt.Sprintf("console %s %s wide=%v", c.lang, c.scheme, c.wide)
		b.axe(name)
		if wide := ask[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
			t.Errorf("%s: %d pixels wider than its window", name, wide)
		}
		for _, target := range ask[[]string](b, small) {
			t.Errorf("%s: too small to press: %s", name, target)
		}
		switches(b, c.lang)
		for _, fault := range b.complaints(base) {
			t.Errorf("%s: %s", name, fault)
		}
	}
	if n := hooked.Load(); n != 4 {
		t.Errorf("the webhook was tested %d times, and the button was pressed 4 times", n)
	}
	exports(t, p, base)
	out := deich.must(t, "spool", "list", "--data", p.data)
	if strings.Contains(strings.ToLower(out), "paused") {
		t.Errorf("every switch was turned back, and it is %s", out)
	}
	p.stop(t)
}

// switches uses what acts on the page: the rule's undo, which there is none to
// take back, and the delivery's switch, by keyboard; it asks before.
func switches(b *tab, lang string) {
	b.Helper()
	said := func(en, de string) string {
		return fmt.Sprintf("%q", map[string]string{"en": en, "de": de}[lang])
	}
	press := func(selector, key string) {
		b.do(chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent(key))
	}
	press("#rules button", kb.Enter)
	b.waitFor(`document.querySelector("#ask").open`)
	if !ask[bool](b, `document.activeElement.value === "no"`) {
		b.Errorf("the question does not begin at Cancel")
	}
	b.axe("the question")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.waitFor(`!document.querySelector("#ask").open`)
	if text := ask[string](b, `document.querySelector("#done").textContent`); text != "" {
		b.Errorf("after Escape: %s", text)
	}
	b.do(chromedp.Click(chromedp.CSS("#rules button")), chromedp.Click(chromedp.CSS("#ask-yes")))
	b.waitFor(`document.querySelector("#done").textContent.startsWith(` + said("Not done: nothing is listed under 4294967295", "Nicht getan: unter 4294967295 ist nichts gelistet") + `)`)
	b.waitFor(`document.querySelector("#switch").textContent === ` + said("Pause delivery", "Zustellung anhalten"))
	press("#switch", kb.Enter)
	b.waitFor(`document.querySelector("#ask").open`)
	press("#ask-yes", kb.Enter)
	b.waitFor(`document.querySelector("#switch").textContent === ` + said("Resume delivery", "Wieder zustellen"))
	b.waitFor(`document.querySelector("#acted li").textContent.includes(` + said("not delivered until", "erst nach deich spool resume") + `)`)
	b.do(chromedp.Click(chromedp.CSS("#switch")), chromedp.Click(chromedp.CSS("#ask-yes")))
	b.waitFor(`document.querySelector("#switch").textContent === ` + said("Pause delivery", "Zustellung anhalten"))
	b.waitFor(`document.querySelector("#acted li b").textContent === "console"`)
	press("#alerts button", kb.Enter)
	b.waitFor(`document.querySelector("#ask").open`)
	press("#ask-yes", kb.Enter)
	b.waitFor(`document.querySelector("#done").textContent.startsWith(` + said("Not done: there is no such alert", "Nicht getan: diesen Alarm gibt es nicht") + `)`)
	press("#test", kb.Enter)
	b.waitFor(`document.querySelector("#ask").open`)
	press("#ask-yes", kb.Enter)
	b.waitFor(`document.querySelector("#done").textContent.startsWith(` + said("Done.", "Getan.") + `)`)
	// A range drawn over a plot becomes the page's address, and says what it can.
	ask[bool](b, `(() => {
		const svg = document.querySelector("#plot-acts"), box = svg.getBoundingClientRect();
		for (const [kind, x] of [["pointerdown", box.left + box.width * .3], ["pointerup", box.left + box.width * .7]])
			svg.dispatchEvent(new PointerEvent(kind, {clientX: x, clientY: box.top + 50, bubbles: true}));
		return true;
	})()`)
	b.waitFor(`/from=\d{13}&to=\d{13}$/.test(location.search) && document.querySelector("#changes p") !== null`)
	b.axe("what changed")
	press(".range button", kb.Enter)
	b.waitFor(`location.search.startsWith("?lang=` + lang + `&from=") && location.hash === "" && document.querySelector("#changes p") !== null`)
	// The other language is a link away.
	other := map[string]string{"en": "de", "de": "en"}[lang]
	b.do(chromedp.Click(chromedp.CSS(`footer a[hreflang="` + other + `"]`)))
	b.waitFor(`document.documentElement.lang === "` + other + `" && location.search === "?lang=` + other + `"`)
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		b.Errorf("it does not print: %v", err)
	}
}

// With files of networks the console has operators and countries, live, and a map
// that the list beside it tells, too.
func TestBrowserConsoleShowsOperatorsAndCountries(t *testing.T) {
	shared.start(t)
	deich := build(t)
	p := deich.protect(t, t.TempDir(), platform(t, "hello").URL, "--networks", "../atlas/testdata/operators.mmdb,../atlas/testdata/countries.mmdb")
	user := visitor(t)
	deich.must(t, "deny", "127.0.0.0/24", "--data", p.data)
	b := newTab(t)
	b.view(1280, 900)
	b.prefer("light", true)
	b.speak("de")
	b.do(chromedp.Navigate(p.link))
	b.waitFor(`document.querySelector("#link").textContent === "Live." && document.querySelector("#networks-none").hidden === false`)
	for range 50 {
		get(t, user, p.users+"/")
	}
	b.waitFor(`document.querySelector("#map [data-c=DE]").getAttribute("class") !== null && document.querySelector("#operators tr") !== null`)
	if got := ask[string](b, `[...document.querySelectorAll("#networks tr")].map(r => [...r.cells].slice(0, 3).map(c => c.textContent).join()).join("|")`); got != "127.0.0.0/24,AS 64510 Example Home,Deutschland" {
		t.Errorf("networks: %s", got)
	}
	if got := ask[string](b, `["countries", "operators"].map(id => document.getElementById(id).rows[0].cells[0].textContent + document.getElementById(id).rows.length).join()`); got != "Deutschland1,AS 64510 Example Home1" {
		t.Errorf("countries and operators: %s", got)
	}
	if got := ask[string](b, `[...document.querySelectorAll("#map [class^=w]")].map(p => p.dataset.c).join()`); got != "DE" {
		t.Errorf("shaded are %s", got)
	}
	if got := ask[bool](b, `getComputedStyle(document.querySelector("#map [data-c=DE]")).fill !== getComputedStyle(document.querySelector("#map [data-c=FR]")).fill`); !got {
		t.Error("a shaded country looks like the others")
	}
	b.axe("operators and countries")
	b.prefer("dark", true)
	b.axe("operators and countries, dark")
}

// A refused user's reference is looked up on the console, the user let in from
// there for a while under an operator's name, and that taken back from the log.
func TestBrowserConsoleAllows(t *testing.T) {
	shared.start(t)
	deich := build(t)
	p := deich.protect(t, t.TempDir(), platform(t, "hello").URL)
	base, _, _ := strings.Cut(p.link, "/?token=")
	user := visitor(t)
	deich.must(t, "deny", "127.0.0.0/24", "--data", p.data)
	refused, _ := get(t, user, p.users+"/")
	reference := refused.Header.Get("Deich-Reference")
	if refused.StatusCode != 403 || reference == "" {
		t.Fatalf("%s, %q", refused.Status, reference)
	}
	b := newTab(t)
	b.view(1280, 900)
	b.prefer("light", true)
	b.speak("de")
	const live = `document.querySelector("#link").textContent === "Live."`
	b.do(chromedp.Navigate(p.link))
	b.waitFor(live + ` && document.querySelector("#networks tr") !== null`)
	if got := ask[string](b, `[...document.querySelectorAll("#networks tr")].map(r => [...r.cells].filter((c, i) => i !== 1).map(c => c.textContent).join()).join("|")`); got != "127.0.0.0/24,0,0,0,0,1,0,0,0" {
		t.Errorf("where it comes from: %s", got)
	}
	b.axe("where it comes from")
	b.do(chromedp.Focus(chromedp.CSS("#networks a")), chromedp.KeyEvent(kb.Enter))
	b.waitFor(`decodeURIComponent(location.search) === "?lang=de&find=127.0.0.0/24" && document.querySelector("#found") !== null && document.querySelector("#found").textContent.includes("Abgewiesen: 127.0.0.0/24") && ` + live)
	ask[string](b, `document.querySelector("#what").value = ""`)
	b.do(chromedp.Focus(chromedp.CSS("#what")), chromedp.KeyEvent(reference), chromedp.KeyEvent(kb.Enter))
	b.waitFor(`location.search === "?lang=de&find=` + reference + `" && location.hash === "#find" && document.querySelector("#found td") !== null && ` + live)
	found := ask[string](b, `document.querySelector("#found").innerText`)
	for _, want := range []string{"Es ist von Hand gelistet", "by_hand", "127.0.0.0/24", "Fremde", "1 Abgewiesen: 127.0.0.0/24, bis es zurückgenommen wird"} {
		if !strings.Contains(found, want) {
			t.Errorf("no %q in what the reference tells:\n%s", want, found)
		}
	}
	b.axe("what a reference tells")
	b.do(chromedp.Navigate(base + "/?lang=de&find=127.0.0.1#find"))
	b.waitFor(live + ` && document.querySelector("#allow") !== null && !document.querySelector("#allow").hidden`)
	if got := ask[string](b, `[...document.querySelector("#allow-whom").options].map(o => o.textContent).join("|")`); got != "127.0.0.1|127.0.0.0/24, 256 Quellen" {
		t.Errorf("one may let pass %q", got)
	}
	b.do(chromedp.Focus(chromedp.CSS("#allow-on")), chromedp.KeyEvent("/posts"), chromedp.Focus(chromedp.CSS("#allow button")), chromedp.KeyEvent(kb.Enter))
	b.waitFor(`document.querySelector("#ask").open && document.querySelector("#ask-text").textContent.startsWith("127.0.0.1 auf /posts für eine Stunde durchlassen?")`)
	b.axe("may it pass")
	b.do(chromedp.Focus(chromedp.CSS("#ask-by")), chromedp.KeyEvent("Anna"), chromedp.Click(chromedp.CSS("#ask-yes")))
	b.waitFor(`document.querySelector("#hand").textContent.includes("Durchgelassen: 127.0.0.1 auf /posts, bis ")`)
	b.waitFor(`document.querySelector("#acted li b").textContent === "Anna" && document.querySelector("#acted li button") !== null`)
	for path, want := range map[string]int{"/posts/1": 200, "/": 403} {
		if r, _ := get(t, user, p.users+path); r.StatusCode != want {
			t.Errorf("let pass on /posts, and on %s it is %s", path, r.Status)
		}
	}
	b.do(chromedp.Focus(chromedp.CSS("#acted button")))
	time.Sleep(1500 * time.Millisecond) // the list is drawn anew meanwhile
	b.do(chromedp.KeyEvent(kb.Enter))
	b.waitFor(`document.querySelector("#ask").open && document.querySelector("#ask-text").textContent.includes("127.0.0.1") && document.querySelector("#ask-by").value === "Anna"`)
	b.do(chromedp.Click(chromedp.CSS("#ask-yes")))
	b.waitFor(`!document.querySelector("#hand").textContent.includes("127.0.0.1 auf") && document.querySelector("#acted li").textContent.includes("zurückgenommen")`)
	if got := ask[string](b, `[...document.querySelectorAll("#acted li")].map(li => li.querySelector("b").textContent + (li.querySelector("button") ? "+" : "")).join()`); got != "Anna,Anna,command+" {
		t.Errorf("the log, with what can be taken back: %s", got)
	}
	if r, _ := get(t, user, p.users+"/posts/1"); r.StatusCode != 403 {
		t.Errorf("taken back, and it is %s", r.Status)
	}
	for _, fault := range b.complaints(base) {
		t.Error(fault)
	}
	p.stop(t)
}

// exports takes every file that the page offers.
func exports(t *testing.T, p *process, base string) {
	client := visitor(t)
	fetch := func(path string) (int, []byte) {
		r, err := http.NewRequest("GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, token, _ := strings.Cut(p.link, "?token=")
		r.Header.Set("Authorization", "Bearer "+token)
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, b
	}
	_, page := fetch("/")
	n := 0
	for _, part := range strings.Split(string(page), `href="/api/v1/tables/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		status, b := fetch("/api/v1/tables/" + name)
		n++
		if strings.HasSuffix(name, ".csv") {
			lines, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
			if err != nil || status != 200 || len(lines) == 0 {
				t.Errorf("%s: %d, %v", name, status, err)
			}
			if name == "actions.csv" && len(lines) != 1+3*4 {
				t.Errorf("eight switches were turned and four tests sent, and the log has %d lines:\n%s", len(lines), b)
			}
		} else if status != 200 || !bytes.HasPrefix(b, []byte("[")) {
			t.Errorf("%s: %d", name, status)
		}
	}
	if n < 16 {
		t.Errorf("the page offers only %d files", n)
	}
}

// The status page, as the public sees it.
func TestBrowserStatusPageIsAccessible(t *testing.T) {
	shared.start(t)
	p := build(t).protect(t, t.TempDir(), platform(t, "hello").URL)
	base, _, _ := strings.Cut(p.link, "/?token=")
	b := newTab(t)
	b.do(chromedp.Navigate(p.link))
	time.Sleep(time.Second)
	b.do(chromedp.Navigate(base + "/status/?lang=en"))
	ask[bool](b, `document.querySelector("main").append(document.createElement("img"), document.createElement("button")), true`)
	if faults := b.axed(); len(faults) != 2 { // it does find what is wrong
		t.Errorf("a picture and a button without a name, and axe finds %q", faults)
	}
	for _, scheme := range []string{"light", "dark"} {
		b.prefer(scheme, true)
		for _, lang := range []string{"en", "de"} {
			b.do(chromedp.Navigate(base + "/status/?lang=" + lang))
			b.waitFor(`document.documentElement.lang === "` + lang + `"`)
			b.axe("status " + lang + " " + scheme)
		}
	}
	for _, fault := range b.complaints(base) {
		t.Error(fault)
	}
	p.stop(t)
}

// axe tells of what axe-core finds on the page as it is.
func (b *tab) axe(name string) {
	b.Helper()
	for _, fault := range b.axed() {
		b.Errorf("%s: %s", name, fault)
	}
}

// axed runs axe-core (testdata/axe) over the page, and gives what it calls
// serious or critical.
func (b *tab) axed() []string {
	b.Helper()
	script, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		b.Fatal(err)
	}
	ask[bool](b, string(script)+`
delete window.axed;
axe.run(document).then(r => { window.axed = r.passes.length ? r.violations.filter(v => v.impact === "serious" || v.impact === "critical")
	.flatMap(v => v.nodes.map(n => v.id + ", " + v.impact + ": " + n.html + "\n" + n.failureSummary)) : ["nothing was checked"]; },
	e => { window.axed = ["it failed: " + e]; });
true`)
	b.waitFor(`window.axed !== undefined`)
	return ask[[]string](b, `window.axed`)
}

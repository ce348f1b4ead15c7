package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// markup is what a claim may hold and the console must not run.
const markup = `<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>`

// hurt says that the page took text for markup.
const hurt = `window.hurt === 1 || document.querySelector("main img, main script") !== null`

// A claim is written down with the keyboard alone, in both languages, light, dark, on a
// phone and at a desk; what was wrong is said and what was typed is kept; then it stands in the
// incident, and script in it is text.
func TestBrowserClaimForm(t *testing.T) {
	shared.start(t)
	deich, data := build(t), t.TempDir()
	p := deich.protect(t, data, platform(t, "hello").URL)
	base, _, _ := strings.Cut(p.link, "/?token=")
	deich.must(t, "incident", "import", "example:x-2025-05-24", "--data", data)
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(deich.must(t, "incident", "list", "--data", data, "--json")), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v, %d incidents", err, len(list))
	}
	for _, c := range []struct {
		lang, scheme string
		wide         bool
		head, wrong  string
	}{
		{"en", "light", true, "Somebody says that it was them", "the claimed window ends before it begins"},
		{"de", "dark", true, "Jemand sagt, er sei es gewesen", "die behauptete Zeit endet, bevor sie beginnt"},
		{"de", "light", false, "Jemand sagt, er sei es gewesen", "die behauptete Zeit endet, bevor sie beginnt"},
		{"en", "dark", false, "Somebody says that it was them", "the claimed window ends before it begins"},
	} {
		name := fmt.Sprintf("claim %s %s wide=%v", c.lang, c.scheme, c.wide)
		b := newTab(t)
		if c.wide {
			b.view(1280, 900)
		}
		b.prefer(c.scheme, true)
		b.speak(c.lang + "-XX, fr;q=0.5")
		b.do(chromedp.Navigate(p.link))
		b.do(chromedp.Navigate(base + "/incidents/" + list[0].ID + "/claim"))
		b.waitFor(`document.querySelector("form button") !== null`)
		if got := ask[string](b, `document.documentElement.lang + ": " + document.querySelector("h1").textContent`); got != c.lang+": "+c.head {
			t.Errorf("%s: it says %q", name, got)
		}
		looks := func(name string) {
			t.Helper()
			b.axe(name)
			if over := ask[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("%s: %d pixels too wide", name, over)
			}
			for _, text := range ask[[]string](b, unreadable) {
				t.Errorf("%s: contrast %s", name, text)
			}
			if ask[bool](b, hurt) {
				t.Errorf("%s: text became markup", name)
			}
		}
		looks(name)
		who := fmt.Sprintf("Group %s %v %s", c.lang, c.wide, markup)
		b.tabTo("who")
		b.do(chromedp.KeyEvent(who))
		b.tabTo("text")
		b.do(chromedp.KeyEvent("We did it. " + markup))
		b.tabTo("from")
		b.do(chromedp.KeyEvent("05242025" + kb.Tab + "030000PM"))
		b.tabTo("to")
		b.do(chromedp.KeyEvent("05242025" + kb.Tab + "020000PM"))
		b.tabTo("about")
		b.do(chromedp.KeyEvent(" "))
		b.tabTo("zone")
		b.do(chromedp.KeyEvent("+02:00"))
		b.tabTo("purpose")
		b.do(chromedp.KeyEvent("a test " + markup))
		b.tabTo("relayed")
		b.do(chromedp.KeyEvent("One" + kb.Enter + "Two"))
		b.tabTo("by")
		b.do(chromedp.KeyEvent("ada" + kb.Enter)) // Enter sends it
		b.waitFor(`document.querySelector("[role=alert] li") !== null`)
		if got := ask[string](b, `[...document.querySelectorAll("[role=alert] li")].map(e => e.textContent).join("|")`); got != c.wrong {
			t.Errorf("%s: what is wrong is %q", name, got)
		}
		if got := ask[string](b, `["who", "text", "from", "to", "zone", "purpose", "relayed", "by"].map(id => document.getElementById(id).value).join("|") + document.getElementById("about").checked`); got !=
			who+"|We did it. "+markup+"|2025-05-24T15:00|2025-05-24T14:00|+02:00|a test "+markup+"|One\nTwo|adatrue" {
			t.Errorf("%s: of what was typed there is %q", name, got)
		}
		looks(name + ", with what was wrong")
		b.tabTo("to")
		b.do(chromedp.KeyEvent("05242025" + kb.Tab + "050000PM"))
		b.tabTo("by")
		b.do(chromedp.KeyEvent(kb.Enter))
		b.waitFor(`location.pathname === "/incidents/` + list[0].ID + `" && document.title.startsWith("Dossier")`)
		said := ask[string](b, `document.body.innerText`)
		for _, want := range []string{who, "We did it. " + markup} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: the incident does not tell %q:\n%s", name, want, said)
			}
		}
		looks(name + ", in the incident")
		if got := ask[string](b, `document.documentElement.lang`); got != c.lang {
			t.Errorf("%s: the incident speaks %q", name, got)
		}
		for _, fault := range b.complaints(base) {
			t.Errorf("%s: %s", name, fault)
		}
	}
	p.stop(t)
}

// tabTo goes to a field as somebody without a mouse does: with Tab, from the page's
// beginning on.
func (b *tab) tabTo(id string) {
	b.Helper()
	for range 80 { // a time alone has seven stops
		if ask[bool](b, `document.activeElement.id === "`+id+`"`) {
			return
		}
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.Fatalf("Tab does not come to %s", id)
}

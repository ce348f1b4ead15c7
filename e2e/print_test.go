package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// paper is what a sheet of A4 leaves between its margins, in CSS pixels.
const paper, paperHeight = 718, 1047

// clipped lists what does not fit the sheet: what is wider than it, and what
// scrolls, which paper does not.
const clipped = `[...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && !e.closest("svg, .skip, .unseen") && (
	e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 ||
	getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1)).map(e => e.outerHTML.slice(0, 200))`

// deskPrints prints what is put into files and handed round.
func deskPrints(t *testing.T, p *process, page string) {
	console, _, _ := strings.Cut(p.link, "/?")
	for name, address := range map[string]string{"status": page + "/", "incident": console + "/incidents/latest"} {
		for _, lang := range []string{"en", "de"} {
			tab := newTab(t)
			tab.speak(lang + "-XX, fr;q=0.5")
			if name != "status" {
				tab.do(chromedp.Navigate(p.link))
			}
			tab.do(chromedp.Navigate(address))
			tab.view(paper, paperHeight)
			tab.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print", Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: "dark"}, // it is printed on white all the same
			}}))
			for _, what := range ask[[]string](tab, clipped) {
				t.Errorf("%s, %s: the sheet clips %s", name, lang, what)
			}
			if white := ask[string](tab, `getComputedStyle(document.body).backgroundColor`); white != "rgb(255, 255, 255)" {
				t.Errorf("%s, %s: printed on %s", name, lang, white)
			}
			for _, text := range ask[[]string](tab, unreadable) {
				t.Errorf("%s, %s: printed with contrast %s", name, lang, text)
			}
			pdf, err := chromedp.Run(tab.ctx, chromedp.PrintToPDF())
			if err != nil {
				t.Fatal(err)
			}
			sheets := bytes.Count(pdf, []byte("/Type /Page\n"))
			if !bytes.HasPrefix(pdf, []byte("%PDF-")) || sheets < 1 || sheets > 12 {
				t.Errorf("%s, %s: printed %d bytes, %d sheets", name, lang, len(pdf), sheets)
			}
			t.Logf("%s, %s: %d sheets", name, lang, sheets)
		}
	}
}

// largeFigures has the console see a flood with figures and names as wide as they get.
const largeFigures = `const real = window.EventSource;
window.EventSource = class extends real {
	set onmessage(f) {
		super.onmessage = (m) => {
			const v = JSON.parse(m.data), acts = Array(6).fill(1234567);
			v.networks = ["2001:db8:ffff::/48", "192.0.2.0/24"].map(network => ({network, operator: "AS 4200000000 Beispielhafte Netzgesellschaft mbH", country: "Bosnia and Herzegovina",
				country_de: "Bosnien und Herzegowina", acts, before: 1234567, ordered: 65536}));
			v.networks_seconds = 60;
			for (const o of v.origins) Object.assign(o, {name: "http://verteiler.intern.example.org:8080", demand: 123456, goodput: 12345, limit: 1234.5, inflight: 1234, queued: 12345, streams: 1234, cut: 127});
			for (const g of v.groups) Object.assign(g, {asked: 123456.7, rate: 123456.7, p50_ms: 12345, p99_ms: 12345});
			f({data: JSON.stringify(v)});
		};
	}
};`

// The console prints whole on A4, also with tables as wide as a flood makes them.
func TestBrowserConsolePrints(t *testing.T) {
	shared.start(t)
	deich := build(t)
	p := deich.protect(t, t.TempDir(), platform(t, "hello").URL, "--networks", "../atlas/testdata/operators.mmdb,../atlas/testdata/countries.mmdb")
	deich.must(t, "deny", "127.0.0.0/24", "--data", p.data)
	get(t, visitor(t), p.users+"/")
	for _, lang := range []string{"en", "de"} {
		b := newTab(t)
		b.speak(lang + "-XX, fr;q=0.5")
		b.before(largeFigures)
		b.do(chromedp.Navigate(p.link))
		b.waitFor(`document.querySelector("#link").textContent === "Live." && document.querySelector("#networks").textContent.includes("4200000000")`)
		b.do(chromedp.Navigate(strings.Split(p.link, "/?")[0] + "/?lang=" + lang + "&find=127.0.0.1")) // what was looked up is printed, too
		b.waitFor(`document.querySelector("#networks").textContent.includes("4200000000")`)
		b.view(paper, paperHeight)
		b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print", Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: "dark"},
		}}))
		for _, what := range ask[[]string](b, clipped) {
			t.Errorf("%s: the sheet clips %s", lang, what)
		}
		if white := ask[string](b, `getComputedStyle(document.body).backgroundColor`); white != "rgb(255, 255, 255)" {
			t.Errorf("%s: printed on %s", lang, white)
		}
		for _, text := range ask[[]string](b, unreadable) {
			t.Errorf("%s: printed with contrast %s", lang, text)
		}
		pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
		if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Errorf("%s: it does not print: %v", lang, err)
		}
	}
	p.stop(t)
}

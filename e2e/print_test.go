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
const clipped = `[...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && !e.closest("svg, .skip") && (
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

package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
)

// looks are the pages as the docs show them.
var looks = []struct{ name, page, query string }{
	{"challenge", "challenge", "reason=unproven&bits=14&seconds=40&token=none"},
	{"wait", "wait", "reason=below_cut&seconds=40"},
	{"refusal", "refusal", "reason=queue_full&seconds=30"},
	{"over-budget", "refusal", "reason=over_budget&seconds=75"},
	{"by-hand", "refusal", "reason=by_hand"},
	{"origin-down", "origin", "reason=origin_down&seconds=30"},
	{"origin-slow", "origin", "reason=origin_slow&seconds=30"},
	{"resend", "resend", "reason=queue_late&seconds=20"},
	{"unsent", "unsent", "reason=below_cut&seconds=10"},
	{"given-back", "given_back", "reason=queue_late&seconds=10&text=" + url.QueryEscape(
		"Der Deich hält.\n\nWer an der Brücke helfen kann: Sandsäcke liegen am Sportplatz, bitte Handschuhe mitbringen.")},
}

// unreadable lists texts whose contrast with what is behind them is below
// WCAG's AA for small text, with some to spare.
const unreadable = `(() => {
	const part = c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
	const light = c => { const [r, g, b] = c.match(/[\d.]+/g).map(Number); return .2126 * part(r) + .7152 * part(g) + .0722 * part(b); };
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$/.test(c)) return c; } };
	const bad = [];
	for (const e of document.querySelectorAll("h1, p, code, label, textarea, a")) {
		if (!e.textContent || !e.checkVisibility()) continue;
		const a = light(getComputedStyle(e).color), b = light(behind(e));
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < 5) bad.push(ratio.toFixed(2) + " " + e.tagName + " " + e.textContent);
	}
	return bad;
})()`

// small lists what is to be pressed and is smaller than a finger.
const small = `[...document.querySelectorAll("a, button, textarea")].filter(e => e.checkVisibility({visibilityProperty: true}) &&
	(e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44)).map(e => e.outerHTML)`

// Every page, in both languages and both schemes, on a small phone.
func TestBrowserPages(t *testing.T) {
	s := newSite(t, new(site))
	for _, scheme := range []string{"light", "dark"} {
		for _, look := range looks {
			b := newTab(t)
			b.prefer(scheme, true)
			b.freeze(look.page)
			for _, lang := range []string{"en", "de"} {
				name := fmt.Sprintf("%s-%s-%s", look.name, lang, scheme)
				b.speak(lang + "-XX, fr;q=0.5")
				b.do(chromedp.Navigate(s.URL + "/look/" + look.page + "?" + look.query))
				b.look(name, lang)
				b.shoot(name)
			}
			for _, fault := range b.complaints(s.URL) {
				t.Errorf("%s %s: %s", look.name, scheme, fault)
			}
		}
	}
}

// look judges a page as someone with a small phone sees it.
func (b *tab) look(name, lang string) {
	b.Helper()
	if got := ask[string](b, `document.documentElement.lang`); got != lang {
		b.Errorf("%s: lang is %q", name, got)
	}
	if ask[string](b, `document.title`) == "" {
		b.Errorf("%s: no title", name)
	}
	if wide := ask[int](b, `document.documentElement.scrollWidth`); wide > narrow {
		b.Errorf("%s: %d pixels wide on a phone of %d", name, wide, narrow)
	}
	for _, text := range ask[[]string](b, unreadable) {
		b.Errorf("%s: contrast %s", name, text)
	}
	for _, target := range ask[[]string](b, small) {
		b.Errorf("%s: too small to press: %s", name, target)
	}
}

// And at a desk.
func TestBrowserPagesWide(t *testing.T) {
	s := newSite(t, new(site))
	for scheme, lang := range map[string]string{"light": "en", "dark": "de"} {
		for _, look := range looks {
			if look.page != "challenge" && look.page != "wait" {
				continue
			}
			b := newTab(t)
			b.view(1280, 720)
			b.prefer(scheme, true)
			b.freeze(look.page)
			b.do(chromedp.Navigate(s.URL + "/look/" + look.page + "?lang=" + lang + "&" + look.query))
			if tall := ask[int](b, `document.documentElement.scrollHeight`); tall > 720 {
				t.Errorf("%s: %d pixels tall, it should not scroll", look.name, tall)
			}
			if look.page == "challenge" {
				b.waitFor(`document.querySelector("progress").value === 5`)
			}
			b.shoot(fmt.Sprintf("%s-wide-%s", look.name, scheme))
		}
	}
}

// freeze keeps the challenge's script from finishing, so that its page can be
// looked at while it works.
func (b *tab) freeze(name string) {
	b.Helper()
	if name != "challenge" {
		return
	}
	b.before(`window.Worker = class {
		postMessage({puzzle}) { if (puzzle < 5) setTimeout(() => this.onmessage({data: {puzzle, answer: 0}})); }
		terminate() {}
	};`)
}

// What a screen reader is told: one heading, the page's main part, how far the
// calculation is and what its words say now.
func TestBrowserTellsScreenReaders(t *testing.T) {
	s := newSite(t, new(site))
	b := newTab(t)
	b.freeze("challenge")
	b.do(chromedp.Navigate(s.URL + "/look/challenge?bits=14&lang=en"))
	b.waitFor(`document.querySelector("progress").value === 5`)
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		role := string(n.Role.Value)
		if n.Name != nil {
			role += " " + string(n.Name.Value)
		}
		roles = append(roles, role)
	}
	for _, want := range []string{
		`"main" ""`, `"heading" "Many requests are arriving right now."`, `"status" ""`,
		`"progressbar" "Progress of the calculation"`, `"contentinfo" ""`,
	} {
		if !slices.Contains(roles, want) {
			t.Errorf("no %s in %q", want, roles)
		}
	}
	if live := ask[string](b, `document.querySelector("#says").getAttribute("role")`); live != "status" {
		t.Errorf("the words' role is %q", live)
	}
}

// On paper the words stay and the water goes.
func TestBrowserPrints(t *testing.T) {
	s := newSite(t, new(site))
	b := newTab(t)
	b.do(chromedp.Navigate(s.URL + "/look/given_back?text=my+words"))
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) || bytes.Count(pdf, []byte("/Type /Page\n")) > 1 {
		t.Errorf("printed %d bytes, not one page", len(pdf))
	}
}

// shoot keeps a picture for the docs, where they are asked for.
func (b *tab) shoot(name string) {
	b.Helper()
	if !*screenshots {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join("..", "docs", "pages")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, paletted(img)); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), out.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
}

// paletted gives a picture in its 256 commonest colours: these pages have few,
// and what is rarer is the edge of a letter.
func paletted(img image.Image) image.Image {
	bounds := img.Bounds()
	count := make(map[color.RGBA]int)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	out := image.NewPaletted(bounds, palette)
	draw.Draw(out, bounds, img, bounds.Min, draw.Src)
	return out
}

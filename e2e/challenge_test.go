package e2e

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// busyMax bounds a calculation that should take 1.5 s on a slow phone, where
// tests share the machine with others.
const busyMax = 6 * time.Second

// A browser comes in by itself, to the very place it asked for.
func TestBrowserSolvesTheChallenge(t *testing.T) {
	for _, c := range []struct {
		name string
		bits int
		slow float64 // how many times slower than this machine
	}{{"14 bits", 14, 1}, {"16 bits", 16, 1}, {"14 bits, six times slower", 14, 6}} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, &site{bits: c.bits})
			b := newTab(t)
			b.do(call(emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: c.slow}))
			b.do(chromedp.Navigate(s.URL + "/posts?page=2&q=a%26b#third"))
			b.waitFor(`document.title === "Townsquare"`)
			if at := ask[string](b, `document.querySelector("#at").textContent + location.hash`); at != "/posts?page=2&q=a%26b#third" {
				t.Errorf("it came back to %q", at)
			}
			proofs := s.taken()
			if len(proofs) != 1 || !proofs[0].holds {
				t.Fatalf("the site got %+v, want one proof that holds", proofs)
			}
			t.Logf("%d hashes in %v, page to form: %.2f MH/s", proofs[0].hashes, proofs[0].took.Round(time.Millisecond),
				float64(proofs[0].hashes)/proofs[0].took.Seconds()/1e6)
			if proofs[0].took > busyMax {
				t.Errorf("it took %v, more than %v even on a busy machine", proofs[0].took, busyMax)
			}
			for _, fault := range b.complaints(s.URL) {
				t.Error(fault)
			}
		})
	}
}

// Who cannot keep the pass is told so, once; the phone is not kept busy.
func TestBrowserThatKeepsNoCookieIsTold(t *testing.T) {
	s := newSite(t, &site{bits: 12, forgetful: true})
	b := newTab(t)
	b.do(chromedp.Navigate(s.URL + "/"))
	b.waitFor(`document.querySelector("#cookies")?.checkVisibility()`)
	if n := len(s.taken()); n != 1 {
		t.Errorf("%d proofs were sent, want 1", n)
	}
	b.visible("#again", true)
	b.visible("#work", false)
}

// Where workers do not run, the page says so and stands in the queue.
func TestBrowserWithoutWorkersWaits(t *testing.T) {
	for name, worker := range map[string]string{
		"none":   `delete window.Worker`,
		"broken": `window.Worker = class { constructor() { setTimeout(() => this.onerror()) } postMessage() {} terminate() {} }`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, &site{bits: 12})
			b := newTab(t)
			b.before(worker)
			b.do(chromedp.Navigate(s.URL + "/"))
			b.waitFor(`document.querySelector("#failed")?.checkVisibility()`)
			b.visible("#again", true)
			b.visible("#work", false)
			b.waitFor(`document.title === "Townsquare"`) // it came again by itself, and its number was called
			if n := len(s.taken()); n != 0 {
				t.Errorf("%d proofs were sent, want none", n)
			}
		})
	}
}

// A script that never comes leaves a way to go on.
func TestBrowserWithoutTheScriptOffersToTryAgain(t *testing.T) {
	s := newSite(t, &site{bits: 12, scriptless: true})
	b := newTab(t)
	b.do(chromedp.Navigate(s.URL + "/"))
	b.visible("#again", false)
	b.waitFor(`document.querySelector("#again").checkVisibility({visibilityProperty: true})`)
	b.visible("#late", true)
}

// Without JavaScript the page is the waiting room, and comes again by itself.
func TestBrowserWithoutJavaScriptWaits(t *testing.T) {
	s := newSite(t, &site{bits: 14})
	b := newTab(t)
	b.do(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.do(chromedp.Navigate(s.URL + "/"))
	b.visible("noscript p", true)
	b.visible("#work", false)
	b.shoot("challenge-without-javascript")
	b.waitFor(`document.title === "Townsquare"`)
	if n := len(s.taken()); n != 0 {
		t.Errorf("%d proofs were sent, want none", n)
	}
}

// With the keyboard alone everything can be reached, and is seen when it is.
func TestBrowserByKeyboard(t *testing.T) {
	s := newSite(t, &site{bits: 12})
	b := newTab(t)
	b.do(chromedp.Navigate(s.URL + "/look/refusal?reason=queue_full&seconds=30&return=/look/wait"))
	b.do(chromedp.KeyEvent(kb.Tab))
	if at := ask[string](b, `document.activeElement.textContent`); at != "Try again" {
		t.Fatalf("the first stop is %q, want the link", at)
	}
	if width := ask[string](b, `getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth`); width != "solid3px" {
		t.Errorf("the focus is drawn %q", width)
	}
	b.do(chromedp.KeyEvent(kb.Tab))
	if at := ask[string](b, `document.activeElement.tagName`); at != "BODY" {
		t.Errorf("the second stop is %s, want the end of the page", at)
	}
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	b.waitFor(`location.pathname === "/look/wait"`)

	b.do(chromedp.Navigate(s.URL + "/look/given_back?text=my+words"))
	b.do(chromedp.KeyEvent(kb.Tab))
	if at := ask[string](b, `document.activeElement.value`); at != "my words" {
		t.Errorf("the first stop holds %q, want the sender's words", at)
	}
}

func (b *tab) visible(selector string, want bool) {
	b.Helper()
	if got := ask[bool](b, `!!document.querySelector("`+selector+`")?.checkVisibility({visibilityProperty: true})`); got != want {
		b.Errorf("%s: visible %v, want %v", selector, got, want)
	}
}

package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/deichproject/deich/desk/mail/mailtest"
)

// Who wants to be told asks for it, follows the link and confirms, is told, and ends it
// by the link in what they were told: with the keyboard alone, in both languages, light, dark, on
// a phone and at a desk, without a fault that axe-core calls serious or the browser complains of.
func TestBrowserSubscribing(t *testing.T) {
	shared.start(t)
	deich, data, inbox := build(t), t.TempDir(), mailtest.New(t)
	post := &mailbox{inbox: inbox}
	p := deich.protect(t, data, platform(t, "hello").URL, "--status", "127.0.0.1:0", "--status-url", "https://status.example.org/",
		"--status-webhooks", "--smtp", inbox.Addr(), "--from", "status@example.org")
	page := pageOf(t, p)
	for end := time.Now().Add(patience); ; time.Sleep(aMoment) { // until Deich has told it something
		if r, _ := get(t, visitor(t), page+"/"); r.StatusCode == 200 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the page: %s", r.Status)
		}
	}
	type said struct{ title, asked, wrong, confirmed, left string }
	words := map[string]said{
		"en": {"Be told", "a message is on its way", "cannot send to this address", "You will be told", "You will be told no more"},
		"de": {"Benachrichtigt werden", "ist eine Nachricht an sie unterwegs", "können wir nichts senden", "Sie werden benachrichtigt", "Sie werden nicht mehr benachrichtigt"},
	}
	type person struct {
		*tab
		lang, whom string
		see        func(what string)
	}
	var people []person
	for _, scheme := range []string{"light", "dark"} {
		for _, lang := range []string{"en", "de"} {
			b := newTab(t)
			b.prefer(scheme, true)
			b.speak(lang + "-XX, fr;q=0.5")
			people = append(people, person{b, lang, "ada-" + lang + "-" + scheme + "@example.org", func(what string) {
				t.Helper()
				name := fmt.Sprintf("subscribe %s %s: %s", lang, scheme, what)
				b.look(name, lang)
				b.axe(name)
				if (lang == "en") == (scheme == "light") {
					b.view(1280, 900)
					b.axe(name + ", wide")
					b.view(narrow, narrowHeight)
				}
			}})
		}
	}
	says := func(b person, want string) {
		t.Helper()
		b.waitFor(`(document.querySelector("[role=status]") || {textContent: ""}).textContent.includes("` + want + `")`)
	}
	press := func(b person) { b.do(chromedp.Focus(chromedp.CSS("button")), chromedp.KeyEvent(kb.Enter)) }
	for _, b := range people {
		w := words[b.lang]
		b.do(chromedp.Navigate(page + "/"))
		b.do(chromedp.Focus(chromedp.CSS(`a[href^="subscribe"]`)), chromedp.KeyEvent(kb.Enter))
		b.waitFor(`document.title === "` + w.title + `" && document.querySelector("#webhook") !== null`)
		b.see("the form")
		b.tabTo("webhook")
		b.do(chromedp.KeyEvent("https://127.0.0.1/hook" + kb.Enter)) // it is told of in public, and this is none
		says(b, w.wrong)
		b.see("refused")
		b.tabTo("mail")
		b.do(chromedp.KeyEvent(b.whom + kb.Enter))
		says(b, w.asked)
		b.see("it is asked")
		link := post.link(t, b.whom, "/confirm")
		b.do(chromedp.Navigate(page + link))
		b.waitFor(`document.querySelector("form[action^=confirm] button") !== null`)
		b.see("the question")
		press(b)
		says(b, w.confirmed)
		b.see("confirmed")
		b.do(chromedp.Navigate(page + link[:len(link)-4] + "none"))
		says(b, map[string]string{"en": "not valid", "de": "gilt nicht"}[b.lang])
		b.see("a link that is none")
	}
	deich.must(t, "incident", "open", "Something is slow", "--title-de", "Etwas ist langsam", "--data", data)
	deich.must(t, "incident", "update", "latest", "We look into it.", "--de", "Wir sehen es uns an.", "--data", data)
	for _, b := range people {
		b.do(chromedp.Navigate(page + post.link(t, b.whom, "/leave")))
		b.waitFor(`document.querySelector("form[action^=leave] button") !== null`)
		b.see("whether to leave")
		press(b)
		says(b, words[b.lang].left)
		b.see("left")
		for _, fault := range b.complaints(page) {
			t.Errorf("%s: %s", b.whom, fault)
		}
	}
	p.stop(t)
}

// mailbox keeps all letters that came for anybody.
type mailbox struct {
	inbox *mailtest.Inbox
	all   []string
}

// link gives the path of a link that somebody was sent.
func (l *mailbox) link(t *testing.T, whom, path string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(aMoment) {
		l.all = append(l.all, l.inbox.Took()...)
		for _, letter := range l.all {
			if !strings.Contains(letter, "To: "+whom+"\r\n") {
				continue
			}
			for _, word := range strings.Fields(letter) {
				if u, err := url.Parse(word); err == nil && u.Host == "status.example.org" && u.Path == path {
					return u.RequestURI()
				}
			}
		}
		if time.Now().After(end) {
			t.Fatalf("nobody sends %s a link to %s", whom, path)
		}
	}
}

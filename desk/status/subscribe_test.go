package status

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/mail"
	"github.com/deichproject/deich/desk/mail/mailtest"
)

// crier is a webhook.
type crier struct {
	*httptest.Server
	mu     sync.Mutex
	got    []map[string]any
	status int
}

func newCrier(t *testing.T) *crier {
	c := &crier{status: 200}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v map[string]any
		json.NewDecoder(r.Body).Decode(&v)
		c.mu.Lock()
		c.got = append(c.got, v)
		w.WriteHeader(c.status)
		c.mu.Unlock()
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *crier) took() []map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.got
	c.got = nil
	return all
}

type publicPage struct {
	*Server
	s    *Subscribers
	dir  string
	at   time.Time
	mail *mailtest.Inbox
	said *warnings
}

// warnings are what an operator is told.
type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) warn(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, text)
}

func (w *warnings) took() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.all, "\n")
	w.all = nil
	return all
}

func newPublicPage(t *testing.T, dir string) *publicPage {
	t.Helper()
	p := &publicPage{dir: dir, at: now, mail: mailtest.New(t), said: new(warnings)}
	s, err := OpenSubscribers(dir, SubscribeOptions{URL: "https://status.example.org", Webhooks: true, Zone: cet, Warn: p.said.warn, loopback: true,
		Mail: &mail.Mailer{Server: p.mail.Addr(), From: "status@example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return p.at }
	p.s, p.Server = s, serverAt(dir, now)
	p.Subscribe(s)
	return p
}

// send fills in a form, and waits until what follows from it was sent.
func (p *publicPage) send(path string, form url.Values) *httptest.ResponseRecorder {
	return p.sendFrom("192.0.2.1", path, form)
}

func (p *publicPage) sendFrom(address, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = net.JoinHostPort(address, "1234")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	p.s.all.Wait()
	return w
}

func (p *publicPage) say(at time.Time, text string) {
	d := &Document{Heard: at, Current: []Incident{{ID: "2026-03-07-1", Begin: now, Updates: []Update{{At: at, Life: incident.Investigating, Text: incident.Text{English: text, German: "Auf Deutsch: " + text}}}}}}
	p.tell(d)
}

func (p *publicPage) tell(d *Document) {
	for _, kind := range p.s.kinds() {
		p.s.tell(context.Background(), d, kind)
	}
}

var confirmLink = regexp.MustCompile(`https://status\.example\.org(/(?:confirm|leave)\?t=[\w.-]+)`)

// Whoever wants to be told is asked first, told what is new once, and let go by
// the link in each message; all that survives a restart.
func TestSubscribing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, full())
	p, hook := newPublicPage(t, dir), newCrier(t)
	if body := ask(p.Server, "/?lang=de", "").Body.String(); !strings.Contains(body, `href="subscribe?lang=de"`) {
		t.Error("the page does not say that one can be told")
	}
	w := ask(p.Server, "/subscribe?lang=de", "")
	if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "E-Mail-Adresse") || strings.Contains(body, "<script") || !strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action 'self'") {
		t.Errorf("%d %s", w.Code, body)
	}
	if w := p.send("/subscribe?lang=de", url.Values{"mail": {"ada@Example.org"}}); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := p.send("/subscribe?lang=en", url.Values{"webhook": {hook.URL + "/x"}}); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	mail, cried := p.mail.Took(), hook.took()
	if len(mail) != 1 || len(cried) != 1 || !strings.Contains(mail[0], "To: ada@example.org\r\n") || !strings.Contains(mail[0], "Jemand, vielleicht Sie") || cried[0]["type"] != "confirm" {
		t.Fatalf("%q %v", mail, cried)
	}
	p.at = now.Add(time.Minute)
	p.say(p.at, "Nobody has confirmed.")
	if m, c := p.mail.Took(), hook.took(); len(m)+len(c) != 0 {
		t.Fatalf("told before they confirmed: %q %v", m, c)
	}
	byLetter, byHook := confirmLink.FindStringSubmatch(mail[0])[1], confirmLink.FindStringSubmatch(cried[0]["text"].(string))[1]
	for _, path := range []string{byLetter, byHook} {
		if w := ask(p.Server, path, ""); w.Code != 200 || len(p.s.list) > 1 {
			t.Errorf("looking at the link: %d, %d subscribers", w.Code, len(p.s.list))
		}
		if w := p.send(path, nil); w.Code != 200 {
			t.Errorf("confirming: %d %s", w.Code, w.Body)
		}
		p.send(path, nil) // twice is once
	}
	again := newPublicPage(t, dir)
	again.mail, again.s.o.Mail, again.at = p.mail, p.s.o.Mail, p.at
	p = again
	p.say(now.Add(30*time.Second), "Said before.")
	p.say(p.at.Add(time.Second), "Something is wrong.")
	p.say(p.at.Add(time.Second), "Something is wrong.")
	mail, cried = p.mail.Took(), hook.took()
	if len(mail) != 1 || len(cried) != 1 || !strings.Contains(mail[0], "Auf Deutsch: Something is wrong.") || !strings.Contains(mail[0], "List-Unsubscribe: <https://status.example.org/leave?t=") || strings.Contains(mail[0], "before") {
		t.Fatalf("%q %v", mail, cried)
	}
	if text := cried[0]["text"].(string); !strings.Contains(text, "\nSomething is wrong.") {
		t.Errorf("%v", cried[0])
	}
	p.say(p.at.Add(2*time.Second), "Soon after.")
	if m := p.mail.Took(); len(m) != 0 {
		t.Errorf("told twice within a minute: %q", m)
	}
	leave := confirmLink.FindStringSubmatch(mail[0])[1]
	if w := p.send(leave, url.Values{"List-Unsubscribe": {"One-Click"}}); w.Code != 200 || len(p.s.list) != 1 {
		t.Errorf("leaving: %d, %d subscribers", w.Code, len(p.s.list))
	}
	b, err := os.ReadFile(filepath.Join(dir, subscribersFile))
	if err != nil || strings.Contains(string(b), "ada") {
		t.Errorf("%v: who left is still known: %s", err, b)
	}
	if info, _ := os.Stat(filepath.Join(dir, subscribersFile)); info.Mode().Perm() != 0o600 {
		t.Errorf("%s", info.Mode())
	}
	// A webhook that says that it is gone is let go.
	p.at = p.at.Add(2 * time.Minute)
	hook.status = http.StatusGone
	p.say(p.at, "More.")
	if len(hook.took()) != 1 || len(p.s.list) != 0 {
		t.Errorf("%d subscribers", len(p.s.list))
	}
}

// Nobody is flooded through the page: one confirmation a day for each address,
// however it is written, some for each host, a hundred an hour in all, also
// after a restart.
func TestConfirmationsAreBounded(t *testing.T) {
	dir := t.TempDir()
	p, hook := newPublicPage(t, dir), newCrier(t)
	for _, a := range []string{"ada@example.org", "Ada@EXAMPLE.org", "ada+1@example.org", "a.da@example.org", "a.d.a+2@example.org"} {
		if w := p.send("/subscribe", url.Values{"mail": {a}}); w.Code != 200 {
			t.Errorf("%s: %d", a, w.Code)
		}
	}
	if m := p.mail.Took(); len(m) != 1 {
		t.Errorf("%d messages to one mailbox", len(m))
	}
	for n := range 10 {
		p.send("/subscribe", url.Values{"webhook": {fmt.Sprintf("%s/%d", hook.URL, n)}})
	}
	if c := hook.took(); len(c) != confirmsAHost {
		t.Errorf("%d to one host", len(c))
	}
	again := newPublicPage(t, dir)
	again.send("/subscribe", url.Values{"mail": {"ada@example.org"}})
	if m := again.mail.Took(); len(m) != 0 {
		t.Error("asked again after a restart")
	}
	sent := 1 + confirmsAHost
	for n := range 2 * confirmsAnHour {
		if w := again.send("/subscribe", url.Values{"mail": {fmt.Sprintf("a%d@example.org", n)}}); w.Code == 429 {
			break
		}
		sent++
	}
	if sent != confirmsAnHour {
		t.Errorf("%d confirmations within an hour", sent)
	}
	again.at = now.Add(time.Hour)
	if w := again.send("/subscribe", url.Values{"mail": {"later@example.org"}}); w.Code != 200 {
		t.Errorf("an hour later: %d", w.Code)
	}
	again.mail.Took()
	again.at = now.Add(25 * time.Hour)
	again.send("/subscribe", url.Values{"mail": {"ada@example.org"}})
	if m := again.mail.Took(); len(m) != 1 {
		t.Error("a day later nothing is sent")
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	p := newPublicPage(t, t.TempDir())
	for _, form := range []url.Values{
		{"mail": {"ada"}}, {"mail": {"Ada <ada@example.org>"}}, {"mail": {"ada@example.org\r\nBcc: all@example.org"}}, {"mail": {"a@b.c,d@e.f"}}, {"mail": {"ada@localhost"}}, {"mail": {"ä@example.org"}},
		{"mail": {strings.Repeat("a", 300) + "@example.org"}}, {"webhook": {"ftp://example.org/"}}, {"webhook": {"https://me:secret@example.org/"}}, {"webhook": {"https://10.0.0.1/"}},
		{"webhook": {"https://[fe80::1]/"}}, {"webhook": {"https://169.254.169.254/latest/meta-data"}}, {"webhook": {"https://example.org:25/"}}, {"webhook": {"https:///x"}}, {},
	} {
		if w := p.send("/subscribe", form); w.Code != 422 {
			t.Errorf("%v: %d", form, w.Code)
		}
	}
	if len(p.s.sent) != 0 {
		t.Errorf("%d confirmations", len(p.s.sent))
	}
	good := p.s.seal(wish{"confirm", byMail, "ada@example.org", "en", now.Add(time.Hour).Unix()})
	for what, token := range map[string]string{
		"none": "", "no seal": strings.Split(good, ".")[0], "changed": "A" + good, "for something else": p.s.seal(wish{Do: "leave", Kind: byMail, Target: "ada@example.org"}),
		"old": p.s.seal(wish{"confirm", byMail, "ada@example.org", "en", now.Add(-time.Hour).Unix()}),
	} {
		if w := p.send("/confirm?t="+url.QueryEscape(token), nil); w.Code != 404 || len(p.s.list) != 0 {
			t.Errorf("%s: %d", what, w.Code)
		}
	}
}

// Webhooks reach public addresses alone, whatever a name leads to.
func TestWebhooksAreForPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34:443": true, "[2606:4700::1111]:443": true, "93.184.216.34:8443": true, "93.184.216.34:25": false, "127.0.0.1:443": false, "[::1]:443": false, "10.1.2.3:443": false,
		"172.16.0.1:443": false, "192.168.1.1:443": false, "169.254.169.254:80": false, "100.64.0.1:443": false, "0.0.0.0:443": false, "224.0.0.1:443": false, "255.255.255.255:443": false,
		"[::ffff:127.0.0.1]:443": false, "[::ffff:10.0.0.1]:443": false, "[fd00::1]:443": false, "[fe80::1%eth0]:443": false, "[64:ff9b::7f00:1]:443": false, "[2002:7f00:1::1]:443": false,
		"[2001:db8::1]:443": false, "[ff02::1]:443": false, "[::]:443": false, "192.0.2.1:443": false, "198.18.0.1:443": false,
	} {
		if err := newHook(false).reachable(netip.MustParseAddrPort(text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	// A name that leads to this machine passes by its looks, and reaches nobody.
	hook := newCrier(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(hook.URL, "http://"))
	if err := newHook(false).post(t.Context(), "https://localhost:"+port+"/", 1); err == nil || !strings.Contains(err.Error(), errNotPublic.Error()) {
		t.Errorf("localhost: %v", err)
	}
	// It follows no way elsewhere.
	away := httptest.NewServer(http.RedirectHandler(hook.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	if err := newHook(true).post(t.Context(), away.URL, 1); err == nil || len(hook.took()) != 0 {
		t.Errorf("redirected: %v", err)
	}
}

// Whom nobody can write to is let go; a server that is down costs no subscriber.
func TestWhoCannotBeToldIsLetGo(t *testing.T) {
	p := newPublicPage(t, t.TempDir())
	p.send("/subscribe", url.Values{"mail": {"nobody@example.org"}})
	if all := p.said.took(); !strings.Contains(all, "it answered 550") || strings.Contains(all, "nobody") {
		t.Errorf("in the log: %s", all)
	}
	for _, whom := range []string{"ada@example.org", "nobody@example.org"} {
		p.s.list = append(p.s.list, &subscriber{Kind: byMail, Target: whom, Lang: "en", Told: now})
	}
	for range noticeFailsMax {
		p.at = p.at.Add(2 * time.Hour)
		p.say(p.at, "Still.")
	}
	if len(p.s.list) != 1 || p.s.list[0].Target != "ada@example.org" || len(p.mail.Took()) != noticeFailsMax {
		t.Errorf("%d subscribers: whom nobody can write to is kept, or another is not told", len(p.s.list))
	}
	if all := p.said.took(); !strings.Contains(all, "given up after 12 failures: it answered 550") || strings.Contains(all, "nobody") {
		t.Errorf("in the log: %s", all)
	}
	p.mail.Close() // that is nobody's fault
	for range 2 * noticeFailsMax {
		p.at = p.at.Add(2 * time.Hour)
		p.say(p.at, "Still.")
	}
	if len(p.s.list) != 1 {
		t.Error("a server that is down costs subscribers")
	}
}

// Who reads another language is told in it, where it was said in that.
func TestToldInAFurtherLanguage(t *testing.T) {
	dir := t.TempDir()
	d := full()
	d.Current[0].Updates[0].Also = incident.Also{"fr": "Nous cherchons."}
	write(t, dir, d)
	p, hook := newPublicPage(t, dir), newCrier(t)
	if w := p.send("/subscribe?lang=fr", url.Values{"webhook": {hook.URL + "/x"}}); w.Code != 200 || w.Header().Get("Content-Language") != "fr" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	link := confirmLink.FindStringSubmatch(hook.took()[0]["text"].(string))[1]
	if w := p.send(link, nil); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for n, u := range []Update{{Text: incident.Text{English: "Looking."}, Also: incident.Also{"fr": "Nous cherchons."}}, {Text: incident.Text{English: "Found."}}} {
		p.at = now.Add(time.Duration(n+1) * 2 * time.Minute)
		u.At, u.Life = p.at, incident.Investigating
		p.tell(&Document{Heard: p.at, Current: []Incident{{ID: "2026-03-07-1", Begin: now, Updates: []Update{u}}}})
		got := hook.took()
		if want, _ := u.in("fr"); len(got) != 1 || !strings.Contains(got[0]["text"].(string), want) || strings.Contains(got[0]["text"].(string), "Looking") {
			t.Errorf("told: %v", got)
		}
	}
}

package status

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// asked counts how many of these addresses are asked, and how many are told to
// come later.
func (p *publicPage) asked(from, kind string, addresses ...string) (asked, later int) {
	for _, a := range addresses {
		if w := p.sendFrom(from, "/subscribe", url.Values{kind: {a}}); w.Code == http.StatusTooManyRequests {
			later++
		}
	}
	return len(p.mail.Took()), later
}

func numbered(form string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(form, i))
	}
	return all
}

// A domain where one reads all mail is asked some times an hour, whatever the mailbox
// and the host; where many people have theirs, and at the operator's own, each mailbox is.
func TestOneDomainIsNotFlooded(t *testing.T) {
	p := newPublicPage(t, t.TempDir())
	if asked, later := p.asked("192.0.2.1", byMail, append(numbered("x%d@victim.example", 15), numbered("x@h%d.victim.example", 15)...)...); asked != confirmsADomain || later != 30-confirmsADomain {
		t.Errorf("a domain is asked %d times, and %d are told to come later", asked, later)
	}
	for form, most := range map[string]int{"y%d@gmail.com": 15, "y%d@example.org": 15, "y%d@user.gmail.com": confirmsADomain, "y%d@victim.co.uk": confirmsADomain, "y%d@other.co.uk": confirmsADomain} {
		if asked, _ := p.asked("192.0.2.1", byMail, numbered(form, 15)...); asked != most {
			t.Errorf("%s: %d of 15 are asked, want %d", form, asked, most)
		}
	}
	p.at = p.at.Add(time.Hour)
	if asked, _ := p.asked("192.0.2.1", byMail, numbered("z%d@victim.example", 15)...); asked != confirmsADomain {
		t.Errorf("an hour later %d", asked)
	}
	// In an outage a crowd comes from providers: each of them is asked.
	p.at = p.at.Add(time.Hour)
	if asked, _ := p.asked("192.0.2.1", byMail, numbered("c%d@gmx.de", 2*confirmsAnHour)...); asked != confirmsAnHour {
		t.Errorf("%d of a crowd", asked)
	}
}

// One who asks leaves room for the others, whatever they ask for; of the network nothing is kept for
// longer than an hour, and nothing on disk.
func TestOneNetworkDoesNotTakeTheHour(t *testing.T) {
	dir := t.TempDir()
	p := newPublicPage(t, dir)
	for n, network := range []string{"93.184.216.%d", "2606:4700:0:%d::1"} {
		asked := 0
		for i := range 2 * confirmsANetwork {
			is, _ := p.asked(fmt.Sprintf(network, i), byMail, fmt.Sprintf("x%d-%d@gmail.com", n, i))
			asked += is
		}
		if asked != confirmsANetwork {
			t.Errorf("%s has %d asked", network, asked)
		}
	}
	if asked, _ := p.asked("93.184.217.1", byMail, "ada@gmail.com"); asked != 1 {
		t.Error("the next network is refused, too")
	}
	// A proxy in front, on the same machine or beside it, is many people.
	if asked, _ := p.asked("127.0.0.1", byMail, numbered("p%d@gmail.com", 2*confirmsANetwork)...); asked != 2*confirmsANetwork {
		t.Errorf("behind a proxy %d are asked", asked)
	}
	b, err := os.ReadFile(filepath.Join(dir, subscribersFile))
	if err != nil || len(p.s.sent) == 0 || strings.Contains(string(b), p.s.sent[0].from) {
		t.Errorf("%v: which network asked is on disk: %s", err, b)
	}
	p.at = p.at.Add(time.Hour)
	p.s.tidy()
	for _, c := range p.s.sent {
		if c.from != "" {
			t.Error("which network asked is known after an hour")
		}
	}
	if asked, _ := p.asked("93.184.216.1", byMail, "later@gmail.com"); asked != 1 {
		t.Error("an hour later it is refused")
	}
}

// One who has a domain does not take all the places there are.
func TestOneDomainDoesNotTakeAllPlaces(t *testing.T) {
	p := newPublicPage(t, t.TempDir())
	confirm := func(kind, target string) int {
		return p.send("/confirm?t="+p.s.seal(wish{"confirm", kind, target, "en", p.at.Add(time.Hour).Unix()}), nil).Code
	}
	for i := range subscribersADomain {
		kind, target := byMail, fmt.Sprintf("x%d@h%d.attacker.example", i, i)
		if i%2 == 0 {
			kind, target = byWebhook, fmt.Sprintf("https://h%d.attacker.example/", i)
		}
		if code := confirm(kind, target); code != 200 {
			t.Fatalf("%s: %d", target, code)
		}
	}
	for kind, target := range map[string]string{byMail: "y@attacker.example", byWebhook: "https://y.attacker.example/"} {
		if code := confirm(kind, target); code != http.StatusTooManyRequests {
			t.Errorf("one more: %d", code)
		}
		if asked, later := p.asked("192.0.2.1", kind, target); asked != 0 || later != 1 {
			t.Errorf("one more is asked %d times, %d", asked, later)
		}
	}
	if code := confirm(byMail, "x1@h1.attacker.example"); code != 200 {
		t.Errorf("who is told already: %d", code)
	}
	for _, target := range append(numbered("x%d@gmail.com", subscribersADomain+1), "ada@other.example") {
		if code := confirm(byMail, target); code != 200 {
			t.Fatalf("%s: %d", target, code)
		}
	}
}

// Who was asked is kept as a keyed hash, and for a day, whether or not anybody asks
// again; what cannot be written down is not sent.
func TestWhoWasAskedIsForgotten(t *testing.T) {
	dir := t.TempDir()
	p := newPublicPage(t, dir)
	p.asked("192.0.2.1", byMail, "ada@gmail.com")
	file := filepath.Join(dir, subscribersFile)
	b, err := os.ReadFile(file)
	sum := sha256.Sum256([]byte("mail ada@gmail.com"))
	if err != nil || len(p.s.sent) != 1 || strings.Contains(string(b), hex.EncodeToString(sum[:16])) || newPublicPage(t, t.TempDir()).s.hashed(byMail, "ada@gmail.com") == p.s.sent[0].Whom {
		t.Errorf("%v: everybody can make that hash: %s", err, b)
	}
	p.at = p.at.Add(confirmEvery)
	p.s.tidy()
	if b, err = os.ReadFile(file); err != nil || strings.Contains(string(b), "whom") {
		t.Errorf("%v: a day later it stands there still: %s", err, b)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	w := p.send("/subscribe", url.Values{"mail": {"bob@gmail.com"}})
	if m := p.mail.Took(); w.Code != http.StatusServiceUnavailable || len(m) != 0 || len(p.s.sent) != 0 {
		t.Errorf("%d, %d letters, and %d are said to be asked", w.Code, len(m), len(p.s.sent))
	}
}

// run tells subscribers until done says that it is enough.
func (p *publicPage) run(t *testing.T, done func() bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	p.s.each = time.Millisecond
	go func() { defer close(ended); p.s.Run(ctx) }()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Error("it does not come")
			break
		}
	}
	stop()
	<-ended
}

func news(at time.Time) *Document {
	return &Document{Heard: at, Current: []Incident{{ID: "2026-03-07-1", Begin: at, Updates: []Update{{At: at, Life: incident.Investigating, Text: incident.Text{English: "Something is wrong."}}}}}}
}

// Letters do not wait for webhooks, however slow these are.
func TestSlowWebhooksKeepNoLetterBack(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, news(now))
	p := newPublicPage(t, dir)
	ended := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(ended)
	for i := range 4 * hooksAtOnce {
		p.s.list = append(p.s.list, &subscriber{Kind: byWebhook, Target: fmt.Sprintf("%s/%d", slow.URL, i), Lang: "en", Told: now.Add(-time.Minute)})
	}
	p.s.list = append(p.s.list, &subscriber{Kind: byMail, Target: "ada@example.org", Lang: "en", Told: now.Add(-time.Minute)})
	began := time.Now()
	p.run(t, func() bool { return len(p.mail.Took()) > 0 })
	if took := time.Since(began); took > hookWait {
		t.Errorf("the letter came after %s", took)
	}
	for _, one := range p.s.list {
		if one.Fails != 0 {
			t.Fatalf("%s failed, since it was ended: %d", one.Target, one.Fails)
		}
	}
}

// Who subscribed by what is not offered any more is told nothing, and hears all of it
// once it is again.
func TestWhatIsNotOfferedIsNotUsed(t *testing.T) {
	hook := newCrier(t)
	both := func() *publicPage {
		dir := t.TempDir()
		write(t, dir, news(now))
		p := newPublicPage(t, dir)
		for kind, target := range map[string]string{byMail: "ada@example.org", byWebhook: hook.URL + "/x"} {
			p.s.list = append(p.s.list, &subscriber{Kind: kind, Target: target, Lang: "en", Told: now.Add(-time.Minute)})
		}
		return p
	}
	p := both()
	p.s.o.Webhooks = false
	p.run(t, func() bool { return len(p.mail.Took()) > 0 })
	if n := len(hook.took()); n != 0 {
		t.Errorf("%d posts to webhooks, which are off", n)
	}
	p = both()
	p.s.o.Mail = nil
	p.run(t, func() bool { return len(hook.took()) > 0 })
	for _, one := range p.s.list {
		if one.Kind == byMail && !one.Told.Equal(now.Add(-time.Minute)) {
			t.Error("who is not written to counts as told")
		}
	}
}

// What is said of a webhook in the log does not name it.
func TestAWebhooksFailureDoesNotNameIt(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	shown := httptest.NewUnstartedServer(http.NotFoundHandler())
	shown.Config.ErrorLog = log.New(io.Discard, "", 0)
	shown.StartTLS()
	defer shown.Close()
	for _, target := range []string{gone.URL, shown.URL} {
		if err := newHook(true).post(t.Context(), target, 1); err == nil || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", target, err)
		}
	}
	if err := nameless(&url.Error{URL: "https://ada.example/", Err: errors.New("no")}); err.Error() != "no" {
		t.Error(err)
	}
}

package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/mail"
	"github.com/deichproject/deich/desk/mail/mailtest"
)

var began = time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC)

func down(origin string) Alert {
	return Alert{Name: "origin_failing", Origin: origin, Severity: Page, Text: "The platform does not answer.", For: 30 * time.Second}
}

func at(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }

func keys(all []Alert) (text string) {
	for _, a := range all {
		text += fmt.Sprintf("%s ended=%v;", a.Key(), !a.Ended.IsZero())
	}
	return text
}

// What flickers is not told; what lasts is told once, again after an hour unless
// somebody took it on, and when it is over.
func TestBookTellsWhatIsNews(t *testing.T) {
	var b Book
	for s := range 20 {
		if news := b.See(at(s), []Alert{down("a")}); len(news) > 0 {
			t.Fatalf("told after %d s", s)
		}
	}
	b.See(at(20), nil) // it was not so for long enough
	told := map[int]string{}
	for s := 21; s < 21+4000; s++ {
		is := []Alert{down("a")}
		if s == 100 || s == 130 {
			is = nil // it flickers
		}
		if news := b.See(at(s), is); len(news) > 0 {
			told[s] = keys(news)
		}
		if s == 3700 && (!b.Take("origin_failing a", "Anna") || b.Take("origin_failing b", "Anna")) {
			t.Error("taking it on")
		}
	}
	if want := map[int]string{51: "origin_failing a ended=false;", 51 + 3600: "origin_failing a ended=false;"}; fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if all := b.Active(); len(all) != 1 || all[0].TakenBy != "Anna" || !all[0].Since.Equal(at(21)) {
		t.Errorf("%+v", all)
	}
	for s := 4021; s < 4021+4000; s++ { // taken on: not told again
		if news := b.See(at(s), []Alert{down("a")}); len(news) > 0 {
			t.Fatalf("told again at %d: %s", s, keys(news))
		}
	}
	var last string
	for s := 8021; s < 8100; s++ {
		last += keys(b.See(at(s), nil))
	}
	if last != "origin_failing a ended=true;" || len(b.Active()) != 0 {
		t.Errorf("at the end %q, %v", last, b.Active())
	}
}

func TestBookIsBounded(t *testing.T) {
	var b Book
	for n := range 2 * activeMax {
		b.See(at(0), []Alert{{Name: fmt.Sprint(n), Severity: Ticket}})
	}
	b.See(at(0), nil)
	if n := len(b.all); n != activeMax {
		t.Errorf("%d alerts are known", n)
	}
	p := &place{}
	for n := range 2 * pendingMax {
		p.add(Alert{Name: fmt.Sprint(n)}, began)
	}
	p.add(Alert{Name: fmt.Sprint(2*pendingMax - 1), Text: "newer"}, began)
	if len(p.pending) != pendingMax || p.lost != pendingMax || p.pending[pendingMax-1].Text != "newer" {
		t.Errorf("%d wait, %d lost", len(p.pending), p.lost)
	}
}

// took is a server that notes what it was sent.
func took(t *testing.T, status func() int) (*httptest.Server, *[]string) {
	var all []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		all = append(all, r.Method+" "+r.URL.Path+" "+string(b))
		w.WriteHeader(status())
	}))
	t.Cleanup(s.Close)
	return s, &all
}

// Places get what happens together in one message, not too often, and what they
// did not take again; an Alertmanager is reminded.
func TestSenderGroupsAndRetries(t *testing.T) {
	status := 500
	hook, hooked := took(t, func() int { return status })
	manager, managed := took(t, func() int { return 200 })
	now := began
	s, err := NewSender(Config{Webhooks: []string{hook.URL + "/secret-hook"}, Alertmanagers: []string{manager.URL + "/"}}, nil, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	step := func(seconds int, is ...Alert) {
		for range seconds {
			now = now.Add(time.Second)
			s.See(now, is)
			for _, p := range s.places {
				if all := s.due(p); len(all) > 0 {
					s.done(p, all, p.send(context.Background(), all))
				}
			}
		}
	}
	a, b := down("a"), down("b")
	step(33, a) // told at 31 s
	step(8, a, b)
	if len(*hooked) != 1 {
		t.Fatalf("the webhook got %q", *hooked)
	}
	if p := s.Places()[0]; p.Waiting != 1 || !strings.Contains(p.Trouble, "500") || strings.Contains(fmt.Sprint(p), "secret") {
		t.Errorf("%+v", p)
	}
	status = 204
	step(70, a, b)
	if len(*hooked) != 2 || strings.Count((*hooked)[1], "PAGE: The platform") != 2 {
		t.Errorf("the second try has both: %q", *hooked)
	}
	step(200, a)
	if last := (*hooked)[len(*hooked)-1]; len(*hooked) != 3 || !strings.Contains(last, "OVER: ") || !strings.HasPrefix(last, "POST /secret-hook {") {
		t.Errorf("the end: %q", *hooked)
	}
	var body []struct {
		Labels map[string]string
		EndsAt time.Time
	}
	first, ends := (*managed)[0], 0
	if text, ok := strings.CutPrefix(first, "POST /api/v2/alerts "); !ok || json.Unmarshal([]byte(text), &body) != nil || body[0].Labels["alertname"] != "origin_failing" || body[0].Labels["origin"] != "a" {
		t.Errorf("Alertmanager got %q", first)
	}
	for _, m := range *managed {
		ends += strings.Count(m, "endsAt")
	}
	if len(*managed) < 4 || len(*managed) > 6 || ends != 1 {
		t.Errorf("in five minutes Alertmanager got %d messages, with %d ends", len(*managed), ends)
	}
}

// Nothing is followed, and what the machine's own network gives out is not asked.
func TestSenderStaysOnItsWay(t *testing.T) {
	inner, got := took(t, func() int { return 200 })
	away := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	t.Cleanup(away.Close)
	t.Setenv("HTTP_PROXY", inner.URL)
	for address, want := range map[string]string{
		away.URL + "/x": "it answered 307",
		"http://169.254.169.254/latest/meta-data": "no place to tell alerts to",
		"http://[fe80::1]/":                       "no place to tell alerts to",
		"http://0.0.0.0:9/":                       "no place to tell alerts to",
	} {
		s, err := NewSender(Config{Webhooks: []string{address}}, nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		for name, err := range s.Test(t.Context()) {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(name+err.Error(), "/latest") {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
	if len(*got) != 0 {
		t.Errorf("it followed: %q", *got)
	}
	for _, bad := range []string{"", "chat.example.org/x", "ftp://x", "http://", "https://x/#a", "http://a b/"} {
		if len(Config{Webhooks: []string{bad}}.Validate()) != 1 {
			t.Errorf("%q passes", bad)
		}
	}
}

// An address is a place like the others: what happens together is one letter, not
// too often, again where the server did not take it, until somebody takes it on.
func TestSenderWritesLetters(t *testing.T) {
	inbox := mailtest.New(t)
	now := began
	m := &mail.Mailer{Server: inbox.Addr(), From: "deich@example.org"}
	s, err := NewSender(Config{Mail: []string{"anna@example.org", "nobody@example.org"}}, m, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	step := func(seconds int, is ...Alert) []string {
		for range seconds {
			now = now.Add(time.Second)
			s.See(now, is)
			for _, p := range s.places {
				if all := s.due(p); len(all) > 0 {
					s.done(p, all, p.send(t.Context(), all))
				}
			}
		}
		return inbox.Took()
	}
	a, b := down("a"), down("b")
	ticket := Alert{Name: "bypass_forgotten", Severity: Ticket, Text: "Bypass is on for an hour.", German: "Bypass gilt seit einer Stunde."}
	a.German = "Die Plattform antwortet nicht."
	step(29, a, b)
	got := step(15, a, b, ticket)
	if len(got) != 1 {
		t.Fatalf("%d letters: %q", len(got), got)
	}
	for _, want := range []string{"To: anna@example.org\r\n", "From: deich@example.org\r\n", "Subject: Deich: PAGE: The platform does not answer. (and 2 more)\r\n", "Auto-Submitted: auto-generated", "TICKET: Bypass is on", "Die Plattform antwortet nicht.",
		"Its name: origin_failing b", "Since 2026-03-07 15:00:01 UTC", "deich alert take NAME"} {
		if !strings.Contains(got[0], want) {
			t.Errorf("%q is missing in %s", want, got[0])
		}
	}
	is := s.Places()
	if is[0].Name != "mail anna@example.org" || is[0].Sent != 1 || is[0].Trouble != "" || is[1].Sent != 0 || !strings.Contains(is[1].Trouble, "550") || is[1].Waiting != 3 {
		t.Errorf("%+v", is)
	}
	if !s.Take("origin_failing a", "Anna") {
		t.Error("it is not taken on")
	}
	if got = step(3600, a, ticket); len(got) != 1 || !strings.Contains(got[0], "OVER: ") || strings.Contains(got[0], "origin_failing a") || strings.Contains(got[0], "alert take") {
		t.Errorf("within an hour: %q", got)
	}
	for name, err := range s.Test(t.Context()) {
		if want := name == "mail nobody@example.org"; (err != nil) != want {
			t.Errorf("a test to %s: %v", name, err)
		}
	}
	if got = inbox.Took(); len(got) != 1 || !strings.Contains(got[0], "Nothing is wrong.") {
		t.Errorf("the test: %q", got)
	}
	inbox.Close()
	step(120, a, down("c"), ticket)
	if is = s.Places(); is[0].Waiting != 1 || !strings.Contains(is[0].Trouble, mail.ErrServer.Error()) {
		t.Errorf("a server that is down: %+v", is)
	}
	if _, err := NewSender(Config{Mail: []string{"anna@example.org"}}, nil, time.Now); err == nil {
		t.Error("without a server there is a sender")
	}
	// A password that cannot be read is shown before the first alert.
	m = &mail.Mailer{Server: inbox.Addr(), From: "deich@example.org", User: "deich", PasswordFile: filepath.Join(t.TempDir(), "password")}
	if s, err = NewSender(Config{Mail: []string{"anna@example.org"}}, m, time.Now); err != nil || !strings.Contains(s.Places()[0].Trouble, "no such file") {
		t.Errorf("%v, %+v", err, s)
	}
	for _, bad := range []string{"", "anna", "Anna <anna@example.org>", "a@example.org,b@example.org"} {
		if len(Config{Mail: []string{bad}}.Validate()) != 1 {
			t.Errorf("%q passes", bad)
		}
	}
}

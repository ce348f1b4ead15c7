package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/deichproject/deich/desk/mail"
)

// Sender tells places what is news. It is safe for concurrent use.
type Sender struct {
	client *http.Client
	now    func() time.Time

	mu     sync.Mutex
	book   Book
	places []*place
}

// place is one webhook, Alertmanager or e-mail address.
type place struct {
	name    string // without what may be secret in its address
	send    func(context.Context, []Alert) error
	renews  bool // it forgets what it is not told again and again
	pending []Alert
	since   time.Time // when the oldest of them came
	next    time.Time // not before
	wait    time.Duration
	busy    bool

	sent, lost uint64
	trouble    string
}

// Place is how one of them does.
type Place struct {
	Name    string `json:"name"`
	Waiting int    `json:"waiting"`           // alerts it is still to be told
	Sent    uint64 `json:"sent"`              // messages it took
	Lost    uint64 `json:"lost"`              // alerts it will not hear of: too many waited
	Trouble string `json:"trouble,omitempty"` // why the last try failed
}

// NewSender makes one for the places of a configuration that is right; m sends
// e-mail, and may be nil where nobody is told by it.
func NewSender(c Config, m *mail.Mailer, now func() time.Time) (*Sender, error) {
	s := &Sender{client: newClient(), now: now}
	for _, list := range []struct {
		kind, path string
		addresses  []string
		body       func([]Alert) any
		renews     bool
	}{
		{"webhook", "", c.Webhooks, func(a []Alert) any { return webhookBody(a, false) }, false},
		{"alertmanager", "/api/v2/alerts", c.Alertmanagers, managerBody, true},
	} {
		for _, a := range list.addresses {
			u, err := readAddress(a)
			if err != nil {
				return nil, fmt.Errorf("alert: %s: %w", list.kind, err)
			}
			to := *u
			if list.path != "" {
				to.Path = strings.TrimSuffix(to.Path, "/") + list.path
			}
			s.places = append(s.places, &place{
				name: list.kind + " " + u.Scheme + "://" + u.Host, renews: list.renews,
				send: func(ctx context.Context, all []Alert) error { return s.post(ctx, to.String(), list.body(all)) },
			})
		}
	}
	if len(c.Mail) > 0 && m == nil {
		return nil, errors.New("alert: mail: the server that sends it is missing")
	}
	trouble := ""
	if len(c.Mail) > 0 {
		if err := m.Ready(); err != nil {
			trouble = err.Error()
		}
	}
	for _, to := range c.Mail {
		s.places = append(s.places, &place{
			name: "mail " + to, trouble: trouble,
			send: func(ctx context.Context, all []Alert) error {
				ctx, cancel := context.WithTimeout(ctx, sendWait)
				defer cancel()
				return m.Send(ctx, []mail.Letter{letter(to, all)})[0]
			},
		})
	}
	return s, nil
}

// newClient follows nothing and nobody: no redirect, no proxy from the
// environment, no address that only this machine's own network gives out, as
// the clouds' one with their secrets is.
func newClient() *http.Client {
	dial := net.Dialer{Timeout: sendWait, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		a := at.Addr().Unmap()
		if a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
			return fmt.Errorf("%s is no place to tell alerts to", a)
		}
		return nil
	}}
	return &http.Client{
		Timeout:       sendWait,
		Transport:     &http.Transport{DialContext: dial.DialContext, TLSHandshakeTimeout: sendWait, MaxResponseHeaderBytes: answerMax, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends JSON; its errors do not repeat the address.
func (s *Sender) post(ctx context.Context, to string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(text))
	if err != nil {
		return errors.New("its address is none")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "deich")
	a, err := s.client.Do(r)
	if err != nil {
		var told *url.Error
		if errors.As(err, &told) {
			err = told.Err
		}
		return err
	}
	defer a.Body.Close()
	io.Copy(io.Discard, io.LimitReader(a.Body, answerMax))
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", a.Status)
	}
	return nil
}

// sentence says what an alert is, behind the word that says whom it needs.
func (a *Alert) sentence() string {
	if !a.Ended.IsZero() {
		return "OVER: " + a.Text
	}
	return strings.ToUpper(string(a.Severity)) + ": " + a.Text
}

// letter is what an address gets. Its subject is the first alert's sentence, a
// page's where there is one.
func letter(to string, all []Alert) mail.Letter {
	first, takes := &all[0], false
	var text strings.Builder
	for i := range all {
		a := &all[i]
		if page := a.Severity == Page && a.Ended.IsZero(); page {
			if !takes {
				first = a
			}
			takes = true
		}
		fmt.Fprintf(&text, "%s\n%s\nSince %s", a.sentence(), a.German, a.Since.UTC().Format("2006-01-02 15:04:05 UTC"))
		if !a.Ended.IsZero() {
			fmt.Fprintf(&text, " until %s", a.Ended.UTC().Format("2006-01-02 15:04:05 UTC"))
		}
		fmt.Fprintf(&text, ". Its name: %s\n\n", a.Key())
	}
	if takes {
		text.WriteString("A page is told again after an hour, unless somebody takes it on: on the console, or by deich alert take NAME.\n")
	}
	subject := "Deich: " + first.sentence()
	if more := len(all) - 1; more > 0 {
		subject += fmt.Sprintf(" (and %d more)", more)
	}
	return mail.Letter{To: to, Subject: subject, Text: text.String()}
}

// webhookBody is what a webhook gets.
func webhookBody(all []Alert, test bool) any {
	var lines []string
	for i := range all {
		lines = append(lines, all[i].sentence())
	}
	return struct {
		Text   string  `json:"text"`
		Test   bool    `json:"test,omitempty"`
		Alerts []Alert `json:"alerts"`
	}{"Deich: " + strings.Join(lines, "\n"), test, all}
}

// managerBody is what version 2 of Alertmanager's API takes.
func managerBody(all []Alert) any {
	type one struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		Starts      time.Time         `json:"startsAt"`
		Ends        time.Time         `json:"endsAt,omitzero"`
	}
	out := make([]one, 0, len(all))
	for _, a := range all {
		labels := map[string]string{"alertname": a.Name, "severity": string(a.Severity), "job": "deich"}
		if a.Origin != "" {
			labels["origin"] = a.Origin
		}
		out = append(out, one{labels, map[string]string{"summary": a.Text}, a.Since, a.Ended})
	}
	return out
}

// See takes in what is so now; what is news goes out from Run.
func (s *Sender) See(now time.Time, is []Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.book.See(now, is) {
		for _, p := range s.places {
			p.add(a, now)
		}
	}
}

// add puts an alert among those that a place is to be told; an older word about
// the same one is worth nothing any more. The sender's lock is held.
func (p *place) add(a Alert, now time.Time) {
	for i := range p.pending {
		if p.pending[i].Key() == a.Key() {
			p.pending[i] = a
			return
		}
	}
	if len(p.pending) == 0 {
		p.since = now
	}
	if len(p.pending) >= pendingMax {
		p.pending = p.pending[1:]
		p.lost++
	}
	p.pending = append(p.pending, a)
}

// Run tells the places until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	each := time.NewTicker(time.Second)
	defer each.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-each.C:
		}
		for _, p := range s.places {
			if all := s.due(p); len(all) > 0 {
				sending.Go(func() { s.done(p, all, p.send(ctx, all)) })
			}
		}
	}
}

// due gives what a place is to be told now.
func (s *Sender) due(p *place) []Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if p.busy || now.Before(p.next) {
		return nil
	}
	if p.renews {
		for _, a := range s.book.Active() {
			p.add(a, now.Add(-groupFor))
		}
	}
	if len(p.pending) == 0 || now.Sub(p.since) < groupFor {
		return nil
	}
	all := p.pending
	p.pending, p.busy = nil, true
	return all
}

func (s *Sender) done(p *place, all []Alert, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	p.busy = false
	if err == nil {
		p.sent++
		p.trouble, p.wait = "", spaceBetween
	} else {
		p.trouble = err.Error()
		p.wait = min(max(2*p.wait, spaceBetween), retryMax)
		newer := p.pending
		p.pending, p.since = all, now.Add(-groupFor)
		for _, a := range newer {
			p.add(a, now)
		}
	}
	p.next = now.Add(p.wait)
}

// Test sends every place a message that says that it is one, at once, and gives
// what came of it by the place's name; nil: it took it.
func (s *Sender) Test(ctx context.Context) map[string]error {
	now := s.now()
	test := Alert{Name: "test", Severity: Ticket, Text: "This is a test. Nothing is wrong.", German: "Das ist eine Probe. Es ist nichts.", Since: now, Ended: now.Add(time.Minute)}
	out := make(map[string]error, len(s.places))
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, p := range s.places {
		all.Go(func() {
			err := p.send(ctx, []Alert{test})
			mu.Lock()
			defer mu.Unlock()
			out[p.name] = err
		})
	}
	all.Wait()
	return out
}

// Active gives what was told and has not ended.
func (s *Sender) Active() []Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.Active()
}

// Take notes who takes care of an alert; false where there is none of that key.
func (s *Sender) Take(key, by string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.Take(key, by)
}

// Tells says whether there is anybody to tell.
func (s *Sender) Tells() bool { return len(s.places) > 0 }

// Places says how each place does.
func (s *Sender) Places() []Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Place{}
	for _, p := range s.places {
		all = append(all, Place{p.name, len(p.pending), p.sent, p.lost, p.trouble})
	}
	return all
}

package status

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/mail"
)

// notice is what one subscriber is told.
type notice struct {
	kind, target, lang string
	subject, text      string
	updates            []noticeUpdate
	until              time.Time // the newest update in it
	leave              string    // the link
	err                error
}

type noticeUpdate struct {
	Incident string        `json:"incident"`
	At       time.Time     `json:"at"`
	Life     incident.Life `json:"life"`
	Text     incident.Text `json:"text"`
	Also     incident.Also `json:"also,omitempty"`
}

// errGone says that a webhook does not want to be told any more.
var errGone = errors.New("it is gone")

// noticeFor gives what is new to one, or nil; s.mu is held.
func (s *Subscribers) noticeFor(d *Document, one *subscriber) *notice {
	if s.now().Before(one.Next) {
		return nil
	}
	n := &notice{kind: one.Kind, target: one.Target, lang: one.Lang, leave: s.link(wish{Do: "leave", Kind: one.Kind, Target: one.Target, Lang: one.Lang})}
	var text strings.Builder
	all := d.updatesSince(one.Told)
	if len(all) == 0 {
		return nil
	}
	if len(all) > noticeUpdates {
		all = all[len(all)-noticeUpdates:]
	}
	for _, u := range all {
		n.updates = append(n.updates, u)
		said, _ := u.Also.In(one.Lang, u.Text)
		fmt.Fprintf(&text, "%s · %s\n%s\n\n", incident.DayClock(u.At, s.o.Zone).In(one.Lang), incident.LifeName(u.Life).In(one.Lang), said)
	}
	last := all[len(all)-1]
	n.until = last.At
	n.subject = fmt.Sprintf("%s: %s (%s)", wordsIn(one.Lang).Title, incident.LifeName(last.Life).In(one.Lang), last.Incident)
	n.text = text.String() + s.o.URL + "\n"
	return n
}

// updatesSince gives all later ones, the oldest first.
func (d *Document) updatesSince(t time.Time) (all []noticeUpdate) {
	for _, e := range d.entries("en", "") {
		if e.at.After(t) {
			all = append([]noticeUpdate{{e.incident, e.at, e.life, e.told, e.also}}, all...)
		}
	}
	return all
}

// mailAll sends letters in one session, and writes down with each how it went.
func (s *Subscribers) mailAll(ctx context.Context, all []*notice) {
	letters := make([]mail.Letter, len(all))
	for i, n := range all {
		w := subscribeWordsIn(n.lang)
		letters[i] = mail.Letter{To: n.target, Subject: n.subject, Text: n.text + "\n" + w.Why + "\n" + n.leave + "\n", Leave: n.leave}
	}
	for i, err := range s.o.Mail.Send(ctx, letters) {
		all[i].err = err
	}
}

// postAll posts to webhooks, some at once, and writes down with each how it went.
func (s *Subscribers) postAll(ctx context.Context, all []*notice) {
	room := make(chan struct{}, hooksAtOnce)
	var sending sync.WaitGroup
	for _, n := range all {
		room <- struct{}{}
		sending.Go(func() {
			n.err = s.hook.post(ctx, n.target, map[string]any{"type": "updates", "text": n.text, "page": s.o.URL, "updates": n.updates, "leave": n.leave})
			<-room
		})
	}
	sending.Wait()
}

func (s *Subscribers) sendConfirmation(kind, target, lang, link string) error {
	ctx, cancel := context.WithTimeout(s.ending, confirmWait)
	defer cancel()
	w := subscribeWordsIn(lang)
	if kind == byMail {
		return s.o.Mail.Send(ctx, []mail.Letter{{To: target, Subject: w.AskSubject, Text: fmt.Sprintf(w.AskText, s.o.URL, link)}})[0]
	}
	return s.hook.post(ctx, target, map[string]any{"type": "confirm", "text": fmt.Sprintf(w.AskText, s.o.URL, link), "page": s.o.URL, "confirm": link})
}

// hook posts to public addresses alone, whatever a name leads to.
type hook struct {
	client   *http.Client
	loopback bool
}

func newHook(loopback bool) *hook {
	h := &hook{loopback: loopback}
	dialer := &net.Dialer{Timeout: hookWait, Control: func(_, address string, _ syscall.RawConn) error {
		// This is the address that is connected to, after all names are resolved.
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return h.reachable(a)
	}}
	h.client = &http.Client{
		Timeout:       hookWait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: hookWait, MaxResponseHeaderBytes: hookAnswerMax},
	}
	return h
}

var errNotPublic = errors.New("the address is not public")

// notPublic are prefixes that net/netip does not call private, and that lead
// nowhere in public, or elsewhere than they say.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

var globalV6 = netip.MustParsePrefix("2000::/3")

// onInternet says whether an address is one of the public Internet.
func onInternet(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" || a.Is6() && !globalV6.Contains(a) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

func (h *hook) reachable(a netip.AddrPort) error {
	if h.loopback && a.Addr().IsLoopback() {
		return nil
	}
	if !onInternet(a.Addr()) {
		return errNotPublic
	}
	return port(int(a.Port()))
}

// port refuses those where something else than a web server is likely.
func port(n int) error {
	if n != 80 && n != 443 && n < 1024 {
		return errors.New("the port is not one of a web server")
	}
	return nil
}

// allowed says what is wrong with an address before anything is sent.
func (h *hook) allowed(u *url.URL) error {
	if u.Scheme != "https" && (u.Scheme != "http" || !h.loopback) || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return errors.New("https://host/path is wanted")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !onInternet(a) && !(h.loopback && a.IsLoopback()) {
		return errNotPublic
	}
	if text := u.Port(); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		return port(n)
	}
	return nil
}

// nameless is an error without the address, which is a subscriber's: not for a log.
func nameless(err error) error {
	var at *url.Error
	var looking *net.DNSError
	var over *net.OpError
	var shown *tls.CertificateVerificationError
	switch {
	case errors.As(err, &looking):
		return errors.New(looking.Err)
	case errors.As(err, &over):
		return over.Err
	case errors.As(err, &shown):
		return errors.New("its certificate is not valid")
	case errors.As(err, &at):
		return at.Err
	}
	return err
}

// post sends a value; an answer of 2xx is success.
func (h *hook) post(ctx context.Context, target string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	u, err := url.Parse(target)
	if err == nil {
		err = h.allowed(u)
	}
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(b))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", "deich-status")
	a, err := h.client.Do(q)
	if err != nil {
		return nameless(err)
	}
	defer a.Body.Close()
	io.CopyN(io.Discard, a.Body, hookAnswerMax)
	switch {
	case a.StatusCode == http.StatusGone:
		return errGone
	case a.StatusCode < 200 || a.StatusCode > 299:
		return fmt.Errorf("it answered %d", a.StatusCode)
	}
	return nil
}

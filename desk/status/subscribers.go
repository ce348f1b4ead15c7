package status

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/deichproject/deich/desk/mail"
	"golang.org/x/net/publicsuffix"
)

// The files of subscriptions in the data folder, for their owner alone.
const (
	subscribersFile = "subscribers.json"
	subscribeKey    = "subscribe.key"
)

// What a subscriber is told by.
const (
	byMail    = "mail"
	byWebhook = "webhook"
)

// SubscribeOptions say how the public can be told of updates.
type SubscribeOptions struct {
	URL      string       // where the public finds the page; links in messages begin with it
	Mail     *mail.Mailer // nil: not by e-mail
	Webhooks bool         // by webhook
	Warn     func(string) // what is worth an operator's look, a sentence each
	Zone     *time.Location
	loopback bool // webhooks may go to this machine: for tests
}

// Subscribers are those who want to be told, and who was asked whether they do.
// They are safe for concurrent use.
type Subscribers struct {
	o    SubscribeOptions
	dir  string
	key  []byte
	own  string // the domain that letters come from
	hook *hook
	now  func() time.Time
	each time.Duration // between two looks at the page's file
	room chan struct{} // confirmations that are being sent
	all  sync.WaitGroup

	ending context.Context // what is being sent to who was asked ends with it
	end    context.CancelFunc

	mu   sync.Mutex
	list []*subscriber
	sent []confirmation // within the last day, the oldest first
	mute bool           // the mail server took nothing the last time
}

type subscriber struct {
	Kind   string    `json:"kind"`
	Target string    `json:"target"`
	Lang   string    `json:"lang"`
	Since  time.Time `json:"since"`
	Told   time.Time `json:"told"`            // of updates up to then
	Fails  int       `json:"fails,omitempty"` // since the last that went well
	Next   time.Time `json:"next,omitzero"`   // not before
}

// confirmation was sent; whom to is a keyed hash, since most never wanted one.
type confirmation struct {
	At   time.Time `json:"at"`
	Whom string    `json:"whom"`
	Near string    `json:"host"` // what is bounded together: a host's webhooks, a domain's mailboxes; "": nothing
	from string    // the network that asked, for an hour and in memory alone; "": none that is bounded
}

type subscribersForm struct {
	List []*subscriber  `json:"subscribers"`
	Sent []confirmation `json:"confirmations"`
}

var (
	errTarget = errors.New("status: subscribe: no such address can be told")
	errBusy   = errors.New("status: subscribe: too many want to be told now")
	errLink   = errors.New("status: subscribe: the link is not valid, or not any more")
)

// CheckURL says what is wrong with where the public finds the page, which links in
// messages begin with.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("status: subscribe: %q: where the public finds the page has to be known, as in https://status.example.org/", text)
	}
	return nil
}

// OpenSubscribers reads those of a data folder. Nobody else may have them open.
func OpenSubscribers(dir string, o SubscribeOptions) (*Subscribers, error) {
	err := CheckURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.URL = strings.TrimSuffix(o.URL, "/") + "/"; o.Mail == nil && !o.Webhooks {
		return nil, errors.New("status: subscribe: neither by e-mail nor by webhook")
	}
	s := &Subscribers{o: o, dir: dir, now: time.Now, each: tellEvery, room: make(chan struct{}, confirmingMax), hook: newHook(o.loopback)}
	s.ending, s.end = context.WithCancel(context.Background())
	if o.Mail != nil {
		_, host, _ := strings.Cut(strings.ToLower(o.Mail.From), "@")
		s.own = registered(host)
	}
	if s.key, err = openKey(filepath.Join(dir, subscribeKey)); err != nil {
		return nil, fmt.Errorf("status: subscribe: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, subscribersFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	var form subscribersForm
	if err == nil {
		err = json.Unmarshal(b, &form)
	}
	if err != nil {
		return nil, fmt.Errorf("status: subscribe: %s: %w", subscribersFile, err)
	}
	s.list, s.sent = slices.DeleteFunc(form.List, func(one *subscriber) bool { return one == nil }), form.Sent
	return s, nil
}

func openKey(name string) ([]byte, error) {
	key, err := os.ReadFile(name)
	if err == nil && len(key) != 32 {
		err = fmt.Errorf("%s: 32 bytes are wanted", name)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, 32)
	rand.Read(key) // cannot fail
	return key, writeOwn(name, key)
}

// writeOwn writes a file for its owner alone, as a whole, and synced.
func writeOwn(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// save writes everything down that is still needed; s.mu is held.
func (s *Subscribers) save() error {
	s.forget()
	b, err := json.Marshal(subscribersForm{s.list, s.sent})
	if err == nil {
		err = writeOwn(filepath.Join(s.dir, subscribersFile), b)
	}
	if err != nil {
		return fmt.Errorf("status: subscribe: %w", err)
	}
	return nil
}

// forget drops what is not needed any more of who was asked, and says whether that
// stands on disk; s.mu is held.
func (s *Subscribers) forget() bool {
	now, before := s.now(), len(s.sent)
	s.sent = slices.DeleteFunc(s.sent, func(c confirmation) bool { return now.Sub(c.At) >= confirmEvery })
	for i := range s.sent {
		if now.Sub(s.sent[i].At) >= time.Hour {
			s.sent[i].from = ""
		}
	}
	return len(s.sent) < before
}

// tidy forgets in time, also where nobody asks and nobody is told.
func (s *Subscribers) tidy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forget() {
		if err := s.save(); err != nil {
			s.o.Warn(err.Error())
		}
	}
}

// wish is what somebody wants, as links carry it, sealed.
type wish struct {
	Do     string `json:"d"` // confirm or leave
	Kind   string `json:"k"`
	Target string `json:"t"`
	Lang   string `json:"l"`
	Until  int64  `json:"u,omitempty"` // Unix seconds; 0: for ever
}

func (s *Subscribers) seal(w wish) string {
	b, err := json.Marshal(w)
	if err != nil {
		panic(err) // text alone: it cannot
	}
	text := base64.RawURLEncoding.EncodeToString(b)
	return text + "." + base64.RawURLEncoding.EncodeToString(s.mac(text))
}

func (s *Subscribers) mac(text string) []byte {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// open gives what a link carries.
func (s *Subscribers) open(token, do string) (w wish, err error) {
	text, sum, ok := strings.Cut(token, ".")
	is, err := base64.RawURLEncoding.DecodeString(sum)
	if !ok || err != nil || !hmac.Equal(is, s.mac(text)) {
		return w, errLink
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &w) != nil || w.Do != do || w.Until != 0 && s.now().Unix() > w.Until {
		return w, errLink
	}
	return w, nil
}

// link is where a wish is confirmed.
func (s *Subscribers) link(w wish) string { return s.o.URL + w.Do + "?t=" + s.seal(w) }

// address is where somebody wants to be told.
type address struct {
	kind, target string
	whom         string // what counts as one with it: the mailbox, or the path of the webhook
	near         string // what is bounded together; "": nothing
	domain       string // whose it is; "": many people's who do not know each other
}

// address reads one.
func (s *Subscribers) address(kind, text string) (address, error) {
	text = strings.TrimSpace(text)
	if len(text) > subscribeTargetMax {
		return address{}, errTarget
	}
	for _, c := range text {
		if c <= ' ' || c > '~' {
			return address{}, errTarget
		}
	}
	switch {
	case kind == byMail && s.o.Mail != nil:
		if !mail.Plain(text) {
			return address{}, errTarget
		}
		at := strings.LastIndexByte(text, '@')
		local, host := strings.ToLower(text[:at]), strings.ToLower(text[at+1:])
		if !strings.Contains(host, ".") {
			return address{}, errTarget
		}
		// The same mailbox nearly everywhere, and at some large providers. Elsewhere
		// somebody may have to ask again a day later.
		local, _, _ = strings.Cut(local, "+")
		local = strings.ReplaceAll(local, ".", "")
		domain := s.domainOf(byMail, host)
		return address{kind, text[:at+1] + host, local + "@" + host, domain, domain}, nil
	case kind == byWebhook && s.o.Webhooks:
		u, err := url.Parse(text)
		if err != nil || s.hook.allowed(u) != nil {
			return address{}, errTarget
		}
		host := hostOf(byWebhook, text)
		return address{kind, u.String(), host + u.Path, host, s.domainOf(byWebhook, host)}, nil
	}
	return address{}, errTarget
}

// hostOf gives the host of a target.
func hostOf(kind, target string) string {
	if kind == byMail {
		return strings.ToLower(target[strings.LastIndexByte(target, '@')+1:])
	}
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// domainOf gives whose a host is, or "" where many people have their mailboxes who
// do not know each other: at a known provider, and at the operator's own, which is
// often the platform's users' too.
func (s *Subscribers) domainOf(kind, host string) string {
	if kind == byMail && providers[host] {
		return ""
	}
	domain := registered(host)
	if kind == byMail && domain == s.own {
		return ""
	}
	return domain
}

// registered gives the domain that somebody registered a host with, lest one be
// many by names beneath it; of a plain address its network.
func registered(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return network(a)
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}

// network gives the network of an address, /24 or /48.
func network(a netip.Addr) string {
	a = a.Unmap()
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p.String()
}

// hashed gives a keyed hash; a sealed text has no space, so it is none of a link.
func (s *Subscribers) hashed(of, text string) string {
	return hex.EncodeToString(s.mac(of + " " + text)[:16])
}

// ask sends a confirmation to an address that somebody says is theirs. Where
// one was sent before, nothing is, and nobody is told which it was. from asks.
func (s *Subscribers) ask(kind, text, lang string, from netip.Addr) error {
	a, err := s.address(kind, text)
	if err != nil {
		return err
	}
	select {
	case s.room <- struct{}{}:
	default:
		return errBusy
	}
	send, err := s.may(a, from)
	if !send {
		<-s.room
		return err
	}
	s.all.Go(func() {
		defer func() { <-s.room }()
		link := s.link(wish{"confirm", kind, a.target, lang, s.now().Add(linkFor).Unix()})
		if err := s.sendConfirmation(kind, a.target, lang, link); err != nil {
			s.o.Warn(fmt.Sprintf("a confirmation could not be sent by %s: %s", kind, brief(err)))
		}
	})
	return nil
}

// brief is an error without a mail server's own words, which mostly repeat the
// address: that is not for a log.
func brief(err error) string {
	var said *textproto.Error
	switch {
	case !errors.As(err, &said):
		return err.Error()
	case errors.Is(err, mail.ErrServer):
		return fmt.Sprintf("%v: it answered %d", mail.ErrServer, said.Code)
	}
	return fmt.Sprintf("it answered %d", said.Code)
}

// may says whether a confirmation may be sent, and writes it down before it is: one
// a day for each mailbox, so many for each host or domain, for each network that
// asks, and in all. Whoever asks from no public address comes through a proxy, as all
// others do: that network is not bounded.
func (s *Subscribers) may(a address, from netip.Addr) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	one, nearMax := confirmation{At: s.now(), Whom: s.hashed(a.kind, a.whom)}, confirmsADomain
	if a.near != "" {
		one.Near = s.hashed(a.kind+" of", a.near)
	}
	if a.kind == byWebhook {
		nearMax = confirmsAHost
	}
	if onInternet(from) {
		one.from = s.hashed("from", network(from))
	}
	all, near, here, asked := 0, 0, 0, false
	for _, c := range s.sent {
		lately := one.At.Sub(c.At) < time.Hour
		if lately {
			all++
		}
		if one.Near != "" && c.Near == one.Near && (lately || a.kind == byWebhook) {
			near++
		}
		if one.from != "" && c.from == one.from {
			here++
		}
		asked = asked || c.Whom == one.Whom
	}
	switch {
	case all >= confirmsAnHour || near >= nearMax || here >= confirmsANetwork:
		return false, errBusy
	case asked:
		return false, nil
	case s.full(a.domain):
		return false, errBusy
	}
	s.sent = append(s.sent, one)
	if err := s.save(); err != nil {
		s.sent = s.sent[:len(s.sent)-1]
		return false, err
	}
	return true, nil
}

// full says whether nobody more of a domain is taken in; s.mu is held.
func (s *Subscribers) full(domain string) bool {
	there := 0
	for _, one := range s.list {
		if domain != "" && s.domainOf(one.Kind, hostOf(one.Kind, one.Target)) == domain {
			there++
		}
	}
	return len(s.list) >= subscribersMax || there >= subscribersADomain
}

// confirm takes in who followed the link.
func (s *Subscribers) confirm(token string) error {
	w, err := s.open(token, "confirm")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, one := range s.list {
		if one.Kind == w.Kind && one.Target == w.Target {
			one.Lang = w.Lang
			return s.save()
		}
	}
	if s.full(s.domainOf(w.Kind, hostOf(w.Kind, w.Target))) {
		return errBusy
	}
	s.list = append(s.list, &subscriber{Kind: w.Kind, Target: w.Target, Lang: w.Lang, Since: now, Told: now})
	if err := s.save(); err != nil {
		s.list = s.list[:len(s.list)-1]
		return err
	}
	return nil
}

// leave lets go who followed the link in a message.
func (s *Subscribers) leave(token string) error {
	w, err := s.open(token, "leave")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(w.Kind, w.Target)
	return s.save()
}

// drop forgets one; s.mu is held.
func (s *Subscribers) drop(kind, target string) {
	s.list = slices.DeleteFunc(s.list, func(one *subscriber) bool { return one.Kind == kind && one.Target == target })
}

// kinds are those that the public is told by.
func (s *Subscribers) kinds() (all []string) {
	if s.o.Mail != nil {
		all = append(all, byMail)
	}
	if s.o.Webhooks {
		all = append(all, byWebhook)
	}
	return all
}

// Run tells subscribers what is new on the page until ctx ends: each kind by
// itself, since a thousand slow webhooks take minutes, and letters one session.
func (s *Subscribers) Run(ctx context.Context) {
	var telling sync.WaitGroup
	for _, kind := range s.kinds() {
		telling.Go(func() {
			s.repeat(ctx, func() {
				if d, err := Read(s.dir); err == nil {
					s.tell(ctx, d, kind)
				}
			})
		})
	}
	telling.Go(func() { s.repeat(ctx, s.tidy) })
	telling.Wait()
	defer time.AfterFunc(drainWait, s.end).Stop()
	s.all.Wait()
}

func (s *Subscribers) repeat(ctx context.Context, do func()) {
	each := time.NewTicker(s.each)
	defer each.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-each.C:
			do()
		}
	}
}

// tell sends each subscriber of a kind all that is new to them, in one message.
func (s *Subscribers) tell(ctx context.Context, d *Document, kind string) {
	var due []*notice
	s.mu.Lock()
	for _, one := range s.list {
		if one.Kind != kind {
			continue
		}
		if n := s.noticeFor(d, one); n != nil {
			due = append(due, n)
		}
	}
	s.mu.Unlock()
	if len(due) == 0 {
		return
	}
	if kind == byMail {
		s.mailAll(ctx, due)
	} else {
		s.postAll(ctx, due)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var down error // the mail server takes nothing
	for _, n := range due {
		if n.err != nil && ctx.Err() != nil {
			continue // nobody's failure: it was ended
		}
		s.took(n)
		if errors.Is(n.err, mail.ErrServer) {
			down = n.err
		}
	}
	if kind == byMail {
		if down != nil && !s.mute {
			s.o.Warn("subscribers by e-mail are not told, it is tried again: " + brief(down))
		}
		s.mute = down != nil
	}
	if err := s.save(); err != nil {
		s.o.Warn(err.Error())
	}
}

// took writes down how telling one went; s.mu is held. It is looked up again,
// since it may have left meanwhile.
func (s *Subscribers) took(n *notice) {
	at := slices.IndexFunc(s.list, func(one *subscriber) bool { return one.Kind == n.kind && one.Target == n.target })
	if at < 0 {
		return
	}
	one, now := s.list[at], s.now()
	switch {
	case n.err == nil:
		one.Told, one.Fails, one.Next = n.until, 0, now.Add(noticeEvery)
	case errors.Is(n.err, errGone):
		s.drop(n.kind, n.target)
	case errors.Is(n.err, mail.ErrServer):
		one.Next = now.Add(noticeEvery)
	default:
		one.Fails++
		one.Next = now.Add(min(noticeEvery<<min(one.Fails, 10), noticeRetryMost))
		if one.Fails >= noticeFailsMax {
			s.drop(n.kind, n.target)
			s.o.Warn(fmt.Sprintf("a subscriber by %s is given up after %d failures: %s", n.kind, one.Fails, brief(n.err)))
		}
	}
}

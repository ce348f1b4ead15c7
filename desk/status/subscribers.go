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
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/deichproject/deich/desk/mail"
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
	hook *hook
	now  func() time.Time
	room chan struct{} // confirmations that are being sent
	all  sync.WaitGroup

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

// confirmation was sent; whom to is a hash, since most never wanted one.
type confirmation struct {
	At   time.Time `json:"at"`
	Whom string    `json:"whom"`
	Host string    `json:"host"`
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

// OpenSubscribers reads those of a data folder. Nobody else may have them open.
func OpenSubscribers(dir string, o SubscribeOptions) (*Subscribers, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("status: subscribe: %q: where the public finds the page has to be known, as in https://status.example.org/", o.URL)
	}
	if o.URL = strings.TrimSuffix(o.URL, "/") + "/"; o.Mail == nil && !o.Webhooks {
		return nil, errors.New("status: subscribe: neither by e-mail nor by webhook")
	}
	s := &Subscribers{o: o, dir: dir, now: time.Now, room: make(chan struct{}, confirmingMax), hook: newHook(o.loopback)}
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

// save writes everything down; s.mu is held.
func (s *Subscribers) save() error {
	b, err := json.Marshal(subscribersForm{s.list, s.sent})
	if err == nil {
		err = writeOwn(filepath.Join(s.dir, subscribersFile), b)
	}
	if err != nil {
		return fmt.Errorf("status: subscribe: %w", err)
	}
	return nil
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

// target reads an address to tell, and gives its form that counts as one, and
// the host behind it.
func (s *Subscribers) target(kind, text string) (target, whom, host string, err error) {
	text = strings.TrimSpace(text)
	if len(text) > subscribeTargetMax {
		return "", "", "", errTarget
	}
	for _, c := range text {
		if c <= ' ' || c > '~' {
			return "", "", "", errTarget
		}
	}
	switch {
	case kind == byMail && s.o.Mail != nil:
		if !mail.Plain(text) {
			return "", "", "", errTarget
		}
		at := strings.LastIndexByte(text, '@')
		local, host := strings.ToLower(text[:at]), strings.ToLower(text[at+1:])
		if !strings.Contains(host, ".") {
			return "", "", "", errTarget
		}
		local, _, _ = strings.Cut(local, "+") // the same mailbox, nearly everywhere
		return text[:at+1] + host, local + "@" + host, "", nil
	case kind == byWebhook && s.o.Webhooks:
		u, err := url.Parse(text)
		if err != nil || s.hook.allowed(u) != nil {
			return "", "", "", errTarget
		}
		host := strings.ToLower(u.Hostname())
		return u.String(), host + u.Path, host, nil
	}
	return "", "", "", errTarget
}

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// ask sends a confirmation to an address that somebody says is theirs: one a day
// for each, confirmsAHost for each host of webhooks, confirmsAnHour in all. Where
// one was sent before, nothing is, and nobody is told which it was.
func (s *Subscribers) ask(kind, text, lang string) error {
	target, whom, host, err := s.target(kind, text)
	if err != nil {
		return err
	}
	select {
	case s.room <- struct{}{}:
	default:
		return errBusy
	}
	send, err := s.may(hashed(kind+" "+whom), hashed(host), host != "")
	if !send {
		<-s.room
		return err
	}
	s.all.Go(func() {
		defer func() { <-s.room }()
		link := s.link(wish{"confirm", kind, target, lang, s.now().Add(linkFor).Unix()})
		if err := s.sendConfirmation(kind, target, lang, link); err != nil {
			s.o.Warn(fmt.Sprintf("a confirmation could not be sent by %s: %v", kind, err))
		}
	})
	return nil
}

// may says whether a confirmation may be sent, and writes it down before it is.
func (s *Subscribers) may(whom, host string, hosted bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.sent = slices.DeleteFunc(s.sent, func(c confirmation) bool { return now.Sub(c.At) >= confirmEvery })
	lately, there := 0, 0
	for _, c := range s.sent {
		if c.Whom == whom {
			return false, nil
		}
		if now.Sub(c.At) < time.Hour {
			lately++
		}
		if hosted && c.Host == host {
			there++
		}
	}
	if lately >= confirmsAnHour || there >= confirmsAHost || len(s.list) >= subscribersMax {
		return false, errBusy
	}
	s.sent = append(s.sent, confirmation{now, whom, host})
	return true, s.save()
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
	if len(s.list) >= subscribersMax {
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

// Run tells subscribers what is new on the page until ctx ends.
func (s *Subscribers) Run(ctx context.Context) {
	each := time.NewTicker(tellEvery)
	defer each.Stop()
	defer s.all.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-each.C:
			if d, err := Read(s.dir); err == nil {
				s.tell(ctx, d)
			}
		}
	}
}

// tell sends each subscriber all that is new to them, in one message.
func (s *Subscribers) tell(ctx context.Context, d *Document) {
	var due []*notice
	s.mu.Lock()
	for _, one := range s.list {
		if n := s.noticeFor(d, one); n != nil {
			due = append(due, n)
		}
	}
	s.mu.Unlock()
	if len(due) == 0 {
		return
	}
	s.deliver(ctx, due)
	s.mu.Lock()
	defer s.mu.Unlock()
	mute := false
	for _, n := range due {
		s.took(n)
		if errors.Is(n.err, mail.ErrServer) {
			if mute = true; !s.mute {
				s.o.Warn(fmt.Sprintf("subscribers by e-mail are not told, it is tried again: %v", n.err))
				s.mute = true
			}
		}
	}
	s.mute = mute
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
			s.o.Warn(fmt.Sprintf("a subscriber by %s is given up after %d failures: %v", n.kind, one.Fails, n.err))
		}
	}
}

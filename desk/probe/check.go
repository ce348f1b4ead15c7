package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Check is one thing to look at: an address of the kinds http, https, tcp, tls
// and dns, and the name under which people know what stands there.
type Check struct {
	Name   string
	Target string
	url    *url.URL
}

// Parse reads [NAME=]ADDRESS. Addresses are https://host/path, http://…,
// tcp://host:port, tls://host:port, and dns:name or dns://server/name
// (RFC 4501). Without a name it is the host's.
func Parse(text string) (Check, error) {
	c := Check{Target: text}
	if name, rest, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(name, ":/") {
		c.Name, c.Target = name, rest
	}
	u, err := url.Parse(c.Target)
	if err != nil || len(c.Target) > targetMax {
		return c, fmt.Errorf("probe: %q is no address", c.Target)
	}
	c.url = u
	host := u.Hostname()
	switch u.Scheme {
	case "http", "https":
	case "tcp", "tls":
		if u.Port() == "" {
			return c, fmt.Errorf("probe: %s: its port is missing, as in %s://host:443", c.Target, u.Scheme)
		}
	case "dns":
		host = cmp.Or(u.Opaque, strings.TrimPrefix(u.Path, "/"))
	default:
		return c, fmt.Errorf("probe: %s: https://host/path, http://…, tcp://host:port, tls://host:port or dns:name is wanted", c.Target)
	}
	if host == "" || u.User != nil {
		return c, fmt.Errorf("probe: %s: a host is wanted, and no password", c.Target)
	}
	c.Name = cmp.Or(c.Name, host)
	return c, checkName(c.Name)
}

func checkName(name string) error {
	if strings.TrimSpace(name) == "" || len(name) > nameMax || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("probe: the name %.80q: in at most %d bytes, without control characters", name, nameMax)
	}
	return nil
}

// Result is what one look found.
type Result struct {
	Name    string    `json:"name"`
	Target  string    `json:"target"`
	OK      bool      `json:"ok"`
	Took    float64   `json:"took_ms"`
	Text    string    `json:"text"`             // what was found, in words
	Expires time.Time `json:"expires,omitzero"` // the certificate
	// Since is when the first of the failed checks in a row was reported; it is
	// set where reports are kept.
	Since time.Time `json:"since,omitzero"`
}

// Looker looks. Its zero value asks the system's authorities. It is safe for
// concurrent use.
type Looker struct {
	TLS *tls.Config // nil: the standard one
}

// Look makes all checks and gives what they found, in their order. It takes at
// most lookWait for each atOnce of them, and ends with ctx.
func (l Looker) Look(ctx context.Context, checks []Check) []Result {
	all := make([]Result, len(checks))
	room := make(chan struct{}, atOnce)
	var looking sync.WaitGroup
	for i := range checks {
		room <- struct{}{}
		looking.Go(func() {
			all[i] = l.one(ctx, &checks[i])
			<-room
		})
	}
	looking.Wait()
	return all
}

func (l Looker) one(ctx context.Context, c *Check) Result {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	r := Result{Name: c.Name, Target: c.Target}
	began := time.Now()
	var err error
	switch c.url.Scheme {
	case "http", "https":
		err = l.http(ctx, c, &r)
	case "tcp":
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(ctx, "tcp", c.url.Host); err == nil {
			r.Text = "connected"
			conn.Close()
		}
	case "tls":
		err = l.tls(ctx, c, &r)
	case "dns":
		err = dns(ctx, c, &r)
	}
	r.Took = float64(time.Since(began).Microseconds()) / 1000
	r.OK = err == nil
	if err != nil {
		r.Text = err.Error()
		if ctx.Err() != nil {
			r.Text = fmt.Sprintf("no answer within %s", lookWait)
		}
	}
	r.Text = short(r.Text)
	return r
}

// short cuts a text, at a letter.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	for len(s) > textMax {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// http is well where something answers that is no error of the server. Deich in
// front that lets a stranger wait is an answer, but not one in a dead platform's place.
func (l Looker) http(ctx context.Context, c *Check, r *Result) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Target, nil)
	if err != nil {
		return err
	}
	q.Header.Set("User-Agent", "deich-probe")
	// A transport of its own: every look is a new connection, by no proxy.
	t := &http.Transport{TLSClientConfig: l.config(), DisableKeepAlives: true, ForceAttemptHTTP2: true}
	client := http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := client.Do(q)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // it repeats the address
		}
		return err
	}
	defer a.Body.Close()
	if _, err := io.CopyN(io.Discard, a.Body, bodyBytesMax); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s, then: %w", a.Status, err)
	}
	if a.TLS != nil {
		r.Expires = a.TLS.PeerCertificates[0].NotAfter
	}
	r.Text = a.Status
	reason := a.Header.Get("Deich-Reason")
	if reason != "" {
		r.Text += ", " + reason
	}
	if a.StatusCode >= 500 && (reason == "" || reason == "origin_down" || reason == "origin_slow") {
		return errors.New(r.Text)
	}
	return nil
}

func (l Looker) config() *tls.Config {
	if l.TLS != nil {
		return l.TLS.Clone()
	}
	return &tls.Config{}
}

// tls is well where the certificate is right for that name, now.
func (l Looker) tls(ctx context.Context, c *Check, r *Result) error {
	conn, err := (&tls.Dialer{Config: l.config()}).DialContext(ctx, "tcp", c.url.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := conn.(*tls.Conn).ConnectionState()
	r.Expires = s.PeerCertificates[0].NotAfter
	r.Text = tls.VersionName(s.Version)
	return nil
}

// dns is well where the name has an address.
func dns(ctx context.Context, c *Check, r *Result) error {
	resolver, name := &net.Resolver{PreferGo: true}, c.url.Opaque
	if server := c.url.Host; server != "" {
		name = strings.TrimPrefix(c.url.Path, "/")
		if c.url.Port() == "" {
			server = net.JoinHostPort(c.url.Hostname(), "53")
		}
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		}
	}
	all, err := resolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	slices.Sort(all)
	r.Text = strings.Join(all, " ")
	return nil
}

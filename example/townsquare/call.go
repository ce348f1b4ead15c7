package townsquare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// sessionCookie is the name of the cookie that holds a login.
const sessionCookie = "townsquare"

// memberHeader is how the platform vouches for a login towards Deich.
const memberHeader = "Deich-Member"

// call is one request on its way to its answer. The answer is made in memory,
// so that a worker is never held by a slow reader.
type call struct {
	*server
	r      *http.Request
	ctx    context.Context // the request's, but not ended by its client
	page   bool
	member *member // who is logged in; nil: nobody
	raw    []byte
	form   url.Values // a page's form
	now    time.Time

	header http.Header
	status int
	body   bytes.Buffer
}

// refusal is an error that whoever asked is told of.
type refusal struct {
	status int
	says   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.says) }

func refuse(status int, says string) error { return &refusal{status, says} }

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// answer makes the handler of a route: read, wait for a worker, work, send.
func (s *server) answer(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{
			server: s, r: r, ctx: context.WithoutCancel(r.Context()),
			page: rt.page, header: w.Header(), status: http.StatusOK, now: time.Now(),
		}
		c.setHeaders()
		err := c.read(w)
		if err == nil {
			err = s.workers.do(func() error { return c.work(rt.do) })
		}
		if err != nil {
			c.fail(err)
		}
		if c.status != http.StatusNoContent {
			c.header.Set("Content-Length", strconv.Itoa(c.body.Len()))
		}
		w.WriteHeader(c.status)
		_, _ = w.Write(c.body.Bytes()) // who asked may have gone
	}
}

func (c *call) setHeaders() {
	c.header.Set("Cache-Control", "private, no-cache")
	c.header.Set("Vary", "Authorization, Cookie")
	c.header.Set("X-Content-Type-Options", "nosniff")
	if c.page {
		c.header.Set("Content-Type", "text/html; charset=utf-8")
		c.header.Set("Referrer-Policy", "same-origin")
		c.header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
			"img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	} else {
		c.header.Set("Content-Type", "application/json")
	}
}

// read takes the body in, before a worker is asked for.
func (c *call) read(w http.ResponseWriter) error {
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		return nil
	}
	if err := c.origin.Check(c.r); err != nil {
		return refuse(http.StatusForbidden, "This form was sent from another site, so nothing was done.")
	}
	var err error
	c.raw, err = io.ReadAll(http.MaxBytesReader(w, c.r.Body, bodyBytesMax))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("A request may hold %d KiB.", bodyBytesMax>>10))
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "The request broke off.")
	}
	if c.page {
		if c.form, err = url.ParseQuery(string(c.raw)); err != nil {
			return refuse(http.StatusBadRequest, "The form could not be read.")
		}
	}
	return nil
}

// work finds out who asks and does what the route says.
func (c *call) work(do func(*call) error) error {
	if err := c.identify(); err != nil {
		return err
	}
	return do(c)
}

// identify finds the member of a bearer token or of a session. A token that is
// none is refused; a session that is none is over, and Deich is told so.
func (c *call) identify() error {
	if authorization := c.r.Header.Get("Authorization"); authorization != "" && !c.page {
		scheme, secret, _ := strings.Cut(authorization, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return c.unauthorized("The Authorization header must hold a bearer token.")
		}
		m, err := c.store.memberBy(c.ctx, strings.TrimSpace(secret), token, c.now)
		if errors.Is(err, errMissing) {
			return c.unauthorized("This token is not valid.")
		}
		return c.identified(m, err)
	}
	cookie, err := c.r.Cookie(sessionCookie)
	if err != nil {
		c.forAll()
		return nil
	}
	m, err := c.store.memberBy(c.ctx, cookie.Value, session, c.now)
	if errors.Is(err, errMissing) {
		c.endSession()
		return nil
	}
	return c.identified(m, err)
}

// forAll says that what nobody in particular reads is the same for all of them,
// so that it can be read from a copy when the platform cannot answer, and for
// Config.Fresh instead of asking it.
func (c *call) forAll() {
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return
	}
	control := fmt.Sprintf("max-age=%d", c.config.Fresh/time.Second)
	if c.config.Fresh > 0 {
		control = "public, " + control
	}
	c.header.Set("Cache-Control", control)
}

func (c *call) identified(m member, err error) error {
	if err != nil {
		return err
	}
	c.member = &m
	c.header.Set(memberHeader, m.vouched())
	return nil
}

func (c *call) unauthorized(says string) error {
	c.header.Set("WWW-Authenticate", `Bearer realm="townsquare"`)
	return refuse(http.StatusUnauthorized, says)
}

// needMember refuses a call by nobody.
func (c *call) needMember() error {
	if c.member != nil {
		return nil
	}
	if c.page {
		return refuse(http.StatusUnauthorized, "You are not logged in, so nothing was posted. Please log in and send it again.")
	}
	return c.unauthorized("This needs a bearer token.")
}

func (c *call) beginSession(m member, secret string) {
	c.setCookie(secret, int(sessionLasts/time.Second))
	c.header.Set(memberHeader, m.vouched())
}

func (c *call) endSession() {
	c.setCookie("", -1)
	c.header.Set(memberHeader, "0")
}

func (c *call) setCookie(value string, maxAge int) {
	cookie := http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: c.r.TLS != nil || strings.EqualFold(c.r.Header.Get("X-Forwarded-Proto"), "https"),
	}
	c.header.Add("Set-Cookie", cookie.String())
}

// redirect answers a form with the page to look at next.
func (c *call) redirect(to string) error {
	c.header.Set("Location", to)
	c.status = http.StatusSeeOther
	return nil
}

// json answers a value.
func (c *call) json(status int, value any) error {
	c.status = status
	return json.NewEncoder(&c.body).Encode(value)
}

// fail answers an error. What nobody can help but the operator is logged.
func (c *call) fail(err error) {
	var no *refusal
	switch {
	case errors.As(err, &no):
	case errors.Is(err, errMissing):
		no = &refusal{http.StatusNotFound, "There is nothing at this address."}
	case errors.Is(err, errClosing):
		no = &refusal{http.StatusServiceUnavailable, "Townsquare is shutting down."}
	default:
		c.log.Error("townsquare: answer", "route", c.r.Pattern, "err", err)
		no = &refusal{http.StatusInternalServerError, "Something is broken here. It has been noted."}
	}
	c.body.Reset()
	c.status = no.status
	if c.page {
		if err = c.render("refusal", refusalView{Status: no.status, Title: http.StatusText(no.status), Says: no.says, Text: c.form.Get("text")}); err == nil {
			return
		}
		c.log.Error("townsquare: answer", "route", c.r.Pattern, "err", err)
		c.body.Reset()
		return
	}
	c.header.Set("Content-Type", "application/problem+json")
	_ = c.json(no.status, map[string]any{"title": http.StatusText(no.status), "status": no.status, "detail": no.says}) // a map of text always encodes
}

package townsquare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// list is a part of the messages, with the address of the next.
type list struct {
	Messages []message `json:"messages"`
	Next     string    `json:"next,omitempty"`
}

// nextPart gives the address to go on at, "" at the end.
func (c *call) nextPart(before int64) string {
	if before == 0 {
		return ""
	}
	query := c.r.URL.Query()
	query.Set("before", strconv.FormatInt(before, 10))
	return (&url.URL{Path: c.r.URL.Path, RawQuery: query.Encode()}).String()
}

func (c *call) timelineJSON() error {
	p, err := c.asked()
	if err != nil {
		return err
	}
	messages, err := c.store.timeline(c.ctx, p)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, list{messages, c.nextPart(older(messages, p))})
}

func (c *call) profileJSON() error {
	view, err := c.profile()
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, struct {
		person
		list
	}{describe(view.Who), list{view.Messages, c.nextPart(view.Older)}})
}

// person is a member as everybody may know them.
type person struct {
	Name    string `json:"name"`
	Display string `json:"display"`
	About   string `json:"about"`
	Avatar  int    `json:"avatar"`
	Joined  string `json:"joined"`
}

func describe(m member) person {
	return person{m.Name, m.Display, m.About, m.Avatar(), m.Joined.Format("2006-01-02")}
}

func (c *call) searchJSON() error {
	query, err := c.query()
	if err != nil {
		return err
	}
	if query == "" {
		return refuse(http.StatusBadRequest, "“q” must hold a word to search for.")
	}
	result, err := c.store.search(c.ctx, query, c.scan)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, struct {
		Query   string `json:"query"`
		Scanned int    `json:"scanned"`
		Hits    []hit  `json:"hits"`
	}{query, result.Scanned, append([]hit{}, result.Hits...)})
}

func (c *call) meJSON() error {
	if err := c.needMember(); err != nil {
		return err
	}
	return c.json(http.StatusOK, describe(*c.member))
}

// decode reads the body as one JSON value of known fields.
func (c *call) decode(into any) error {
	decoder := json.NewDecoder(bytes.NewReader(c.raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "The body is not the JSON that is expected here.")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "The body holds more than one JSON value.")
	}
	return nil
}

// grantToken gives a bearer token to a member who is logged in, or whose name
// and password the body holds.
func (c *call) grantToken() error {
	m := c.member
	if m == nil {
		if len(bytes.TrimSpace(c.raw)) == 0 {
			return c.needMember()
		}
		var login struct{ Name, Password string }
		if err := c.decode(&login); err != nil {
			return err
		}
		who, err := c.check(login.Name, login.Password)
		if errors.Is(err, errLogin) {
			return c.unauthorized("This name and password do not belong together.")
		}
		if err != nil {
			return err
		}
		m = &who
		c.header.Set(memberHeader, m.vouched())
	}
	secret, err := c.store.grant(c.ctx, m.ID, token, c.now)
	if err != nil {
		return err
	}
	c.header.Set("Cache-Control", "no-store")
	return c.json(http.StatusCreated, map[string]string{"token": secret})
}

// revokeToken ends the token that the request bears.
func (c *call) revokeToken() error {
	_, secret, bears := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !bears {
		return c.unauthorized("This needs the bearer token that is to end.")
	}
	if err := c.store.revoke(c.ctx, strings.TrimSpace(secret), token); err != nil {
		return err
	}
	c.header.Set(memberHeader, "0")
	c.status = http.StatusNoContent
	return nil
}

func (c *call) postJSON() error {
	if err := c.needMember(); err != nil {
		return err
	}
	var body struct {
		Text *string `json:"text"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.Text == nil {
		return refuse(http.StatusBadRequest, "The body must hold “text”.")
	}
	p, replayed, err := c.post(*body.Text, "")
	if err != nil {
		return err
	}
	if replayed {
		c.header.Set("Idempotent-Replayed", "true")
	}
	c.header.Set("Location", fmt.Sprintf("/p/%d", p.ID))
	return c.json(http.StatusCreated, p)
}

// messageByKeyJSON tells whether a post with an Idempotency-Key has arrived.
func (c *call) messageByKeyJSON() error {
	if err := c.needMember(); err != nil {
		return err
	}
	key := c.r.URL.Query().Get("key")
	if err := keyError(key); key == "" || err != nil {
		return errors.Join(refuse(http.StatusBadRequest, "“key” must be the Idempotency-Key of a message."), err)
	}
	p, err := messageByKey(c.ctx, c.store.db, c.member.ID, key)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, p)
}

// post stores the member's message once and publishes it. The key is that of
// the Idempotency-Key header, else the one given.
func (c *call) post(text, key string) (message, bool, error) {
	if err := c.needMember(); err != nil {
		return message{}, false, err
	}
	if header := c.r.Header.Get("Idempotency-Key"); header != "" {
		key = header
	}
	if err := keyError(key); err != nil {
		return message{}, false, err
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if err := textError(text); err != nil {
		return message{}, false, err
	}
	c.posting.Lock()
	defer c.posting.Unlock()
	p, replayed, err := c.store.post(c.ctx, *c.member, text, key, c.now)
	if errors.Is(err, errOtherText) {
		return p, false, refuse(http.StatusUnprocessableEntity, "This Idempotency-Key was used before, for another text.")
	}
	if err == nil && !replayed {
		c.hub.publish(p)
	}
	return p, replayed, err
}

func keyError(key string) error {
	if len(key) > keyBytesMax || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("An Idempotency-Key has at most %d printable ASCII characters.", keyBytesMax))
	}
	return nil
}

func textError(text string) error {
	switch {
	case !utf8.ValidString(text):
		return refuse(http.StatusUnprocessableEntity, "A message must be UTF-8 text.")
	case text == "":
		return refuse(http.StatusUnprocessableEntity, "A message must not be empty.")
	case strings.ContainsRune(text, 0):
		return refuse(http.StatusUnprocessableEntity, "A message must not hold a zero byte.")
	case utf8.RuneCountInString(text) > textRunesMax:
		return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("A message has at most %d characters. Yours has %d.", textRunesMax, utf8.RuneCountInString(text)))
	}
	return nil
}

package alert

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/deichproject/deich/desk/mail"
)

// Config is whom to tell. Without any place alerts stand on the console alone.
type Config struct {
	// Webhooks are addresses that get each message as JSON by POST. Its "text" is
	// what the incoming webhooks of chats show.
	Webhooks []string `json:"webhooks,omitempty"`
	// Alertmanagers are addresses of Prometheus' Alertmanager, without its path.
	Alertmanagers []string `json:"alertmanagers,omitempty"`
	// Mail is e-mail addresses, each a place of its own.
	Mail []string `json:"mail,omitempty"`
}

// Mistake is what is wrong with one value.
type Mistake struct{ Path, Text string }

// Validate gives every mistake.
func (c Config) Validate() (all []Mistake) {
	for _, list := range []struct {
		name      string
		addresses []string
	}{{"webhooks", c.Webhooks}, {"alertmanagers", c.Alertmanagers}} {
		for i, a := range list.addresses {
			if _, err := readAddress(a); err != nil {
				all = append(all, Mistake{fmt.Sprintf("%s[%d]", list.name, i), err.Error()})
			}
		}
	}
	for i, a := range c.Mail {
		if !mail.Plain(a) {
			all = append(all, Mistake{fmt.Sprintf("mail[%d]", i), fmt.Sprintf("%q: a plain address is wanted, as in anna@example.org", a)})
		}
	}
	if n := len(c.Webhooks) + len(c.Alertmanagers) + len(c.Mail); n > placesMax {
		all = append(all, Mistake{"webhooks", fmt.Sprintf("%d places are to be told: at most %d", n, placesMax)})
	}
	return all
}

// readAddress reads where to send to. The error does not repeat it: such
// addresses hold secrets.
func readAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" {
		return nil, errors.New("an address is wanted, as in https://chat.example.org/hooks/abc")
	}
	return u, nil
}

package mail

import (
	"fmt"
	"net"
	"net/mail"
	"strings"
)

// Config is the server that e-mail is handed to. Without a server none is sent.
type Config struct {
	// Server is HOST:PORT; 465 speaks TLS from the start, others by STARTTLS where it is offered.
	Server string `json:"server"`
	// From is the sender's plain address.
	From string `json:"from"`
	// User is who signs in there; none where it asks for nobody.
	User string `json:"user"`
	// PasswordFile is the file that holds their password.
	PasswordFile string `json:"password_file"`
}

// Mistake is what is wrong with one value.
type Mistake struct{ Path, Text string }

// Validate gives every mistake; without a server there is none but what is said in vain.
func (c Config) Validate() (all []Mistake) {
	say := func(path, format string, args ...any) { all = append(all, Mistake{path, fmt.Sprintf(format, args...)}) }
	if c.Server == "" {
		if c.From != "" || c.User != "" || c.PasswordFile != "" {
			say("server", "the server is missing, as in mail.example.org:587")
		}
		return all
	}
	if host, port, err := net.SplitHostPort(c.Server); err != nil || host == "" || port == "" {
		say("server", "%q: HOST:PORT is wanted, as in mail.example.org:587", c.Server)
	}
	if !Plain(c.From) {
		say("from", "%q: the sender's plain address is wanted", c.From)
	}
	if (c.User == "") != (c.PasswordFile == "") {
		say("user", "a user and the file with their password go together")
	}
	return all
}

// Open gives who sends; nil where there is no server. That the password cannot be
// read is no error here: Mailer.Ready says so.
func (c Config) Open() (*Mailer, error) {
	if wrong := c.Validate(); len(wrong) > 0 {
		return nil, fmt.Errorf("mail: %s: %s", wrong[0].Path, wrong[0].Text)
	}
	if c.Server == "" {
		return nil, nil
	}
	return &Mailer{Server: c.Server, From: c.From, User: c.User, PasswordFile: c.PasswordFile}, nil
}

// Plain says whether a text is one address and nothing else, in ASCII: without a
// name, quotes, or what would make it two.
func Plain(text string) bool {
	if len(text) > addressMax || strings.ContainsAny(text, `"<>()[]\,;:`) {
		return false
	}
	for _, c := range text {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	a, err := mail.ParseAddress(text)
	return err == nil && a.Name == "" && a.Address == text
}

package mail

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"time"
)

// ErrServer says that no letter at all can be handed over: no receiver's fault.
var ErrServer = errors.New("the mail server takes nothing")

// Mailer hands letters to a server. It is safe for concurrent use.
type Mailer struct {
	Server       string // host:port; 465 speaks TLS from the start, others by STARTTLS where it is offered
	From         string
	User         string // "": nobody signs in
	PasswordFile string // read each time somebody does, so that another password takes no restart
	TLS          *tls.Config
}

// Ready says why nothing can be sent now, as far as that is known without asking the
// server: the password cannot be read. nil: nothing stands in the way.
func (m *Mailer) Ready() error {
	if m.User == "" {
		return nil
	}
	_, err := m.password()
	return err
}

func (m *Mailer) password() (string, error) {
	f, err := os.Open(m.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("mail: the password: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, passwordMax+1))
	if err == nil && len(b) > passwordMax {
		err = fmt.Errorf("%s: at most %d bytes", m.PasswordFile, passwordMax)
	}
	text := strings.TrimRight(string(b), "\r\n")
	if err == nil && text == "" {
		err = errors.New(m.PasswordFile + " is empty")
	}
	if err != nil {
		return "", fmt.Errorf("mail: the password: %w", err)
	}
	return text, nil
}

// Letter is one message to one address.
type Letter struct {
	To, Subject, Text string
	Leave             string // a link that ends such letters; "": there is none
}

// Send hands all over in one session, and says of each how it went. It ends with ctx.
func (m *Mailer) Send(ctx context.Context, all []Letter) []error {
	errs := make([]error, len(all))
	fail := func(from int, err error) []error {
		for i := from; i < len(all); i++ {
			errs[i] = err
		}
		return errs
	}
	c, conn, err := m.dial(ctx)
	if err != nil {
		return fail(0, fmt.Errorf("%w: %w", ErrServer, err))
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for i := range all {
		if ctx.Err() != nil {
			return fail(i, fmt.Errorf("%w: %w", ErrServer, ctx.Err()))
		}
		conn.SetDeadline(time.Now().Add(letterWait))
		errs[i] = m.one(c, &all[i])
		var said *textproto.Error
		switch {
		case errs[i] == nil:
		case !errors.As(errs[i], &said): // the connection is broken
			return fail(i, fmt.Errorf("%w: %w", ErrServer, errs[i]))
		default:
			if err := c.Reset(); err != nil {
				return fail(i+1, fmt.Errorf("%w: %w", ErrServer, err))
			}
		}
	}
	c.Quit()
	return errs
}

func (m *Mailer) dial(ctx context.Context) (*smtp.Client, net.Conn, error) {
	host, port, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, nil, err
	}
	conn, err := (&net.Dialer{Timeout: letterWait}).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return nil, nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(letterWait))
	config := &tls.Config{}
	if m.TLS != nil {
		config = m.TLS.Clone()
	}
	config.ServerName = host
	over := conn
	if port == "465" {
		over = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(over, host)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	if ok, _ := c.Extension("STARTTLS"); ok && port != "465" {
		err = c.StartTLS(config)
	}
	if err == nil && m.User != "" {
		err = m.signIn(c, host)
	}
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return c, conn, nil
}

// signIn refuses to without TLS, but on this machine.
func (m *Mailer) signIn(c *smtp.Client, host string) error {
	password, err := m.password()
	if err != nil {
		return err
	}
	return c.Auth(smtp.PlainAuth("", m.User, password, host))
}

func (m *Mailer) one(c *smtp.Client, l *Letter) error {
	if err := c.Mail(m.From); err != nil {
		return fmt.Errorf("%w: %w", ErrServer, err)
	}
	// A refusal here may be the server's own mistake: it counts as a failure, not as gone.
	if err := c.Rcpt(l.To); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(m.message(l, time.Now())); err != nil {
		return err
	}
	return w.Close()
}

// message is one letter (RFC 5322), that programs know not to answer, with the
// way out in its head (RFC 8058).
func (m *Mailer) message(l *Letter, now time.Time) []byte {
	var b bytes.Buffer
	line := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	line("From", m.From)
	line("To", l.To)
	line("Subject", mime.QEncoding.Encode("utf-8", oneLine(l.Subject)))
	line("Date", now.Format(time.RFC1123Z))
	_, host, _ := strings.Cut(m.From, "@")
	line("Message-ID", "<"+rand.Text()+"@"+host+">")
	line("Auto-Submitted", "auto-generated")
	if l.Leave != "" {
		line("List-Unsubscribe", "<"+l.Leave+">")
		line("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	line("MIME-Version", "1.0")
	line("Content-Type", "text/plain; charset=utf-8")
	line("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	io.WriteString(q, strings.ReplaceAll(l.Text, "\n", "\r\n"))
	q.Close()
	return b.Bytes()
}

// oneLine keeps a subject from beginning another line of the head.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

package mail

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/mail/mailtest"
)

// What a mail server says of one letter is no word about the next.
func TestSendTellsOfEachLetter(t *testing.T) {
	i := mailtest.New(t)
	m := &Mailer{Server: i.Addr(), From: "status@example.org"}
	errs := m.Send(t.Context(), []Letter{
		{To: "ada@example.org", Subject: "ä\r\nBcc: all@example.org", Text: "One.\n", Leave: "https://status.example.org/leave"},
		{To: "nobody@example.org", Text: "Two.\n"}, {To: "bob@example.org", Text: "Three.\n.\nFour.\n"},
	})
	if errs[0] != nil || errs[1] == nil || errors.Is(errs[1], ErrServer) || errs[2] != nil {
		t.Fatalf("%v", errs)
	}
	all := i.Took()
	if len(all) != 2 || !strings.Contains(all[0], "Subject: =?utf-8?q?=C3=A4_Bcc") || strings.Contains(all[0], "\nBcc") || !strings.Contains(all[0], "List-Unsubscribe: <https://status.example.org/leave>") ||
		strings.Contains(all[1], "List-Unsubscribe") || !strings.Contains(all[1], "Three.\r\n..\r\nFour.") {
		t.Errorf("%q", all)
	}
	i.Close()
	if errs := m.Send(t.Context(), []Letter{{To: "ada@example.org"}}); !errors.Is(errs[0], ErrServer) {
		t.Errorf("nobody listens: %v", errs)
	}
}

// A server that says nothing is waited for as long as whoever sends wants.
func TestSendEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, and is silent
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	done := make(chan []error, 1)
	go func() {
		done <- (&Mailer{Server: l.Addr().String(), From: "a@example.org"}).Send(ctx, []Letter{{To: "b@example.org"}})
	}()
	select {
	case errs := <-done:
		if !errors.Is(errs[0], ErrServer) {
			t.Errorf("%v", errs)
		}
	case <-time.After(letterWait / 2):
		t.Error("it is waited for longer")
	}
}

func TestConfig(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := mailtest.New(t)
	m, err := Config{Server: i.Addr(), From: "deich@example.org", User: "deich", PasswordFile: password}.Open()
	if err != nil {
		t.Fatal(err)
	}
	if errs := m.Send(t.Context(), []Letter{{To: "ada@example.org"}}); errs[0] != nil {
		t.Fatal(errs)
	}
	if all := i.Auth(); len(all) != 1 || all[0] != "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00deich\x00secret")) {
		t.Errorf("%q", all)
	}
	if m, err := (Config{}).Open(); m != nil || err != nil {
		t.Errorf("no server: %v, %v", m, err)
	}
	for want, c := range map[string]Config{
		"server:":    {From: "deich@example.org"},
		"HOST:PORT":  {Server: "mail.example.org", From: "deich@example.org"},
		"from:":      {Server: "mail.example.org:587", From: "Deich <deich@example.org>"},
		"together":   {Server: "mail.example.org:587", From: "deich@example.org", User: "deich"},
		"the sender": {Server: "mail.example.org:587"},
	} {
		if _, err := c.Open(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
	// What cannot be read is said, fails each letter as the server's fault, so that it is tried
	// again, and goes well once it can.
	i.Took()
	for name, spoil := range map[string]func() error{
		"empty": func() error { return os.WriteFile(password, nil, 0o600) },
		"long":  func() error { return os.WriteFile(password, make([]byte, passwordMax+1), 0o600) },
		"gone":  func() error { return os.Remove(password) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := m.Ready(); err == nil || !strings.Contains(err.Error(), password) {
			t.Errorf("a password file that is %s: %v", name, err)
		}
		if errs := m.Send(t.Context(), []Letter{{To: "ada@example.org"}}); !errors.Is(errs[0], ErrServer) || len(i.Took()) != 0 {
			t.Errorf("a password file that is %s: %v", name, errs)
		}
	}
	if err := os.WriteFile(password, []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if errs := m.Send(t.Context(), []Letter{{To: "ada@example.org"}}); m.Ready() != nil || errs[0] != nil {
		t.Errorf("once it can be read: %v, %v", m.Ready(), errs)
	}
	if all := i.Auth(); !strings.HasSuffix(all[len(all)-1], base64.StdEncoding.EncodeToString([]byte("\x00deich\x00another"))) {
		t.Errorf("%q", all)
	}
	for _, text := range []string{"", "ada", "Ada <ada@example.org>", "ada@example.org\r\nBcc: all@example.org", "a@b.c,d@e.f", "ä@example.org", strings.Repeat("a", 300) + "@example.org"} {
		if Plain(text) {
			t.Errorf("%q passes", text)
		}
	}
	if !Plain("ada+1@example.org") || !Plain("root@localhost") {
		t.Error("a plain address does not pass")
	}
}

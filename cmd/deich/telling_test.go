package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/deichproject/deich/desk/mail"
	"github.com/deichproject/deich/desk/mail/mailtest"
)

// A password that cannot be read keeps no Deich from standing. The console says why nobody is
// told by e-mail, and once it can be read they are.
func TestStandsWithoutItsMail(t *testing.T) {
	inbox, password := mailtest.New(t), filepath.Join(t.TempDir(), "password")
	s := standing(t, t.TempDir(), func(c *settings) {
		c.Mail = mail.Config{Server: inbox.Addr(), From: "deich@example.org", User: "deich", PasswordFile: password}
		c.Alerts.Mail = []string{"anna@example.org"}
	})
	if w := call(s, "GET", "/api/v1/alerts", ""); !strings.Contains(w.Body.String(), "no such file") {
		t.Errorf("%s", w.Body)
	}
	if w := call(s, "POST", "/api/v1/alerts/test", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "no such file") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := call(s, "POST", "/api/v1/alerts/test", ""); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "trouble") || len(inbox.Took()) != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A check says that whoever asks cannot read the password, which is no mistake in the file.
func TestCheckLooksAtThePassword(t *testing.T) {
	dir := t.TempDir()
	file, password := filepath.Join(dir, "deich.yaml"), filepath.Join(dir, "password")
	text := fmt.Sprintf("sites: [{origins: [\"http://127.0.0.1:3000\"]}]\nmail: {server: \"mail.example.org:587\", from: a@example.org, user: a, password_file: %q}\n", password)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, said := range []bool{true, false} {
		var out, errs bytes.Buffer
		code := command([]string{"config", "check", file}, &out, &errs)
		if code != 0 || !strings.Contains(out.String(), "is right") || strings.Contains(errs.String(), "nobody would be told by e-mail") != said {
			t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
		}
		if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What the page's process is told is what the configuration says, whole, and
// without the password.
func TestThePageIsToldOfSubscriptions(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := parseConfig(filepath.Join(dir, "deich.yaml"), []byte(`
sites: [{origins: ["http://127.0.0.1:3000"]}]
status: ":2021"
status_url: https://status.example.org/
subscribe: {mail: true, webhooks: true}
mail: {server: "mail.example.org:587", from: status@example.org, user: status, password_file: password}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := s.page(dir)
	args := append([]string{"status", "serve", "--child", "--data=" + dir}, want.arguments()...)
	if all := strings.Join(args, " "); strings.Contains(all, "hunter2") {
		t.Errorf("the password is among %s", all)
	}
	var all commands
	if _, err := grammar(&all, dir).Parse(args); err != nil {
		t.Fatal(err)
	}
	got := all.Status.Serve
	if !got.Child || got.told() != want.told() || got.URL != "https://status.example.org/" || got.SMTP != "mail.example.org:587" || !got.Webhooks || got.Password != filepath.Join(dir, "password") {
		t.Errorf("%+v, want %+v", got, want)
	}
	plain := settings{Status: ":2021"}.page(dir)
	if n := len(plain.arguments()); n != 1 || plain.told() == want.told() {
		t.Errorf("without subscriptions it is told %q", plain.arguments())
	}
}

func TestSubscriptionFlagsThatMiss(t *testing.T) {
	base := protectCommand{To: "http://127.0.0.1:3000", Data: t.TempDir(), Status: ":2021"}
	for want, change := range map[string]func(*protectCommand){
		"--status-webhooks: where the public finds": func(c *protectCommand) { c.StatusWebhooks = true },
		"--smtp: where the public finds":            func(c *protectCommand) { c.SMTP, c.From = "mail.example.org:25", "a@example.org" },
		"--from: ":                                  func(c *protectCommand) { c.SMTP, c.StatusURL = "mail.example.org:25", "https://status.example.org" },
		"--smtp: the server is missing":             func(c *protectCommand) { c.From = "a@example.org" },
		"--status-url: ":                            func(c *protectCommand) { c.StatusURL = "status.example.org" },
		"--smtp-user: ": func(c *protectCommand) {
			c.SMTP, c.From, c.SMTPUser, c.StatusURL = "mail.example.org:25", "a@example.org", "a", "https://status.example.org"
		},
		"there is no status page": func(c *protectCommand) {
			c.StatusWebhooks, c.StatusURL, c.Status = true, "https://status.example.org", consoleOff
		},
	} {
		c := base
		change(&c)
		if _, err := c.settings(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

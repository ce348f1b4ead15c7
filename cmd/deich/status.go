package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/deichproject/deich/desk/status"
)

// statusCommand holds what shows the public how the platform does.
type statusCommand struct {
	Serve   statusServeCommand   `cmd:"" help:"Serve the status page, as a process of its own."`
	Publish statusPublishCommand `cmd:"" help:"Write the status page and its feeds as files, for a place that does not share the site's fate."`
}

type statusServeCommand struct {
	dataFlag
	Listen string `default:":2021" help:"Where the page is (${default})." placeholder:"ADDR"`
	URL    string `name:"url" help:"Where the public finds it; feeds name it." placeholder:"URL"`

	Webhooks bool   `help:"Let the public subscribe by webhook; with --url."`
	SMTP     string `name:"smtp" help:"Let the public subscribe by e-mail, which this server sends; with --url." placeholder:"HOST:PORT"`
	From     string `help:"The sender of that e-mail." placeholder:"ADDRESS"`
	SMTPUser string `name:"smtp-user" help:"The user at that server; none where it asks for none." placeholder:"NAME"`
	Password string `name:"smtp-password" help:"The file that holds their password." type:"path" placeholder:"FILE"`

	Child bool `hidden:"" help:"Started by deich protect: say where it listens and then nothing more."`
}

func (statusServeCommand) Help() string {
	return "Examples:\n  deich status serve\n  deich status serve --listen :80 --url http://status.example.org/\n" +
		"  deich status serve --url https://status.example.org/ --webhooks --smtp mail.example.org:587 --from status@example.org --smtp-user status --smtp-password /etc/deich/mail\n\n" +
		"It reads one file in the data folder, and says how long ago Deich was heard. It serves on when Deich is down."
}

// statusPidFile names the process of the page that deich protect started.
const statusPidFile = "status.pid"

func (c *statusServeCommand) Run(t *terminal) error {
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		instead := "--listen :2022"
		if c.Child {
			instead = "--status :2022, or --status off to go without; everything else goes on"
		}
		return portHint(err, "status page", instead)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := status.NewServer(c.Data, c.URL, time.Local)
	if subscribers, lock, err := c.subscribers(t); err != nil {
		return errors.Join(err, l.Close())
	} else if subscribers != nil {
		defer lock.Close()
		server.Subscribe(subscribers)
		telling := make(chan struct{})
		go func() { defer close(telling); subscribers.Run(ctx) }()
		defer func() { stop(); <-telling }()
	}
	if c.Child {
		name := filepath.Join(c.Data, statusPidFile)
		lock, err := takePidFile(name, c.Listen, l.Addr().String())
		if err != nil {
			return errors.Join(err, l.Close())
		}
		defer lock.Close()
		defer os.Remove(name) // first, lest it be the next one's
		signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
		if err := yieldCPU(); err != nil {
			t.warn("%v", err)
		}
		fmt.Fprintln(t.out, l.Addr())
	} else {
		t.say("The status page is at http://%s/. Ctrl-C ends it.", reachable(l.Addr()))
	}
	return server.Serve(ctx, l)
}

// subscribersLock is held by the one process that tells a folder's subscribers.
const subscribersLock = "subscribers.lock"

// subscribers opens them where the public may subscribe; else they are nil.
func (c *statusServeCommand) subscribers(t *terminal) (*status.Subscribers, *os.File, error) {
	if c.SMTP == "" && !c.Webhooks {
		return nil, nil, nil
	}
	o := status.SubscribeOptions{URL: c.URL, Webhooks: c.Webhooks, Zone: time.Local, Warn: func(text string) { t.warn("%s", clean(text)) }}
	if c.SMTP != "" {
		from, err := mail.ParseAddress(c.From)
		if err != nil || from.Address != c.From {
			return nil, nil, fmt.Errorf("status: --from: %q: the sender's plain address is wanted", c.From)
		}
		if _, _, err := net.SplitHostPort(c.SMTP); err != nil {
			return nil, nil, fmt.Errorf("status: --smtp: %q: HOST:PORT is wanted", c.SMTP)
		}
		o.Mail = &status.Mailer{Server: c.SMTP, From: c.From, User: c.SMTPUser}
		if c.Password != "" {
			b, err := readBounded(c.Password, 4<<10)
			if err != nil {
				return nil, nil, fmt.Errorf("status: --smtp-password: %w", err)
			}
			o.Mail.Password = strings.TrimRight(string(b), "\r\n")
		}
	}
	lock, err := os.OpenFile(filepath.Join(c.Data, subscribersLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("status: %w", err)
	}
	if lockNow(lock) != nil {
		return nil, nil, errors.Join(errors.New("status: another one tells this folder's subscribers"), lock.Close())
	}
	s, err := status.OpenSubscribers(c.Data, o)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return s, lock, nil
}

type statusPublishCommand struct {
	dataFlag
	Dir   string        `arg:"" help:"The folder." type:"path"`
	URL   string        `name:"url" help:"Where the public finds it; feeds name it." placeholder:"URL"`
	Every time.Duration `help:"Go on, and write it anew so often." placeholder:"SPAN"`
}

func (statusPublishCommand) Help() string {
	return "Examples:\n  deich status publish /srv/status --url https://status.example.org/\n  deich status publish /mnt/elsewhere --every 30s\n\n" +
		"index.html is in English, de.html in German; feed.atom, feed.json and their .de twins are the feeds, badge.svg is for other pages. Any server of files will do."
}

func (c *statusPublishCommand) Run(t *terminal) error {
	once := func() error {
		names, err := status.Publish(c.Data, c.Dir, c.URL, time.Now(), time.Local)
		if err != nil {
			return hint(err, "has a Deich run with its data in %s? name its folder: --data DIR", c.Data)
		}
		t.say("Written to %s: %s.", c.Dir, strings.Join(names, ", "))
		return nil
	}
	if err := once(); err != nil || c.Every == 0 {
		return err
	}
	if c.Every < time.Second {
		return errors.New("status: --every: at least 1s")
	}
	ctx, stop := untilSignal()
	defer stop()
	each := time.NewTicker(c.Every)
	defer each.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-each.C:
			if _, err := status.Publish(c.Data, c.Dir, c.URL, time.Now(), time.Local); err != nil {
				t.warn("%v", err)
			}
		}
	}
}

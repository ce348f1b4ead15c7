package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/deichproject/deich/desk/mail"
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
	Door  bool `hidden:"" help:"What it listens on is open already, as the file behind the three that every process has."`
}

func (statusServeCommand) Help() string {
	return "Examples:\n  deich status serve\n  deich status serve --listen :80 --url http://status.example.org/\n" +
		"  deich status serve --url https://status.example.org/ --webhooks --smtp mail.example.org:587 --from status@example.org --smtp-user status --smtp-password /etc/deich/mail\n\n" +
		"It reads one file in the data folder, and says how long ago Deich was heard. It serves on when Deich is down."
}

// statusPidFile names the process of the page that deich protect started.
const statusPidFile = "status.pid"

func (c *statusServeCommand) Run(t *terminal) error {
	l, err := c.open()
	if err != nil {
		instead := "--listen :2022"
		if c.Child {
			instead = "--status :2022, or --status off to go without; everything else goes on"
		}
		return portHint(err, "status page", instead)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if c.Child {
		signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
		if err := yieldCPU(); err != nil {
			t.warn("%v", err)
		}
	}
	return c.serve(ctx, t, l)
}

// serve answers on l until ctx ends, and closes it. The page comes first: where
// people cannot subscribe that is said, and it is served without.
func (c *statusServeCommand) serve(ctx context.Context, t *terminal, l net.Listener) error {
	if err := c.mistake(); err != nil {
		return errors.Join(err, l.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if c.Child {
		name := filepath.Join(c.Data, statusPidFile)
		lock, err := takePidFile(name, c.told(), l.Addr().String())
		if err != nil {
			return errors.Join(err, l.Close())
		}
		// Behind all else: once nobody holds it the next page starts, and takes what this one had.
		defer lock.Close()
		defer os.Remove(name) // first, lest it be the next one's
	}
	server := status.NewServer(c.Data, c.URL, time.Local)
	if subscribers, lock, err := c.subscribers(t); err != nil {
		t.warn("nobody can subscribe on the status page, and no subscriber is told until it is started anew: %s", clean(err.Error()))
	} else if subscribers != nil {
		defer lock.Close()
		server.Subscribe(subscribers)
		telling := make(chan struct{})
		go func() { defer close(telling); subscribers.Run(ctx) }()
		defer func() { stop(); <-telling }()
	}
	if c.Child {
		fmt.Fprintln(t.out, l.Addr())
	} else {
		t.say("The status page is at http://%s/. Ctrl-C ends it.", reachable(l.Addr()))
	}
	return server.Serve(ctx, l)
}

// open listens where the page is to be, or takes over what its station has opened.
func (c *statusServeCommand) open() (net.Listener, error) {
	if !c.Door {
		return net.Listen("tcp", c.Listen)
	}
	door := os.NewFile(3, "door") // exec.Cmd.ExtraFiles
	defer door.Close()
	return net.FileListener(door)
}

// arguments are the flags that make this command, but for its data folder. No
// secret is among them: the password stays in its file.
func (c *statusServeCommand) arguments() (all []string) {
	for _, f := range []struct{ flag, value string }{
		{"listen", c.Listen}, {"url", c.URL}, {"smtp", c.SMTP}, {"from", c.From}, {"smtp-user", c.SMTPUser}, {"smtp-password", c.Password},
	} {
		if f.value != "" {
			all = append(all, "--"+f.flag+"="+f.value)
		}
	}
	if c.Webhooks {
		all = append(all, "--webhooks")
	}
	return all
}

// told is a word for all that a page was told, the same for the same.
func (c *statusServeCommand) told() string {
	is := *c
	if path, err := filepath.Abs(c.Password); c.Password != "" && err == nil {
		is.Password = path // as the process itself has it
	}
	sum := sha256.Sum256([]byte(strings.Join(is.arguments(), "\x00")))
	return hex.EncodeToString(sum[:16])
}

// subscribersLock is held by the one process that tells a folder's subscribers.
const subscribersLock = "subscribers.lock"

func (c *statusServeCommand) mail() mail.Config {
	return mail.Config{Server: c.SMTP, From: c.From, User: c.SMTPUser, PasswordFile: c.Password}
}

// mistake is what is wrong with the flags themselves: whoever gave them reads it.
func (c *statusServeCommand) mistake() error {
	if wrong := c.mail().Validate(); len(wrong) > 0 {
		return fmt.Errorf("status: %s: %s", flagOf("mail."+wrong[0].Path), wrong[0].Text)
	}
	if c.SMTP == "" && !c.Webhooks {
		return nil
	}
	return status.CheckURL(c.URL)
}

// subscribers opens them where the public may subscribe; else they are nil.
func (c *statusServeCommand) subscribers(t *terminal) (*status.Subscribers, *os.File, error) {
	if c.SMTP == "" && !c.Webhooks {
		return nil, nil, nil
	}
	o := status.SubscribeOptions{URL: c.URL, Webhooks: c.Webhooks, Zone: time.Local, Warn: func(text string) { t.warn("%s", clean(text)) }}
	var err error
	if o.Mail, err = c.mail().Open(); err != nil {
		return nil, nil, fmt.Errorf("status: %w", err)
	}
	if o.Mail != nil {
		if err := o.Mail.Ready(); err != nil { // the page is needed most when something is wrong
			t.warn("subscribers by e-mail are told nothing until this is right: %v", err)
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
	Dir     string        `arg:"" help:"The folder." type:"path"`
	Command []string      `arg:"" optional:"" passthrough:"partial" help:"What takes the files on from there, once they are written: a command and its arguments, without a shell. {} in an argument is the folder; where none has it, the folder is the last one."`
	URL     string        `name:"url" help:"Where the public finds it; feeds name it." placeholder:"URL"`
	Every   time.Duration `help:"Go on, and write it anew so often." placeholder:"SPAN"`
}

func (statusPublishCommand) Help() string {
	return "Examples:\n  deich status publish /srv/status --url https://status.example.org/\n  deich status publish /mnt/elsewhere --every 30s\n" +
		"  deich status publish /var/lib/deich/page --every 30s -- rsync -a {}/ web:/srv/status/\n" +
		"  deich status publish /srv/clone --every 5m -- sh -c 'cd \"$0\" && git add -A && git commit -qm Status && git push -q'\n\n" +
		"index.html is in English, de.html in German; feed.atom, feed.json and their .de twins are the feeds, badge.svg is for other pages. Any server of files will do."
}

func (c *statusPublishCommand) Run(t *terminal) error {
	ctx, stop := untilSignal()
	defer stop()
	return c.publish(ctx, t)
}

func (c *statusPublishCommand) publish(ctx context.Context, t *terminal) error {
	if c.Every != 0 && c.Every < time.Second {
		return errors.New("status: --every: at least 1s")
	}
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	names, err := status.Publish(c.Data, c.Dir, c.URL, time.Now(), time.Local)
	if err != nil {
		return hint(err, "has a Deich run with its data in %s? name its folder: --data DIR", c.Data)
	}
	t.say("Written to %s: %s.", c.Dir, strings.Join(names, ", "))
	err = handOver(ctx, command, c.Dir, handOverWait)
	if c.Every == 0 {
		return err
	}
	each := time.NewTicker(c.Every)
	defer each.Stop()
	for {
		if err != nil && ctx.Err() == nil {
			t.warn("%v", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-each.C:
			if _, err = status.Publish(c.Data, c.Dir, c.URL, time.Now(), time.Local); err == nil {
				err = handOver(ctx, command, c.Dir, handOverWait)
			}
		}
	}
}

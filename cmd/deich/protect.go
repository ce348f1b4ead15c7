package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/deichproject/deich/desk/mail"
	"github.com/deichproject/deich/edge"
	"github.com/deichproject/deich/gate"
)

type protectCommand struct {
	To             string   `required:"" help:"The origin: the platform to protect." placeholder:"URL"`
	Listen         []string `help:"Where users come in, with commas between several (:8080; with --domain http://:80 and https://:443)." placeholder:"ADDR"`
	Domain         []string `help:"Names of the site; their certificates are issued and renewed by ACME." placeholder:"NAME"`
	Internal       bool     `help:"Have Deich's own authority issue them: deich certificate root shows what clients have to trust."`
	Email          string   `help:"Where the authority writes to when a certificate is in trouble." placeholder:"ADDRESS"`
	Directory      string   `help:"The ACME authority (Let's Encrypt). Naming one, or --domain alone, agrees to its terms." placeholder:"URL"`
	DirectoryCA    string   `name:"directory-ca" help:"Authorities (PEM) that the directory itself is checked against." type:"path" placeholder:"FILE"`
	Cert           string   `help:"Certificate (PEM) for TLS." type:"path" placeholder:"FILE"`
	Key            string   `help:"Its key (PEM)." type:"path" placeholder:"FILE"`
	Data           string   `help:"Folder for keys, what the engine learned, and lists (${default})." type:"path" default:"${data}" placeholder:"DIR"`
	Console        string   `default:"127.0.0.1:2020" help:"Where the private server listens; off for none (${default})." placeholder:"ADDR"`
	Status         string   `default:":2021" help:"Where the status page is, open to everyone; off for none (${default})." placeholder:"ADDR"`
	StatusURL      string   `name:"status-url" help:"Where the public finds the status page: feeds and messages name it." placeholder:"URL"`
	StatusWebhooks bool     `help:"Let the public subscribe there by webhook; with --status-url."`
	SMTP           string   `name:"smtp" help:"Let the public subscribe there by e-mail, which this server sends; with --status-url." placeholder:"HOST:PORT"`
	From           string   `help:"The sender of that e-mail." placeholder:"ADDRESS"`
	SMTPUser       string   `name:"smtp-user" help:"The user at that server; none where it asks for none." placeholder:"NAME"`
	Password       string   `name:"smtp-password" help:"The file that holds their password." type:"path" placeholder:"FILE"`
	Observe        bool     `help:"Judge, count and explain, and let everything pass."`
	Gate           string   `default:"off" help:"Have the kernel drop what judged sources send: off, auto, xdp or nft (${default})." placeholder:"MODE"`
	Networks       []string `help:"Files (.mmdb) that say who runs a network and in which country it is, with commas between them." type:"path" placeholder:"FILE"`
	TrustedProxies []string `help:"Proxies in front, with commas between them, whose word about the client is believed." placeholder:"CIDR"`
}

func (protectCommand) Help() string {
	return "Examples:\n" +
		"  deich protect --to http://127.0.0.1:3000\n" +
		"  deich protect --to http://127.0.0.1:3000 --domain www.example.org\n" +
		"  deich protect --to http://127.0.0.1:3000 --domain box.lan --internal\n" +
		"  deich protect --to http://10.0.0.5 --listen :443 --cert site.pem --key site.key\n" +
		"  deich protect --to http://127.0.0.1:3000 --trusted-proxies 10.0.0.0/8\n" +
		"  deich protect --to http://127.0.0.1:3000 --networks dbip-asn-lite.mmdb,dbip-country-lite.mmdb\n" +
		"  deich protect --to http://127.0.0.1:3000 --status off\n" +
		"  deich protect --to http://127.0.0.1:3000 --status-url https://status.example.org/ --smtp mail.example.org:587 --from status@example.org\n\n" +
		"It needs nothing else: it finds out by itself what the origin can do."
}

func (c *protectCommand) Run(t *terminal) error {
	first, err := c.settings()
	if err != nil {
		return err
	}
	return stand(t, first, c.settings)
}

// settings are the flags as a configuration; the errors name flags.
func (c *protectCommand) settings() (settings, error) {
	site := edge.Site{
		Names: c.Domain, Origins: []string{c.To}, Certificate: c.Cert, Key: c.Key,
		Internal: c.Internal, ACME: len(c.Domain) > 0 && !c.Internal && c.Cert == "" && c.Key == "",
	}
	listen := c.Listen
	if len(listen) == 0 && len(c.Domain) > 0 {
		listen = []string{"http://:80", "https://:443"}
	}
	s := settings{
		Config: edge.Config{
			Listen:         listen,
			Sites:          []edge.Site{site},
			ACME:           edge.ACME{Email: c.Email, Directory: c.Directory, DirectoryCA: c.DirectoryCA},
			TrustedProxies: c.TrustedProxies,
		},
		Gate:     gate.Config{Mode: c.Gate},
		Networks: c.Networks,
		Console:  c.Console, Data: c.Data, Status: c.Status,
		StatusURL: c.StatusURL, Subscribe: subscribing{Mail: c.SMTP != "", Webhooks: c.StatusWebhooks},
		Mail: mail.Config{Server: c.SMTP, From: c.From, User: c.SMTPUser, PasswordFile: c.Password},
	}
	s.Policy.Observe = c.Observe
	s = s.defaults()
	var lines []string
	wrong := s.validate()
	if e := s.readNetworks(); e != nil {
		wrong = append(wrong, e)
	}
	for _, e := range wrong {
		lines = append(lines, flagOf(e.Path)+": "+e.Text)
	}
	if len(lines) > 0 {
		return s, hint(errors.New(strings.Join(lines, "\n")), "deich protect --help has examples")
	}
	return s, nil
}

func flagOf(path string) string {
	for _, f := range []struct{ path, flag string }{
		{"sites[0].origins", "--to"}, {"sites[0].names", "--domain"}, {"acme.email", "--email"},
		{"acme.directory_ca", "--directory-ca"}, {"acme.directory", "--directory"},
		{"sites[0].certificate", "--cert"}, {"listen", "--listen"},
		{"trusted_proxies", "--trusted-proxies"}, {"console", "--console"}, {"status_url", "--status-url"}, {"status", "--status"},
		{"subscribe.mail", "--smtp"}, {"subscribe.webhooks", "--status-webhooks"},
		{"mail.server", "--smtp"}, {"mail.from", "--from"}, {"mail.user", "--smtp-user"},
		{"gate.mode", "--gate"}, {"networks", "--networks"},
	} {
		if strings.HasPrefix(path, f.path) {
			return f.flag
		}
	}
	return path
}

type runCommand struct {
	Config string `default:"deich.yaml" help:"The configuration file (${default})." type:"path" placeholder:"FILE"`
}

func (runCommand) Help() string {
	return "Examples:\n  deich run --config deich.yaml\n  deich config check deich.yaml\n\n" +
		"SIGHUP, or deich reload, reads the file anew without dropping a connection."
}

func (c *runCommand) Run(t *terminal) error {
	load := func() (settings, error) {
		s, err := loadConfig(c.Config)
		return s, counted(err)
	}
	first, err := load()
	if err != nil {
		return err
	}
	return stand(t, first, load)
}

// stand runs a station until a signal ends it: the first drains, the second
// ends at once, SIGHUP reloads.
func stand(t *terminal, first settings, again func() (settings, error)) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	s, err := openStation(t, first, again)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP:
				if err := s.reload("signal"); err != nil {
					t.warn("reload: %v\nwhat was in force before stays in force", err)
				} else {
					t.say("The configuration is in force.")
				}
			case ctx.Err() != nil:
				return errors.Join(errors.New("ended before all requests were answered"), s.data.close())
			default:
				t.say("Ending: open requests are being answered, at most %s. Once more ends it at once.", spanText(drainWait))
				stop()
			}
		}
	}
}

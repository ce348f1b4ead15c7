package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/atlas"
	"github.com/deichproject/deich/desk/alert"
	"github.com/deichproject/deich/desk/mail"
	"github.com/deichproject/deich/edge"
	"github.com/deichproject/deich/gate"
	"github.com/deichproject/deich/guard"
	"github.com/deichproject/deich/spool"
)

// consoleDefault is where the private server listens; consoleOff turns it off.
const (
	consoleDefault = "127.0.0.1:2020"
	consoleOff     = "off"
)

// settings are everything that a configuration file can say. Each part is the
// struct of the package that uses it; the edge's keys stand at the top.
type settings struct {
	edge.Config
	// Policy is the engine's part.
	Policy deich.Policy `json:"policy"`
	// Guard is for what stands between the two: bodies, passes, partners.
	Guard guard.Config `json:"guard"`
	// Spool is for messages that are kept while the platform cannot take them.
	Spool spool.Config `json:"spool"`
	// Gate is for what the kernel drops by itself.
	Gate gate.Config `json:"gate"`
	// Networks are files (MaxMind's DB format) that say who runs a network and in
	// which country it is.
	Networks []string `json:"networks"`
	// Console is where the private server listens; "off" for none.
	Console string `json:"console"`
	// ConsoleNames are host names under which it may be reached.
	ConsoleNames []string `json:"console_names"`
	// Status is where the status page is, served by a process of its own; "off" for none.
	Status string `json:"status"`
	// StatusURL is where the public finds it: feeds and messages name it.
	StatusURL string `json:"status_url"`
	// Subscribe lets the public be told of what is said there.
	Subscribe subscribing `json:"subscribe"`
	// Mail is the server that e-mail is handed to: subscribers', and alerts.
	Mail mail.Config `json:"mail"`
	// Alerts are for who is told what needs a person.
	Alerts alert.Config `json:"alerts"`
	// Data is the folder for keys, what the engine learned, and lists.
	Data string `json:"data"`

	atlas *atlas.Atlas // what Networks say; nil: none is named
}

// subscribing is how the public can be told; by none where nothing is said.
type subscribing struct {
	Mail     bool `json:"mail"`
	Webhooks bool `json:"webhooks"`
}

// validateTelling gives what is wrong with how the public and the operators are told.
func (s settings) validateTelling() (all []*deich.PolicyError) {
	say := func(path, text string) { all = append(all, &deich.PolicyError{Path: path, Text: text}) }
	for _, m := range s.Mail.Validate() {
		say(join("mail", m.Path), m.Text)
	}
	for _, m := range s.Alerts.Validate() {
		say(join("alerts", m.Path), m.Text)
	}
	if len(s.Alerts.Mail) > 0 && s.Mail.Server == "" {
		say("alerts.mail", "mail.server is missing, which sends it")
	}
	if u, err := url.Parse(s.StatusURL); s.StatusURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		say("status_url", fmt.Sprintf("%q: where the public finds the page, as in https://status.example.org/", s.StatusURL))
	}
	for _, by := range []struct {
		path  string
		asked bool
	}{{"subscribe.mail", s.Subscribe.Mail}, {"subscribe.webhooks", s.Subscribe.Webhooks}} {
		switch {
		case !by.asked:
		case s.Status == consoleOff:
			say(by.path, "there is no status page to subscribe on: status is off")
		case s.StatusURL == "":
			say(by.path, "where the public finds the page is missing, since links in messages begin with it: status_url")
		}
	}
	if s.Subscribe.Mail && s.Mail.Server == "" {
		say("subscribe.mail", "mail.server is missing, which sends it")
	}
	return all
}

// validateKept gives the routes that say to keep longer bodies than guard holds: of a longer
// one only the beginning is in hand when it goes to the platform, so it is never kept.
func (s settings) validateKept() (all []*deich.PolicyError) {
	for i, r := range s.Spool.Keep {
		if r.BodyMax > s.Guard.BodyBuffer {
			all = append(all, &deich.PolicyError{Path: fmt.Sprintf("spool.keep[%d].body_max", i),
				Text: fmt.Sprintf("%d bytes: at most guard.body_buffer, %d, since a longer body is never in hand whole: raise that, or lower this", r.BodyMax, s.Guard.BodyBuffer)})
		}
	}
	return all
}

// page is the command that serves the status page, in a process of its own.
func (s settings) page(data string) *statusServeCommand {
	c := &statusServeCommand{Listen: s.Status, URL: s.StatusURL, Webhooks: s.Subscribe.Webhooks}
	c.Data = data
	if s.Subscribe.Mail {
		c.SMTP, c.From, c.SMTPUser, c.Password = s.Mail.Server, s.Mail.From, s.Mail.User, s.Mail.PasswordFile
	}
	return c
}

func (s settings) defaults() settings {
	s.Config = s.Config.Defaults()
	s.Policy.Origins = max(1, s.Config.OriginGroups())
	s.Policy = s.Policy.Defaults()
	s.Policy.Streams = min(s.Policy.Streams, streamsBeside(s.Limits.OriginConnections, s.Policy.LimitMax))
	s.Guard = s.Guard.Defaults()
	stated := s.Spool.Keep
	s.Spool = s.Spool.Defaults()
	for i, r := range stated {
		if r.BodyMax == 0 { // a small buffer is no mistake of a route that says nothing; one that is wrong is said itself
			kept := &s.Spool.Keep[i].BodyMax
			*kept = min(*kept, max(1, s.Guard.BodyBuffer))
		}
	}
	s.Gate = s.Gate.Defaults()
	if s.Console == "" {
		s.Console = consoleDefault
	}
	if s.Status == "" {
		s.Status = consoleOff
	}
	if s.Data == "" {
		s.Data = dataDirDefault()
	}
	return s
}

// streamsBeside is how many long-lived requests leave the quick ones as many of the
// connections to an origin as they may need, up to four times limitMax, or half of
// them: else a machine with few files is full of streams before the engine says so,
// and everybody is told that the origin is down.
func streamsBeside(connections, limitMax int) int {
	return max(1, connections-min(4*limitMax, connections/2))
}

// validate gives every error of every part, each with its path in the file.
func (s settings) validate() []*deich.PolicyError {
	all := policyErrors(s.Config.Validate())
	for _, part := range []struct {
		name string
		err  error
	}{{"policy", s.Policy.Validate()}, {"guard", s.Guard.Validate()}, {"gate", s.Gate.Validate()}, {"spool", s.Spool.Validate()}} {
		for _, e := range policyErrors(part.err) {
			all = append(all, &deich.PolicyError{Path: join(part.name, e.Path), Text: e.Text})
		}
	}
	all = append(all, s.validateTelling()...)
	if s.Guard.Validate() == nil {
		all = append(all, s.validateKept()...)
	}
	for _, a := range []struct{ path, address, such string }{{"console", s.Console, consoleDefault}, {"status", s.Status, ":2021"}} {
		if err := checkAddress(a.address, a.such); err != nil {
			all = append(all, &deich.PolicyError{Path: a.path, Text: err.Error()})
		}
	}
	return all
}

// readNetworks reads the files of networks; nil where they are right.
func (s *settings) readNetworks() *deich.PolicyError {
	a, bad, err := atlas.Open(s.Networks)
	if err != nil {
		return &deich.PolicyError{Path: fmt.Sprintf("networks[%d]", bad), Text: err.Error()}
	}
	s.atlas = a
	return nil
}

func checkAddress(address, such string) error {
	if address == consoleOff {
		return nil
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return fmt.Errorf("%q: write HOST:PORT as in %s, or %s", address, such, consoleOff)
	}
	return nil
}

// loadConfig reads a file, fills what it leaves open and checks everything;
// the error is *mistakes where the file can be read at all. Files that it
// names are looked for from its own folder.
func loadConfig(name string) (settings, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return settings{}, hint(fmt.Errorf("config: %w", err), "name a file that can be read; without a name it is deich.yaml here")
	}
	return parseConfig(name, text)
}

func parseConfig(name string, text []byte) (settings, error) {
	var s settings
	b := bindYAML(text, &s)
	s.resolve(filepath.Dir(name))
	s = s.defaults()
	wrong := s.validate()
	if e := s.readNetworks(); e != nil {
		wrong = append(wrong, e)
	}
	for _, e := range wrong {
		if !b.spoken(e.Path) {
			b.say(b.find(e.Path), e.Path, "%s", e.Text)
		}
	}
	if len(b.wrong) > 0 {
		m := &mistakes{File: name, All: b.wrong}
		m.sort()
		return settings{}, m
	}
	return s, nil
}

// link is how the i-th listener is reached from this machine.
func (s settings) link(i int, a net.Addr) string {
	scheme := "http"
	if slices.ContainsFunc(s.Sites, func(site edge.Site) bool { return site.Certificate != "" || site.ACME || site.Internal }) {
		scheme = "https"
	}
	if i < len(s.Listen) {
		if said, _, ok := strings.Cut(s.Listen[i], "://"); ok {
			scheme = said
		}
	}
	return scheme + "://" + reachable(a)
}

// resolve turns paths relative to the file into paths relative to nothing.
func (s *settings) resolve(dir string) {
	from := func(p *string) {
		if *p != "" && *p != "-" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	from(&s.Data)
	from(&s.AccessLog)
	from(&s.ACME.DirectoryCA)
	from(&s.Mail.PasswordFile)
	from(&s.Spool.NATS.Credentials)
	from(&s.Spool.NATS.CA)
	for i := range s.Networks {
		from(&s.Networks[i])
	}
	for i := range s.Sites {
		from(&s.Sites[i].Certificate)
		from(&s.Sites[i].Key)
		from(&s.Sites[i].OriginCA)
	}
}

// find gives the place of a path, or of the nearest thing above it that is written.
func (b *binder) find(path string) place {
	for {
		if p, ok := b.where[path]; ok {
			return p
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// spoken says whether a mistake in or around this path was found already, so
// that what follows from it is not reported as another.
func (b *binder) spoken(path string) bool {
	for _, m := range b.wrong {
		if m.Path == "" || m.Path == path || within(path, m.Path) || within(m.Path, path) {
			return true
		}
	}
	return slices.ContainsFunc(b.meant, func(m string) bool { return m == path || within(path, m) })
}

func within(inner, outer string) bool {
	return strings.HasPrefix(inner, outer+".") || strings.HasPrefix(inner, outer+"[")
}

// configCommand holds the two that look at a file and start nothing.
type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Say everything that is wrong in a file, each with its line and column."`
	Show  configShowCommand  `cmd:"" help:"Print what a file puts in force, with all that it leaves open."`
}

type configCheckCommand struct {
	jsonFlag
	File string `arg:"" help:"The configuration file." type:"path" default:"deich.yaml"`
}

func (configCheckCommand) Help() string {
	return "Examples:\n  deich config check deich.yaml\n  deich config check deich.yaml --json\n\n" +
		"The exit code is 0 where nothing is wrong. Nothing is started, and no address is listened on."
}

func (c *configCheckCommand) Run(t *terminal) error {
	s, err := loadConfig(c.File)
	c.look(t, &s)
	if c.JSON {
		return c.list(t, err)
	}
	if err != nil {
		return counted(err)
	}
	t.say("%s is right: %s, %s.", c.File, some(len(s.Sites), "site"), some(s.OriginGroups(), "group of origins"))
	return nil
}

// look says what a Deich of this user would go without. That is no mistake in the file:
// another user may be able to read what this one cannot.
func (c *configCheckCommand) look(t *terminal, s *settings) {
	if mailer, err := s.Mail.Open(); err == nil && mailer != nil {
		if err := mailer.Ready(); err != nil {
			t.warn("%v\nDeich would start all the same, and nobody would be told by e-mail", err)
		}
	}
}

// list gives the mistakes as programs read them: none is an empty list.
func (c *configCheckCommand) list(t *terminal, err error) error {
	m := new(mistakes)
	if err != nil && !errors.As(err, &m) {
		return err
	}
	if err := t.json(append([]mistake{}, m.All...)); err != nil {
		return err
	}
	if len(m.All) > 0 {
		return fmt.Errorf("%s in %s", some(len(m.All), "mistake"), m.File)
	}
	return nil
}

// counted shows all mistakes and how many there are.
func counted(err error) error {
	var m *mistakes
	if !errors.As(err, &m) {
		return err
	}
	return fmt.Errorf("%s in %s:\n%w", some(len(m.All), "mistake"), m.File, err)
}

func some(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasPrefix(what, "group "):
		return fmt.Sprintf("%d groups%s", n, strings.TrimPrefix(what, "group"))
	}
	return fmt.Sprintf("%d %ss", n, what)
}

type configShowCommand struct {
	File string `arg:"" help:"The configuration file." type:"path" default:"deich.yaml"`
}

func (configShowCommand) Help() string {
	return "Examples:\n  deich config show deich.yaml\n\nWhat it prints is a complete configuration file itself."
}

func (c *configShowCommand) Run(t *terminal) error {
	s, err := loadConfig(c.File)
	if err != nil {
		return counted(err)
	}
	return showYAML(t.out, s)
}

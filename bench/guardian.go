//go:build linux

package main

import (
	"embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/drill/scenarios"
)

//go:embed config/users
var guardConfigs embed.FS

var guardTemplates = template.Must(template.ParseFS(guardConfigs, "config/users/*"))

// guardian is one way to stand between users and the platform while it is flooded.
type guardian struct {
	name  string // on the command line and in the tables
	needs []string
	// crowds says that it is asked where nobody attacks, attacks that it is asked where somebody does.
	crowds, attacks bool
	// set writes its configuration and says what to start; nil: deich protect, or nothing.
	set func(g guard, p drill.Place) ([]drill.Program, error)
}

// guard is what configurations are filled in with.
type guard struct {
	Dir, Origin, OriginHost, OriginPort, Port, Cache string
	Searches, Mix                                    int
	Bans                                             bool
	deich                                            string
}

// guardians are all, in the order of the tables.
func guardians() []guardian {
	return []guardian{
		{name: justDeich, crowds: true, attacks: true},
		{name: "Deich, cache: pressure", crowds: true, set: cachingDeich("pressure")},
		{name: "Deich, cache: always", crowds: true, set: cachingDeich("always")},
		{name: "nginx", needs: []string{"nginx"}, crowds: true, attacks: true, set: guard.nginx},
		{name: "nginx + fail2ban", needs: []string{"nginx", "fail2ban-server", "nft"}, attacks: true, set: guard.fail2ban},
		{name: "HAProxy", needs: []string{"haproxy"}, crowds: true, attacks: true, set: guard.haproxy},
		{name: "Varnish", needs: []string{"varnishd", vsthrottle}, crowds: true, attacks: true, set: guard.varnish},
		{name: nobody, crowds: true, attacks: true},
	}
}

// findGuardian gives the one of this name.
func findGuardian(name string) (guardian, error) {
	var names []string
	for _, g := range guardians() {
		if strings.EqualFold(g.name, name) {
			return g, nil
		}
		names = append(names, strconv.Quote(g.name))
	}
	return guardian{}, fmt.Errorf("no peer %q; there are %s", name, strings.Join(names, ", "))
}

// vsthrottle is Varnish's module that counts by source, in a package of its own.
const vsthrottle = "/usr/lib/*/varnish/vmods/libvmod_vsthrottle.so"

// missing names what it needs and this machine lacks; "" if nothing.
func (g *guardian) missing() string {
	for _, need := range g.needs {
		if strings.HasPrefix(need, "/") {
			if found, err := filepath.Glob(need); err != nil || len(found) == 0 {
				return filepath.Base(need)
			}
		} else if _, err := exec.LookPath(need); err != nil {
			return need
		}
	}
	return ""
}

// fits says whether it is asked in this scenario. Over TLS only Deich is: the
// drill makes the certificate, and the others' configurations here have none.
func (g *guardian) fits(s *scenarios.Scenario) bool {
	if s.Shield.TLS && g.name != justDeich {
		return false
	}
	return len(s.Attacks) > 0 && g.attacks || len(s.Attacks) == 0 && g.crowds
}

// shield is it for the drill; nil: the drill's own.
func (g *guardian) shield(deich string) *drill.Shield {
	if g.set == nil {
		return nil
	}
	return &drill.Shield{Name: g.name, Set: func(p drill.Place) ([]drill.Program, error) {
		return g.set(newGuard(p, deich), p)
	}}
}

func newGuard(p drill.Place, deich string) guard {
	return guard{
		Dir: p.Dir, Origin: p.Origin.String(), OriginHost: p.Origin.Addr().String(), OriginPort: port(p.Origin), Port: port(p.Listen),
		Searches: int(p.Capacity.Searches), Mix: int(p.Capacity.Mix), deich: deich,
	}
}

func port(at netip.AddrPort) string { return strconv.Itoa(int(at.Port())) }

// write fills a configuration in and gives its file.
func (g guard) write(name string) (string, error) {
	file := filepath.Join(g.Dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	err = guardTemplates.ExecuteTemplate(f, filepath.Base(name), g)
	return file, errors.Join(err, f.Close())
}

// program is one to be started, found where commands are.
func program(name string, args ...string) (drill.Program, error) {
	path, err := exec.LookPath(name)
	return drill.Program{Path: path, Args: args}, err
}

func one(name string, args ...string) ([]drill.Program, error) {
	p, err := program(name, args...)
	return []drill.Program{p}, err
}

func cachingDeich(cache string) func(guard, drill.Place) ([]drill.Program, error) {
	return func(g guard, _ drill.Place) ([]drill.Program, error) {
		g.Cache = cache
		file, err := g.write("deich.yaml")
		return []drill.Program{{Path: g.deich, Args: []string{"run", "--config", file}}}, err
	}
}

func (g guard) nginx(drill.Place) ([]drill.Program, error) {
	file, err := g.write("nginx.conf")
	if err != nil {
		return nil, err
	}
	return one("nginx", "-c", file, "-p", g.Dir, "-e", filepath.Join(g.Dir, "error.log"))
}

// fail2banHome is where Debian's package has the filters and actions that come with it.
const fail2banHome = "/etc/fail2ban"

func (g guard) fail2ban(p drill.Place) ([]drill.Program, error) {
	g.Bans = true
	programs, err := g.nginx(p)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(g.Dir, "fail2ban")
	if err := os.Mkdir(home, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{"fail2ban.conf", "jail.conf"} {
		file, err := g.write(name)
		if err == nil {
			err = os.Rename(file, filepath.Join(home, name))
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"filter.d", "action.d"} {
		if err := os.Symlink(filepath.Join(fail2banHome, name), filepath.Join(home, name)); err != nil {
			return nil, err
		}
	}
	bans, err := program("fail2ban-server", "-f", "-x", "-c", home, "-s", filepath.Join(g.Dir, "fail2ban.sock"),
		"-p", filepath.Join(g.Dir, "fail2ban.pid"), "start")
	return append(programs, bans), err
}

func (g guard) haproxy(drill.Place) ([]drill.Program, error) {
	file, err := g.write("haproxy.cfg")
	if err != nil {
		return nil, err
	}
	return one("haproxy", "-db", "-f", file)
}

// varnish runs without a jail: a namespace of one's own need not have any other user.
func (g guard) varnish(drill.Place) ([]drill.Program, error) {
	file, err := g.write("varnish.vcl")
	if err != nil {
		return nil, err
	}
	return one("varnishd", "-F", "-j", "none", "-n", filepath.Join(g.Dir, "varnish"), "-a", ":"+g.Port, "-T", "none",
		"-f", file, "-s", "malloc,256m")
}

// guardianNames gives the names of those that are asked for; none are all.
func guardianNames(asked string) ([]string, error) {
	if asked == "" {
		return nil, nil
	}
	var names []string
	for _, word := range strings.Split(asked, ";") {
		g, err := findGuardian(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, g.name) {
			names = append(names, g.name)
		}
	}
	return names, nil
}

//go:build linux

package main

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/drill/scenarios"
)

// checkers ask each peer's own program whether it would take its configuration.
var checkers = map[string]func(dir string, p []drill.Program) *exec.Cmd{
	"nginx": func(_ string, p []drill.Program) *exec.Cmd {
		return exec.Command(p[0].Path, append(p[0].Args, "-t")...)
	},
	"nginx + fail2ban": func(dir string, p []drill.Program) *exec.Cmd {
		args := append([]string{"-t"}, p[1].Args[:len(p[1].Args)-1]...)
		return exec.Command(p[1].Path, args...)
	},
	"HAProxy": func(_ string, p []drill.Program) *exec.Cmd {
		return exec.Command(p[0].Path, append(p[0].Args, "-c")...)
	},
	"Varnish": func(dir string, _ []drill.Program) *exec.Cmd {
		return exec.Command("varnishd", "-C", "-j", "none", "-n", filepath.Join(dir, "check"), "-f", filepath.Join(dir, "varnish.vcl"))
	},
}

func TestPeersTakeTheirConfigurations(t *testing.T) {
	for _, g := range guardians() {
		check := checkers[g.name]
		if check == nil {
			continue // Deich, and nobody
		}
		t.Run(g.name, func(t *testing.T) {
			if lacks := g.missing(); lacks != "" {
				if os.Getenv("CI") != "" {
					t.Fatalf("there is no %s here: make deps", lacks)
				}
				t.Skipf("there is no %s here (as root: make deps)", lacks)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "error.log"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			p := drill.Place{
				Dir: dir, Listen: netip.MustParseAddrPort("10.0.0.1:18099"), Origin: netip.MustParseAddrPort("127.0.0.1:9"),
				Capacity: drill.Capacity{Searches: 300.4, Mix: 780},
			}
			programs, err := g.set(newGuard(p, ""), p)
			if err != nil {
				t.Fatal(err)
			}
			cmd := check(dir, programs)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", cmd.Args, err, out)
			}
		})
	}
}

func TestConfigurationsSayWhatTheOriginCanDo(t *testing.T) {
	dir := t.TempDir()
	g := guard{Dir: dir, Origin: "127.0.0.1:9", OriginHost: "127.0.0.1", OriginPort: "9", Port: "18099", Cache: "pressure", Searches: 300, Mix: 780}
	for name, want := range map[string][]string{
		"nginx.conf": {"about 300 searches", "server 127.0.0.1:9 max_conns", "listen 18099", "error.log crit"}, "haproxy.cfg": {"bind :18099", "server origin 127.0.0.1:9"},
		"varnish.vcl": {`.host = "127.0.0.1"`, `.port = "9"`}, "jail.conf": {`port="18099"`, dir + "/error.log"}, "deich.yaml": {"cache: pressure", `":18099"`},
		"fail2ban.conf": {dir + "/fail2ban.sock"},
	} {
		file, err := g.write(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, each := range want {
			if !strings.Contains(string(text), each) {
				t.Errorf("%s: %q is not in\n%s", name, each, text)
			}
		}
		if strings.Contains(string(text), "<no value>") || strings.Contains(string(text), "{{") {
			t.Errorf("%s: something is not filled in:\n%s", name, text)
		}
	}
	g.Bans = true
	file, err := g.write("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "error.log error") {
		t.Errorf("fail2ban has nothing to read: %v", err)
	}
}

func TestShortenedScenariosFit(t *testing.T) {
	for _, name := range usersDefault {
		s, err := shortened(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Phases.Flood.D() > keptFlood || s.Phases.After.D() > keptAfter {
			t.Errorf("%s: %+v", name, s.Phases)
		}
		for _, g := range s.Groups {
			if g.From >= 0 && g.From+g.Over > s.Phases.Flood {
				t.Errorf("%s: not all of %s come during the flood", name, g.Name)
			}
		}
		asked := 0
		for _, g := range guardians() {
			if g.fits(&s) {
				asked++
			}
		}
		if asked < 5 {
			t.Errorf("%s: only %d peers", name, asked)
		}
	}
	secured, err := shortened("tls-flood")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range guardians() {
		if got := g.fits(&secured); got != (g.name == justDeich) {
			t.Errorf("%s over TLS: %v", g.name, got)
		}
	}
	if _, err := shortened("nothing of the kind"); err == nil {
		t.Error("a scenario that there is not")
	}
	whole, err := scenarios.Find("botnet")
	if err != nil || whole.Phases.Flood.D() <= keptFlood {
		t.Errorf("shortening changed the scenario itself: %v, %v", whole.Phases, err)
	}
}

func TestGuardianNames(t *testing.T) {
	got, err := guardianNames("haproxy; Nginx + fail2ban;HAProxy")
	if err != nil || strings.Join(got, ",") != "HAProxy,nginx + fail2ban" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := guardianNames("apache"); err == nil || !strings.Contains(err.Error(), `"HAProxy"`) {
		t.Errorf("%v", err)
	}
}

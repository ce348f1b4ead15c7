package e2e

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const unitFile = "../packaging/systemd/deich.service"

// isConfined says that the unit is one that systemd understands, that it is as
// tight as was promised, and that Deich asks for nothing that it refuses.
func isConfined(t *testing.T, r released) {
	need(t, "systemd-analyze", "systemd")
	if out, err := output(t, "", nil, "systemd-analyze", "security", "--offline=yes", "--threshold=20", unitFile); err != nil {
		t.Errorf("more exposed than 2.0: %v\n%s", err, out)
	}
	t.Run("as it is installed", func(t *testing.T) {
		need(t, "dpkg", "dpkg")
		room := newRoom(t, r.dir)
		room.must(t, "dpkg", "-i", inRoom(r, the(t, r.first, firstVersion, "deb")))
		for _, dropIn := range []string{"", "gate.conf", "pinned.conf", "certificates.conf", "mail.conf"} {
			if dropIn != "" {
				room.must(t, "mkdir", "-p", "/etc/systemd/system/deich.service.d")
				room.must(t, "ln", "-s", "/usr/share/deich/systemd/"+dropIn, "/etc/systemd/system/deich.service.d/")
			}
			if out := room.must(t, "systemd-analyze", "--man=no", "verify", "deich.service"); strings.Contains(out, "deich") {
				t.Errorf("with %q: %s", dropIn, out)
			}
			if out, err := room.run(t, "systemd-analyze", "security", "--offline=yes", "--threshold=20", "deich.service"); err != nil {
				t.Errorf("with %q more exposed than 2.0: %v\n%s", dropIn, err, out)
			}
		}
	})
	t.Run("system calls", func(t *testing.T) { callsOnlyAllowed(t, r) })
}

// allowed are the system calls that a unit's filter lets through.
func allowed(t *testing.T, unit string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(string(text), -1) {
		for _, name := range strings.Fields(m[2]) {
			for _, call := range callsOf(t, name) {
				all[call] = m[1] == ""
			}
		}
	}
	return all
}

// callsOf gives the system calls of a set, of what it is made of too.
func callsOf(t *testing.T, name string) (all []string) {
	if !strings.HasPrefix(name, "@") {
		return []string{name}
	}
	out, err := exec.Command("systemd-analyze", "--no-pager", "syscall-filter", name).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 1 && f[0] != name && f[0] != "#" {
			all = append(all, callsOf(t, f[0])...)
		}
	}
	return all
}

// callsOnlyAllowed traces a Deich through all that the service does.
func callsOnlyAllowed(t *testing.T, r released) {
	need(t, "strace", "strace")
	dir := t.TempDir()
	deich := untar(t, the(t, r.first, firstVersion, "tar.gz"), "deich")
	traced, calls := filepath.Join(dir, "traced"), filepath.Join(dir, "calls")
	// -D: the tracer steps aside, and signals meet Deich itself.
	script := fmt.Sprintf("#!/bin/sh\nexec strace -D -f -qq -o %q %q \"$@\"\n", calls, deich)
	if err := os.WriteFile(traced, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	origin, config := platform(t, "hello"), filepath.Join(dir, "deich.yaml")
	plain, secure, data := freePort(t), freePort(t), filepath.Join(dir, "data")
	text := fmt.Sprintf("listen: [%q, %q]\nplain_http: true\nsites: [{names: [a.test], origins: [%q], internal: true}]\nconsole: 127.0.0.1:0\ndata: %q\naccess_log: %q\n"+
		"status: 127.0.0.1:0\nspool: {keep: [{route: POST /messages}]}\n",
		"http://"+loopback(plain), "https://"+loopback(secure), origin.URL, data, filepath.Join(dir, "access.log"))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := binary(traced).start(t, "", "run", "--config", config)
	roots := x509.NewCertPool()
	if root := binary(deich).must(t, "certificate", "root", "--data", data); !roots.AppendCertsFromPEM([]byte(root)) {
		t.Fatalf("no certificate: %s", root)
	}
	for range 20 {
		get(t, asking(t, plain, nil), "http://a.test/")
		get(t, asking(t, secure, roots), "https://a.test/")
	}
	overQUIC(t, secure, roots)
	get(t, visitor(t), pageOf(t, p)+"/")
	author := newAuthorFrom(t, asking(t, plain, nil), "a001", "http://a.test")
	origin.Close()
	if _, status, _, err := author.post(false); err != nil || status != http.StatusAccepted {
		t.Errorf("the platform is down, and what is posted is not kept: %d, %v", status, err)
	}
	binary(deich).must(t, "top", "--seconds", "1", "--data", data)
	p.signal(t, syscall.SIGHUP)
	p.hear(t, "The configuration is in force.")
	p.stop(t)

	trace, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]bool{}
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^RestrictAddressFamilies=(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		for _, family := range strings.Fields(m[1]) {
			families[family] = true
		}
	}
	may, refused, seen := allowed(t, unitFile), map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +([a-z_0-9]+)\(`).FindAllStringSubmatch(string(trace), -1) {
		seen[m[1]] = true
		if !may[m[1]] && !refused[m[1]] {
			refused[m[1]] = true
			t.Errorf("the filter refuses %s, which Deich calls", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\bsocket\((AF_[A-Z0-9]+)`).FindAllStringSubmatch(string(trace), -1) {
		seen[m[1]] = true
		if !families[m[1]] && !refused[m[1]] {
			refused[m[1]] = true
			t.Errorf("the unit refuses sockets of %s, which Deich opens", m[1])
		}
	}
	for _, call := range []string{"accept4", "epoll_ctl", "flock", "recvmmsg", "sched_setattr", "fsync", "AF_INET"} {
		if !seen[call] {
			t.Errorf("%s was not seen: the trace holds only %d calls", call, len(seen))
		}
	}
}

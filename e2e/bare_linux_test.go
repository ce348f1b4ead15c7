package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// inBare says, in the namespaces of barely, where the built Deich is.
	inBare = "DEICH_E2E_BARE"
	// bareUser is the container image's.
	bareUser = 65532
)

// barely runs the test that calls it in namespaces of its own, of users too; false says that it
// did so, and nothing is left to do.
func barely(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inBare) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		missing(t, "two users can be had in a namespace only by root: run it as root")
	}
	need(t, "ip", "iproute2")
	need(t, "setpriv", "util-linux")
	// Static, as it is released: nothing else is there that it could load.
	deich := filepath.Join(t.TempDir(), "deich")
	if out, err := output(t, "", []string{"CGO_ENABLED=0"}, "go", "build", "-o", deich, "../cmd/deich"); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: bareUser, HostID: bareUser, Size: 1}}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	c.Env = append(os.Environ(), inBare+"="+deich)
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true, Pdeathsig: syscall.SIGKILL,
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		missing(t, fmt.Sprintf("namespaces of its own cannot be made here: %v", err))
	}
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), "--- PASS: "+t.Name()+" ") {
		t.Fatalf("in its own namespaces: %v\n%s", err, &out)
	}
	if testing.Verbose() {
		t.Log("\n" + out.String())
	}
	return false
}

// scratch lays out what a container from nothing but the binary has, a folder for data
// apart all of it read-only, and gives the binary in there: run by the image's user, without
// any right.
func scratch(t *testing.T, config string) binary {
	t.Helper()
	root := t.TempDir()
	mount := func(what, at, kind string, flags uintptr, data string) {
		t.Helper()
		if err := unix.Mount(what, at, kind, flags, data); err != nil {
			t.Fatalf("mount %s: %v", at, err)
		}
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mount("tmpfs", root, "tmpfs", 0, "mode=0755")
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	for _, dir := range []string{"proc", "dev", "usr/bin", "etc/deich", "var/lib/deich"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(os.Getenv(inBare))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]struct {
		text []byte
		mode os.FileMode
	}{"usr/bin/deich": {b, 0o755}, "etc/deich/deich.yaml": {[]byte(config), 0o644}, "dev/null": {nil, 0o644}} {
		if err := os.WriteFile(filepath.Join(root, name), f.text, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	mount("/dev/null", filepath.Join(root, "dev/null"), "", unix.MS_BIND, "") // as every runtime gives it
	mount("tmpfs", filepath.Join(root, "var/lib/deich"), "tmpfs", 0, fmt.Sprintf("mode=0700,uid=%d,gid=%d", bareUser, bareUser))
	mount("", root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")

	// A script, so that what starts binaries can start it.
	name := filepath.Join(t.TempDir(), "deich")
	script := fmt.Sprintf("#!/bin/sh\nexec env -i PATH=\"$PATH\" XDG_STATE_HOME=/var/lib setpriv --no-new-privs chroot --userspec=%d:%d --groups= %s /usr/bin/deich \"$@\"\n", bareUser, bareUser, root)
	writeFile(t, name, script)
	if err := os.Chmod(name, 0o755); err != nil {
		t.Fatal(err)
	}
	return binary(name)
}

// As in a container of nothing but the binary, whose root is read-only and whose user
// has no right: users are served, who floods is refused, and what cannot be had is named
// with the way to it.
func TestBare(t *testing.T) {
	if !barely(t) {
		return
	}
	origin := platform(t, "hello")
	b := scratch(t, fmt.Sprintf("listen: [\"http://127.0.0.1:8080\"]\nsites: [{origins: [%q]}]\nconsole: 127.0.0.1:2020\ndata: /var/lib/deich\ngate: {mode: auto}\n", origin.URL))

	says := func(what, text string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q:\n%s", what, w, text)
			}
		}
	}
	out, errs, _ := b.run(t, "doctor", "--config", "/etc/deich/deich.yaml")
	says("deich doctor", out+errs, "/etc/deich/deich.yaml is right", "none, and none is needed",
		"gate.mode auto finds none here for this user, who lacks CAP_BPF and CAP_NET_ADMIN, so sources are refused at accept",
		"gate.conf", "--cap-add BPF --cap-add NET_ADMIN", "127.0.0.1:8080 is free")
	for what, c := range map[string]struct {
		args  []string
		words []string
	}{
		"who relies on a gate":  {[]string{"--gate", "xdp"}, []string{"CAP_BPF and CAP_NET_ADMIN", "hint: ", "gate.mode auto"}},
		"a port below 1024":     {[]string{"--listen", "127.0.0.1:80"}, []string{"permission denied", "hint: ", "cap_net_bind_service"}},
		"a folder to read only": {[]string{"--data", "/data"}, []string{"read-only file system", "hint: ", "--data DIR"}},
	} {
		args := append([]string{"protect", "--to", origin.URL, "--listen", "127.0.0.1:0", "--console", "off", "--status", "off"}, c.args...)
		_, errs, code := b.run(t, args...)
		if code != 1 {
			t.Errorf("%s: exit %d", what, code)
		}
		says(what, errs, c.words...)
	}

	p := b.start(t, "", "protect", "--to", origin.URL, "--listen", "127.0.0.1:0", "--status", "127.0.0.1:2021", "--gate", "auto")
	says("deich protect", strings.Join(p.lines(), "\n"), "gate      none: ", "CAP_BPF and CAP_NET_ADMIN", "data      /var/lib/deich")
	if r, body := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 || body != "hello" {
		t.Errorf("%s %q", r.Status, body)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // a process of its own
		r, err := visitor(t).Get("http://127.0.0.1:2021/")
		if err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the status page: %v", err)
		}
	}
	says("deich gate", b.must(t, "gate"), "Gate: none: ", "CAP_BPF and CAP_NET_ADMIN")
	out, errs, _ = b.run(t, "doctor", "--config", "/etc/deich/deich.yaml")
	says("deich doctor beside it", out+errs, "gate.mode auto finds none here", "the running Deich has none")
	says("deich top", b.must(t, "top", "--seconds", "1"), "stranger")

	to, nasty, other := hostOf(t, p.users), net.IPv4(127, 0, 0, 66), net.IPv4(127, 0, 0, 67)
	for end := time.Now().Add(patience); opens(nasty, to); {
		if time.Now().After(end) {
			t.Fatal("who sends nonsense all the time is not refused")
		}
		for range 100 {
			nonsense(nasty, to)
			time.Sleep(2 * time.Millisecond)
		}
	}
	if !opens(other, to) {
		t.Error("another source is refused, too")
	}
	p.stop(t)
	says("deich gate, with nobody there", b.must(t, "gate"), "Nothing of a gate is seen here", "Not seen without more rights", "the tables of nftables (CAP_NET_ADMIN)", "This user lacks CAP_BPF and CAP_NET_ADMIN", "gate.conf", "--cap-add")
}

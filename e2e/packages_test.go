package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	configFile = "/etc/deich/deich.yaml"
	// nobody is Debian's user of that name: it stands for the user that the
	// service gets.
	nobody = 65534
)

// edited is a configuration that an operator wrote.
func edited(origin string) string {
	return fmt.Sprintf("# mine\nlisten: [\"http://127.0.0.1:0\"]\nsites: [{origins: [%q]}]\nconsole: 127.0.0.1:0\n", origin)
}

// inRoom is where a release's file is seen in a room that shows r.dir.
func inRoom(r released, file string) string {
	return filepath.Join("/mnt", strings.TrimPrefix(file, r.dir))
}

// serves starts the installed Deich as the unit does and asks it for a page.
func serves(t *testing.T, room *room, want string) {
	t.Helper()
	unit := room.read(t, "/usr/lib/systemd/system/deich.service")
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/deich (.*)$`).FindStringSubmatch(unit)
	if start == nil {
		t.Fatalf("no ExecStart in the unit:\n%s", unit)
	}
	room.must(t, "install", "-d", "-m", "0700", "-o", fmt.Sprint(nobody), "/var/lib/deich")
	p := room.binaryAs(t, nobody).start(t, "", strings.Fields(start[1])...)
	if r, body := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 || body != want {
		t.Errorf("%s %q", r.Status, body)
	}
	p.signal(t, syscall.SIGHUP)
	p.hear(t, "The configuration is in force.")
	reloadsByUnit(t, room, p, unit)
	p.stop(t)
}

// reloadsByUnit goes through what the unit runs at systemctl reload: it says whether the file was taken.
func reloadsByUnit(t *testing.T, room *room, p *process, unit string) {
	t.Helper()
	all := regexp.MustCompile(`(?m)^ExecReload=/usr/bin/deich (.*)$`).FindAllStringSubmatch(unit, -1)
	if len(all) == 0 {
		t.Fatalf("no ExecReload in the unit:\n%s", unit)
	}
	reload := func() (said string, code int) {
		for _, line := range all {
			line := strings.ReplaceAll(line[1], "$MAINPID", fmt.Sprint(p.cmd.Process.Pid))
			var errs string
			if said, errs, code = room.binaryAs(t, nobody).run(t, strings.Fields(line)...); code != 0 {
				return errs, code
			}
		}
		return said, code
	}
	if said, code := reload(); code != 0 || !strings.Contains(said, "The configuration is in force.") {
		t.Errorf("reload: exit %d: %s", code, said)
	}
	text := room.read(t, configFile)
	room.put(t, configFile, text+"limits: {connections: 1000}\n", "0644")
	if said, code := reload(); code != 1 || !strings.Contains(said, "limits: cannot change while running") {
		t.Errorf("reload of what takes a restart: exit %d: %s", code, said)
	}
	room.put(t, configFile, text, "0644")
}

func comesAndGoesAsDeb(t *testing.T, r released) {
	need(t, "dpkg", "dpkg")
	room, origin := newRoom(t, r.dir), platform(t, "hello")
	if all := room.left(t); len(all) > 0 {
		t.Fatalf("before anything is installed there is %q", all)
	}
	said := room.must(t, "dpkg", "-i", inRoom(r, the(t, r.first, firstVersion, "deb")))
	if !strings.Contains(said, "not started yet") {
		t.Errorf("the first installation does not say that nothing was started:\n%s", said)
	}
	for _, name := range room.left(t) {
		if strings.HasPrefix(name, "/etc/systemd/") {
			t.Errorf("it enabled itself: %s", name)
		}
	}
	if said := room.must(t, "deich", "config", "check", configFile); !strings.Contains(said, "is right") {
		t.Errorf("the configuration that comes with it: %s", said)
	}
	room.must(t, "systemctl", "enable", "deich.service")
	room.put(t, configFile, edited(origin.URL), "0644")
	serves(t, room, "hello")

	// apt keeps a changed file in this way when nobody is there to be asked.
	room.must(t, "dpkg", "--force-confdef", "--force-confold", "-i", inRoom(r, the(t, r.next, nextVersion, "deb")))
	if got := room.must(t, "deich", "version"); !strings.Contains(got, nextVersion) {
		t.Errorf("after the upgrade it is %q", got)
	}
	if got := room.read(t, configFile); got != edited(origin.URL) {
		t.Errorf("the upgrade changed the configuration:\n%s", got)
	}
	if got := room.read(t, configFile+".dpkg-dist"); !strings.Contains(got, "New in this version") {
		t.Errorf("the new configuration is not beside the old one:\n%s", got)
	}
	serves(t, room, "hello")

	room.must(t, "dpkg", "--remove", "deich")
	left := room.left(t)
	for name, stays := range map[string]bool{
		configFile: true, "/var/lib/deich/pass.keys": true,
		"/usr/bin/deich": false, "/usr/lib/systemd/system/deich.service": false,
	} {
		if slices.Contains(left, name) != stays {
			t.Errorf("after remove: %s should stay: %v", name, stays)
		}
	}
	room.must(t, "dpkg", "--purge", "deich")
	if left := room.left(t); len(left) > 0 {
		t.Errorf("purge left %q", left)
	}
}

// systemctlStub stands for a systemd that runs, and notes what it is told. The
// service is active.
const systemctlStub = "#!/bin/sh\necho \"$@\" >>/run/told\n"

// told is what the packages' scripts said to systemd since it was last asked.
func told(t *testing.T, room *room) []string {
	t.Helper()
	return strings.Fields(room.must(t, "sh", "-c", `tr ' ' _ </run/told; : >/run/told`))
}

// An upgrade restarts a Deich that runs, but not into a configuration that the
// new one refuses.
func givesWay(t *testing.T, r released) {
	need(t, "rpm", "rpm")
	for _, kind := range []struct{ name, install, upgrade string }{
		{"deb", "dpkg -i", "dpkg --force-confdef --force-confold -i"},
		{"rpm", "rpm --nosignature --nodeps --force-debian -i", "rpm --nosignature --nodeps --force-debian -U"},
	} {
		t.Run(kind.name, func(t *testing.T) {
			room := newRoom(t, r.dir)
			room.put(t, "/usr/bin/systemctl", systemctlStub, "0755")
			room.must(t, "mkdir", "-p", "/run/systemd/system")
			first, next := inRoom(r, the(t, r.first, firstVersion, kind.name)), inRoom(r, the(t, r.next, nextVersion, kind.name))
			do := func(command, file string) string {
				return room.must(t, append(strings.Fields(command), file)...)
			}
			do(kind.install, first)
			if got := told(t, room); slices.ContainsFunc(got, func(s string) bool { return s != "daemon-reload" }) {
				t.Errorf("the first installation told systemd %q", got)
			}
			room.put(t, configFile, edited("http://127.0.0.1:1"), "0644")
			do(kind.upgrade, next)
			if got := told(t, room); !slices.Contains(got, "daemon-reload") || !slices.Contains(got, "restart_deich.service") {
				t.Errorf("the upgrade told systemd %q", got)
			}
			room.put(t, configFile, "sites: []\n", "0644")
			said := do(kind.upgrade+map[string]string{"rpm": " --oldpackage", "deb": ""}[kind.name], first)
			if got := told(t, room); slices.Contains(got, "restart_deich.service") || !strings.Contains(said, "the old one runs on") {
				t.Errorf("with a wrong configuration: told systemd %q, said:\n%s", got, said)
			}
		})
	}
}

func comesAndGoesAsRPM(t *testing.T, r released) {
	need(t, "rpm", "rpm")
	file := the(t, r.first, firstVersion, "rpm")
	list, err := output(t, "", nil, "rpm", "-qp", "--nosignature", "--queryformat", "%{NAME} %{VERSION} %{ARCH} %{BUILDHOST}\n", "--list", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, list)
	}
	for _, name := range []string{"/etc/deich/deich.yaml", "/usr/bin/deich", "/usr/lib/systemd/system/deich.service",
		"/usr/share/bash-completion/completions/deich", "/usr/share/fish/vendor_completions.d/deich.fish",
		"/usr/share/zsh/site-functions/_deich", "/usr/share/man/man1/deich.1.gz", "/usr/share/licenses/deich/LICENSE"} {
		if !strings.Contains(list, name+"\n") {
			t.Errorf("no %s in the rpm", name)
		}
	}
	if cpu := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]; !strings.Contains(list, "deich "+firstVersion+" "+cpu+" deich\n") {
		t.Errorf("its head is wrong:\n%s", list)
	}

	room, origin := newRoom(t, r.dir), platform(t, "hello")
	rpm := func(args ...string) string {
		return room.must(t, append([]string{"rpm", "--nosignature", "--nodeps", "--force-debian"}, args...)...)
	}
	if said := rpm("-i", inRoom(r, file)); !strings.Contains(said, "not started yet") {
		t.Errorf("the first installation does not say that nothing was started:\n%s", said)
	}
	room.put(t, configFile, edited(origin.URL), "0644")
	serves(t, room, "hello")
	rpm("-U", inRoom(r, the(t, r.next, nextVersion, "rpm")))
	if got := room.read(t, configFile); got != edited(origin.URL) {
		t.Errorf("the upgrade changed the configuration:\n%s", got)
	}
	serves(t, room, "hello")
	rpm("-e", "deich")
	// What an operator wrote and what Deich learned is not rpm's to take away.
	for _, name := range room.left(t) {
		if !strings.HasPrefix(name, "/etc/deich") && !strings.HasPrefix(name, "/var/lib/deich") {
			t.Errorf("erase left %s", name)
		}
	}
	if got := room.read(t, configFile+".rpmsave"); got != edited(origin.URL) {
		t.Errorf("the operator's configuration is not kept:\n%s", got)
	}
}

// The image runs without anything of this machine, as a user that owns nothing.
func isAnImage(t *testing.T, r released) {
	need(t, "buildah", "buildah")
	if os.Getuid() != 0 {
		missing(t, "images are built as root")
	}
	store := t.TempDir()
	settings := filepath.Join(store, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = \"vfs\"\nrunroot = %q\ngraphroot = %q\n", filepath.Join(store, "run"), filepath.Join(store, "graph"))
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"CONTAINERS_STORAGE_CONF=" + settings, "BUILDAH_ISOLATION=chroot"}
	do := func(args ...string) string {
		out, err := output(t, "", env, args...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(out)
	}
	tarball := the(t, r.first, firstVersion, "tar.gz")
	id := do("../packaging/image.sh", tarball, "deich:one")
	if again := do("../packaging/image.sh", tarball, "deich:two"); again != id {
		t.Errorf("the same tarball made the images %s and %s", id, again)
	}
	work := do("buildah", "from", "deich:one")
	root := do("buildah", "mount", work)
	t.Cleanup(func() { output(t, "", env, "buildah", "rm", work) })

	name := filepath.Join(t.TempDir(), "deich")
	script := fmt.Sprintf("#!/bin/sh\nexec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin XDG_STATE_HOME=/var/lib chroot --userspec=65532:65532 %q /usr/bin/deich \"$@\"\n", root)
	if err := os.WriteFile(name, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	binary(name).must(t, "config", "check", configFile)
	// No authorities lie in the image: the binary has its own, see cmd/deich/roots_test.go.
	if _, err := os.Stat(filepath.Join(root, "etc/ssl")); err == nil {
		t.Error("there are certificates in the image")
	}
	if out := do("go", "version", "-m", filepath.Join(root, "usr/bin/deich")); !strings.Contains(out, "golang.org/x/crypto/x509roots/fallback") {
		t.Errorf("no authorities are in the image's binary:\n%s", out)
	}
	origin := platform(t, "hello")
	p := binary(name).start(t, "", "protect", "--to", origin.URL, "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--status", "off")
	if r, body := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 || body != "hello" {
		t.Errorf("%s %q", r.Status, body)
	}
	p.stop(t)
	if _, err := os.Stat(filepath.Join(root, "var/lib/deich/pass.keys")); err != nil {
		t.Errorf("its keys are not in its folder: %v", err)
	}
}

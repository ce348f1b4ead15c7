package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const inSpace = "DEICH_E2E_SPACE"

// alone runs the test that calls it in a network namespace of its own, without the
// machine's bpf filesystems; false says that it did so, and nothing is left to do.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inSpace) != "" {
		return true
	}
	need(t, "ip", "iproute2")
	c := exec.Command("sh", "-c", `mount --make-rprivate / && umount -l -a -t bpf && ip link set lo up && exec "$0" "$@"`, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	c.Env = append(os.Environ(), inSpace+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("a network namespace: %v", err)
		}
		t.Skipf("left out: no network namespace can be made here: %v", err)
	}
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), "--- PASS: "+t.Name()+" ") {
		t.Fatalf("in its own namespace: %v\n%s", err, &out)
	}
	if testing.Verbose() {
		t.Log("\n" + out.String())
	}
	return false
}

// The built Deich with a gate: who keeps sending nonsense does not get as far
// as its port, and nobody else is touched.
func TestGate(t *testing.T) {
	if !alone(t) {
		return
	}
	for mode, stands := range map[string]string{"xdp": "xdp-generic at lo (generic)", "nft": "nft at lo"} {
		t.Run(mode, func(t *testing.T) {
			if mode == "nft" {
				need(t, "nft", "nftables")
			}
			gateStory(t, mode, stands)
		})
	}
}

func gateStory(t *testing.T, mode, stands string) {
	b, origin, data := build(t), platform(t, "hello"), t.TempDir()
	p := b.protect(t, data, origin.URL, "--gate", mode)
	p.hear(t, "gate      "+stands)
	to, console := hostOf(t, p.users), hostOf(t, p.link)
	nasty, other := net.IPv4(127, 0, 0, 66), net.IPv4(127, 0, 0, 67)
	b.untilJudged(t, data, nasty, to)
	if s := b.gate(t, data); s.Sources != 1 {
		t.Errorf("%d sources are judged", s.Sources)
	}
	if opens(nasty, to) {
		t.Error("the judged source still reaches the port")
	}
	if !opens(other, to) {
		t.Error("another source does not")
	}
	if !opens(nasty, console) {
		t.Error("the judged source cannot open another port, the private page's")
	}
	for what, want := range map[string][]string{
		"drops are explained": {"explain", "127.0.0.66"}, "the source is listed": {"rules"},
	} {
		if out := b.must(t, append(want, "--data", data)...); !strings.Contains(out, "127.0.0.66") {
			t.Errorf("%s: %s", what, out)
		}
	}
	if out := b.must(t, "gate", "--data", data); !strings.Contains(out, "Gate: "+stands) || !strings.Contains(out, "dropped") {
		t.Errorf("deich gate: %s", out)
	}

	// By hand it is let in at once, and stays so.
	b.must(t, "allow", "127.0.0.66", "--data", data)
	for end := time.Now().Add(5 * time.Second); !opens(nasty, to); {
		if time.Now().After(end) {
			t.Fatal("who was allowed by hand is still dropped")
		}
	}

	// Taken away, Deich goes on without.
	if out := b.must(t, "gate", "off", "--data", data); !strings.Contains(out, "goes on without a gate") {
		t.Errorf("gate off: %s", out)
	}
	if out := b.must(t, "gate", "--data", data); !strings.Contains(out, "none: it was taken away") {
		t.Errorf("deich gate afterwards: %s", out)
	}
	if !opens(other, to) {
		t.Error("without a gate nobody is served")
	}
	p.stop(t)

	// Of one that is killed nothing stands that could not be taken away.
	p = b.protect(t, data, origin.URL, "--gate", mode)
	p.signal(t, syscall.SIGKILL)
	<-p.ended
	out, errs, code := b.run(t, "gate", "off", "--data", data)
	if code != 0 || mode == "xdp" && !strings.Contains(out, "Nothing of a gate stands here") || mode == "nft" && !strings.Contains(out, "Taken away: nftables") {
		t.Errorf("gate off, with nobody there: exit %d\n%s%s", code, out, errs)
	}
	if out := b.must(t, "gate", "--data", data); !strings.Contains(out, "No Deich answers") || !strings.Contains(out, "Nothing of a gate stands here") {
		t.Errorf("deich gate, with nobody there: %s", out)
	}
}

type gateStatus struct {
	Sources int
	Counts  map[string]struct{ Packets uint64 }
}

func (b binary) gate(t *testing.T, data string) (s gateStatus) {
	t.Helper()
	unmarshal(t, b.must(t, "gate", "status", "--json", "--data", data), &s)
	return s
}

// untilJudged sends nonsense from an address until the kernel drops it.
func (b binary) untilJudged(t *testing.T, data string, nasty net.IP, to string) {
	t.Helper()
	for end := time.Now().Add(patience); b.gate(t, data).Counts["source"].Packets == 0; {
		if time.Now().After(end) {
			t.Fatalf("it is not dropped: %+v", b.gate(t, data))
		}
		for range 100 {
			if !nonsense(nasty, to) {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// The built Deich with a pinned gate: the next one after a kill knows whom the gate
// drops, though it has judged nobody, and a bypass reaches them.
func TestPinnedGate(t *testing.T) {
	if !alone(t) {
		return
	}
	bpf := t.TempDir()
	if err := syscall.Mount("bpf", bpf, "bpf", 0, "mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(bpf, syscall.MNT_DETACH) })
	b, origin, dir := build(t), platform(t, "hello"), t.TempDir()
	file, data, pins := filepath.Join(dir, "deich.yaml"), filepath.Join(dir, "state"), filepath.Join(bpf, "deich_gate")
	to := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	writeFile(t, file, fmt.Sprintf(`listen: ["http://%s"]
sites:
  - origins: ["%s"]
console: 127.0.0.1:0
data: state
gate: {mode: xdp, pinned: true}
`, to, origin.URL))
	start := func() *process {
		t.Helper()
		p := b.start(t, data, "run", "--config", file)
		p.hear(t, "gate      xdp-generic at lo (generic), pinned in "+pins)
		return p
	}
	p := start()
	nasty, other := net.IPv4(127, 0, 0, 66), net.IPv4(127, 0, 0, 67)
	b.untilJudged(t, data, nasty, to)
	p.signal(t, syscall.SIGKILL)
	<-p.ended

	p = start()
	if s := b.gate(t, data); s.Sources != 1 {
		t.Errorf("%d sources were taken over", s.Sources)
	}
	if opens(nasty, to) {
		t.Error("the judged source gets through to the next Deich")
	}
	if !opens(other, to) {
		t.Error("another source does not")
	}
	b.must(t, "bypass", "--for", "1m", "--data", data)
	if !opens(nasty, to) {
		t.Error("in a bypass the source is still dropped")
	}
	p.signal(t, syscall.SIGKILL)
	<-p.ended
	if out, _, _ := b.run(t, "doctor", "--config", file, "--data", data); !strings.Contains(out, "the next start takes it over") {
		t.Errorf("deich doctor: %s", out)
	}
	if out := b.must(t, "gate", "off", "--data", data); !strings.Contains(out, "Taken away: pinned: "+pins) {
		t.Errorf("gate off, with nobody there: %s", out)
	}
	start().stop(t)
	if _, err := os.Lstat(pins); !os.IsNotExist(err) {
		t.Errorf("after an end in order, the pins: %v", err)
	}
	if out := b.must(t, "gate", "--data", data); !strings.Contains(out, "Nothing of a gate stands here") {
		t.Errorf("deich gate, with nobody there: %s", out)
	}
}

// What pinned.conf has root do before each start is enough for a service that is not root,
// with the two capabilities of gate.conf and no other, to have its gate pinned.
func TestPinnedGateOfTheService(t *testing.T) {
	if !alone(t) {
		return
	}
	need(t, "setpriv", "util-linux")
	text, err := os.ReadFile("../packaging/systemd/pinned.conf")
	if err != nil {
		t.Fatal(err)
	}
	before := regexp.MustCompile(`(?m)^ExecStartPre=-\+/usr/bin/nsenter --mount=/proc/1/ns/mnt /bin/sh -c '(.*)'$`).FindSubmatch(text)
	if before == nil {
		t.Fatalf("nothing is done before a start:\n%s", text)
	}
	// Everything lies in a /run of the test's own, where any user may look.
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Unmount("/run/deich-gate", syscall.MNT_DETACH)
		syscall.Unmount("/run", syscall.MNT_DETACH)
	})
	const user, data, file, pins = 61184, "/run/var/deich", "/run/deich.yaml", "/run/deich-gate/deich_gate"
	b, origin := build(t), platform(t, "hello")
	program, err := os.ReadFile(string(b))
	if err != nil {
		t.Fatal(err)
	}
	to := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	if err := errors.Join(
		os.WriteFile("/run/deich", program, 0o755),
		os.WriteFile("/run/service", fmt.Appendf(nil, "#!/bin/sh\nexec setpriv --reuid=%d --regid=%[1]d --clear-groups --bounding-set=-all,+bpf,+net_admin "+
			"--inh-caps=-all,+bpf,+net_admin --ambient-caps=-all,+bpf,+net_admin --no-new-privs /run/deich \"$@\"\n", user), 0o755),
		os.WriteFile(file, fmt.Appendf(nil, "listen: [\"http://%s\"]\nsites: [{origins: [%q]}]\nconsole: 127.0.0.1:0\ndata: %s\ngate: {mode: xdp, pinned: true}\n", to, origin.URL, data), 0o644),
		os.Mkdir(filepath.Dir(data), 0o755), os.Mkdir(data, 0o700), os.Chown(data, user, user)); err != nil {
		t.Fatal(err)
	}
	service := binary("/run/service")
	start := func() *process {
		t.Helper()
		line := strings.ReplaceAll(string(before[1]), "%S", "/run/var")
		if out, err := exec.Command("/bin/sh", "-c", line).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		p := service.start(t, data, "run", "--config", file)
		p.hear(t, "gate      xdp-generic at lo (generic), pinned in "+pins)
		return p
	}
	p := start()
	nasty := net.IPv4(127, 0, 0, 66)
	service.untilJudged(t, data, nasty, to)
	p.signal(t, syscall.SIGKILL)
	<-p.ended
	p = start()
	if s := service.gate(t, data); s.Sources != 1 {
		t.Errorf("%d sources were taken over", s.Sources)
	}
	if opens(nasty, to) {
		t.Error("the judged source gets through to the next Deich")
	}
	p.stop(t)
	if _, err := os.Lstat(pins); !os.IsNotExist(err) {
		t.Errorf("after an end in order, the pins: %v", err)
	}
}

func hostOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// opens says whether a connection from an address comes about and is answered.
func opens(from net.IP, to string) bool {
	c, err := connect(from, to)
	if err != nil {
		return false
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", to)
	var b [12]byte
	n, _ := c.Read(b[:])
	return bytes.HasPrefix(b[:n], []byte("HTTP/1.1 "))
}

// nonsense sends what is no request; false says that nobody answered.
func nonsense(from net.IP, to string) bool {
	c, err := connect(from, to)
	if err != nil {
		return false
	}
	defer c.Close()
	fmt.Fprint(c, "\x00\x01 nonsense\r\n\r\n")
	var b [64]byte
	_, err = c.Read(b[:])
	return err == nil
}

func connect(from net.IP, to string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 500 * time.Millisecond}
	c, err := d.Dial("tcp", to)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(2 * time.Second))
	}
	return c, err
}

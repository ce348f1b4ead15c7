package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// capable says whether this process has the capabilities.
func capable(all ...uint) bool {
	want := uint64(0)
	for _, c := range all {
		want |= 1 << c
	}
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return caps&want == want
		}
	}
	return false
}

// lack skips for a reason that a probe found; where CI has the rights, a lack
// is a failure.
func lack(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" && capable(unix.CAP_BPF, unix.CAP_NET_ADMIN) && !errors.Is(err, ebpf.ErrNotSupported) && !errors.Is(err, os.ErrPermission) {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("left out: %s: %v", what, err)
}

// needPrograms skips where no XDP program can be loaded.
func needPrograms(t testing.TB) {
	t.Helper()
	if err := features.HaveProgramType(ebpf.XDP); err != nil {
		lack(t, "no XDP program can be loaded here", err)
	}
}

const inSpace = "DEICH_GATE_TEST_SPACE"

// alone runs the test that calls it in a network namespace of its own, in a
// process of its own: false says that it did so, and nothing is left to do.
// Nothing of the machine's own network is in reach there, and for root none of
// its bpf filesystems.
func alone(t *testing.T, change ...func(*exec.Cmd)) bool {
	t.Helper()
	if os.Getenv(inSpace) == t.Name() {
		if capable(unix.CAP_NET_ADMIN) {
			run(t, "ip", "link", "set", "lo", "up")
		}
		if capable(unix.CAP_SYS_ADMIN) {
			hideMounts(t)
		}
		return true
	}
	t.Parallel() // each has a namespace to itself
	if _, err := exec.LookPath("ip"); err != nil {
		lack(t, "iproute2", err)
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	c.Env = append(os.Environ(), inSpace+"="+t.Name())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	for _, f := range change {
		f(c)
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		lack(t, "no network namespace can be made here", err)
	}
	err := c.Wait()
	text := out.String()
	switch {
	case err != nil:
		t.Fatalf("in its own namespace: %v\n%s", err, text)
	case strings.Contains(text, "--- SKIP: "+t.Name()+" "):
		_, why, _ := strings.Cut(text, "left out: ")
		why, _, _ = strings.Cut(why, "\n")
		t.Skipf("left out: %s", why)
	case !strings.Contains(text, "--- PASS: "+t.Name()+" "):
		t.Fatalf("it did not run in its own namespace:\n%s", text)
	}
	if testing.Verbose() {
		t.Log("\n" + text)
	}
	return false
}

// hideMounts has this mount namespace be its own, without a bpf filesystem.
func hideMounts(t *testing.T) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	for {
		all, err := bpfMounts()
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 {
			return
		}
		if err := unix.Unmount(all[0], unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
}

// run has a program of the system's do something.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// peer is a thread in another network namespace, joined to ours by a cable.
type peer struct {
	work chan func()
	tid  int
}

const (
	here, there = "deich0", "peer0" // the ends of the cable
)

// cable gives a peer with two addresses of each family, in networks that judged
// and other sources can be told apart by.
func cable(t *testing.T) *peer {
	t.Helper()
	p := &peer{work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		p.tid = unix.Gettid()
		ready <- err
		for f := range p.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		lack(t, "no second network namespace", err)
	}
	t.Cleanup(func() { close(p.work) })
	space := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), p.tid)
	run(t, "ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", space)
	for _, a := range []string{"10.99.0.1/24", "fd99::1/64", "fd98::1/64"} {
		run(t, "ip", "address", "add", a, "dev", here, "nodad")
	}
	run(t, "ip", "link", "set", here, "up")
	run(t, "ip", "route", "add", "default", "via", "10.99.0.2")
	p.do(func() {
		for _, a := range []string{"10.99.0.2/24", "10.99.0.3/24", "fd99::2/64", "fd98::2/64"} {
			run(t, "ip", "address", "add", a, "dev", there, "nodad")
		}
		run(t, "ip", "link", "set", there, "up")
	})
	return p
}

// do has f done on the peer's side.
func (p *peer) do(f func()) {
	done := make(chan bool)
	p.work <- func() { defer close(done); f() }
	<-done
}

// reaches says whether a connection from one address to another comes about.
func (p *peer) reaches(from, to string) (ok bool) {
	p.do(func() { ok = reaches(from, to) })
	return ok
}

func reaches(from, to string) bool {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 700 * time.Millisecond}
	c, err := d.Dial("tcp", to)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = fmt.Fprint(c, "hello")
	var b [5]byte
	if err == nil {
		_, err = io.ReadFull(c, b[:])
	}
	return err == nil
}

// echo listens at an address and gives back what it is sent.
func echo(t *testing.T, at string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

package gate

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// capable says whether this process has both of the gate's capabilities.
func capable() bool {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			const want = 1<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN
			return caps&want == want
		}
	}
	return false
}

// lack skips for a reason that a probe found; where CI has the rights, a lack
// is a failure.
func lack(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" && capable() && !errors.Is(err, ebpf.ErrNotSupported) && !errors.Is(err, os.ErrPermission) {
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
// Nothing of the machine's own network is in reach there.
func alone(t *testing.T, change ...func(*exec.Cmd)) bool {
	t.Helper()
	if os.Getenv(inSpace) == t.Name() {
		run(t, "ip", "link", "set", "lo", "up")
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		lack(t, "iproute2", err)
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	c.Env = append(os.Environ(), inSpace+"="+t.Name())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
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

// run has a program of the system's do something.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

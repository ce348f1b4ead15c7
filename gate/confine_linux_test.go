package gate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A process that is root keeps two capabilities, on all threads, and its
// children get no others back. It is built as Deich is: without cgo.
func TestConfine(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("left out: only root has capabilities to give up")
	}
	name := filepath.Join(t.TempDir(), "confined")
	c := exec.Command("go", "build", "-o", name, "./testdata/confined")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.Command(name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Fields(string(out))
	if len(lines) < 4 {
		t.Fatalf("too few lines: %s", out)
	}
	for _, caps := range lines {
		if caps != "0000008000001000" { // CAP_BPF is 39, CAP_NET_ADMIN is 12
			t.Errorf("kept: %s", caps)
		}
	}
}

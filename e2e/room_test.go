package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// room is a copy of this machine's files that a test may do anything to: what
// is written goes to memory, in a mount namespace that ends with the test.
// Processes in it use this machine's network.
type room struct {
	dir string // up: what was written; root: what it looks like
	pid int    // of the process that holds the namespace
}

// build of the room. $1 is its folder, $2 the one to be seen at /mnt.
const roomScript = `set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
mount --rbind /proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/run"
mount --bind "$2" "$1/root/mnt"
echo ready
exec cat`

// newRoom makes a room in which the folder shown is seen at /mnt.
func newRoom(t *testing.T, shown string) *room {
	t.Helper()
	dir, err := os.MkdirTemp("", "room-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	var errs bytes.Buffer
	hold := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", roomScript, "sh", dir, shown)
	hold.Stderr = &errs
	door, err := hold.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := hold.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Close(); hold.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		hold.Wait()
		missing(t, "no copy of this machine can be made, which takes root and overlayfs: "+errs.String())
	}
	return &room{dir, hold.Process.Pid}
}

// missing leaves a test out because of what this machine lacks; CI lacks nothing.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip("left out: " + what)
}

// need leaves a test out where a program is missing.
func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, fmt.Sprintf("%s is not installed (Debian: apt-get install %s, or make deps)", program, debian))
	}
}

// enter is the command line that runs what follows it in the room.
func (r *room) enter() []string {
	return []string{"nsenter", "--target", strconv.Itoa(r.pid), "--mount", "chroot", filepath.Join(r.dir, "root")}
}

// run runs a command in the room and gives what it says.
func (r *room) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return output(t, "", nil, append(r.enter(), args...)...)
}

func (r *room) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.run(t, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// put writes a file in the room.
func (r *room) put(t *testing.T, name, text string, mode string) {
	t.Helper()
	args := append(r.enter(), "sh", "-c", `mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"`, "sh", name, mode)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (r *room) read(t *testing.T, name string) string {
	t.Helper()
	return r.must(t, "cat", name)
}

// left are the files in the room that this machine does not have and whose path
// speaks of Deich.
func (r *room) left(t *testing.T) (all []string) {
	t.Helper()
	up := filepath.Join(r.dir, "up")
	out, err := output(t, "", nil, "nsenter", "--target", strconv.Itoa(r.pid), "--mount", "find", up, "-mindepth", "1", "-printf", "/%P\n")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name := range strings.Lines(out) {
		if strings.Contains(name, "deich") {
			all = append(all, strings.TrimSpace(name))
		}
	}
	return all
}

// binaryAs is the installed binary, run in the room by the user with this
// number. It is a script, so that what starts binaries can start it.
func (r *room) binaryAs(t *testing.T, user int) binary {
	t.Helper()
	name := filepath.Join(t.TempDir(), "deich")
	as := fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups --inh-caps=-all", user, user)
	script := "#!/bin/sh\nexport XDG_STATE_HOME=/var/lib\nexec " + strings.Join(r.enter(), " ") + " " + as + ` /usr/bin/deich "$@"` + "\n"
	if err := os.WriteFile(name, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return binary(name)
}

// output runs a command without standard input, and gives all that it says.
func output(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	err := cmd.Run()
	return all.String(), err
}

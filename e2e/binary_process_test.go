package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a process may take for what takes it a moment.
const patience = 30 * time.Second

// binary is the built deich.
type binary string

// builds holds what was built, by its tags: linking takes seconds.
var builds struct {
	sync.Mutex
	dir  string // removed by TestMain
	done map[string]binary
}

// build gives the built command, with the given build tags.
func build(t *testing.T, tags ...string) binary {
	t.Helper()
	all := strings.Join(tags, ",")
	builds.Lock()
	defer builds.Unlock()
	if b, ok := builds.done[all]; ok {
		return b
	}
	if builds.done == nil {
		dir, err := os.MkdirTemp("", "deich-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		builds.dir, builds.done = dir, make(map[string]binary)
	}
	name := filepath.Join(builds.dir, "deich"+all)
	if out, err := exec.Command("go", "build", "-tags", all, "-o", name, "../cmd/deich").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	builds.done[all] = binary(name)
	return binary(name)
}

// run runs a command to its end.
func (b binary) run(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, string(b), args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that has to go well.
func (b binary) must(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := b.run(t, args...)
	if code != 0 {
		t.Fatalf("deich %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// process is a deich that runs.
type process struct {
	cmd   *exec.Cmd
	data  string
	users string // where users come in
	link  string // the console's, as it was printed
	ended chan struct{}

	mu   sync.Mutex
	said []string
	news chan struct{} // closed, and made anew, with every line
}

var (
	usersLine   = regexp.MustCompile(`users +(https?://\S+)`)
	consoleLine = regexp.MustCompile(`console +(http://\S+)`)
)

// start runs protect or run, and gives it once it says that it stands.
func (b binary) start(t *testing.T, data string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(string(b), args...), data: data, ended: make(chan struct{}), news: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go p.listen(r)
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("deich %s said:\n%s", strings.Join(args, " "), strings.Join(p.lines(), "\n"))
		}
	})
	p.hear(t, "Ctrl-C ends it")
	for _, line := range p.lines() {
		if m := usersLine.FindStringSubmatch(line); m != nil {
			p.users = m[1]
		}
		if m := consoleLine.FindStringSubmatch(line); m != nil {
			p.link = m[1]
		}
	}
	return p
}

// protect starts one with its console, on ports that the system gives, and
// without a status page unless more asks for one.
func (b binary) protect(t *testing.T, data, origin string, more ...string) *process {
	t.Helper()
	return b.start(t, data, append([]string{"protect", "--to", origin, "--listen", "127.0.0.1:0",
		"--console", "127.0.0.1:0", "--status", "off", "--data", data}, more...)...)
}

func (p *process) listen(r *os.File) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.mu.Lock()
		p.said = append(p.said, lines.Text())
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
	r.Close()
	p.cmd.Wait()
	close(p.ended)
}

func (p *process) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.said...)
}

// hear waits until it has said the words.
func (p *process) hear(t *testing.T, words string) {
	t.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		all, news := strings.Join(p.said, "\n"), p.news
		p.mu.Unlock()
		if strings.Contains(all, words) {
			return
		}
		select {
		case <-news:
		case <-p.ended:
			t.Fatalf("it ended and never said %q:\n%s", words, strings.Join(p.lines(), "\n"))
		case <-late:
			t.Fatalf("it never said %q:\n%s", words, all)
		}
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end waits for its exit code.
func (p *process) end(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends it as Ctrl-C does, and it must go well.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGINT)
	if code := p.end(t); code != 0 {
		t.Fatalf("exit %d:\n%s", code, strings.Join(p.lines(), "\n"))
	}
}

// visitor is a client with connections of its own.
func visitor(t *testing.T) *http.Client {
	c := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// statusPage is the process that serves the status page for a station. It
// outlives a station that crashes: the next one on the same data folder finds
// it and takes it over.
type statusPage struct {
	process *os.Process
	exited  chan struct{} // closed when a child of ours has ended; nil: it is no child of ours
	address string        // where it listens
	before  bool          // it was there already
}

// statusStartWait is how long the page's process may take to listen.
const statusStartWait = 5 * time.Second

// takePidFile locks the file that tells of the page's process, and writes it:
// its number, what it was told, and where it listens.
func takePidFile(name, told, address string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	if err := lockNow(f); err != nil {
		return nil, errors.Join(errors.New("status page: another one serves this data folder"), f.Close())
	}
	if err := errors.Join(f.Truncate(0), func() error { _, err := fmt.Fprintf(f, "%d\n%s\n%s\n", os.Getpid(), told, address); return err }()); err != nil {
		return nil, errors.Join(fmt.Errorf("status page: %w", err), f.Close())
	}
	return f, nil
}

// survivor finds the page's process of a station that crashed: the lock says
// that it lives, and only it writes that file. told is what it was told.
func survivor(data string) (page *statusPage, told string) {
	f, err := os.OpenFile(filepath.Join(data, statusPidFile), os.O_RDWR, 0)
	if err != nil {
		return nil, ""
	}
	defer f.Close()
	if lockNow(f) == nil { // nobody holds it
		return nil, ""
	}
	b, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return nil, ""
	}
	said := strings.Split(string(b), "\n")
	if len(said) < 3 {
		return nil, ""
	}
	pid, err := strconv.Atoi(said[0])
	if err != nil || pid <= 1 {
		return nil, ""
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil, ""
	}
	return &statusPage{process: p, address: said[2], before: true}, said[1]
}

// waitGone waits until the process of a page that was ended holds its lock no more.
func waitGone(data string) {
	for end := time.Now().Add(statusStartWait); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if p, _ := survivor(data); p == nil {
			return
		}
	}
}

// aside keeps what the page's process says until it listens, and hands on what it
// says from then on. It is safe for concurrent use.
type aside struct {
	mu   sync.Mutex
	kept strings.Builder // at most asideMax bytes
	to   io.Writer       // nil: it is kept
}

// asideMax bounds what is kept of that, in bytes; the rest is dropped.
const asideMax = 4 << 10

func (a *aside) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.to != nil {
		return a.to.Write(b)
	}
	a.kept.Write(b[:min(len(b), asideMax-a.kept.Len())])
	return len(b), nil
}

// said gives what was kept.
func (a *aside) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept.String()
}

// handOn hands on what was kept, and everything from now on.
func (a *aside) handOn(to io.Writer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.to = to
	io.WriteString(to, a.kept.String())
}

// startStatusPage starts the page's process, or takes over the one that is there
// where it was told the same; where it listens at "off" there is none. What it says
// while it serves goes to errs.
func startStatusPage(want *statusServeCommand, errs io.Writer) (*statusPage, error) {
	if p, told := survivor(want.Data); p != nil {
		if told == want.told() {
			return p, nil
		}
		p.end()
		waitGone(want.Data)
	}
	if want.Listen == consoleOff {
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	c := exec.Command(self, append([]string{"status", "serve", "--child", "--data=" + want.Data}, want.arguments()...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	said := new(aside)
	c.Stderr = said
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	page := &statusPage{process: c.Process, exited: make(chan struct{})}
	listening := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(out, 256)).ReadString('\n')
		listening <- strings.TrimSpace(line)
		io.Copy(io.Discard, out)
		c.Wait()
		close(page.exited)
	}()
	select {
	case page.address = <-listening:
	case <-time.After(statusStartWait):
	}
	if page.address == "" {
		page.end()
		if text := strings.TrimSpace(strings.TrimPrefix(said.said(), "deich: ")); text != "" {
			return nil, errors.New(text)
		}
		return nil, errors.New("status page: it did not start")
	}
	said.handOn(errs)
	return page, nil
}

// end ends the page's process, in peace and then by force.
func (p *statusPage) end() {
	if p == nil || p.process.Signal(syscall.SIGTERM) != nil {
		return
	}
	if p.exited == nil { // another station's child: nobody tells us when it has ended
		return
	}
	select {
	case <-p.exited:
	case <-time.After(statusStartWait):
		p.process.Kill()
		<-p.exited
	}
}

// limited takes no more than so many bytes, and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	if n := min(len(b), l.left); n > 0 {
		l.left -= n
		if _, err := l.w.Write(b[:n]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

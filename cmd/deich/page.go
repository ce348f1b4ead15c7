package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// pageKeeper has a process serve the status page as long as a station stands.
type pageKeeper struct {
	want    *statusServeCommand
	t       *terminal
	on      bool        // a process is to serve it
	door    *os.File    // what each of them listens on, one after another; nil: they open their own
	serving *statusPage // nil: none
}

// openPage takes over the page's process of a station before, where it was told the
// same, or else its place, where the page is not off. That comes before a gate is opened:
// with it goes the right to listen below 1024, which a process that is started again
// would miss.
func openPage(want *statusServeCommand, t *terminal) (*pageKeeper, error) {
	k := &pageKeeper{want: want, t: t, on: want.Listen != consoleOff}
	if p, told := survivor(want.Data); p != nil {
		if told == want.told() {
			k.serving = p
			return k, nil
		}
		p.end()
		waitGone(want.Data)
	}
	if !k.on || runtime.GOOS == "windows" { // which hands no sockets to processes
		return k, nil
	}
	l, err := net.Listen("tcp", want.Listen)
	if err != nil {
		k.on = false
		return k, portHint(err, "status page", "--status :2022, or --status off to go without; everything else goes on")
	}
	defer l.Close() // k.door is another one for the same socket
	k.door, err = l.(*net.TCPListener).File()
	return k, err
}

// start starts the process, unless one serves the page already, or none is to.
func (k *pageKeeper) start() (err error) {
	if k.on && k.serving == nil {
		k.serving, err = startStatusPage(k.want, k.door, k.t.errs)
	}
	return err
}

// keep starts the process anew where it has ended, until ctx does. What ends again and
// again, or cannot start, is tried ever more seldom.
func (k *pageKeeper) keep(ctx context.Context) {
	for pause := pageAgainFirst; k.on; pause = min(2*pause, pageAgainLast) {
		if began := time.Now(); k.serving != nil {
			if !k.serving.gone(ctx, k.want.Data) {
				return
			}
			k.serving = nil
			if time.Since(began) > pageAgainLast {
				pause = pageAgainFirst
			}
		}
		select {
		case <-ctx.Done(): // a supervisor ends both at once
			return
		case <-time.After(pause):
		}
		if err := k.start(); err != nil {
			k.t.warn("the status page's process has ended, and could not be started anew: %v", err)
		} else {
			k.t.warn("the status page's process had ended, and was started anew")
		}
	}
}

// end ends the page with the station.
func (k *pageKeeper) end() {
	k.serving.end()
	k.leave()
}

// leave lets a process that serves the page go on without this station.
func (k *pageKeeper) leave() {
	if k.door != nil {
		k.door.Close()
	}
}

// gone waits until the process has ended; false: ctx ended before.
func (p *statusPage) gone(ctx context.Context, data string) bool {
	if p.exited != nil {
		select {
		case <-p.exited:
			return true
		case <-ctx.Done():
			return false
		}
	}
	// Another station's child: nobody tells us, but its lock does.
	each := time.NewTicker(pageLook)
	defer each.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-each.C:
			if other, _ := survivor(data); other == nil {
				return true
			}
		}
	}
}

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

// startStatusPage starts the page's process, which listens on door where there is one.
// What it says while it serves goes to errs.
func startStatusPage(want *statusServeCommand, door *os.File, errs io.Writer) (*statusPage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	c := exec.Command(self, append([]string{"status", "serve", "--child", "--data=" + want.Data}, want.arguments()...)...)
	if door != nil {
		c.Args, c.ExtraFiles = append(c.Args, "--door"), []*os.File{door}
	}
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

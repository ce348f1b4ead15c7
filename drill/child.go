package drill

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process that the drill started, and ends.
type child struct {
	name string
	cmd  *exec.Cmd
	out  *tail
	done chan struct{}
	err  error // set before done is closed

	listens bool // it was seen to
}

// launch starts a process. It dies with this one, has its own process group
// (an interrupt at the terminal is for the drill, which ends it in order), and
// runs on the given cores only.
func launch(name string, cores []int, binary string, args ...string) (*child, error) {
	c := &child{name: name, cmd: exec.Command(binary, args...), out: &tail{}, done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	started := make(chan error, 1)
	go func() {
		defer close(c.done)
		if err := startOn(c.cmd, cores); err != nil {
			c.err = err
			started <- err
			return
		}
		started <- nil
		// What it started and left holds on to its output, which Wait reads to the
		// end; and until Wait its number, the group's, cannot be another's.
		awaitEnd(c.pid())
		endGroup(c.pid())
		c.err = c.cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("drill: start %s: %w", name, err)
	}
	return c, nil
}

// ready waits until the process listens at the address. Where somebody did at the
// first look, that may be another program, and the process is about to say so: it
// is given time to.
func (c *child) ready(ctx context.Context, at netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var d net.Dialer
	for first := true; ; first = false {
		conn, err := d.DialContext(ctx, "tcp", at.String())
		if err == nil {
			if err := conn.Close(); err != nil {
				return err
			}
			if c.listens || !first {
				c.listens = true
				return nil
			}
			select {
			case <-c.done:
				return fmt.Errorf("drill: %s ended at once, and another program listens at %s: %w\n%s", c.name, at, orEnded(c.err), c.out)
			case <-time.After(endsWithin):
				c.listens = true
				return nil
			case <-ctx.Done():
				return fmt.Errorf("drill: %s: %w", c.name, ctx.Err())
			}
		}
		select {
		case <-c.done:
			return fmt.Errorf("drill: %s ended at once: %w\n%s", c.name, orEnded(c.err), c.out)
		case <-ctx.Done():
			return fmt.Errorf("drill: %s does not listen at %s: %w\n%s", c.name, at, ctx.Err(), c.out)
		case <-again.C:
		}
	}
}

func orEnded(err error) error {
	if err == nil {
		return fmt.Errorf("without an error")
	}
	return err
}

// ended says whether the process is gone.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// stop ends the process and waits for it: first it is asked to. What it started
// and left in its group ends, too.
func (c *child) stop() {
	if c == nil || c.ended() {
		return
	}
	resume(c.cmd.Process)
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(stopMax)
	defer patience.Stop()
	select {
	case <-c.done:
	case <-patience.C:
		c.kill()
	}
}

// kill ends the process at once and waits for it.
func (c *child) kill() {
	if c == nil || c.ended() {
		return
	}
	_ = c.cmd.Process.Kill()
	<-c.done
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// tail keeps the end of what is written to it. Safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if len(t.text) > 2*TailBytesMax { // now and then, not at every line
		t.text = append(t.text[:0], t.text[len(t.text)-TailBytesMax:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// link finds the first web link with a token in the output: the console's.
func (t *tail) link() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, word := range bytes.Fields(t.text) {
		if bytes.HasPrefix(word, []byte("http://")) && bytes.Contains(word, []byte("token=")) {
			return string(word)
		}
	}
	return ""
}

// Package mailtest is a mail server for tests: a real one, on loopback.
package mailtest

import (
	"bufio"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"strings"
	"sync"
	"testing"
)

// Inbox takes every letter but those for nobody@. It is safe for concurrent use.
type Inbox struct {
	listener net.Listener
	mu       sync.Mutex
	mail     []string
	auth     []string
}

// New begins one, which ends with the test.
func New(t testing.TB) *Inbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &Inbox{listener: l}
	t.Cleanup(i.Close)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go i.speak(c)
		}
	}()
	return i
}

// Addr is where it listens.
func (i *Inbox) Addr() string { return i.listener.Addr().String() }

// Close ends it: nobody listens there any more.
func (i *Inbox) Close() { i.listener.Close() }

func (i *Inbox) speak(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 here\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil || len(line) < 4 {
			return
		}
		switch verb := strings.ToUpper(line[:4]); {
		case verb == "EHLO":
			fmt.Fprint(c, "250-here\r\n250 AUTH PLAIN\r\n")
		case verb == "AUTH":
			i.mu.Lock()
			i.auth = append(i.auth, strings.TrimSpace(line))
			i.mu.Unlock()
			fmt.Fprint(c, "235 fine\r\n")
		case verb == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		case verb == "RCPT" && strings.Contains(line, "nobody@"):
			fmt.Fprint(c, "550 nobody here\r\n")
		case verb == "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(line)
			}
			i.mu.Lock()
			i.mail = append(i.mail, b.String())
			i.mu.Unlock()
			fmt.Fprint(c, "250 taken\r\n")
		default:
			fmt.Fprint(c, "250 fine\r\n")
		}
	}
}

// Took gives the letters that came since it was asked last, as people read them.
func (i *Inbox) Took() (all []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, m := range i.mail {
		head, body, _ := strings.Cut(m, "\r\n\r\n")
		b, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
		all = append(all, head+"\r\n\r\n"+string(b))
	}
	i.mail = nil
	return all
}

// Auth gives what was said to sign in, a line each.
func (i *Inbox) Auth() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string{}, i.auth...)
}

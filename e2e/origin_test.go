package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// moody is a platform on one port that can be down, well, silent, or answer
// what it is told.
type moody struct {
	addr string
	mu   sync.Mutex
	l    net.Listener
	open map[net.Conn]bool
}

// wellAnswer is what it says when it is well.
const wellAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

func newMoody(t *testing.T) *moody {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &moody{addr: l.Addr().String(), open: make(map[net.Conn]bool)}
	l.Close()
	t.Cleanup(m.die)
	return m
}

// be starts it, with one answer to everything; without an answer it is silent.
func (m *moody) be(t *testing.T, answer string) {
	t.Helper()
	m.die()
	l, err := net.Listen("tcp", m.addr)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	m.l = l
	m.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.open[c] = true
			m.mu.Unlock()
			go m.serve(c, answer)
		}
	}()
}

func (m *moody) serve(c net.Conn, answer string) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if answer == "" {
			continue
		}
		if _, err := io.WriteString(c, answer); err != nil || answer != wellAnswer {
			return
		}
	}
}

// die ends it as a crash does.
func (m *moody) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.l != nil {
		m.l.Close()
	}
	for c := range m.open {
		c.Close()
	}
	clear(m.open)
}

const (
	// atOnce is how soon an origin's failure is told.
	atOnce = time.Second
	// aMoment is between two clicks of a handful of people behind one address;
	// without it they would be one source that sends thousands a second.
	aMoment = 20 * time.Millisecond
	// backWithin is how soon users get the origin's answers again.
	backWithin = 2 * time.Second
)

// told says that a browser and a program are told what is the matter.
func (p *process) told(t *testing.T, status int, reason string, within time.Duration) {
	t.Helper()
	for _, c := range []struct{ accept, holds string }{
		{"text/html", "<!doctype html>"}, {"application/json", `"reason":"` + reason + `"`},
	} {
		began := time.Now()
		r, body := request(t, visitor(t), "GET", p.users+"/", "", "Accept", c.accept)
		if took := time.Since(began); took > within {
			t.Errorf("it said so after %v", took)
		}
		if r.StatusCode != status || r.Header.Get("Deich-Reason") != reason || r.Header.Get("Retry-After") == "" || !strings.Contains(body, c.holds) {
			t.Errorf("%s, reason %q, retry %q: %.80q", r.Status, r.Header.Get("Deich-Reason"), r.Header.Get("Retry-After"), body)
		}
	}
}

// well waits until the origin's answer comes.
func (p *process) well(t *testing.T) {
	t.Helper()
	began := time.Now()
	for {
		if r, body := get(t, visitor(t), p.users+"/"); r.StatusCode == 200 && body == "hello" {
			t.Logf("back after %v", time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > backWithin {
			t.Fatalf("not back after %v", backWithin)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// An origin that is down, dies, answers what is no answer, or does not answer:
// users are told at once, and served again as soon as it is well.
func TestOriginThatFails(t *testing.T) {
	m := newMoody(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "deich.yaml")
	// The wait for a silent origin is shorter than by default, lest the test take a minute.
	writeFile(t, config, "listen: [\"127.0.0.1:0\"]\nconsole: 127.0.0.1:0\ndata: state\ntimeouts: {first_byte: 2s}\nsites:\n  - origins: [\"http://"+m.addr+"\"]\n")
	p := build(t).start(t, filepath.Join(dir, "state"), "run", "--config", config)
	t.Run("down at start", func(t *testing.T) {
		p.told(t, 502, "origin_down", atOnce)
		m.be(t, wellAnswer)
		p.well(t)
	})
	t.Run("dies, and users go on asking", func(t *testing.T) {
		m.die()
		p.told(t, 502, "origin_down", atOnce)
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(aMoment) {
			get(t, visitor(t), p.users+"/")
		}
		p.hear(t, "The origin does not answer.")
		m.be(t, wellAnswer)
		p.well(t)
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(aMoment) {
			if r, _ := get(t, visitor(t), p.users+"/"); r.StatusCode != 200 {
				t.Fatalf("well again, and a user got %s", r.Status)
			}
		}
		p.hear(t, "The origin answers again.")
	})
	for name, answer := range map[string]string{
		"closes":                   "x",
		"speaks SSH":               "SSH-2.0-OpenSSH_9.2\r\n",
		"speaks HTTP/2":            "\x00\x00\x12\x04\x00\x00\x00\x00\x00",
		"a status that is none":    "HTTP/1.1 999999 OK\r\n\r\n",
		"two lengths":              "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"a negative length":        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		"shorter than announced":   "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello",
		"headers without an end":   "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 600<<10) + "\r\n\r\n",
		"a bare CR in a header":    "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
		"switches unasked":         "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
		"nothing but a line break": "\r\n\r\n",
	} {
		t.Run("garbage: "+name, func(t *testing.T) {
			m.be(t, answer)
			p.told(t, 502, "origin_down", atOnce)
			m.be(t, wellAnswer)
			p.well(t)
		})
	}
	t.Run("silent", func(t *testing.T) {
		m.be(t, "")
		p.told(t, 504, "origin_slow", 2*time.Second+atOnce)
		m.be(t, wellAnswer)
		p.well(t)
	})
	if strings.Contains(strings.Join(p.lines(), "\n"), "panic") {
		t.Error("it panicked")
	}
	p.stop(t)
}

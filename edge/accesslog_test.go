package edge

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/guard"
)

// logged runs requests through a server and gives its log's lines.
func logged(t *testing.T, format string, requests ...string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "access.log")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{up}}}, AccessLog: file, AccessLogFormat: format})
	for _, request := range requests {
		if h := call(t, s.Addrs()[0].String()).ask("GET", request); h.err != nil {
			t.Fatal(h.err)
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

const loggedGet = "GET /a?b=\"c HTTP/1.1\r\nHost: a\r\nReferer: http://r/\"x\\\r\nUser-Agent: x\xe4y\r\n\r\n"

// combined is the common form, with what was done behind it.
var combined = regexp.MustCompile(`^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /a\?b=\\"c HTTP/1\.1" 200 5 "http://r/\\"x\\\\" "x\\xe4y" allow \w+ stranger \d+\.\d{3} -$`)

func TestAccessLogCombined(t *testing.T) {
	lines := logged(t, "combined", loggedGet)
	if len(lines) != 1 || !combined.MatchString(lines[0]) {
		t.Errorf("%q", lines)
	}
}

func TestAccessLogJSON(t *testing.T) {
	lines := logged(t, "json", loggedGet, plainGet)
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	var e logEntry
	if err := json.Unmarshal([]byte(lines[0]), &e); err != nil {
		t.Fatal(err)
	}
	if e.Client != netip.MustParseAddr("127.0.0.1") || e.Method != "GET" || e.Target != `/a?b="c` || e.Host != "a" || e.Status != 200 ||
		e.Bytes != 5 || e.Act != "allow" || e.Took <= 0 || time.Since(e.At) > time.Minute {
		t.Errorf("%+v", e)
	}
}

// stuck is a file that takes nothing until it is freed.
type stuck struct{ free chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.free
	return len(p), nil
}

// TestAccessLogNeverHoldsARequestUp: what finds no room is dropped and said.
func TestAccessLogNeverHoldsARequestUp(t *testing.T) {
	var said strings.Builder
	out := stuck{make(chan struct{})}
	a := &accessLog{queue: make(chan logEntry, logQueue), out: out, append: appendCombined, log: slog.New(slog.NewTextHandler(&said, nil))}
	entry := guard.Entry{Request: &http.Request{Method: "GET", RequestURI: "/", Proto: "HTTP/1.1"}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run()
	}()
	for range 2*logQueue + 1000 { // what is being written when it ends is not dropped
		a.put(entry)
	}
	dropped := a.dropped.Load()
	if dropped < 100 {
		t.Errorf("%d dropped", dropped)
	}
	a.close()
	a.put(entry) // after the end: forgotten
	close(out.free)
	<-done
	if !strings.Contains(said.String(), "dropped=") {
		t.Errorf("nothing was said of it: %s", said.String())
	}
}

func TestNoticesAreBounded(t *testing.T) {
	var said strings.Builder
	n := &notices{log: slog.New(slog.NewTextHandler(&said, nil))}
	for range 10 * noticesLogged {
		n.logger().Print("http: TLS handshake error")
	}
	n.second()
	if lines := strings.Count(said.String(), "\n"); lines != noticesLogged+1 || !strings.Contains(said.String(), "count=45") {
		t.Errorf("%d lines:\n%s", lines, said.String())
	}
}

// Whoever rotates logs moves the file away and says so by a reload.
func TestAccessLogFollowsItsName(t *testing.T) {
	name := filepath.Join(t.TempDir(), "access.log")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {})
	c := Config{Listen: []string{"127.0.0.1:0"}, AccessLog: name, Sites: []Site{{Origins: []string{up}}}}
	s := start(t, c)
	lines := func(name string) int {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return bytes.Count(b, []byte("\n"))
	}
	wait := func(name string, want int) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); lines(name) != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d lines, want %d", filepath.Base(name), lines(name), want)
			}
		}
	}
	get(t, client(t), s.url())
	wait(name, 1)
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	get(t, client(t), s.url())
	wait(name+".1", 2)
	if err := s.Swap(c, s.options.Guard); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(name); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it was not opened anew")
		}
	}
	get(t, client(t), s.url())
	wait(name, 1)
	wait(name+".1", 2)
}

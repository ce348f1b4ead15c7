package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pieces is how many of a long download there are, each let go by the test.
const pieces = 6

// lasting is a platform with a long download, a tunnel that echoes and a name.
func lasting(t *testing.T, name string) (origin *httptest.Server, let chan struct{}) {
	let = make(chan struct{}, pieces)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) })
	mux.HandleFunc("/download", func(w http.ResponseWriter, r *http.Request) {
		for i := range pieces {
			fmt.Fprintf(w, "%s %d\n", name, i)
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-let:
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("/tunnel", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprintf(rw, "%s: %s", name, line)
			rw.Flush()
		}
	})
	origin = httptest.NewServer(mux)
	t.Cleanup(origin.Close)
	return origin, let
}

// tunnel is a connection upgraded through Deich.
type tunnel struct {
	c  net.Conn
	in *bufio.Reader
}

func openTunnel(t *testing.T, to string, secured *tls.Config) *tunnel {
	t.Helper()
	scheme, addr, _ := strings.Cut(to, "://")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if scheme == "https" {
		secured = secured.Clone()
		secured.ServerName, secured.NextProtos = "localhost", nil
		c = tls.Client(c, secured)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(c, "GET /tunnel HTTP/1.1\r\nHost: site.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	u := &tunnel{c, bufio.NewReader(c)}
	if r, err := http.ReadResponse(u.in, nil); err != nil || r.StatusCode != 101 {
		t.Fatalf("upgrade: %v %v", r, err)
	}
	return u
}

func (u *tunnel) echoes(t *testing.T, want string) {
	t.Helper()
	fmt.Fprint(u.c, "are you there?\n")
	if got, err := u.in.ReadString('\n'); err != nil || got != want+": are you there?\n" {
		t.Errorf("the tunnel said %q, %v", got, err)
	}
}

// sameConn asks once more and says whether it was on the connection of before.
func sameConn(t *testing.T, c *http.Client, url, want string) bool {
	t.Helper()
	var again bool
	ask, _ := http.NewRequest("GET", url, nil)
	ask = ask.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { again = i.Reused },
	}))
	r, err := c.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != want {
		t.Fatalf("%q %v, want %q", body, err, want)
	}
	return again
}

// While the configuration changes five times, by signal and by command, rightly
// and wrongly: a download, a tunnel, and kept connections of both versions of
// HTTP go on, and new requests see what is in force.
func TestReloadDropsNothing(t *testing.T) {
	b := build(t)
	first, let := lasting(t, "first")
	second, _ := lasting(t, "second")
	cert, key, secured := certificate(t)
	dir := t.TempDir()
	config, data := filepath.Join(dir, "deich.yaml"), filepath.Join(dir, "state")
	head := "listen: [\"https://127.0.0.1:0\"]\nconsole: 127.0.0.1:0\ndata: state\n"
	to := func(origin *httptest.Server) {
		writeFile(t, config, head+"sites:\n  - origins: ["+origin.URL+"]\n    certificate: "+cert+"\n    key: "+key+"\n")
	}
	to(first)
	p := b.start(t, data, "run", "--config", config)
	trust := secured.Transport.(*http.Transport).TLSClientConfig
	kept := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: trust.Clone()}} // HTTP/1.1
	t.Cleanup(kept.CloseIdleConnections)
	sameConn(t, kept, p.users+"/", "first")
	sameConn(t, secured, p.users+"/", "first")
	u := openTunnel(t, p.users, trust)
	u.echoes(t, "first")
	r, err := kept.Get(p.users + "/download")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	sameConn(t, kept, p.users+"/", "first") // another connection: the download has the first
	download := bufio.NewReader(r.Body)
	next := func(i int) {
		t.Helper()
		if line, err := download.ReadString('\n'); err != nil || line != fmt.Sprintf("first %d\n", i) {
			t.Fatalf("piece %d: %q %v", i, line, err)
		}
		let <- struct{}{}
	}
	next(0)
	for i, change := range []func() string{
		func() string { to(second); b.must(t, "reload", "--data", data); return "second" },
		func() string { to(first); b.must(t, "reload", "--data", data); return "first" },
		func() string {
			writeFile(t, config, head+"sites: [{origins: []}]\nlimits: {connections: -1}\n")
			if _, errs, code := b.run(t, "reload", "--data", data); code != 1 || !strings.Contains(errs, "deich.yaml:4:") || !strings.Contains(errs, "deich.yaml:5:") {
				t.Errorf("a wrong file: exit %d\n%s", code, errs)
			}
			return "first"
		},
		func() string {
			p.signal(t, syscall.SIGHUP)
			p.hear(t, "what was in force before stays in force")
			return "first"
		},
		func() string {
			to(second)
			p.signal(t, syscall.SIGHUP)
			p.hear(t, "The configuration is in force.")
			return "second"
		},
	} {
		want := change()
		if !sameConn(t, kept, p.users+"/", want) {
			t.Errorf("change %d dropped a kept connection", i)
		}
		if !sameConn(t, secured, p.users+"/", want) {
			t.Errorf("change %d dropped a connection of HTTP/2", i)
		}
		u.echoes(t, "first")
		next(i + 1)
	}
	if rest, err := io.ReadAll(download); err != nil || len(rest) > 0 {
		t.Errorf("the download ended with %q, %v", rest, err)
	}
	u.c.Close()
	p.stop(t)
	onlyKept(t, data)
}

// Ctrl-C with a download and a tunnel open: the one is answered to its end, the
// other may say goodbye, nobody new is let in, and nothing is left.
func TestCtrlCDrains(t *testing.T) {
	b := build(t)
	origin, let := lasting(t, "first")
	data := filepath.Join(t.TempDir(), "state")
	p := b.protect(t, data, origin.URL)
	u := openTunnel(t, p.users, nil)
	r, err := visitor(t).Get(p.users + "/download")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	p.signal(t, syscall.SIGINT)
	p.hear(t, "open requests are being answered")
	for c := (*http.Response)(nil); ; {
		if c, err = visitor(t).Get(p.users + "/"); err != nil {
			break // nobody listens any more
		}
		c.Body.Close()
	}
	u.echoes(t, "first")
	u.c.Close()
	for range pieces {
		let <- struct{}{}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || strings.Count(string(body), "\n") != pieces {
		t.Errorf("the download got %q, %v", body, err)
	}
	if code := p.end(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	onlyKept(t, data)
	// The folder is free at once.
	p = b.protect(t, data, origin.URL)
	p.stop(t)
}

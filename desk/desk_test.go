package desk

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deichproject/deich"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func flooded() State {
	at := time.Date(2025, 5, 24, 15, 0, 0, 0, time.UTC)
	return State{
		Version: "test", Started: at,
		Origins: []Origin{{Name: "http://127.0.0.1:9000", Pulse: deich.Pulse{
			Limit: 24, Inflight: 23, Queued: 7, Cut: 74, Pressure: true, Since: deich.Time(at.UnixNano()), Demand: 3100, Goodput: 310,
		}}},
		Requests: []Requests{{"allow", "none", "member", 400}, {"challenge", "unproven", "stranger", 2700}},
		Served:   []Served{{"member", 399, 1}},
		Latency:  []Latency{{Tier: "member", Bounds: []float64{0.01, 0.1}, Counts: []uint64{300, 99, 0}, Sum: 4.5}},
	}
}

func newDesk(t *testing.T, s func() State) *Desk {
	t.Helper()
	d, err := New(Options{Token: testToken, Names: []string{"console.example"}, State: s})
	if err != nil {
		t.Fatal(err)
	}
	d.Mount("POST /api/v1/act", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "acted") }))
	return d
}

func TestWhoIsLetIn(t *testing.T) {
	d := newDesk(t, flooded)
	cookie := func(host string, until time.Time) string { return cookieName + "=" + d.session(host, until) }
	good := cookie("127.0.0.1:2020", time.Now().Add(time.Hour))
	other := newDesk(t, flooded)
	other.token = "another token of another Deich, on the same host"
	for _, c := range []struct {
		name, method, path, host string
		header                   map[string]string
		want                     int
	}{
		{"no token", "GET", "/", "127.0.0.1:2020", nil, 401},
		{"no token, health", "GET", "/healthz", "127.0.0.1:2020", nil, 401},
		{"no token, metrics", "GET", "/metrics", "127.0.0.1:2020", nil, 401},
		{"no token, style", "GET", "/desk.css", "127.0.0.1:2020", nil, 401},
		{"no token, unknown path", "GET", "/nothing", "127.0.0.1:2020", nil, 401},
		{"bearer", "GET", "/api/v1/state", "127.0.0.1:2020", map[string]string{"Authorization": "Bearer " + testToken}, 200},
		{"bearer acts", "POST", "/api/v1/act", "127.0.0.1:2020", map[string]string{"Authorization": "Bearer " + testToken}, 200},
		{"wrong bearer", "GET", "/api/v1/state", "127.0.0.1:2020", map[string]string{"Authorization": "Bearer " + strings.Repeat("B", tokenLen)}, 401},
		{"bearer cut short", "GET", "/api/v1/state", "127.0.0.1:2020", map[string]string{"Authorization": "Bearer " + testToken[:42]}, 401},
		{"empty bearer", "GET", "/api/v1/state", "127.0.0.1:2020", map[string]string{"Authorization": "Bearer "}, 401},
		{"session", "GET", "/", "127.0.0.1:2020", map[string]string{"Cookie": good}, 200},
		{"session acts from own page", "POST", "/api/v1/act", "127.0.0.1:2020", map[string]string{"Cookie": good, "Origin": "http://127.0.0.1:2020"}, 200},
		{"session acts, own by fetch metadata", "POST", "/api/v1/act", "127.0.0.1:2020", map[string]string{"Cookie": good, "Sec-Fetch-Site": "same-origin"}, 200},
		{"session acts, nothing says from where", "POST", "/api/v1/act", "127.0.0.1:2020", map[string]string{"Cookie": good}, 403},
		{"cross-site form", "POST", "/api/v1/act", "127.0.0.1:2020", map[string]string{"Cookie": good, "Origin": "https://evil.example"}, 403},
		{"sandboxed form", "POST", "/api/v1/act", "127.0.0.1:2020", map[string]string{"Cookie": good, "Origin": "null"}, 403},
		{"other port of this host", "POST", "/api/v1/act", "127.0.0.1:2020", map[string]string{"Cookie": good, "Origin": "http://127.0.0.1:8080"}, 403},
		{"cross-site image", "GET", "/api/v1/state", "127.0.0.1:2020", map[string]string{"Cookie": good, "Sec-Fetch-Site": "cross-site"}, 403},
		{"same-site script", "GET", "/api/v1/state", "127.0.0.1:2020", map[string]string{"Cookie": good, "Sec-Fetch-Site": "same-site"}, 403},
		{"typed address", "GET", "/", "127.0.0.1:2020", map[string]string{"Cookie": good, "Sec-Fetch-Site": "none"}, 200},
		{"bearer with a foreign origin", "POST", "/api/v1/act", "127.0.0.1:2020", map[string]string{"Authorization": "Bearer " + testToken, "Origin": "https://evil.example"}, 401},
		{"session late", "GET", "/", "127.0.0.1:2020", map[string]string{"Cookie": cookie("127.0.0.1:2020", time.Now().Add(-time.Second))}, 401},
		{"session of another port", "GET", "/", "127.0.0.1:2020", map[string]string{"Cookie": cookie("127.0.0.1:2021", time.Now().Add(time.Hour))}, 401},
		{"session of another Deich", "GET", "/", "127.0.0.1:2020", map[string]string{"Cookie": cookieName + "=" + other.session("127.0.0.1:2020", time.Now().Add(time.Hour))}, 401},
		{"session stretched", "GET", "/", "127.0.0.1:2020", map[string]string{"Cookie": stretched(good)}, 401},
		{"the token as session", "GET", "/", "127.0.0.1:2020", map[string]string{"Cookie": cookieName + "=" + testToken}, 401},
		{"rebound name", "GET", "/", "evil.example:2020", map[string]string{"Cookie": cookie("evil.example:2020", time.Now().Add(time.Hour))}, 421},
		{"rebound name with bearer", "GET", "/api/v1/state", "127.0.0.1.evil.example", map[string]string{"Authorization": "Bearer " + testToken}, 421},
		{"no host", "GET", "/api/v1/state", "", map[string]string{"Authorization": "Bearer " + testToken}, 421},
		{"localhost", "GET", "/api/v1/state", "localhost:2020", map[string]string{"Authorization": "Bearer " + testToken}, 200},
		{"six", "GET", "/api/v1/state", "[::1]:2020", map[string]string{"Authorization": "Bearer " + testToken}, 200},
		{"six without port", "GET", "/api/v1/state", "[::1]", map[string]string{"Authorization": "Bearer " + testToken}, 200},
		{"configured name", "GET", "/api/v1/state", "Console.Example", map[string]string{"Authorization": "Bearer " + testToken}, 200},
		{"link with a wrong token", "GET", "/?token=" + strings.Repeat("B", tokenLen), "127.0.0.1:2020", nil, 401},
		{"link does not act", "POST", "/api/v1/act?token=" + testToken, "127.0.0.1:2020", nil, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Host = c.host
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			d.Handler().ServeHTTP(w, r)
			if w.Code != c.want {
				t.Fatalf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
			if p := w.Header().Get("Content-Security-Policy"); !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
				t.Errorf("content policy %q", p)
			}
			if w.Header().Get("X-Frame-Options") != "DENY" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", w.Header())
			}
			if w.Code != 200 && strings.Contains(w.Body.String(), testToken) {
				t.Error("the answer gives the token away")
			}
		})
	}
}

// stretched forges a session that ends later.
func stretched(cookie string) string {
	name, value, _ := strings.Cut(cookie, "=")
	return name + "=B" + value[1:]
}

func TestLinkSignsInAndIsStripped(t *testing.T) {
	d := newDesk(t, flooded)
	for path, want := range map[string]string{
		"/?token=" + testToken:                     "/",
		"/api/v1/state?a=1&token=" + testToken:     "/api/v1/state?a=1",
		"//evil.example/x?token=" + testToken:      "/evil.example/x",
		"/%5cevil.example?token=" + testToken:      "/evil.example",
		"/%0d%0aSet-Cookie:a=b?token=" + testToken: "/%0D%0ASet-Cookie:a=b",
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:2020"+path, nil)
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, w.Code, w.Header().Get("Location"), want)
		}
		c := w.Result().Cookies()
		if len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || strings.Contains(c[0].Value, testToken) {
			t.Errorf("%s: cookies %v", path, c)
		}
		again := httptest.NewRequest("GET", "http://127.0.0.1:2020/", nil)
		again.AddCookie(c[0])
		w = httptest.NewRecorder()
		if d.Handler().ServeHTTP(w, again); w.Code != http.StatusOK {
			t.Errorf("%s: with its cookie: %d", path, w.Code)
		}
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	token, fresh, err := OpenToken(dir)
	if err != nil || !fresh || len(token) != tokenLen {
		t.Fatalf("first start: %q %v %v", token, fresh, err)
	}
	info, err := os.Stat(filepath.Join(dir, TokenFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	again, fresh, err := OpenToken(dir)
	if err != nil || fresh || again != token {
		t.Fatalf("second start: %q %v %v", again, fresh, err)
	}
	os.Chmod(filepath.Join(dir, TokenFile), 0o644)
	if _, _, err := OpenToken(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a token that others may read: %v", err)
	}
	os.Chmod(filepath.Join(dir, TokenFile), 0o600)
	for _, bad := range []string{"short", strings.Repeat("!", tokenLen), token + token} {
		os.WriteFile(filepath.Join(dir, TokenFile), []byte(bad), 0o600)
		if _, _, err := OpenToken(dir); err == nil {
			t.Errorf("%q was taken for a token", bad)
		}
	}
	// A full disk, or power that was lost, at the first start is no reason never to start.
	if err := os.WriteFile(filepath.Join(dir, TokenFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	anew, fresh, err := OpenToken(dir)
	if err != nil || !fresh || anew == token {
		t.Fatalf("an empty file: %q %v %v", anew, fresh, err)
	}
	if again, _, err := OpenToken(dir); err != nil || again != anew {
		t.Errorf("%q %v, want %q", again, err, anew)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}

func TestPageEscapes(t *testing.T) {
	s := flooded()
	s.Origins[0].Name = `<script>alert(1)</script>`
	s.Version = `"><img src=x onerror=alert(2)>`
	d := newDesk(t, func() State { return s })
	d.Note(Event{At: time.Now(), Kind: "pressure_began", Text: `<b onmouseover=alert(3)>x</b>`})
	w := ask(d, "/")
	body := w.Body.String()
	for _, bad := range []string{"<script>alert", "<img", "<b onmouseover"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page carries %q", bad)
		}
	}
	if !strings.Contains(body, "&lt;script&gt;") || !strings.Contains(body, "&lt;b onmouseover") {
		t.Error("the hostile names are missing altogether")
	}
}

// The page that asks for the token is styled by what it carries itself, and
// its policy lets just that in.
func TestAskPageCarriesItsStyle(t *testing.T) {
	d := newDesk(t, flooded)
	r := httptest.NewRequest("GET", "http://127.0.0.1:2020/", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, r)
	_, rest, ok := strings.Cut(w.Body.String(), "<style>")
	style, _, end := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if w.Code != 401 || !ok || !end || !strings.Contains(w.Header().Get("Content-Security-Policy"), "style-src "+hash+";") {
		t.Errorf("%d: policy %q, hash %s", w.Code, w.Header().Get("Content-Security-Policy"), hash)
	}
}

func ask(d *Desk, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "http://127.0.0.1:2020"+path, nil)
	r.Header.Set("Authorization", "Bearer "+testToken)
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, r)
	return w
}

func TestMetrics(t *testing.T) {
	s := flooded()
	s.Origins[0].Name = "a\"b\\c\nd"
	d := newDesk(t, func() State { return s })
	body := ask(d, "/metrics").Body.String()
	for _, want := range []string{
		`deich_requests_total{act="challenge",reason="unproven",tier="stranger"} 2700` + "\n",
		`deich_served_total{tier="member",ok="true"} 399` + "\n",
		`deich_latency_seconds_bucket{tier="member",le="0.1"} 399` + "\n",
		`deich_latency_seconds_bucket{tier="member",le="+Inf"} 399` + "\n",
		`deich_latency_seconds_count{tier="member"} 399` + "\n",
		`deich_limit{origin="a\"b\\c\nd"} 24` + "\n",
		"# TYPE deich_latency_seconds histogram\n",
		"deich_memory_bytes 0\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("missing %s", want)
		}
	}
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "# ") && strings.LastIndexByte(line, ' ') < 1 {
			t.Errorf("not a sample: %q", line)
		}
	}
}

func TestHealth(t *testing.T) {
	if w := ask(newDesk(t, flooded), "/healthz"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestServeStreamsAndEnds(t *testing.T) {
	d := newDesk(t, flooded)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	listen := func() *http.Response {
		r, _ := http.NewRequest("GET", "http://"+l.Addr().String()+"/api/v1/events", nil)
		r.Header.Set("Authorization", "Bearer "+testToken)
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var open []*http.Response
	for range subscribersMax {
		a := listen()
		line, err := bufio.NewReader(a.Body).ReadString('\n')
		var v Live
		if err != nil || json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &v) != nil || v.Mood != "pressure" {
			t.Fatalf("first message %q, %v", line, err)
		}
		open = append(open, a)
	}
	if a := listen(); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("one listener too many: %s", a.Status)
	} else {
		a.Body.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("end: %v", err)
	}
	for _, a := range open {
		a.Body.Close()
	}
}

func TestLongBodyIsCut(t *testing.T) {
	d := newDesk(t, flooded)
	var read error
	d.Mount("POST /api/v1/long", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, read = io.ReadAll(r.Body) }))
	r := httptest.NewRequest("POST", "http://127.0.0.1:2020/api/v1/long", strings.NewReader(strings.Repeat("x", requestBodyMax+1)))
	r.Header.Set("Authorization", "Bearer "+testToken)
	d.Handler().ServeHTTP(httptest.NewRecorder(), r)
	if read == nil {
		t.Error("a body beyond the bound was read whole")
	}
}

// Spool and gate stand on the page, and what the network sent stays text.
func TestPageShowsSpoolAndGate(t *testing.T) {
	s := flooded()
	if body := ask(newDesk(t, func() State { return s }), "/").Body.String(); !strings.Contains(body, "No messages are kept here") || strings.Contains(body, `id="switch"`) {
		t.Error("without a spool")
	}
	s.Spool = &Spool{Waiting: 12, OldestSeconds: 61.7, Bytes: 3 << 20, Keeping: true, Paused: true, Kept: 40, Ended: map[string]uint64{"delivered": 28}}
	s.Gate = Gate{Backend: "nft", Why: "no <b>XDP</b>", Sources: 7, Packets: []GatePackets{{Reason: "source", Packets: 345, Bytes: 20700, Dropped: true}}}
	body := ask(newDesk(t, func() State { return s }), "/").Body.String()
	for _, want := range []string{
		`<td class="n mode">paused by an operator</td>`, `<td class="n waiting">12</td>`, `<td class="n oldest">61 s</td>`, `<td class="n bytes">3 MiB</td>`,
		`<tr data-ended="delivered"><th scope="row">delivered</th><td class="n ended">28</td>`, `<td class="n ended">0</td>`, `id="switch"`,
		`<td class="n backend">nft</td>`, "no &lt;b&gt;XDP", `<td class="fate">dropped</td><td class="n count">345</td>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}

// listening hands out the server's ends of connections that were made in memory.
type listening struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listening) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listening) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listening) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2020} }

// Who announces a body and sends none is answered, and let go: without a token, too.
// A stream that lasts longer than that goes on, and so does a slow answer to a body.
func TestBodiesArriveInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, flooded)
		slow := bodyWait + 5*time.Second
		d.Mount("POST /api/v1/slow", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err == nil {
				select {
				case <-r.Context().Done():
					t.Error("a slow answer is cut off")
				case <-time.After(slow):
				}
			}
			fmt.Fprintf(w, "%s %v", b, err)
		}))
		ctx, stop := context.WithCancel(t.Context())
		l := &listening{conns: make(chan net.Conn), closed: make(chan struct{})}
		ended := make(chan error, 1)
		go func() { ended <- d.Serve(ctx, l) }()
		const bearer = "Authorization: Bearer " + testToken + "\r\n"
		for name, c := range map[string]struct {
			request, want string
			within        time.Duration
		}{
			"no body":             {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", " 401 ", bodyWait + time.Second},
			"half a body":         {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf", " 401 ", bodyWait + time.Second},
			"no chunk":            {"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", " 401 ", bodyWait + time.Second},
			"a token, no body":    {"POST /api/v1/slow HTTP/1.1\r\nHost: localhost\r\n" + bearer + "Content-Length: 9\r\n\r\n", " 200 ", bodyWait + time.Second},
			"a slow answer":       {"POST /api/v1/slow HTTP/1.1\r\nHost: localhost\r\n" + bearer + "Content-Length: 5\r\n\r\nwhole", "whole <nil>", slow + time.Second},
			"nothing to wait for": {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + bearer + "\r\n", "ok\n", time.Second},
		} {
			here, there := net.Pipe()
			l.conns <- there
			go io.WriteString(here, c.request)
			here.SetReadDeadline(time.Now().Add(c.within))
			var got strings.Builder
			for !strings.Contains(got.String(), c.want) {
				b := make([]byte, 4096)
				n, err := here.Read(b)
				got.Write(b[:n])
				if err != nil {
					t.Errorf("%s: %v after %q", name, err, got.String())
					break
				}
			}
			here.Close()
		}
		here, there := net.Pipe()
		l.conns <- there
		go io.WriteString(here, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"+bearer+"\r\n")
		stream, until := bufio.NewScanner(here), time.Now().Add(3*bodyWait)
		stream.Buffer(nil, 1<<20)
		for time.Now().Before(until) {
			if !stream.Scan() {
				t.Fatalf("the stream ended %s early: %v", time.Until(until), stream.Err())
			}
		}
		here.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

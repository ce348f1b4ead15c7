package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deichproject/deich/guard"
)

// named runs a platform that says its name.
func named(t testing.TB, name string) string {
	return origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name+" "+r.Host) })
}

func TestSitesByHost(t *testing.T) {
	s := startUncached(t, Config{Sites: []Site{
		{Names: []string{"a.example", "*.wild.example"}, Origins: []string{named(t, "a")}},
		{Names: []string{"B.example"}, Origins: []string{named(t, "b")}, OriginHost: "inner.example"},
		{Names: []string{"::1"}, Origins: []string{named(t, "six")}},
	}})
	for host, want := range map[string]string{
		"a.example":        "a a.example",
		"A.Example.:80":    "a A.Example.:80",
		"x.wild.example":   "a x.wild.example",
		"b.example":        "b inner.example",
		"[::1]:8080":       "six [::1]:8080",
		"wild.example":     "",
		"x.y.wild.example": "",
		"c.example":        "",
		"":                 "",
	} {
		h := call(t, s.Addrs()[0].String()).ask("GET", "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		switch {
		case h.resp == nil:
			t.Errorf("%q: %v", host, h.err)
		case want == "" && (h.resp.StatusCode != http.StatusNotFound || h.resp.Header.Get("Deich-Reason") != "no_site"):
			t.Errorf("%q: %d", host, h.resp.StatusCode)
		case want != "" && h.body != want:
			t.Errorf("%q: %d %q, want %q", host, h.resp.StatusCode, h.body, want)
		}
	}
}

// secured gives a client that believes the certificates in the files.
func secured(t testing.TB, s *Server, http2 bool, files ...string) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !pool.AppendCertsFromPEM(text) {
			t.Fatal(file, err)
		}
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: http2, DisableKeepAlives: !http2}
	tr.DialContext = dialTo(s.Addrs()[0].String())
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

func TestCertificatesByNameAndTheirReload(t *testing.T) {
	dirA, dirB := t.TempDir(), t.TempDir()
	certA, keyA := certifyFiles(t, dirA, "a.example", "*.a.example")
	certB, keyB := certifyFiles(t, dirB, "b.example")
	c := Config{Listen: []string{"https://127.0.0.1:0"}, Sites: []Site{
		{Names: []string{"a.example", "*.a.example"}, Origins: []string{named(t, "a")}, Certificate: certA, Key: keyA},
		{Names: []string{"b.example"}, Origins: []string{named(t, "b")}, Certificate: certB, Key: keyB},
	}}
	s := startUncached(t, c)
	for name, want := range map[string]string{"a.example": "a a.example", "x.a.example": "a x.a.example", "b.example": "b b.example"} {
		if _, body := get(t, secured(t, s, false, certA, certB), "https://"+name+"/"); body != want {
			t.Errorf("%s: %q", name, body)
		}
	}
	if _, err := secured(t, s, false, certA).Get("https://b.example/"); err == nil {
		t.Error("b.example was served under another certificate")
	}
	kept := secured(t, s, true, certA)
	get(t, kept, "https://a.example/")

	old, err := os.ReadFile(certA)
	if err != nil {
		t.Fatal(err)
	}
	certifyFiles(t, dirA, "a.example", "*.a.example")
	if err := s.Swap(c, guard.Config{}); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, secured(t, s, false, certA), "https://a.example/"); body != "a a.example" {
		t.Errorf("under the new certificate: %q", body)
	}
	if _, body := get(t, kept, "https://a.example/"); body != "a a.example" {
		t.Errorf("over the connection from before: %q", body)
	}
	if err := os.WriteFile(certA, old, 0o600); err != nil { // does not belong to the key any more
		t.Fatal(err)
	}
	if err := s.Swap(c, guard.Config{}); err == nil || !strings.Contains(err.Error(), "sites[0].certificate") {
		t.Errorf("a certificate that is none was taken: %v", err)
	}
	if _, body := get(t, kept, "https://a.example/"); body != "a a.example" {
		t.Errorf("after the reload that failed: %q", body)
	}
}

func TestSwapChangesOriginsAndNothingElse(t *testing.T) {
	c := Config{Listen: []string{"127.0.0.1:0"}, Sites: []Site{{Origins: []string{named(t, "one")}}}}
	s := startUncached(t, c)
	cl := client(t)
	if _, body := get(t, cl, s.url()); !strings.HasPrefix(body, "one ") {
		t.Fatal(body)
	}
	old := s.state.Load().groups[0]
	c.Sites = []Site{{Origins: []string{named(t, "two")}}}
	if err := s.Swap(c, guard.Config{}); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, cl, s.url()); !strings.HasPrefix(body, "two ") {
		t.Error(body)
	}
	if n := old.open.Load(); n != 0 {
		t.Errorf("%d connections to the old origin are left", n)
	}
	bad := c
	bad.ProxyProtocol, bad.Limits.Connections, bad.AccessLog = true, 99, "-"
	bad.TrustedProxies = []string{"127.0.0.1"}
	if err := s.Swap(bad, guard.Config{}); err == nil || strings.Count(err.Error(), "restart") != 3 {
		t.Errorf("%v", err)
	}
	if s.state.Load().trusted.has(remoteOf(&http.Request{RemoteAddr: "127.0.0.1:1"})) {
		t.Error("a swap that failed changed something")
	}
}

// TestHTTP2Front: bodies, trailers both ways and many streams at once.
func TestHTTP2Front(t *testing.T) {
	cert, key := certifyFiles(t, t.TempDir(), "a.example")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(w, "%s %d %s %s", r.Proto, len(body), r.Trailer.Get("X-Sent"), r.Header.Get("X-Forwarded-Proto"))
		w.Header().Set("X-Sum", "7")
		w.Header().Set(http.TrailerPrefix+"X-Late", r.URL.Query().Get("n"))
	})
	s := startUncached(t, Config{
		Listen: []string{"https://127.0.0.1:0"},
		Sites:  []Site{{Names: []string{"a.example"}, Origins: []string{up}, Certificate: cert, Key: key}},
	})
	cl := secured(t, s, true, cert)
	var all sync.WaitGroup
	room := make(chan struct{}, 24) // more at once, and the engine sees a flood
	for n := range 3 * h2StreamsMax {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			r, err := http.NewRequest("POST", fmt.Sprintf("https://a.example/?n=%d", n), io.LimitReader(&zeros{50 * n}, int64(50*n)))
			if err != nil {
				t.Error(err)
				return
			}
			r.Trailer = http.Header{"X-Sent": {"5"}}
			resp, err := cl.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			want := fmt.Sprintf("HTTP/1.1 %d 5 https", 50*n)
			if err != nil || resp.ProtoMajor != 2 || string(body) != want {
				t.Errorf("%d: %s %q %v, want %q", n, resp.Proto, body, err, want)
			}
			if resp.Trailer.Get("X-Sum") != "7" || resp.Trailer.Get("X-Late") != fmt.Sprint(n) {
				t.Errorf("%d: trailers %v", n, resp.Trailer)
			}
		})
	}
	all.Wait()
	misdirected, err := http.NewRequest("GET", "https://a.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	misdirected.Host = "b.example"
	resp, err := cl.Do(misdirected)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another site's name: %d", resp.StatusCode)
	}
}

// TestShutdownDrains: what is under way ends well, a tunnel when its time is
// up, and nothing new begins.
func TestShutdownDrains(t *testing.T) {
	began, release := make(chan struct{}, 2), make(chan struct{})
	o := play(t, func(c *playedConn) {
		r := c.request()
		if r == nil {
			return
		}
		if r.URL.Path == "/ws" {
			c.say(switched)
			began <- struct{}{}
			io.Copy(io.Discard, c.br)
			return
		}
		began <- struct{}{}
		<-release
		c.say(okSaid)
	})
	for _, path := range []string{"/case", "/ws"} {
		s := startUncached(t, Config{Sites: []Site{{Origins: []string{o.url()}}}})
		c := call(t, s.Addrs()[0].String())
		if path == "/ws" {
			c.say(upgradeGet)
		} else {
			c.say(plainGet)
		}
		<-began
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if path == "/case" {
			ctx, cancel = context.WithTimeout(t.Context(), patience)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(ctx) }()
		within(t, "no new connection", func() bool {
			nc, err := dialTo(s.Addrs()[0].String())(t.Context(), "tcp", "")
			if err == nil {
				nc.Close()
			}
			return err != nil
		})
		if path == "/case" {
			close(release)
			if h := c.hear("GET"); h.body != "ok" {
				t.Errorf("the request under way: %v", h)
			}
		} else if h := c.hear("GET"); h.resp == nil || h.resp.StatusCode != 101 || !c.ended() {
			t.Errorf("the tunnel: %v", h)
		}
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", path, err)
		}
		cancel()
		if n := s.conns.size(); n != 0 {
			t.Errorf("%s: %d connections are left", path, n)
		}
	}
}

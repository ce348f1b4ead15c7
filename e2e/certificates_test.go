package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Certificates are issued by a real authority, renewed and reloaded while
// users keep coming, and none of their requests fails.
func TestCertificatesIssuedRenewedReloaded(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits a minute for a renewal: left out with -short")
	}
	b := build(t)
	plain, secure := freePort(t), freePort(t)
	authority := startPebble(t, plain, secure, 100*time.Second)
	origin, data := platform(t, "hello"), filepath.Join(t.TempDir(), "state")
	args := []string{"protect", "--to", origin.URL, "--listen", listenFlag(plain, secure), "--domain", "a.test,b.test",
		"--directory", authority.directory, "--directory-ca", authority.ca, "--email", "ops@a.test", "--data", data, "--console", "127.0.0.1:0", "--status", "off"}
	p := b.start(t, data, args...)
	for _, name := range []string{"a.test", "b.test"} {
		p.hear(t, `"edge: certificate obtained" name=`+name+" renewal=false")
		inMemory(t, secure, authority.roots, name)
	}
	if r, _ := get(t, asking(t, plain, nil), "http://a.test/x"); r.StatusCode != http.StatusPermanentRedirect || !strings.HasPrefix(r.Header.Get("Location"), "https://a.test") {
		t.Errorf("without TLS: %s %s", r.Status, r.Header.Get("Location"))
	}

	users := watch(t, secure, authority.roots)
	first := users.until(t, func(serials map[string]bool) bool { return len(serials) == 1 })
	p.signal(t, syscall.SIGHUP)
	p.hear(t, "The configuration is in force.")
	users.until(t, func(serials map[string]bool) bool { return len(serials) > len(first) })
	p.hear(t, `"edge: certificate obtained" name=b.test renewal=true`)
	n := users.stop()
	t.Logf("%d requests, each on a connection of its own, none failed", n)
	overQUIC(t, secure, authority.roots)

	// What was issued is the owner's alone, and serves without the authority.
	privateFolder(t, filepath.Join(data, "certificates"))
	p.stop(t)
	authority.end()
	p = b.start(t, data, args...)
	if r, body := get(t, asking(t, secure, authority.roots), "https://b.test/"); r.StatusCode != 200 || body != "hello" {
		t.Errorf("after a restart: %s", r.Status)
	}
	p.stop(t)
}

// inMemory waits until what was obtained is served: it is written to disk,
// told of, and then read.
func inMemory(t *testing.T, port int, roots *x509.CertPool, name string) {
	t.Helper()
	var err error
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		var r *http.Response
		if r, err = asking(t, port, roots).Get("https://" + name + "/"); err == nil {
			r.Body.Close()
			return
		}
	}
	t.Fatalf("%s has a certificate, and is not served with it: %v", name, err)
}

// watching is a user who comes again and again, each time anew.
type watching struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	n      atomic.Int64
	mu     sync.Mutex
	seen   map[string]bool // serial numbers of certificates
	news   chan struct{}
}

func watch(t *testing.T, port int, roots *x509.CertPool) *watching {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{cancel: cancel, seen: make(map[string]bool), news: make(chan struct{}, 1)}
	t.Cleanup(func() { w.stop() })
	w.done.Go(func() {
		for ctx.Err() == nil {
			c := asking(t, port, roots)
			r, err := c.Get("https://a.test/")
			if err != nil {
				t.Errorf("request %d: %v", w.n.Load(), err)
				return
			}
			body, err := io.ReadAll(r.Body)
			r.Body.Close()
			c.CloseIdleConnections()
			if err != nil || r.StatusCode != 200 || string(body) != "hello" {
				t.Errorf("request %d: %s %q %v", w.n.Load(), r.Status, body, err)
				return
			}
			w.n.Add(1)
			w.mu.Lock()
			w.seen[r.TLS.PeerCertificates[0].SerialNumber.String()] = true
			w.mu.Unlock()
			select {
			case w.news <- struct{}{}:
			default:
			}
			select { // calm: some twenty a second
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return w
}

func (w *watching) until(t *testing.T, enough func(map[string]bool) bool) map[string]bool {
	t.Helper()
	late := time.After(100 * time.Second)
	for {
		w.mu.Lock()
		serials := make(map[string]bool)
		for s := range w.seen {
			serials[s] = true
		}
		w.mu.Unlock()
		if enough(serials) {
			return serials
		}
		select {
		case <-w.news:
		case <-late:
			t.Fatalf("after %d requests: certificates %v", w.n.Load(), serials)
		}
	}
}

func (w *watching) stop() int64 {
	w.cancel()
	w.done.Wait()
	return w.n.Load()
}

func overQUIC(t *testing.T, port int, roots *x509.CertPool) {
	t.Helper()
	tr := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	tr.Dial = func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
		return quic.DialAddr(ctx, loopback(port), c, q)
	}
	defer tr.Close()
	r, body := get(t, &http.Client{Transport: tr, Timeout: patience}, "https://a.test/")
	if r.StatusCode != 200 || body != "hello" || r.Proto != "HTTP/3.0" {
		t.Errorf("%s %s", r.Proto, r.Status)
	}
}

// privateFolder says that nobody but the owner reads what is in a folder.
func privateFolder(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o700)
		if !d.IsDir() {
			want = 0o600
			files++
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v", name, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}

// A site on a LAN: Deich's own authority, whose root one command shows.
func TestOwnAuthority(t *testing.T) {
	b := build(t)
	origin, data := platform(t, "hello"), filepath.Join(t.TempDir(), "state")
	if _, errs, code := b.run(t, "certificate", "root", "--data", data); code == 0 || !strings.Contains(errs, "--internal") {
		t.Errorf("before there is one: exit %d, %s", code, errs)
	}
	plain, secure := freePort(t), freePort(t)
	p := b.start(t, data, "protect", "--to", origin.URL, "--listen", listenFlag(plain, secure), "--domain", "box.lan", "--internal",
		"--data", data, "--console", "off", "--status", "off")
	roots := x509.NewCertPool()
	if root := b.must(t, "certificate", "root", "--data", data); !roots.AppendCertsFromPEM([]byte(root)) {
		t.Fatalf("no certificate: %s", root)
	}
	if r, body := get(t, asking(t, secure, roots), "https://box.lan/"); r.StatusCode != 200 || body != "hello" {
		t.Errorf("%s", r.Status)
	}
	if r, _ := get(t, asking(t, plain, nil), "http://box.lan/"); r.StatusCode != http.StatusPermanentRedirect {
		t.Errorf("without TLS: %s", r.Status)
	}
	privateFolder(t, filepath.Join(data, "certificates"))
	p.stop(t)
	if _, errs, code := b.run(t, "protect", "--to", origin.URL, "--internal", "--listen", "127.0.0.1:0", "--data", t.TempDir()); code == 0 || !strings.Contains(errs, "--domain") {
		t.Errorf("--internal without names: exit %d, %s", code, errs)
	}
}

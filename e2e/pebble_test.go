package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// pebbleModule is Let's Encrypt's ACME server for tests, with its DNS server.
const pebbleModule, pebbleVersion = "github.com/letsencrypt/pebble/v2/cmd/", "@v2.10.1"

// pebble is a real ACME authority on loopback, for which every name leads here.
type pebble struct {
	directory string         // its URL
	ca        string         // PEM file to check the directory with
	roots     *x509.CertPool // of what it issues
	end       func()
}

// startPebble builds and runs one. It checks http-01 on plain, tls-alpn-01 on
// secure, and what it issues is valid for so long.
func startPebble(t *testing.T, plain, secure int, valid time.Duration) *pebble {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"pebble", "pebble-challtestsrv"} {
		cmd := exec.Command("go", "install", pebbleModule+name+pebbleVersion)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("%s cannot be built, most likely for want of a module proxy: %v\n%s", name, err, out)
		}
	}
	cert, key := loopbackCertificate(t, dir)
	acme, manage, dns := freePort(t), freePort(t), freePort(t)
	config := map[string]any{"pebble": map[string]any{
		"listenAddress": loopback(acme), "managementListenAddress": loopback(manage), "certificate": cert, "privateKey": key,
		"httpPort": plain, "tlsPort": secure, "keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "short", "validityPeriod": int(valid / time.Second)}},
	}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{}, 2)
	run := func(name string, args ...string) {
		cmd := exec.CommandContext(ctx, filepath.Join(dir, name), args...)
		cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
		log, err := os.Create(filepath.Join(dir, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			cmd.Wait()
			log.Close()
			ended <- struct{}{}
		}()
	}
	run("pebble-challtestsrv", "-http01", "", "-https01", "", "-doh", "", "-tlsalpn01", "", "-dnsserver", loopback(dns),
		"-management", loopback(freePort(t)), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "")
	run("pebble", "-config", file, "-dnsserver", loopback(dns))
	over := false
	p := &pebble{directory: "https://" + loopback(acme) + "/dir", ca: cert, end: func() {
		if !over {
			over = true
			cancel()
			<-ended
			<-ended
		}
	}}
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "pebble.log"))
			t.Logf("pebble said:\n%s", log)
		}
	})
	p.roots = p.readRoots(t, "https://"+loopback(manage)+"/roots/0")
	return p
}

func (p *pebble) readRoots(t *testing.T, url string) *x509.CertPool {
	t.Helper()
	c := visitor(t)
	c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: poolIn(t, p.ca)}
	late := time.Now().Add(patience)
	for {
		r, err := c.Get(url)
		if err == nil {
			text, err := io.ReadAll(r.Body)
			r.Body.Close()
			pool := x509.NewCertPool()
			if err != nil || !pool.AppendCertsFromPEM(text) {
				t.Fatalf("no root: %v %s", err, text)
			}
			return pool
		}
		if time.Now().After(late) {
			t.Fatalf("pebble does not answer: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func poolIn(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate: %s", text)
	}
	return pool
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePort gives one that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// loopbackCertificate writes a certificate for this machine, and its key.
func loopbackCertificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "pebble"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// asking gives a client that trusts roots and for which every name is here.
func asking(t *testing.T, port int, roots *x509.CertPool) *http.Client {
	c := visitor(t)
	tr := c.Transport.(*http.Transport)
	tr.TLSClientConfig = &tls.Config{RootCAs: roots}
	tr.ForceAttemptHTTP2 = true
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, loopback(port))
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func listenFlag(plain, secure int) string {
	return fmt.Sprintf("http://%s,https://%s", loopback(plain), loopback(secure))
}

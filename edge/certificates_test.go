package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

func digest12(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:12]
}

// selfSigned writes a certificate for names and addresses, and its key.
func selfSigned(t testing.TB, names ...string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := newSerial()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pemOf("CERTIFICATE", der))
	for name, text := range map[string][]byte{certFile: pemOf("CERTIFICATE", der), keyFile: pemOf("EC PRIVATE KEY", keyDER)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, pool
}

// startKeeping runs a server that keeps certificates in a folder.
// before is called with it when nothing runs yet.
func startKeeping(t testing.TB, c Config, storage string, before ...func(*Server)) *Server {
	t.Helper()
	engine, err := deich.New(deich.Policy{Origins: 2, Sources: deich.SourcesMin}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Config: c, Engine: engine, Keys: guard.NewKeys([32]byte{2}), Origins: 2, Storage: storage})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range before {
		b(s)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		s.Shutdown(ctx)
	})
	return s
}

// rootOf reads the authority that a server's clients have to trust.
func rootOf(t testing.TB, storage string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(RootFile(storage))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate: %s", text)
	}
	return pool
}

// leadingTo gives a client for which every name leads to addr.
func leadingTo(t testing.TB, addr net.Addr, pool *x509.CertPool) *http.Client {
	c := client(t)
	tr := c.Transport.(*http.Transport)
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr.String())
	}
	tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	tr.ForceAttemptHTTP2 = true
	return c
}

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }

func TestOwnAuthority(t *testing.T) {
	up, storage := origin(t, hello), t.TempDir()
	c := Config{
		Listen: []string{"https://127.0.0.1:0"},
		Sites:  []Site{{Names: []string{"box.lan", "*.box.lan", "127.0.0.1"}, Origins: []string{up}, Internal: true}},
	}
	s := startKeeping(t, c, storage)
	pool := rootOf(t, storage)
	for _, name := range []string{"box.lan", "a.box.lan", "127.0.0.1"} {
		resp, body := get(t, leadingTo(t, s.Addrs()[0], pool), "https://"+name+"/")
		if resp.StatusCode != 200 || body != "hello" || resp.TLS.Version != tls.VersionTLS13 {
			t.Errorf("%s: %d %q, TLS %x", name, resp.StatusCode, body, resp.TLS.Version)
		}
		leaf := resp.TLS.PeerCertificates[0]
		if life := time.Until(leaf.NotAfter); life > leafLife || life < leafLife-time.Hour || leaf.IsCA {
			t.Errorf("%s: valid for %v, CA %v", name, life, leaf.IsCA)
		}
	}
	if _, err := leadingTo(t, s.Addrs()[0], pool).Get("https://elsewhere.lan/"); err == nil {
		t.Error("a name that is not served has a certificate")
	}
	onlyOwner(t, storage)

	// A second start issues nothing anew, and trusts the same root.
	before, err := os.ReadFile(RootFile(storage))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	again := startKeeping(t, c, storage)
	get(t, leadingTo(t, again.Addrs()[0], pool), "https://box.lan/")
	if after, _ := os.ReadFile(RootFile(storage)); string(after) != string(before) {
		t.Error("another authority was founded")
	}
}

// onlyOwner says that nobody else can read what is below a folder.
func onlyOwner(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v", name, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || files < 4 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestAuthorityRefusesWhatDoesNotHold(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"no key":      func(dir string) error { return os.Remove(filepath.Join(dir, rootKeyFile)) },
		"no PEM":      func(dir string) error { return os.WriteFile(filepath.Join(dir, rootFile), []byte("x"), 0o600) },
		"another key": func(dir string) error { return otherKey(dir) },
	} {
		t.Run(name, func(t *testing.T) {
			storage := t.TempDir()
			if _, err := openAuthority(storage); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(storage, authorityFolder)); err != nil {
				t.Fatal(err)
			}
			if a, err := openAuthority(storage); err == nil {
				t.Fatalf("taken: %v", a)
			}
		})
	}
}

func otherKey(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, rootKeyFile), pemOf("EC PRIVATE KEY", der), 0o600))
}

func TestNoStorage(t *testing.T) {
	engine, err := deich.New(deich.Policy{Origins: 1, Sources: deich.SourcesMin}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{
		Config: Config{Listen: []string{"https://127.0.0.1:0"}, Sites: []Site{{Names: []string{"box.lan"}, Origins: []string{"http://127.0.0.1:1"}, Internal: true}}},
		Engine: engine, Keys: guard.NewKeys([32]byte{2}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); !errors.Is(err, errNoStorage) {
		t.Fatal(err)
	}
}

func TestCertificateSources(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t, "a.test")
	site := Site{Names: []string{"a.test"}, Origins: []string{"http://127.0.0.1:1"}}
	for name, c := range map[string]struct {
		spoil func(*Config)
		path  string
	}{
		"file and acme":     {func(c *Config) { c.Sites[0].ACME, c.Sites[0].Certificate, c.Sites[0].Key = true, certFile, keyFile }, "sites[0]"},
		"acme and internal": {func(c *Config) { c.Sites[0].ACME, c.Sites[0].Internal = true, true }, "sites[0]"},
		"no names":          {func(c *Config) { c.Sites[0].ACME, c.Sites[0].Names = true, nil }, "sites[0].names"},
		"wildcard":          {func(c *Config) { c.Sites[0].ACME, c.Sites[0].Names = true, []string{"*.a.test"} }, "sites[0].names[0]"},
		"address":           {func(c *Config) { c.Sites[0].ACME, c.Sites[0].Names = true, []string{"192.0.2.1"} }, "sites[0].names[0]"},
		"one label":         {func(c *Config) { c.Sites[0].ACME, c.Sites[0].Names = true, []string{"box"} }, "sites[0].names[0]"},
		"email":             {func(c *Config) { c.ACME.Email = "Ops <ops@a.test>" }, "acme.email"},
		"directory":         {func(c *Config) { c.ACME.Directory = "http://a.test/dir" }, "acme.directory"},
		"directory_ca":      {func(c *Config) { c.ACME.DirectoryCA = keyFile }, "acme.directory_ca"},
		"http3":             {func(c *Config) { c.HTTP3 = "yes" }, "http3"},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Sites: []Site{site}}
			c.spoil(&config)
			err := config.Defaults().Validate()
			var wrong *deich.PolicyError
			if !errors.As(err, &wrong) || wrong.Path != c.path {
				t.Errorf("%v, want one at %s", err, c.path)
			}
		})
	}
	for _, right := range []func(*Site){
		func(s *Site) { s.ACME = true }, func(s *Site) { s.Internal = true },
		func(s *Site) { s.Internal, s.Names = true, []string{"box", "*.box.lan", "10.0.0.1"} },
	} {
		s := site
		right(&s)
		if err := (Config{Listen: []string{"https://:443"}, Sites: []Site{s}}).Defaults().Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestPlainLeadsToTLS(t *testing.T) {
	up, storage := origin(t, hello), t.TempDir()
	c := Config{
		Listen: []string{"http://127.0.0.1:0", "https://127.0.0.1:0"},
		Sites: []Site{
			{Names: []string{"box.lan", "*.sub.lan"}, Origins: []string{up}, Internal: true},
			{Names: []string{"open.lan"}, Origins: []string{up}},
		},
	}
	s := startKeeping(t, c, storage)
	_, port, _ := net.SplitHostPort(s.Addrs()[1].String())
	plain := leadingTo(t, s.Addrs()[0], nil)
	for from, to := range map[string]string{
		"http://box.lan/a?b=c":         "https://box.lan:" + port + "/a?b=c",
		"http://BOX.lan:80/":           "https://box.lan:" + port + "/",
		"http://x.sub.lan//evil.test/": "https://x.sub.lan:" + port + "//evil.test/",
	} {
		resp, _ := get(t, plain, from)
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != to {
			t.Errorf("%s: %d %q, want %q", from, resp.StatusCode, got, to)
		}
	}
	if resp, body := get(t, plain, "http://open.lan/"); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("a site without certificate: %d", resp.StatusCode)
	}
	if resp, _ := get(t, plain, "http://nobody.lan/"); resp.StatusCode != 404 {
		t.Errorf("no site: %d", resp.StatusCode)
	}
	// A stranger's challenge is no challenge.
	if resp, _ := get(t, plain, "http://box.lan/.well-known/acme-challenge/abc"); resp.StatusCode != http.StatusPermanentRedirect {
		t.Errorf("challenge: %d", resp.StatusCode)
	}
	resp, body := get(t, leadingTo(t, s.Addrs()[1], rootOf(t, storage)), "https://box.lan/")
	if resp.StatusCode != 200 || body != "hello" {
		t.Errorf("over TLS: %d", resp.StatusCode)
	}

	c.PlainHTTP = true
	if err := s.Swap(c, guard.Config{}); err != nil {
		t.Fatal(err)
	}
	if resp, body := get(t, plain, "http://box.lan/"); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("plain_http: %d", resp.StatusCode)
	}
	c.PlainHTTP, c.TrustedProxies = false, []string{"127.0.0.0/8"}
	if err := s.Swap(c, guard.Config{}); err != nil {
		t.Fatal(err)
	}
	if resp, body := get(t, plain, "http://box.lan/"); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("from a trusted proxy: %d", resp.StatusCode)
	}
}

// Sessions are resumed, also after the certificates have changed.
func TestSessionsResume(t *testing.T) {
	certFile, keyFile, pool := selfSigned(t, "a.test")
	c := Config{
		Listen: []string{"https://127.0.0.1:0"}, HTTP3: switchOff,
		Sites: []Site{{Origins: []string{origin(t, hello)}, Certificate: certFile, Key: keyFile}},
	}
	s := start(t, c)
	sessions := tls.NewLRUClientSessionCache(4)
	for i, version := range []uint16{tls.VersionTLS13, tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS12} {
		resumed := resumes(t, s.Addrs()[0], &tls.Config{RootCAs: pool, ServerName: "a.test", ClientSessionCache: sessions, MaxVersion: version})
		if resumed != (i%2 == 1) {
			t.Errorf("connection %d with %x: resumed %v", i, version, resumed)
		}
		if version == tls.VersionTLS13 && i == 1 {
			if err := s.Swap(c, guard.Config{}); err != nil {
				t.Fatal(err)
			}
			sessions = tls.NewLRUClientSessionCache(4)
		}
	}
}

func resumes(t *testing.T, to net.Addr, config *tls.Config) bool {
	t.Helper()
	nc, err := tls.Dial("tcp", to.String(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprint(nc, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(nc) // the ticket comes before it
	if err != nil || !strings.HasSuffix(string(answer), "hello") {
		t.Fatalf("%q %v", answer, err)
	}
	return nc.ConnectionState().DidResume
}

// Another certificate is put in force while requests go on, and none fails.
func TestReloadUnderRequests(t *testing.T) {
	up := origin(t, hello)
	oneCert, oneKey, pool := selfSigned(t, "a.test")
	storage := t.TempDir()
	c := Config{
		Listen: []string{"https://127.0.0.1:0"},
		Sites:  []Site{{Names: []string{"a.test"}, Origins: []string{up}, Certificate: oneCert, Key: oneKey}},
	}
	s := startKeeping(t, c, storage)
	if _, err := openAuthority(storage); err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(RootFile(storage))
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(root)

	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	issuers := make(chan string, 10000)
	for range 4 {
		asking.Go(func() {
			for ctx.Err() == nil {
				c := leadingTo(t, s.Addrs()[0], pool)
				resp, err := c.Get("https://a.test/")
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				c.CloseIdleConnections()
				if err != nil || string(body) != "hello" {
					t.Errorf("%q %v", body, err)
				}
				select {
				case issuers <- resp.TLS.PeerCertificates[0].Issuer.CommonName:
				default:
				}
			}
		})
	}
	seen := make(map[string]int)
	until := func(what func() bool) {
		for !what() {
			seen[<-issuers]++
		}
	}
	until(func() bool { return seen["test"] > 5 })
	c.Sites[0].Certificate, c.Sites[0].Key, c.Sites[0].Internal = "", "", true
	if err := s.Swap(c, guard.Config{}); err != nil {
		t.Fatal(err)
	}
	until(func() bool { return len(seen) == 2 })
	c.Sites[0].Internal, c.Sites[0].Certificate, c.Sites[0].Key = false, oneCert, oneKey
	if err := s.Swap(c, guard.Config{}); err != nil {
		t.Fatal(err)
	}
	back := seen["test"]
	until(func() bool { return seen["test"] > back+5 })
	stop()
	asking.Wait()
	t.Logf("%v", seen)
}

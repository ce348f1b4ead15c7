package edge

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ocsp"
)

// A certificate from a file that names an OCSP responder is served with its answer.
func TestFilesAreStapled(t *testing.T) {
	ca, err := openAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		now := time.Now()
		answer, err := ocsp.CreateResponse(ca.root, ca.root, ocsp.Response{
			Status: ocsp.Good, SerialNumber: asked.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour),
		}, ca.key)
		if err != nil {
			t.Error(err)
		}
		w.Write(answer)
	}))
	t.Cleanup(responder.Close)
	certFile, keyFile := withResponder(t, ca, responder.URL)
	s := startKeeping(t, Config{
		Listen: []string{"https://127.0.0.1:0"}, HTTP3: switchOff,
		Sites: []Site{{Names: []string{"a.test"}, Origins: []string{origin(t, hello)}, Certificate: certFile, Key: keyFile}},
	}, t.TempDir())
	pool := x509.NewCertPool()
	pool.AddCert(ca.root)
	for late := time.Now().Add(10 * time.Second); ; {
		resp, _ := get(t, leadingTo(t, s.Addrs()[0], pool), "https://a.test/")
		if len(resp.TLS.OCSPResponse) > 0 {
			answer, err := ocsp.ParseResponse(resp.TLS.OCSPResponse, ca.root)
			if err != nil || answer.Status != ocsp.Good {
				t.Fatalf("%v %v", answer, err)
			}
			return
		}
		if time.Now().After(late) {
			t.Fatal("no OCSP answer is stapled")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func withResponder(t *testing.T, ca *authority, url string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := newSerial()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "a.test"}, DNSNames: []string{"a.test"}, OCSPServer: []string{url},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, ca.root, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	chain := append(pemOf("CERTIFICATE", der), pemOf("CERTIFICATE", ca.root.Raw)...)
	for name, text := range map[string][]byte{certFile: chain, keyFile: pemOf("EC PRIVATE KEY", keyDER)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestVaultLocks(t *testing.T) {
	v := newVault(t.TempDir())
	if err := v.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if ok, _ := v.TryLock(t.Context(), "a"); ok {
		t.Error("taken twice")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := v.Lock(ctx, "a"); err == nil {
		t.Error("taken twice after waiting")
	}
	got := make(chan error, 1)
	go func() { got <- v.Lock(t.Context(), "a") }()
	if err := v.Unlock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	if v.Unlock(t.Context(), "a") != nil || v.Unlock(t.Context(), "a") == nil {
		t.Error("given back twice, or not once")
	}
}

func TestZapComesOutInOurLog(t *testing.T) {
	var out bytes.Buffer
	log := zapLog(slog.New(slog.NewTextHandler(&out, nil)))
	log.Info("chatter")
	log.With(zap.String("name", "a.test")).Error("renewing", zap.Int("attempt", 2))
	if got := out.String(); strings.Contains(got, "chatter") || !strings.Contains(got, "level=ERROR") ||
		!strings.Contains(got, `msg="edge: certificates: renewing" name=a.test attempt=2`) {
		t.Errorf("%s", got)
	}
}

// A challenge by tls-alpn-01 that nobody waits for gets no certificate.
func TestStrangeChallenge(t *testing.T) {
	s := startKeeping(t, Config{
		Listen: []string{"https://127.0.0.1:0"}, HTTP3: switchOff,
		Sites: []Site{{Names: []string{"box.lan"}, Origins: []string{origin(t, hello)}, Internal: true}},
	}, t.TempDir())
	nc, err := tls.Dial("tcp", s.Addrs()[0].String(), &tls.Config{ServerName: "box.lan", NextProtos: []string{acmeTLS}, InsecureSkipVerify: true})
	if err == nil {
		nc.Close()
		t.Error("it got one")
	}
}

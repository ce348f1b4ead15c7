//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"text/template"
	"time"
)

//go:embed config/*.cfg config/*.conf config/*.vcl
var configs embed.FS

var configTemplates = template.Must(template.ParseFS(configs, "config/*"))

// The cores: one for proxy and origin, the other for the load.
const proxyCore, loadCore = 0, 1

// contender is one way to stand in front of the origin.
type contender struct {
	name   string
	peer   string   // its program
	config string   // of a peer, in config/
	flags  []string // of Deich
	tls    bool
	asked  int // how often a second its status page is asked; 0: it has none
}

// stand is one trial's processes: an origin, and a proxy in front of it.
type stand struct {
	contender
	ctx    context.Context
	dir    string // its own, removed at the end
	addr   netip.AddrPort
	at     netip.AddrPort // the origin
	page   netip.AddrPort // the status page
	origin *child
	proxy  *child
}

// open starts both; a rate makes the origin small.
func (b *bench) open(ctx context.Context, c contender, rate int) (s *stand, err error) {
	s = &stand{contender: c, ctx: ctx}
	if s.dir, err = os.MkdirTemp("", "deich-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", c.name, err), s.close())
		}
	}()
	// nginx's workers are somebody else where it was started by root.
	if err = os.Chmod(s.dir, 0o755); err != nil {
		return nil, err
	}
	if s.at, err = freePort(); err != nil {
		return nil, err
	}
	if s.origin, err = start(s.dir, proxyCore, b.self, "origin", s.at.String(), strconv.Itoa(rate)); err != nil {
		return nil, err
	}
	if err = s.origin.listens(ctx, s.at); err != nil {
		return nil, err
	}
	if s.addr, err = freePort(); err != nil {
		return nil, err
	}
	if c.asked > 0 {
		if s.page, err = freePort(); err != nil {
			return nil, err
		}
	}
	if c.tls {
		if err = writeCert(s.dir); err != nil {
			return nil, err
		}
	}
	name, args, err := s.command(b)
	if err != nil {
		return nil, err
	}
	if s.proxy, err = start(s.dir, proxyCore, name, args...); err != nil {
		return nil, err
	}
	if err = s.proxy.listens(ctx, s.addr); err == nil && c.asked > 0 {
		err = s.proxy.listens(ctx, s.page)
	}
	return s, err
}

// command is what starts the proxy.
func (s *stand) command(b *bench) (string, []string, error) {
	if s.peer == peerDeich {
		page := "off"
		if s.asked > 0 {
			page = s.page.String()
		}
		args := []string{"protect", "--to", "http://" + s.at.String(), "--listen", s.addr.String(),
			"--data", filepath.Join(s.dir, "data"), "--console", "off", "--status", page}
		if s.tls {
			args = append(args, "--cert", filepath.Join(s.dir, "cert.pem"), "--key", filepath.Join(s.dir, "key.pem"))
		}
		return b.deich, append(args, s.flags...), nil
	}
	name, err := exec.LookPath(s.peer)
	if err != nil {
		return "", nil, err
	}
	file := filepath.Join(s.dir, s.config)
	f, err := os.Create(file)
	if err != nil {
		return "", nil, err
	}
	err = configTemplates.ExecuteTemplate(f, s.config, map[string]string{
		"Dir": s.dir, "Listen": s.addr.String(), "Origin": s.at.String(), "OriginHost": s.at.Addr().String(), "OriginPort": port(s.at),
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return "", nil, err
	}
	switch s.peer {
	case peerNginx:
		return name, []string{"-c", file, "-p", s.dir, "-e", filepath.Join(s.dir, "nginx.log")}, nil
	case peerVarnish:
		return name, []string{"-F", "-j", "none", "-n", filepath.Join(s.dir, "varnish"), "-a", s.addr.String(), "-T", "none",
			"-f", file, "-s", "malloc,64m"}, nil
	}
	return name, []string{"-db", "-f", file}, nil
}

func (s *stand) close() error {
	return errors.Join(s.proxy.end(), s.origin.end(), os.RemoveAll(s.dir))
}

// writeCert makes a certificate for loopback, for an hour.
func writeCert(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o644),
	)
}

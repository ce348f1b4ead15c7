package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"
)

// The files of the own authority, below Options.Storage.
const (
	authorityFolder = "authority"
	rootFile        = "root.pem"
	rootKeyFile     = "root.key"
)

// RootFile is where the own authority's root certificate stands, below the
// folder of Options.Storage: what clients have to trust.
func RootFile(storage string) string { return filepath.Join(storage, authorityFolder, rootFile) }

// authority issues certificates for names that no public one knows: of a LAN,
// of a test. It implements certmagic.Issuer, and is safe for concurrent use.
type authority struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

// openAuthority reads the authority in a folder, or founds it.
func openAuthority(storage string) (*authority, error) {
	dir := filepath.Join(storage, authorityFolder)
	a, err := readAuthority(dir)
	if errors.Is(err, fs.ErrNotExist) {
		a, err = foundAuthority(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("edge: own authority: %w", err)
	}
	return a, nil
}

func readAuthority(dir string) (*authority, error) {
	text, err := os.ReadFile(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	keyText, err := os.ReadFile(filepath.Join(dir, rootKeyFile))
	if err != nil {
		return nil, fmt.Errorf("%s without its key: remove it to found another authority: %s", rootFile, err.Error())
	}
	certBlock, _ := pem.Decode(text)
	keyBlock, _ := pem.Decode(keyText)
	if certBlock == nil || keyBlock == nil {
		return nil, fmt.Errorf("%s: %s and %s are no PEM files: remove both to found another authority", dir, rootFile, rootKeyFile)
	}
	a := new(authority)
	if a.root, err = x509.ParseCertificate(certBlock.Bytes); err != nil {
		return nil, fmt.Errorf("%s: %w", rootFile, err)
	}
	if a.key, err = x509.ParseECPrivateKey(keyBlock.Bytes); err != nil {
		return nil, fmt.Errorf("%s: %w", rootKeyFile, err)
	}
	if !a.key.PublicKey.Equal(a.root.PublicKey) {
		return nil, fmt.Errorf("%s: %s and %s do not belong together", dir, rootFile, rootKeyFile)
	}
	if time.Now().After(a.root.NotAfter) {
		return nil, fmt.Errorf("%s ended %s: remove it and its key, and have clients trust the next one", rootFile, a.root.NotAfter.Format(time.DateOnly))
	}
	return a, nil
}

func foundAuthority(dir string) (*authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		// The number tells authorities apart in a list of trusted ones.
		Subject:   pkix.Name{CommonName: "Deich authority " + hex.EncodeToString(serial.Bytes()[:4])},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(rootLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	// The certificate last: it is what says that there is an authority.
	if err := writeWhole(filepath.Join(dir, rootKeyFile), pemOf("EC PRIVATE KEY", keyDER)); err != nil {
		return nil, err
	}
	if err := writeWhole(filepath.Join(dir, rootFile), pemOf("CERTIFICATE", der)); err != nil {
		return nil, err
	}
	return readAuthority(dir)
}

// writeWhole writes a file for its owner only: after a crash it is there as a
// whole or not at all.
func writeWhole(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// newSerial gives 127 random bits, the first of them set.
func newSerial() (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b), nil
}

// IssuerKey names the authority in the storage.
func (a *authority) IssuerKey() string { return "internal" }

// Issue signs what is asked for: only this process asks.
func (a *authority) Issue(_ context.Context, asked *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if err := asked.CheckSignature(); err != nil {
		return nil, fmt.Errorf("edge: own authority: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	until := now.Add(leafLife)
	if until.After(a.root.NotAfter) {
		until = a.root.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: asked.DNSNames, IPAddresses: asked.IPAddresses,
		NotBefore: now.Add(-clockSkew), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, asked.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("edge: own authority: %w", err)
	}
	return &certmagic.IssuedCertificate{Certificate: pemOf("CERTIFICATE", der)}, nil
}

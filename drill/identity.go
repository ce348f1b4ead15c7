package drill

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// identity is what the platform shows over TLS in one rehearsal: a certificate
// for the site by an authority that signs nothing else, whose key is thrown away.
// The drill's users trust that authority, and nobody else does.
type identity struct {
	certificate, key string         // files (PEM), in the rehearsal's own folder
	roots            *x509.CertPool // the authority alone
}

// identityLasts is longer than any rehearsal.
const identityLasts = 24 * time.Hour

func newIdentity(dir string) (*identity, error) {
	id := &identity{certificate: filepath.Join(dir, "site.pem"), key: filepath.Join(dir, "site.key"), roots: x509.NewCertPool()}
	if err := id.make(); err != nil {
		return nil, fmt.Errorf("drill: certificate: %w", err)
	}
	return id, nil
}

func (id *identity) make() error {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	from := time.Now().Add(-time.Hour)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Deich's drill"},
		NotBefore: from, NotAfter: from.Add(identityLasts),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{site},
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, &signer.PublicKey, signer)
	if err != nil {
		return err
	}
	if authority, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	id.roots.AddCert(authority)
	der, err = x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: site}, DNSNames: []string{site},
		NotBefore: from, NotAfter: from.Add(identityLasts),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(id.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(id.certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

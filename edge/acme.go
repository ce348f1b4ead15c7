package edge

import (
	"crypto/x509"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// acmeTLS is the protocol that tls-alpn-01 challenges ask for (RFC 8737).
const acmeTLS = "acme-tls/1"

// ACME says where certificates come from for sites with Site.ACME (RFC 8555).
// It cannot change while running.
type ACME struct {
	// Email is where the authority writes to when something is wrong with a
	// certificate; empty: nowhere.
	Email string `json:"email,omitempty"`
	// Directory is the authority's URL; empty: Let's Encrypt. Setting an
	// authority means agreeing to its terms.
	Directory string `json:"directory,omitempty"`
	// DirectoryCA is a PEM file with the authorities that the directory's own
	// certificate is checked against; empty: the system's.
	DirectoryCA string `json:"directory_ca,omitempty"`
}

func (a ACME) validate(f *faults) {
	if a.Email != "" {
		if m, err := mail.ParseAddress(a.Email); err != nil || m.Address != a.Email {
			f.add("acme.email", "%q: write an address like ops@example.org", a.Email)
		}
	}
	if a.Directory != "" {
		u, err := url.Parse(a.Directory)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			f.add("acme.directory", "%q: write the directory's URL, beginning with https://", a.Directory)
		}
	}
	if _, err := a.authorities(); err != nil {
		f.add("acme.directory_ca", "%v", err)
	}
}

func (a ACME) authorities() (*x509.CertPool, error) { return poolOf(a.DirectoryCA) }

// poolOf reads a PEM file of authorities; nil, the system's, for no file.
func poolOf(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", file)
	}
	return pool, nil
}

// secured says whether the site has certificates, from wherever.
func (s Site) secured() bool { return s.Certificate != "" || s.ACME || s.Internal }

// validateSource checks where a site's certificates come from: one place.
func (s Site) validateSource(f *faults, path string, public bool) {
	sources := 0
	for _, has := range []bool{s.Certificate != "" || s.Key != "", s.ACME, s.Internal} {
		if has {
			sources++
		}
	}
	switch {
	case sources > 1:
		f.add(path, "certificate, acme and internal: keep one of them")
		return
	case !s.ACME && !s.Internal:
		return
	case len(s.Names) == 0:
		f.add(path+".names", "none: a certificate is issued for names, so name them")
	}
	for j, name := range s.Names {
		if s.ACME {
			validateIssued(f, fmt.Sprintf("%s.names[%d]", path, j), name, public)
		}
	}
}

// validateIssued says which names no authority can check from outside.
func validateIssued(f *faults, path, name string, public bool) {
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	switch {
	case strings.HasPrefix(name, "*."):
		f.add(path, "%q: ACME would need the domain's DNS for that; name each host, or use certificate and key", name)
	case err == nil:
		f.add(path, "%q: an address; use internal: true, or certificate and key", name)
	case public && !strings.Contains(name, "."):
		f.add(path, "%q: no public authority knows that name; use internal: true", name)
	}
}

// managedNames gives the names whose certificates are issued, with whether by
// ACME (true) or by the own authority.
func (c Config) managedNames() map[string]bool {
	all := make(map[string]bool)
	for _, s := range c.Sites {
		if !s.ACME && !s.Internal {
			continue
		}
		for _, name := range s.Names {
			all[siteName(name)] = s.ACME
		}
	}
	return all
}

// siteName is one of Site.Names as requests are compared with it.
func siteName(name string) string { return strings.ToLower(strings.Trim(name, "[]")) }

package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// keeper gets certificates for names, renews them in time and staples OCSP
// answers. Until something is to be kept it is idle. Safe for concurrent use.
type keeper struct {
	storage string // folder
	acme    ACME
	log     *slog.Logger

	mu      sync.Mutex      // one change at a time
	names   map[string]bool // kept names; true: by ACME
	ctx     context.Context // ends what runs in the background
	cancel  context.CancelFunc
	running atomic.Pointer[keeping]
}

// keeping is what a keeper is made of once there is something to keep.
type keeping struct {
	cache     *certmagic.Cache
	files     *certmagic.Config // for certificates from files
	byACME    *certmagic.Config
	issuer    *certmagic.ACMEIssuer
	authority atomic.Pointer[certmagic.Config] // nil until a name needs it
	staples   sync.Map                         // *tls.Certificate → hash in cache
}

var errNoStorage = errors.New("edge: certificates: Options.Storage is needed to keep them")

// start begins to keep what c names. Where challenges arrive is taken from
// listeners, which are open by now.
func (k *keeper) start(ctx context.Context, c Config, listeners []*listener, files []*tls.Certificate) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ctx, k.cancel = context.WithCancel(ctx)
	k.names = make(map[string]bool)
	if len(c.managedNames()) == 0 && !slices.ContainsFunc(files, hasResponder) {
		return nil
	}
	return k.change(c, listeners, files)
}

// swap begins to keep what c names. Names that are no longer wanted are kept
// until release: handshakes ask for them until c is in force.
func (k *keeper) swap(c Config, listeners []*listener, files []*tls.Certificate) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx == nil { // not started: start will see to it
		return nil
	}
	return k.change(c, listeners, files)
}

func (k *keeper) change(c Config, listeners []*listener, files []*tls.Certificate) error {
	want := c.managedNames()
	if k.running.Load() == nil {
		if len(want) == 0 && !slices.ContainsFunc(files, hasResponder) {
			return nil
		}
		if k.storage == "" {
			return errNoStorage
		}
		if err := k.open(listeners); err != nil {
			return err
		}
	}
	r := k.running.Load()
	// The library manages a name with one issuer at a time.
	k.drop(r, func(name string, acme bool) bool {
		now, wanted := want[name]
		return wanted && now != acme
	})
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, kept := k.names[name]; kept {
			continue
		}
		if err := k.keep(r, name, want[name]); err != nil {
			return err
		}
		k.names[name] = want[name]
	}
	k.settle(r)
	k.staple(r, files)
	return nil
}

// settle waits until what lies in the folder is in memory, so that a restart
// turns nobody away. The library reads it in the background since it may ask
// for an OCSP answer meanwhile, hence the limit.
func (k *keeper) settle(r *keeping) {
	ctx, cancel := context.WithTimeout(k.ctx, storedWait)
	defer cancel()
	for name, acme := range k.names {
		file := certmagic.StorageKeys.SiteCert(r.issuer.IssuerKey(), name)
		if !acme || !r.byACME.Storage.Exists(ctx, file) {
			continue
		}
		for len(r.cache.AllMatchingCertificates(name)) == 0 && ctx.Err() == nil {
			time.Sleep(storedLook)
		}
	}
}

// open makes the parts. Nothing is asked of anybody yet.
func (k *keeper) open(listeners []*listener) error {
	logger := zapLog(k.log)
	r := new(keeping)
	r.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(cert certmagic.Certificate) (*certmagic.Config, error) { return k.configFor(r, cert), nil },
		RenewCheckInterval: renewCheckEvery,
		Logger:             logger,
	})
	common := certmagic.Config{
		Storage: newVault(k.storage), OnEvent: k.happened, ShouldEmitFunc: told, Logger: logger,
	}
	r.files = certmagic.New(r.cache, common)
	r.byACME = certmagic.New(r.cache, common)
	issuer, err := k.acmeIssuer(r.byACME, listeners, logger)
	if err != nil {
		r.cache.Stop()
		return err
	}
	r.issuer = issuer
	r.byACME.Issuers = []certmagic.Issuer{issuer}
	k.running.Store(r)
	return nil
}

// acmeIssuer speaks to the authority. Challenges come to the listeners that
// there are: http-01 to a plain one, tls-alpn-01 to one with TLS.
func (k *keeper) acmeIssuer(c *certmagic.Config, listeners []*listener, logger *zap.Logger) (*certmagic.ACMEIssuer, error) {
	pool, err := k.acme.authorities()
	if err != nil {
		return nil, fmt.Errorf("edge: certificates: %w", err)
	}
	template := certmagic.ACMEIssuer{
		CA: k.acme.Directory, Email: k.acme.Email, Agreed: true, TrustedRoots: pool,
		DisableHTTPChallenge: true, DisableTLSALPNChallenge: true, Logger: logger,
	}
	for _, l := range listeners {
		host, port := hostPort(l.Addr())
		if l.secured && template.DisableTLSALPNChallenge {
			template.DisableTLSALPNChallenge, template.AltTLSALPNPort, template.ListenHost = false, port, host
		}
		if !l.secured && template.DisableHTTPChallenge {
			template.DisableHTTPChallenge, template.AltHTTPPort = false, port
		}
	}
	return certmagic.NewACMEIssuer(c, template), nil
}

func hostPort(a net.Addr) (string, int) {
	host, text, err := net.SplitHostPort(a.String())
	port, perr := strconv.Atoi(text)
	if err != nil || perr != nil {
		return "", 0
	}
	return host, port
}

// release forgets the names that c, which is in force, does not name.
func (k *keeper) release(c Config) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.running.Load()
	if r == nil {
		return
	}
	want := c.managedNames()
	k.drop(r, func(name string, _ bool) bool {
		_, wanted := want[name]
		return !wanted
	})
}

// drop forgets the kept names of which that is true.
func (k *keeper) drop(r *keeping, which func(name string, acme bool) bool) {
	var gone []certmagic.SubjectIssuer
	for name, acme := range k.names {
		if which(name, acme) {
			gone = append(gone, certmagic.SubjectIssuer{Subject: name})
			delete(k.names, name)
		}
	}
	r.cache.RemoveManaged(gone)
}

// keep has the certificate of one name managed. The own authority answers at
// once; for a public one a request that comes meanwhile finds none.
func (k *keeper) keep(r *keeping, name string, acme bool) error {
	if acme {
		return r.byACME.ManageAsync(k.ctx, []string{name})
	}
	config := r.authority.Load()
	if config == nil {
		own, err := openAuthority(k.storage)
		if err != nil {
			return err
		}
		shape := *r.files
		shape.Issuers = []certmagic.Issuer{own}
		config = certmagic.New(r.cache, shape)
		r.authority.Store(config)
	}
	if err := config.ManageSync(k.ctx, []string{name}); err != nil {
		return fmt.Errorf("edge: certificates: %w", err)
	}
	return nil
}

// staple has OCSP answers fetched, and kept fresh, for certificates from files.
// A responder that is down is no reason to wait, or to serve without TLS.
func (k *keeper) staple(r *keeping, files []*tls.Certificate) {
	r.staples.Range(func(cert, hash any) bool {
		if !slices.Contains(files, cert.(*tls.Certificate)) {
			r.staples.Delete(cert)
			r.cache.Remove([]string{hash.(string)})
		}
		return true
	})
	for _, cert := range files {
		if _, has := r.staples.Load(cert); has || !hasResponder(cert) {
			continue
		}
		go func() {
			hash, err := r.files.CacheUnmanagedTLSCertificate(k.ctx, *cert, nil)
			if err != nil {
				k.log.Warn("edge: certificates: no OCSP for a certificate file", "names", cert.Leaf.DNSNames, "error", err)
				return
			}
			r.staples.Store(cert, hash)
		}()
	}
}

func hasResponder(cert *tls.Certificate) bool {
	return cert.Leaf != nil && len(cert.Leaf.OCSPServer) > 0
}

// stapled gives a certificate from a file with its OCSP answer, once there is one.
func (k *keeper) stapled(cert *tls.Certificate) *tls.Certificate {
	r := k.running.Load()
	if r == nil || !hasResponder(cert) {
		return cert
	}
	hash, ok := r.staples.Load(cert)
	if !ok || len(cert.Leaf.DNSNames) == 0 {
		return cert
	}
	for _, cached := range r.cache.AllMatchingCertificates(cert.Leaf.DNSNames[0]) {
		if cached.Hash() == hash {
			return &cached.Certificate
		}
	}
	return cert
}

// certificate gives the kept one of a name.
func (k *keeper) certificate(hello *tls.ClientHelloInfo, name string, acme bool) (*tls.Certificate, error) {
	r := k.running.Load()
	if r == nil {
		return nil, fmt.Errorf("edge: no certificate for %s yet", name)
	}
	config := r.byACME
	if !acme {
		config = r.authority.Load()
	}
	if config == nil {
		return nil, fmt.Errorf("edge: no certificate for %s yet", name)
	}
	named := *hello
	named.ServerName = name
	return config.GetCertificate(&named)
}

// challenge answers an authority's tls-alpn-01 challenge (RFC 8737): a
// handshake that asks for nothing but that protocol.
func (k *keeper) challenge(hello *tls.ClientHelloInfo) (cert *tls.Certificate, is bool, err error) {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmeTLS {
		return nil, false, nil
	}
	r := k.running.Load()
	if r == nil {
		return nil, true, errors.New("edge: no certificate is being obtained")
	}
	cert, err = r.byACME.GetCertificate(hello)
	return cert, true, err
}

// answer answers an authority's http-01 challenge (RFC 8555, 8.3).
func (k *keeper) answer(w http.ResponseWriter, r *http.Request) bool {
	kept := k.running.Load()
	return kept != nil && kept.issuer.HandleHTTPChallenge(w, r)
}

// configFor says how a certificate in the cache is renewed.
func (k *keeper) configFor(r *keeping, cert certmagic.Certificate) *certmagic.Config {
	own := r.authority.Load()
	if own != nil && cert.Leaf != nil && slices.ContainsFunc(own.Issuers, func(i certmagic.Issuer) bool {
		a, is := i.(*authority)
		return is && cert.Leaf.CheckSignatureFrom(a.root) == nil
	}) {
		return own
	}
	return r.byACME
}

// told names the events that an operator wants to know of.
func told(event string) bool {
	return event == "cert_obtained" || event == "cert_failed" || event == "cert_ocsp_revoked"
}

func (k *keeper) happened(_ context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		k.log.Info("edge: certificate obtained", "name", data["identifier"], "renewal", data["renewal"], "issuer", data["issuer"])
	case "cert_failed":
		k.log.Error("edge: certificate not obtained", "name", data["identifier"], "renewal", data["renewal"], "error", data["error"])
	case "cert_ocsp_revoked":
		k.log.Error("edge: a certificate was revoked", "names", data["subjects"])
	}
	return nil
}

// stop ends what runs in the background, and waits for it as long as ctx lasts:
// an authority that does not answer must not hold up the end.
func (k *keeper) stop(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cancel != nil {
		k.cancel()
	}
	r := k.running.Swap(nil)
	if r == nil {
		return
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.cache.Stop()
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
	}
}

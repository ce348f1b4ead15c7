package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

const switchOn, switchOff = "on", "off"

// Config is the edge's part of the configuration. After Defaults only Sites
// must be set.
type Config struct {
	// Listen gives the addresses to listen on: ":8080", "http://:80",
	// "https://:443". One without a scheme speaks TLS if a site has a certificate.
	Listen []string `json:"listen,omitempty"`
	// Sites are what is served, told apart by name.
	Sites []Site `json:"sites,omitempty"`
	// TrustedProxies are addresses and prefixes whose word about the client is
	// believed: their PROXY protocol header and their ClientHeader.
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
	// ClientHeader names the header in which a trusted proxy tells the client's
	// address: "X-Forwarded-For" (default), "Forwarded" or "none".
	ClientHeader string `json:"client_header,omitempty"`
	// ProxyProtocol says that trusted proxies begin each connection with a
	// PROXY protocol header, version 1 or 2.
	ProxyProtocol bool `json:"proxy_protocol,omitempty"`
	// HTTP3 says whether sites with certificates are served by HTTP/3 too, on the
	// UDP port of the same number: "on" (default) or "off". Where proxy_protocol
	// is spoken there is none: its proxies know only TCP.
	HTTP3 string `json:"http3,omitempty"`
	// PlainHTTP serves sites with certificates without TLS too, where an address
	// is listened on for that. Without it such requests are sent on to https.
	PlainHTTP bool `json:"plain_http,omitempty"`
	// ACME says where issued certificates come from.
	ACME ACME `json:"acme,omitzero"`
	// AccessLog is the file for the access log, "-" for standard error, empty for none.
	AccessLog string `json:"access_log,omitempty"`
	// AccessLogFormat is "combined" (default) or "json".
	AccessLogFormat string `json:"access_log_format,omitempty"`

	Timeouts Timeouts `json:"timeouts,omitzero"`
	Limits   Limits   `json:"limits,omitzero"`
}

// Site is one platform, under one or more names.
type Site struct {
	// Names are host names, "www.example.org" or "*.example.org". A site
	// without names answers to every name that no other site has.
	Names []string `json:"names,omitempty"`
	// Origins are the URLs of the platform; several share its load.
	Origins []string `json:"origins"`
	// OriginHost is the Host header for the origin; empty: the client's.
	OriginHost string `json:"origin_host,omitempty"`
	// OriginCA is a PEM file of authorities for https origins; empty: the system's.
	OriginCA string `json:"origin_ca,omitempty"`
	// Certificate and Key are PEM files.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// ACME has certificates for Names issued, and renewed, by an authority: see
	// Config.ACME. The names must lead here from the internet.
	ACME bool `json:"acme,omitempty"`
	// Internal has them issued by Deich's own authority, whose root certificate
	// clients have to trust: for a LAN, or a test.
	Internal bool `json:"internal,omitempty"`
	// Cache says when readers who are nobody in particular may be given an
	// answer from memory: "witnessed" (default), while more ask than the platform
	// can answer or while it is down, with what several readers like them were
	// given; "pressure", the same with copies that the cache fetches; "always", as
	// a shared cache does; "off". With "pressure" and "always" fetches whose
	// answers are kept tell the platform nothing of the client.
	Cache string `json:"cache,omitempty"`
	// CacheTrustVary says that the platform names in Vary all that its answers
	// depend on. Then their requests reach it whole; else only with what Vary names.
	CacheTrustVary bool `json:"cache_trust_vary,omitempty"`
}

// When a site is answered from memory.
const (
	cacheWitnessed = "witnessed"
	cachePressure  = "pressure"
	cacheAlways    = "always"
	cacheOff       = "off"
)

// Timeouts bound every wait. ReadHeader and Idle cannot change while running.
type Timeouts struct {
	ReadHeader Duration `json:"read_header,omitzero"` // a request's headers, a TLS handshake (5s)
	Idle       Duration `json:"idle,omitzero"`        // a kept connection between two requests (60s)
	Connect    Duration `json:"connect,omitzero"`     // to the origin (3s)
	FirstByte  Duration `json:"first_byte,omitzero"`  // until the origin's answer begins (30s)
	Body       Duration `json:"body,omitzero"`        // a pause within an origin's answer (60s)
	Stream     Duration `json:"stream,omitzero"`      // a pause in a tunnel or an event stream (10m)
}

// Limits bound what is open at once. They cannot change while running.
type Limits struct {
	HeaderBytes       int `json:"header_bytes,omitempty"`       // a request's headers (16384)
	Connections       int `json:"connections,omitempty"`        // clients' connections; default from the limit of open files
	PeerConnections   int `json:"peer_connections,omitempty"`   // of one address, when connections are short (64)
	OriginConnections int `json:"origin_connections,omitempty"` // to the origins of one site (8192)
	CacheBytes        int `json:"cache_bytes,omitempty"`        // answers kept (67108864)
}

// Defaults fills what is not set.
func (c Config) Defaults() Config {
	if len(c.Listen) == 0 {
		c.Listen = []string{":8080"}
	}
	c.Sites = slices.Clone(c.Sites)
	for i := range c.Sites {
		if c.Sites[i].Cache == "" {
			c.Sites[i].Cache = cacheWitnessed
		}
	}
	if c.ClientHeader == "" {
		c.ClientHeader = headerXForwardedFor
	}
	if c.HTTP3 == "" {
		c.HTTP3 = switchOn
	}
	if c.AccessLogFormat == "" {
		c.AccessLogFormat = formatCombined
	}
	or := func(d *Duration, v time.Duration) {
		if *d == (Duration{}) {
			*d = Lasting(v)
		}
	}
	or(&c.Timeouts.ReadHeader, 5*time.Second)
	or(&c.Timeouts.Idle, time.Minute)
	or(&c.Timeouts.Connect, 3*time.Second)
	or(&c.Timeouts.FirstByte, 30*time.Second)
	or(&c.Timeouts.Body, time.Minute)
	or(&c.Timeouts.Stream, 10*time.Minute)
	c.Limits = c.Limits.defaults()
	return c
}

func (l Limits) defaults() Limits {
	files := filesLimit() * 9 / 10
	if l.HeaderBytes == 0 {
		l.HeaderBytes = headerBytesDefault
	}
	if l.OriginConnections == 0 {
		l.OriginConnections = min(originConnectionsDefault, files/originShare)
	}
	if l.Connections == 0 {
		l.Connections = max(files-l.OriginConnections, files/originShare)
	}
	if l.CacheBytes == 0 {
		l.CacheBytes = cacheBytesDefault
	}
	if l.PeerConnections == 0 {
		l.PeerConnections = peerConnectionsDefault
	}
	return l
}

// OriginGroups is how many different groups of origins the sites have: the
// engine's Policy.Origins.
func (c Config) OriginGroups() int {
	keys := make(map[string]bool)
	for _, s := range c.Sites {
		keys[s.groupKey()] = true
	}
	return len(keys)
}

// groupKey tells sites apart that have different platforms behind them.
func (s Site) groupKey() string {
	sorted := slices.Sorted(slices.Values(s.Origins))
	return strings.Join(append(sorted, s.OriginCA), "\n")
}

// faults collects errors of configuration.
type faults struct{ errs []error }

func (f *faults) add(path, format string, args ...any) {
	f.errs = append(f.errs, &deich.PolicyError{Path: path, Text: fmt.Sprintf(format, args...)})
}

// Validate gives every error at once, joined; each is a *deich.PolicyError. It
// reads the certificate files.
func (c Config) Validate() error {
	f := new(faults)
	c.validateListen(f)
	c.validateSites(f)
	c.validateProxies(f)
	if c.AccessLogFormat != formatCombined && c.AccessLogFormat != formatJSON {
		f.add("access_log_format", "%q: write %q or %q", c.AccessLogFormat, formatCombined, formatJSON)
	}
	if c.HTTP3 != switchOn && c.HTTP3 != switchOff {
		f.add("http3", "%q: write %s or %s", c.HTTP3, switchOn, switchOff)
	}
	c.ACME.validate(f)
	c.Timeouts.validate(f)
	c.Limits.validate(f)
	return errors.Join(f.errs...)
}

func (c Config) validateListen(f *faults) {
	seen := make(map[string]bool)
	for i, text := range c.Listen {
		path := fmt.Sprintf("listen[%d]", i)
		a, err := parseListen(text)
		switch {
		case err != nil:
			f.add(path, "%q: %v", text, err)
		case seen[a.addr] && !strings.HasSuffix(a.addr, ":0"):
			f.add(path, "%q is listed twice", text)
		case a.scheme == "https" && !c.anyCertificate():
			f.add(path, "%q: no site has a certificate", text)
		}
		seen[a.addr] = true
	}
}

func (c Config) anyCertificate() bool {
	return slices.ContainsFunc(c.Sites, Site.secured)
}

// listenAddr is one entry of Config.Listen.
type listenAddr struct{ scheme, addr string }

func parseListen(text string) (listenAddr, error) {
	var a listenAddr
	a.addr = text
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return a, fmt.Errorf("unknown scheme: write http://ADDRESS or https://ADDRESS")
		}
		a.scheme, a.addr = scheme, strings.TrimSuffix(rest, "/")
	}
	if _, _, err := net.SplitHostPort(a.addr); err != nil {
		return a, fmt.Errorf("write HOST:PORT or :PORT")
	}
	return a, nil
}

// listenAddrs gives every address to listen on, with its scheme.
func (c Config) listenAddrs() []listenAddr {
	all := make([]listenAddr, 0, len(c.Listen))
	for _, text := range c.Listen {
		a, err := parseListen(text)
		if err != nil {
			continue // Validate has said so
		}
		if a.scheme == "" && c.anyCertificate() {
			a.scheme = "https"
		}
		all = append(all, a)
	}
	return all
}

// fixed gives an error for everything that cannot change while running.
func (c Config) fixed(old Config) error {
	f := new(faults)
	for _, each := range []struct {
		path string
		same bool
	}{
		{"listen", slices.Equal(c.listenAddrs(), old.listenAddrs())},
		{"http3", c.HTTP3 == old.HTTP3},
		{"acme", c.ACME == old.ACME},
		{"proxy_protocol", c.ProxyProtocol == old.ProxyProtocol},
		{"access_log", c.AccessLog == old.AccessLog},
		{"access_log_format", c.AccessLogFormat == old.AccessLogFormat},
		{"timeouts.read_header", c.Timeouts.ReadHeader == old.Timeouts.ReadHeader},
		{"timeouts.idle", c.Timeouts.Idle == old.Timeouts.Idle},
		{"limits", c.Limits == old.Limits},
	} {
		if !each.same {
			f.add(each.path, "cannot change while running: restart")
		}
	}
	return errors.Join(f.errs...)
}

func (c Config) validateSites(f *faults) {
	if len(c.Sites) == 0 {
		f.add("sites", "none: name at least one, with its origins")
	}
	if len(c.Sites) > sitesMax {
		f.add("sites", "%d: at most %d", len(c.Sites), sitesMax)
	}
	owner := make(map[string]int)
	for i, s := range c.Sites {
		path := fmt.Sprintf("sites[%d]", i)
		s.validate(f, path)
		s.validateSource(f, path, c.ACME.Directory == "")
		names := s.Names
		if len(names) == 0 {
			names = []string{""}
		}
		for j, name := range names {
			name = strings.ToLower(name)
			first, taken := owner[name]
			switch {
			case taken && name == "":
				f.add(path+".names", "none, like sites[%d]: only one site can answer to every name", first)
			case taken:
				f.add(fmt.Sprintf("%s.names[%d]", path, j), "%q belongs to sites[%d] already", name, first)
			default:
				owner[name] = i
			}
		}
	}
}

func (s Site) validate(f *faults, path string) {
	if len(s.Names) > namesMax {
		f.add(path+".names", "%d: at most %d", len(s.Names), namesMax)
	}
	for j, name := range s.Names {
		if !validName(name) {
			f.add(fmt.Sprintf("%s.names[%d]", path, j), "%q: write a host name without scheme, port or path, or *.example.org", name)
		}
	}
	if len(s.Origins) == 0 || len(s.Origins) > backendsMax {
		f.add(path+".origins", "%d: between 1 and %d, like http://127.0.0.1:3000", len(s.Origins), backendsMax)
	}
	prefix := ""
	for j, text := range s.Origins {
		u, err := parseOrigin(text)
		switch {
		case err != nil:
			f.add(fmt.Sprintf("%s.origins[%d]", path, j), "%q: %v", text, err)
		case j > 0 && originPrefix(u) != prefix:
			f.add(fmt.Sprintf("%s.origins[%d]", path, j), "%q: all origins of a site have the same path", text)
		default:
			prefix = originPrefix(u)
		}
	}
	if s.OriginHost != "" && !validName(s.OriginHost) {
		f.add(path+".origin_host", "%q: write a host name", s.OriginHost)
	}
	if !slices.Contains([]string{"", cacheWitnessed, cachePressure, cacheAlways, cacheOff}, s.Cache) {
		f.add(path+".cache", "%q: write %q, %q, %q or %q", s.Cache, cacheWitnessed, cachePressure, cacheAlways, cacheOff)
	}
	if _, err := s.authorities(); err != nil {
		f.add(path+".origin_ca", "%v", err)
	}
	if _, err := s.certificate(); err != nil {
		f.add(path+".certificate", "%v", err)
	}
}

// validName takes host names, addresses and, at the front, one "*." label.
func validName(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	if name == "" || len(name) > 253 {
		return false
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

func parseOrigin(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("write a URL like http://127.0.0.1:3000")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("a user, query or fragment has no place in an origin")
	case u.Hostname() == "":
		return nil, errors.New("the host is missing")
	}
	return u, nil
}

// certificate loads the site's; none is nil.
func (s Site) certificate() (*tls.Certificate, error) {
	if s.Certificate == "" && s.Key == "" {
		return nil, nil
	}
	if s.Certificate == "" || s.Key == "" {
		return nil, errors.New("certificate and key belong together")
	}
	cert, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// authorities loads the ones for https origins; nil is the system's.
func (s Site) authorities() (*x509.CertPool, error) {
	return poolOf(s.OriginCA)
}

func (c Config) validateProxies(f *faults) {
	if len(c.TrustedProxies) > trustedMax {
		f.add("trusted_proxies", "%d: at most %d", len(c.TrustedProxies), trustedMax)
	}
	for i, text := range c.TrustedProxies {
		if _, err := parseTrusted(text); err != nil {
			f.add(fmt.Sprintf("trusted_proxies[%d]", i), "%q: write an address or a prefix like 10.0.0.0/8", text)
		}
	}
	if !slices.Contains([]string{headerXForwardedFor, headerForwarded, headerNone}, c.ClientHeader) {
		f.add("client_header", "%q: write %q, %q or %q", c.ClientHeader, headerXForwardedFor, headerForwarded, headerNone)
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		f.add("proxy_protocol", "only trusted_proxies may speak it, and none is listed")
	}
}

func parseTrusted(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func (t Timeouts) validate(f *faults) {
	for _, each := range []struct {
		name string
		d    Duration
	}{
		{"read_header", t.ReadHeader}, {"idle", t.Idle}, {"connect", t.Connect},
		{"first_byte", t.FirstByte}, {"body", t.Body}, {"stream", t.Stream},
	} {
		switch {
		case each.d.wrong != "":
			f.add("timeouts."+each.name, "%q: write a duration like 5s or 1m30s", each.d.wrong)
		case each.d.Duration < time.Millisecond || each.d.Duration > 24*time.Hour:
			f.add("timeouts."+each.name, "%v: between 1ms and 24h", each.d)
		}
	}
}

func (l Limits) validate(f *faults) {
	for _, each := range []struct {
		name     string
		n        int
		low, top int
	}{
		{"header_bytes", l.HeaderBytes, 4 << 10, 1 << 20},
		{"connections", l.Connections, 16, filesMax},
		{"peer_connections", l.PeerConnections, 1, filesMax},
		{"origin_connections", l.OriginConnections, 1, filesMax},
		{"cache_bytes", l.CacheBytes, 1 << 20, 1 << 36},
	} {
		if each.n < each.low || each.n > each.top {
			f.add("limits."+each.name, "%d: between %d and %d", each.n, each.low, each.top)
		}
	}
}

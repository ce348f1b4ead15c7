package edge

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strconv"
)

// The names of HTTP/1.1 and HTTP/2 in a handshake (RFC 7301, 6; RFC 9113, 3.2).
const (
	alpnH1 = "http/1.1"
	alpnH2 = "h2"
)

// tlsConfig is for TCP. TLS 1.3 is what both ends choose where both can; the
// standard library rotates the keys of session tickets daily.
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{alpnH2, alpnH1, acmeTLS},
		GetCertificate: s.certificate,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if c, ok := hello.Conn.(*conn); ok {
				c.fingerprint = ja4(hello, 't')
				if err := c.shake(); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
	}
}

// tlsConfigQUIC is for QUIC, which knows no older TLS than 1.3.
func (s *Server) tlsConfigQUIC() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := s.certificate(hello)
			if c := quicIn(hello.Context()); c != nil && err == nil {
				cert = c.inTurn(cert)
			}
			return cert, err
		},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if c := quicIn(hello.Context()); c != nil {
				c.fingerprint = ja4(hello, 'q')
				if err := c.shake(); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
	}
}

func (s *Server) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	st := s.state.Load()
	cert, err := st.certificate(hello)
	// A reload may have released what the state of a moment ago names.
	for now := s.state.Load(); err != nil && now != st; now = s.state.Load() {
		st = now
		cert, err = st.certificate(hello)
	}
	return cert, err
}

// fingerprintOf gives the JA4 of the client behind r; empty without TLS, and
// for a proxy's connection it is the proxy's.
func fingerprintOf(r *http.Request) string {
	if c := connOf(r); c != nil {
		return c.fingerprint
	}
	if c := quicOf(r); c != nil {
		return c.fingerprint
	}
	return ""
}

// listen opens every address, and gets what certificates can be had at once;
// on an error nothing is left open.
func (s *Server) listen(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			for _, l := range s.listeners {
				l.Close()
			}
			s.listeners = nil
			s.quic.shutdown(ctx)
			s.keeper.stop(ctx)
		}
	}()
	isTrusted := func(a netip.Addr) bool { return s.state.Load().trusted.has(a) }
	for _, a := range s.options.Config.listenAddrs() {
		l, err := listen(ctx, a, s.conns, isTrusted, s.malformedBy)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
		if !l.secured {
			continue
		}
		if s.secure == "" {
			_, port := hostPort(l.Addr())
			s.secure = strconv.Itoa(port)
		}
		if s.quic == nil {
			continue
		}
		if err := s.quic.open(l.Addr(), s.tlsConfigQUIC(), s.options.Config.Timeouts); err != nil {
			// The site is served without it; clients are not told of it.
			s.log.Warn("edge: no HTTP/3 on this address", "address", l.Addr().String(), "error", err)
		}
	}
	s.altSvc = s.quic.announcement()
	st := s.state.Load()
	return s.keeper.start(context.WithoutCancel(ctx), st.config, s.listeners, st.files)
}

// announce tells a client that came by TCP of HTTP/3 (RFC 7838). Not through a
// trusted proxy: its clients would not find this port where they look for it.
func (s *Server) announce(w http.ResponseWriter, r *http.Request) {
	if s.altSvc == nil || r.TLS == nil || r.ProtoMajor > 2 {
		return
	}
	if c := connOf(r); c != nil && !c.trusted {
		w.Header()["Alt-Svc"] = s.altSvc
	}
}

// plain answers what comes without TLS for a name that has a certificate: an
// authority's challenge, and for everyone else the way to https. A trusted
// proxy has ended TLS itself and is served as it is.
func (s *Server) plain(w http.ResponseWriter, r *http.Request) bool {
	st := s.state.Load()
	if s.secure == "" && len(st.issued) == 0 {
		return false
	}
	name := hostName(r.Host)
	if byACME := st.issued[name]; byACME && s.keeper.answer(w, r) {
		return true
	}
	site := st.site(r.Host)
	if s.secure == "" || st.config.PlainHTTP || site == nil || !site.secured || !validName(name) {
		return false
	}
	c := connOf(r)
	if c == nil || c.trusted || st.trusted.has(c.source()) {
		return false
	}
	host := name
	if s.secure != "443" {
		host = net.JoinHostPort(name, s.secure)
	} else if a, err := netip.ParseAddr(name); err == nil && a.Is6() {
		host = "[" + name + "]"
	}
	h := w.Header()
	h["Content-Length"] = []string{"0"}
	h["Cache-Control"] = []string{"no-store"}
	target := r.URL.RequestURI()
	if target == "*" {
		target = "/"
	}
	h["Location"] = []string{"https://" + host + target}
	w.WriteHeader(http.StatusPermanentRedirect)
	s.sentOn(c, r)
	return true
}

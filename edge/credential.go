package edge

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// credential is where the certificate of a name comes from.
type credential struct {
	file *tls.Certificate // nil: it is issued
	name string           // the one it is issued for
	acme bool             // by ACME; else by the own authority
}

// credentialFor gives the one for a name of the site; nil for none.
func (s Site) credentialFor(name string, file *tls.Certificate) *credential {
	switch {
	case file != nil:
		return &credential{file: file}
	case s.ACME || s.Internal:
		return &credential{name: name, acme: s.ACME}
	}
	return nil
}

// credential gives the one for clients that ask for no name; nil for none.
func (s Site) credential(file *tls.Certificate) *credential {
	if len(s.Names) == 0 {
		return s.credentialFor("", file)
	}
	return s.credentialFor(siteName(s.Names[0]), file)
}

// certificate chooses by the name that the client asks for; where it asks for
// none, by the address that it reached.
func (st *state) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if st.keeper != nil {
		if cert, is, err := st.keeper.challenge(hello); is {
			return cert, err
		}
	}
	c := st.credential(hello)
	switch {
	case c == nil:
		return nil, errors.New("edge: no certificate")
	case c.file == nil && st.keeper == nil:
		return nil, errNoStorage
	case c.file == nil:
		return st.keeper.certificate(hello, c.name, c.acme)
	case st.keeper == nil:
		return c.file, nil
	}
	return st.keeper.stapled(c.file), nil
}

func (st *state) credential(hello *tls.ClientHelloInfo) *credential {
	name := hostName(hello.ServerName)
	if name == "" && hello.Conn != nil {
		name, _, _ = net.SplitHostPort(hello.Conn.LocalAddr().String())
	}
	if c := st.certs[name]; c != nil {
		return c
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if c := st.certs["*."+parent]; c != nil {
			return c
		}
	}
	return st.cert
}

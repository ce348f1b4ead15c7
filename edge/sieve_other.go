//go:build !linux

package edge

import "net"

// sieve is the usual way here.
type sieve struct{ tcp *net.TCPListener }

func newSieve(tcp *net.TCPListener) (sieve, error) { return sieve{tcp}, nil }

func (sieve) close() {}

func (s sieve) accept(l *listener, a *accepted) error {
	for {
		tcp, err := s.tcp.AcceptTCP()
		if err != nil {
			return err
		}
		a.of(tcp)
		if !l.refuses(a.remote.Addr()) {
			return nil
		}
		a.reset()
	}
}

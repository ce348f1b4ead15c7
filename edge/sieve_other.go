//go:build !linux

package edge

import (
	"net"
	"net/netip"
)

// sieve is the usual way here.
type sieve struct{ tcp *net.TCPListener }

func (*sieve) begin() bool { return false }
func (*sieve) rest()       {}
func (*sieve) close()      {}

func (s *sieve) accept(func(netip.Addr) bool) (*net.TCPConn, error) { return s.tcp.AcceptTCP() }

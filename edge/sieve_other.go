//go:build !linux

package edge

import "net"

// sieve is the usual way here.
type sieve struct{ tcp *net.TCPListener }

func (*sieve) begin() bool { return false }
func (*sieve) rest()       {}
func (*sieve) close()      {}

func (s *sieve) accept(*listener) (*net.TCPConn, error) { return s.tcp.AcceptTCP() }

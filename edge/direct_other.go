//go:build !linux || race

package edge

import "net"

// direct reads and writes as the runtime does: how to do better is known of Linux
// alone, and the race detector sees by the runtime's calls what came before what.
type direct struct{ *net.TCPConn }

func newDirect(tcp *net.TCPConn) *direct { return &direct{tcp} }

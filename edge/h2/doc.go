// Package h2 serves HTTP/2 (RFC 9113) to clients of a proxy.
//
// One goroutine a connection reads; each request is handled by one that was idle,
// whose stack has grown before; and who has something to write writes it, together with
// what others have ready. No goroutine stands between, so an answer costs one switch to
// its handler and one system call. HPACK's decoder and Huffman's code are
// golang.org/x/net/http2/hpack's; answers are encoded without a dynamic table
// (RFC 7541, 4.2: its size is told to be 0), so that they need no order.
//
// There is no push, no priority (RFC 9113, 5.3.2 deprecates it) and no CONNECT
// with a protocol. What a client owes for frames that bring nobody anything its server
// counts: see package edge.
package h2

// Package h1 serves HTTP/1.1 and 1.0 (RFC 9112) to clients of a proxy.
//
// One goroutine a connection reads, answers and writes. Requests are parsed by
// net/http's ReadRequest, with the checks that its server makes beside it; what comes out
// is the same for the same bytes, which the tests hold against that server. A short
// answer leaves in one write, header and body together. That a client has left while its
// request is answered is seen by one goroutine for all connections, and only of
// those somebody asks it about: see Server.
package h1

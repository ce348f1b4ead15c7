// Package edge is the server in front of a platform: it accepts connections,
// speaks TLS, HTTP/1.1 and HTTP/2 by the standard library and HTTP/3 by
// quic-go, asks the guard about every request and carries the admitted ones to
// their origin and back. Certificates come from files, by ACME, or from an
// authority of its own; see keeper.
//
// A connection's way:
//
//	accept → under an order? refused by reset → conn → (TLS) → net/http
//	(by UDP: first packet → under an order? refused → quicConn → http3)
//	→ guard.Handler → proxy → group of backends → line (a connection to one of them)
//
// What makes it lean is the way to the origin: a request is written by one
// write and its answer read on the handler's own goroutine, so that neither an
// idle nor a busy connection to an origin costs a goroutine; only a body that
// is too large to hold has one while it is sent.
//
// What makes it hard to hold down is bounded everywhere: see limits.go.
package edge

package h2

import "time"

const (
	// frameMost is the longest payload of a frame, in either direction; a longer
	// one ends the connection. It is the least that may be told, and the standard's
	// default.
	frameMost = 16 << 10
	// windowBytes is what a client may send of all its bodies, and of one, before
	// a handler has read it; more ends the connection.
	windowBytes = 1 << 20
	// creditBytes is how much is read before the client is told that it may send
	// as much again.
	creditBytes = 64 << 10
	// outMost is what may wait to be written on a connection; beyond it handlers
	// wait, with a header as with a body.
	outMost = 64 << 10
	// outKept is the largest buffer that is used again.
	outKept = 128 << 10
	// replyMost is what answers to a client's own control frames may add to that
	// while it does not read; then the connection ends.
	replyMost = 64 << 10
	// writesMost is how often a handler writes while others have something ready again
	// each time; then a goroutine of the connection's own does.
	writesMost = 4
	// bodyBuffer is what an answer may gather before it is sent.
	bodyBuffer = 4 << 10
	// readBuffer is what is read of a connection at a time, beside TLS's own buffers.
	readBuffer = 4 << 10
	// blockMost is how long a header block may be on the wire, as a multiple of
	// the header's limit; a longer one ends the connection.
	blockMost = 2
	// namesMost bounds the names of headers a connection remembers in the
	// form Go knows them by, and nameMost how long each is; others are made anew each time.
	namesMost = 64
	nameMost  = 64
	// resetsKept is how many streams that were reset here are remembered, as
	// what was under way for them is nobody's fault: all that were open at once.
	resetsKept = 128
	// idleHandlers is how many goroutines wait for a request; more end.
	idleHandlers = 512
	// greetWithin is how long a client may take for its preface and SETTINGS.
	greetWithin = 10 * time.Second
	// lingerFor, lingerMost and lingerBytes: how long a client may send nothing, how
	// long and how much is read and forgotten in all, once the last has been written, so
	// that it arrives. A client that closes ends it.
	lingerFor   = time.Second
	lingerMost  = 5 * time.Second
	lingerBytes = 256 << 10
	// partFor is how long a connection that is to end takes new requests, which
	// were under way.
	partFor = 500 * time.Millisecond
)

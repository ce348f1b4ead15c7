package h1

import "time"

const (
	// readBuffer is what is read of a connection at a time, and what an idle one holds.
	readBuffer = 4 << 10
	// headerSlop is how much more than HeaderBytes may be read of a header, so that
	// what follows it may come along.
	headerSlop = 4 << 10
	// bodyBuffer is what an answer may gather before it is sent; a whole answer that
	// fits has its length told.
	bodyBuffer = 4 << 10
	// joinMost is how much of a body is copied to leave in one write with what frames it;
	// more is written by itself.
	joinMost = 32 << 10
	// outKept is the largest buffer that is used again.
	outKept = 64 << 10
	// fieldsKept is the largest header of an answer that a connection's next one is made in.
	fieldsKept = 32
	// discardMost is how much of a request's body that nobody has read is read and
	// forgotten so that the connection can go on; with more it is closed.
	discardMost = 256 << 10
	// discardFor is how long that may take, where a handler's own deadline is not sooner; then
	// the answer is sent and the connection closed.
	discardFor = 5 * time.Second
	// lingerFor, lingerMost and lingerBytes: how long a client may send nothing, how long
	// and how much is read and forgotten in all, once an answer has been written to a
	// request that has not come whole, so that it arrives. lingersMax is how many
	// connections may do so at once; more are closed.
	lingerFor   = 500 * time.Millisecond
	lingerMost  = 2 * time.Second
	lingerBytes = 256 << 10
	lingersMax  = 1024
	// idleSlack is the part, 1/idleSlack, of Idle by which a connection may rest longer, so
	// that its deadline is not set anew with every request.
	idleSlack = 8
	// freshFor is how long a connection may take for its first request once the
	// server drains; then it is closed.
	freshFor = 5 * time.Second
	// eventsOnce is how many connections' ends are taken from the kernel at a time.
	eventsOnce = 64
	// alertMost is the longest TLS record that can only be a client's word that it ends: no request fits.
	alertMost = 36
)

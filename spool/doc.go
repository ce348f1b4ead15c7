// Package spool keeps messages on disk while the platform cannot take them,
// and delivers each of them once when it can.
//
// [Store] is what is kept: an encrypted log of its own, on which [Store.Put]
// returns only after the record is on the disk. [Courier] takes messages to
// the platform, in order for each sender, at the pace it is given. [Receipts]
// tells senders, and nobody else, what became of their messages.
// [Store.Begin] gives a repeated request the answer of the first.
//
// The package knows nothing of guards and edges: how a message reaches the
// platform it is given as a function. docs/internals/spool.md has the format,
// the guarantees and their limits.
//
// Several edges can keep their messages together, on a NATS cluster: far.go has how
// the store is fed by its stream, cluster.go the stream, lease.go which of them
// delivers.
//
// Lock order: a lane's lock, then Courier.mu or Store.mu, then cluster.mu. Nothing
// is held while the log is written to, a platform is asked, or a function that
// was given is called. The log's files are its writer's alone; others read
// records by their position.
package spool

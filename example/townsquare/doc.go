// Package townsquare is a small but real message platform: something to
// protect in the demo, in drills and in tests.
//
// Members sign up, log in, post, search and read a timeline that is kept in
// SQLite. It serves pages made on the server, a JSON API and a live stream. It
// knows one thing about Deich: answers to a member who is logged in carry
// Deich-Member with the account's id, and "0" once that is over.
//
// # Capacity, honestly limited
//
// Townsquare behaves as naive software does under load, on purpose:
//
//   - There is a goroutine per request and no admission control.
//   - Whatever touches the database or makes a page needs one of a few workers
//     ([Config.Procs], as many as cores; one by default). They are waited for
//     in an unbounded queue, first come first served, by every route alike: a
//     flood of searches makes the timeline wait.
//   - Work is done even when whoever asked has gone away; nothing is timed out.
//   - A search costs CPU by real work: it reads the latest messages out of
//     SQLite and scores each word of each. At start it is measured how many
//     messages may be read so that [Config.Searches] of them fill one core.
//
// So its capacity is that of a one-core origin, and at ten times the load the
// queue grows until every answer is late. What ends the growth is the number of
// open connections ([Config.Connections]), as file descriptors end it for
// others: what comes on top waits unaccepted in the kernel.
//
// # Not for production
//
// The members made at first start share a published password.
package townsquare

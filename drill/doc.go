// Package drill rehearses floods on real sockets, against what it started
// itself: it starts a platform and Deich in front of it as processes of their
// own, lets users visit it as real people did, floods it, and reports how the
// users fared.
//
// No option and no scenario names a target. Whatever is flooded listens in a
// network namespace that the drill made and that has no route out, or, where
// the system allows none, on loopback. Rate, count and time are bounded by
// the limits of this package and of package scenarios.
package drill

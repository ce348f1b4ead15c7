package main

import "time"

// Every bound of the process itself, by name.
const (
	// heapRoom is how much may be allocated between two collections at least: a
	// request's garbage is a few KiB, so that they are a second apart instead of
	// many in one. Beyond that much live memory the runtime's own rule holds.
	// With GOGC in the environment nothing is changed, and GOMEMLIMIT bounds
	// the whole as ever.
	heapRoom = 64 << 20
	// pageNice is how far the status page's process gives way to others that want the processor, as nice(1) counts it; on Linux.
	pageNice = 19
	// pageAgainFirst and pageAgainLast are the pauses before the status page's process is started anew that has ended:
	// longer each time, until one has lasted for the longest of them.
	pageAgainFirst, pageAgainLast = time.Second, time.Minute
	// pageLook is how often it is looked whether a page's process lives that was found at the start.
	pageLook = 5 * time.Second
	// reloadWait is how long a running Deich may take to answer deich reload: it reads files, of networks too.
	reloadWait = time.Minute
	// handOverWait is how long the command may take that takes a published status page on; then it is ended, and tried
	// again with the next one.
	handOverWait = 2 * time.Minute
	// handOverGrace is how long is waited for what it said once it was ended.
	handOverGrace = 2 * time.Second
	// handOverSaid bounds what is told of its errors, in bytes; the rest is dropped.
	handOverSaid = 2 << 10
)

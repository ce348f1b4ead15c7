package townsquare

import "time"

// Every bound of the platform, by name, with what happens when it is full. The
// one thing without a bound of its own is the queue for a worker, which is as
// long as there are connections: that is the weakness to be rehearsed.
const (
	// UsersMax bounds the members; one more sign-up is answered 503.
	UsersMax = 200_000
	// PostsMax bounds the messages kept; a new one pushes out the oldest.
	PostsMax = 500_000
	// SearchesMin and SearchesMax bound Config.Searches.
	SearchesMin = 10
	SearchesMax = 2_000
	// ScanMax bounds the messages one search reads, whatever was measured.
	ScanMax = 200_000
	// ProcsMax bounds Config.Procs.
	ProcsMax = 256
	// ConnectionsMax bounds Config.Connections.
	ConnectionsMax = 65_536
	// FreshMax bounds Config.Fresh.
	FreshMax = time.Minute

	// bodyBytesMax bounds a request's body; more is answered 413.
	bodyBytesMax = 64 << 10
	// headerBytesMax bounds a request's headers; more is answered 431.
	headerBytesMax = 64 << 10
	// textRunesMax bounds a message; more is answered 422.
	textRunesMax = 500
	// keyBytesMax bounds an Idempotency-Key; more is answered 400.
	keyBytesMax = 255
	// queryBytesMax bounds a search; more is answered 400.
	queryBytesMax = 200
	// termsMax bounds the words of a search; further ones are not looked at.
	termsMax = 6
	// displayRunesMax bounds a member's shown name; more is answered 422.
	displayRunesMax = 60
	// passwordBytesMin and passwordBytesMax bound a password; 72 bytes is all that bcrypt reads.
	passwordBytesMin = 8
	passwordBytesMax = 72
	// credentialsMax bounds a member's sessions and, apart from them, tokens; a new one ends the oldest.
	credentialsMax = 16

	// pageSize is how many messages a page or an answer holds, pageSizeMax what may be asked for.
	pageSize    = 20
	pageSizeMax = 50
	// hitsMax is how many messages a search gives; worse ones are left out.
	hitsMax = 10

	// streamsMax bounds the live streams open at once; one more is answered 503.
	streamsMax = 4096
	// streamBacklog is how many messages a stream may lag; one more cuts it, and its client resumes.
	streamBacklog = 32
	// avatars is how many faces there are; members share them.
	avatars = 32
)

const (
	// sessionLasts is how long a login is good for.
	sessionLasts = 30 * 24 * time.Hour
	// streamBeat is how often a silent stream is written to, so that a dead one is noticed.
	streamBeat = 15 * time.Second
	// streamWrite is how long one write to a stream may take before it is cut.
	streamWrite = 10 * time.Second
	// drainMax is how long Run lets requests finish when it is told to end.
	drainMax = 2 * time.Second
)

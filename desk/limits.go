package desk

import "time"

// Every bound of the private server, by name, with what happens when it is full.
const (
	// connsMax bounds open connections; one more waits to be accepted.
	connsMax = 128
	// subscribersMax bounds those who listen to /api/v1/events; one more gets 503.
	subscribersMax = 16
	// historySeconds is how much the page can show; the oldest second is forgotten.
	historySeconds = 15 * 60
	// windowSeconds is what "now" means on the page: rates and shares are over this long.
	windowSeconds = 10
	// eventsMax bounds the recent events kept; the oldest is forgotten.
	eventsMax = 256
	// actionsMax bounds what people did that can be looked at; older ones stand in the record's files alone.
	actionsMax = 1000
	// actionsShown bounds those on the page and in each message to it.
	actionsShown = 10
	// momentsShown bounds the moments of an incident on the page and in each message to it, the newest, and of a platform's pressure the newest alone; the dossier has all.
	momentsShown = 8
	// momentBytesMax bounds the text of one of them, in bytes; a longer one is cut.
	momentBytesMax = 400
	// handShown bounds what is listed by hand on the page and in each message to it, the newest; the table has all.
	handShown = 20
	// foundMax bounds the listings, and the orders, that are shown of what somebody looked for; how many more there are is told.
	foundMax = 20
	// networksShown bounds the networks on the page and in each message to it; the table has all that are counted.
	networksShown = 12
	// alertTestWait is how long a test of the places that alerts are told to may take; those that have not answered then have failed.
	alertTestWait = 8 * time.Second
	// changesShown bounds what is listed as changed in a marked range; the least sure is left out.
	changesShown = 12
	// changeSecondsMin is how many seconds a marked range, and the time before it, must have to be compared.
	changeSecondsMin = 5
	// changeSureMin is how many standard errors apart two means must be to be called a change.
	changeSureMin = 3.5
	// eventsShown bounds the events on the page and in each message to it.
	eventsShown = 30
	// requestBodyMax bounds what a request may send, in bytes; longer is 413 where it is read.
	requestBodyMax = 64 << 10
	// requestHeaderMax bounds a request's headers, in bytes; longer is 431.
	requestHeaderMax = 16 << 10

	// headerWait is how long a client may take for its headers; then the connection is closed.
	headerWait = 5 * time.Second
	// bodyWait is how long a client may take for what it sends after them; then the connection is closed.
	bodyWait = 10 * time.Second
	// idleWait is how long an idle connection stays: programs that open one for each
	// question and leave it would soon have all there may be.
	idleWait = 15 * time.Second
	// writeWait is how long one message to a listener may take; then it is let go.
	writeWait = 5 * time.Second
	// sessionFor is how long a browser stays signed in after it followed the link.
	sessionFor = 7 * 24 * time.Hour
	// drainWait is how long open requests may take when the server ends.
	drainWait = 2 * time.Second

	// recordBytesMax bounds the record of incidents on disk, in bytes; the oldest file is removed.
	recordBytesMax = 256 << 20
	// recordFor is how long the record of incidents is kept; older files are removed. It holds no address but those that an operator lists by hand.
	recordFor = 400 * 24 * time.Hour
	// snapshotLines is after how many lines of the record a snapshot is written: so many are read at a start at most.
	snapshotLines = 2048
	// reopenEvery is how often a record that could not be written is tried again.
	reopenEvery = 30 * time.Second
	// claimWindowMax is the longest claimed window that is held against the record; beyond it, a claim is not verifiable.
	claimWindowMax = 7 * 24 * time.Hour
	// postEvery is how often the status page's file is written, so that the page knows when it was last heard.
	postEvery = 5 * time.Second
	// handedMax bounds the seconds that wait to be written down for incidents; where a disk takes longer, the next one tells of those that found no room, too, up to gapMax.
	handedMax = 10
	// gapMax is the longest time that one look tells incidents of; what a disk that hangs, or a stop of Deich, holds up for longer is in none, since nobody could say when in it something was off.
	gapMax = time.Minute
	// lookPause parts the steps of the look at everything once a second: where there is one core, requests are served between them.
	lookPause = 2 * time.Millisecond
	// outsideEvery is how often the reports of probes are read, for the status page and for incidents.
	outsideEvery = 5 * time.Second
	// foundNamed bounds the probes that an incident's evidence names with what they saw; of more it says how many.
	foundNamed = 8
	// nameMax bounds a person's name, in bytes; longer is 422.
	nameMax = 100
)

package sim

import "time"

// Every bound of a simulation, by name, with what happens when it is reached.
const (
	// ClientsMax bounds the users of all groups; a scenario with more is an error.
	ClientsMax = 1 << 20
	// SourcesMax bounds one attack's sources; a scenario with more is an error.
	SourcesMax = 1 << 25
	// BotsMax bounds one attack's sources that keep cookies, solve or come early, since each is remembered; more is an error.
	BotsMax = 1 << 18
	// FlightsMax bounds the requests under way at once; beyond it the run ends with an error.
	FlightsMax = 1 << 21
	// BacklogDefault is how many requests an origin takes at once before it refuses connections.
	BacklogDefault = 8192
	// LengthMax bounds a scenario's virtual length; longer is an error.
	LengthMax = 24 * time.Hour
	// GroupsMax bounds groups and attacks of a scenario; more is an error.
	GroupsMax = 64
)

const (
	inTime    = 5 * time.Second        // who has no content by then was not served
	lost      = time.Minute            // who has none by then was denied
	bin       = 100 * time.Millisecond // resolution of success over time
	ticketFor = 10 * time.Minute       // how long a waiting-room ticket holds
	proofFor  = 2 * time.Minute        // how long a challenge may be answered
	acceptFor = time.Millisecond       // how long it takes to learn that an origin is down
)

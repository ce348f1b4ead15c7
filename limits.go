package deich

import "time"

// Every bound of the engine, by name, with what happens when it is full.
// Tables are made at start and never grow.
const (
	// RanksMax is the number of ranks; the best is RanksMax-1.
	RanksMax = 128
	// OriginsMax bounds Policy.Origins; more is an error of configuration.
	OriginsMax = 64
	// RoutesMax bounds the routes told apart at one origin; the rest share route 0.
	RoutesMax = 512
	// SegmentsMax bounds the parts of one origin that are judged apart; the routes that take most of
	// its time have one each, the rest share one.
	SegmentsMax = 16
	// QueueMax bounds one origin's queue; full, the oldest of the lowest rank is displaced.
	QueueMax = 1024
	// PlacesMax bounds one origin's places, whatever the limit would grow to; then requests queue.
	PlacesMax = 4096
	// StreamsMax bounds Policy.Streams.
	StreamsMax = 1 << 20
	// SourcesMin and SourcesMax bound Policy.Sources; a full table forgets the least telling entry of a set.
	SourcesMin = 1 << 12
	SourcesMax = 1 << 24
	// HandMax bounds what is listed by hand; one more is refused with an error.
	HandMax = 4096
	// HandPathsMax bounds the paths among it, since each is compared with every request.
	HandPathsMax = 64
	// WakesMax and OrdersMax bound what one call hands out; the rest comes with the next.
	WakesMax  = 256
	OrdersMax = 1024
	// EventsMax bounds what one call tells; what else happened is left out.
	EventsMax = 64
	// JudgedMax bounds the sources judged between two ticks; more are judged when they come again.
	JudgedMax = 4096
)

const (
	// TickEvery is how often Tick is to be called.
	TickEvery = 100 * time.Millisecond
	// QueueWaitMax is how long a request may stay in the queue while a crowd is
	// served; at all other times it is an eighth of that.
	QueueWaitMax = 2 * time.Second

	// failedMax is how many sources with what they asked for are remembered as just turned away
	// or failed; a later one takes an earlier one's place.
	failedMax = 1 << 14
	// toldMax is how many strangers that were told to come back are watched; while one is, no
	// other takes its place.
	toldMax = 1 << 14
	// returnedMax is how many who came back to the waiting room are remembered, so that each counts
	// once; a later one takes an earlier one's place.
	returnedMax = 1 << 14
	// streamPart is the part of an origin's streams, one in so many, that one client may hold once
	// half of them are in use, and streamLeast the fewest; then no more of its streams are let in.
	streamPart  = 64
	streamLeast = 8
)

package incident

import "time"

// Every bound of incidents, by name, with what happens when it is full.
const (
	// IncidentsMax bounds those that are known; the oldest that is over is forgotten.
	IncidentsMax = 500
	// momentsMax bounds one incident's timeline; then only what people say is added, up to twice that.
	momentsMax = 300
	// UpdatesMax bounds one incident's updates; one more is refused.
	UpdatesMax = 200
	// AlsoMax bounds the languages of an update beside English and German; one more is refused.
	AlsoMax = 10
	// ClaimsMax bounds one incident's claims; one more is refused.
	ClaimsMax = 50
	// PlansMax bounds what is planned; the oldest that is over is forgotten, and where all lie ahead one more is refused.
	PlansMax = 100
	// planMost is how long one plan may last; a longer one is refused.
	planMost = 31 * 24 * time.Hour
	// planAhead is how far ahead its begin may lie; further is refused.
	planAhead = 2 * 366 * 24 * time.Hour
	// TitleMax bounds the title of a plan or an incident in one language, in bytes; a longer one is refused.
	TitleMax = 200
	// TextMax bounds a text that a person gives, in bytes; a longer one is refused.
	TextMax = 8 << 10
	// daysMax bounds the days that are remembered; the oldest is forgotten.
	daysMax = 400
	// SecondsMax bounds the seconds of one incident that are kept one by one; from then on a row spans a minute.
	SecondsMax = 2 * 60 * 60
	// rulesMax bounds the rules of one incident, its origins, and what probes found in it; more are not listed.
	rulesMax = 100
)

// How an incident is measured. Seconds are rows of a second each.
const (
	// lossTarget is the share of known users' requests that may fail while they count as served.
	lossTarget = .005
	// lossOpens is the share, above what is usual, that opens an incident over the last windowSeconds.
	lossOpens = .05
	// lossOpensEarly does while less than learnLeast seconds say what is usual.
	lossOpensEarly = .25
	learnLeast     = 30
	// lostMin is how many lost requests within windowSeconds it takes at least.
	lostMin = 3
	// windowSeconds is over how long users' success is looked at.
	windowSeconds = 10
	// heldShare is the share of newcomers' requests held back from which they count as affected.
	heldShare = .05
	// heldSeconds of the last five must be such before that alone opens an incident.
	heldSeconds = 3
	// failingSeconds is how long an origin must fail, or a cause be named, before that alone does.
	failingSeconds = 3
	// emptyOff connections without a request in a second are a flood's, where one is named.
	emptyOff = 100
	// emptySeconds is how long next to nothing must arrive, as the engine judges it, before that alone does.
	emptySeconds = 60
	// slowTimes and slowLeast: half of known users' requests take so many times as long as usual, and so long at least.
	slowTimes = 4
	slowLeast = 500 // milliseconds
	// strangersTimes what is usual of strangers may come before they are counted apart from users.
	strangersTimes = 2
	// stillRate is how many requests a second known users must usually make, so that a second without any tells something.
	stillRate = 5
	// gapMax is how many unaffected seconds the way back to the first affected one may cross.
	gapMax = 3
	// bufferSeconds is how far back an incident's begin may lie when it is noticed, and what is kept of the time before.
	bufferSeconds = 60
	// followedBy is how many seconds at the target must follow the first one, before it counts as the return.
	followedBy = 5
	// relapseTimes the lost share that may fail is a relapse, over windowSeconds.
	relapseTimes = 4
	// overAfter is how long nothing may be off before the incident is taken to be over.
	overAfter = 30 * time.Second
	// QuietFor is how long it must have been over before it is closed: what comes within belongs to it.
	QuietFor = 5 * time.Minute
	// NextUpdate is when a public update promises the next one.
	NextUpdate = 30 * time.Minute
	// tellAfter is how long it must have been restored before the public is told, lest a pulsing flood make the page flicker.
	tellAfter = time.Minute
	// placedAfter is how long after an incident's begin it is said where what is refused comes from.
	placedAfter = time.Minute
	// learnAfter is how many seconds old a second is when it says what is usual: an incident's first seconds do not.
	learnAfter = 15
	// usualFor is over how long what is usual is learned.
	usualFor = 5 * time.Minute
)

package guard

import "time"

// Every bound of the guard, by name, with what happens when it is full.
const (
	// bodyBufferDefault is how much of one body is held before the origin sees
	// it; a longer one streams and counts as an upload.
	bodyBufferDefault = 1 << 20
	// bodiesDefault bounds all held bodies together; strangers have half of it.
	// Full, a request with a body is refused with buffers_full.
	bodiesDefault = 64 << 20
	// bodyChunkBytes is the first piece taken for a body, lest an announced
	// length alone takes memory.
	bodyChunkBytes = 4 << 10
	// bodyGrace is how long a body may take before its rate is looked at: over
	// HTTP/2 nothing of a frame of 16 KiB is seen for 8 s where 2 KiB/s come.
	bodyGrace = bodyPauseMax
	// bodyRateMin is the rate in bytes/s that a body must hold after the
	// grace; slower, it is refused with slow_client.
	bodyRateMin = 500
	// bodyPauseMax is the longest pause between two pieces of a body.
	bodyPauseMax = 12 * time.Second
	// bodyDiscardTime is how long the body of a refused request may take to be
	// read and forgotten, so that its connection lives; then it is closed.
	bodyDiscardTime = time.Second
	// bodyDiscardMax is the longest body read and forgotten; longer, the
	// connection is closed.
	bodyDiscardMax = 256 << 10

	// textBackMax is the longest form whose text is given back with a refusal.
	textBackMax = 16 << 10
	// textBackTime is how long that form may take to arrive.
	textBackTime = 2 * time.Second

	// replayMax is how much of an answer to a message is held, to be given again to
	// who repeats it; of a longer one only that there was one is known.
	replayMax = 16 << 10
	// knownAfter is for how long the platform must have vouched for an account, and
	// knownPassAfter how old a pass must be that was seen on two days, for its holder not to
	// be a newcomer among those whose messages are kept: passes cost a page each.
	knownAfter     = 10 * time.Minute
	knownPassAfter = 24 * time.Hour

	// proofFormMax bounds the form that carries a proof; longer is bad_proof.
	proofFormMax = 8 << 10
	// proofFormTime is how long that form may take to arrive.
	proofFormTime = 5 * time.Second
	// proofsPerTick bounds the proofs checked between two ticks (8 hashes
	// each), of those that answer a challenge of ours; more are told to come again in a second.
	proofsPerTick = 2000
	// tokenLife is how long a challenge can be answered.
	tokenLife = 2 * time.Minute
	// spentMax is how many spent proofs one tokenLife is expected to hold;
	// beyond it the filter begins to refuse fresh ones, which get a new challenge.
	spentMax = 1 << 18
	// returnMax bounds the path a proof returns to; a longer one becomes "/".
	returnMax = 2 << 10

	// ticketLife is how long a place in the waiting room is kept without a visit.
	ticketLife = 10 * time.Minute
	// ticketRenew is the age at which a visit renews the ticket.
	ticketRenew = ticketLife / 2

	// traitBytesMax is how much of a text counts for the traits that rules name;
	// what follows is not looked at.
	traitBytesMax = 160
	// traitHeadersMax and traitPairsMax bound the headers and the query's pairs
	// that count; further ones are not looked at.
	traitHeadersMax = 40
	traitPairsMax   = 12

	// examplesMax bounds the rules of which an example is kept; the oldest goes first.
	examplesMax = 32

	// networksMax bounds the networks of which it is counted what was done with their
	// requests; beyond it, those that least comes from are left out.
	networksMax = 4096
	// placesMax bounds the operators of networks, and the countries, of which the same
	// is counted; beyond it, those that least comes from are left out.
	placesMax = 2048
	// networkSpan is how long one half of that counts; what is told is one to two of it old.
	networkSpan = time.Minute

	// passLifeDefault is how long a pass holds without a visit.
	passLifeDefault = 30 * 24 * time.Hour
	// keyLife is how long one key signs; then the next one does.
	keyLife = 7 * 24 * time.Hour
	// keysMax bounds the keys kept for what they signed; the oldest goes first.
	keysMax = 16
	// keysFileMax bounds the file of keys; a longer one is an error.
	keysFileMax = 64 << 10

	// credentialMax is how much of a credential is hashed; what differs only
	// beyond it counts as one.
	credentialMax = 8 << 10
	// cookieBytesMax is how much of a request's Cookie header is searched for
	// the pass and the ticket; beyond it they count as absent.
	cookieBytesMax = 32 << 10
	// cookieKeptMax is the longest Cookie header that a connection remembers; of a
	// longer one only the pass.
	cookieKeptMax = 1 << 10
	// cookieChangesMax is how many a connection remembers one after the other; then only
	// passes.
	cookieChangesMax = 8
	// hostBytesMax is how much of a Host is bound into a pass; a longer one is hashed first.
	hostBytesMax = 64
	// acceptBytesMax is how much of an Accept header is read.
	acceptBytesMax = 512

	// routeChildrenMax bounds the paths told apart under one parent; the rest
	// share the parent's route.
	routeChildrenMax = 64
	// routeCandidates is how many paths may wait for their second good answer;
	// full, the newer one takes the older one's place.
	routeCandidates = 1024
	// routePathMax is the longest path told apart; longer ones share route 0.
	routePathMax = 256

	// detachAfter is how long an answer may run before it counts as long-lived.
	detachAfter = 5 * time.Second
	// lateAfter is how long an answer may take before whoever waits for it has missed it.
	lateAfter = 5 * time.Second
	// leftAfter is how long a client must have waited before leaving counts as having missed the answer.
	leftAfter = time.Second
	// sweepEvery is how often running answers are looked at, in ticks.
	sweepEvery = 10
	// wakesPerCall is how many woken requests one call brings; the rest come
	// with the next.
	wakesPerCall = 32
	// wakeLate is how long a wake may be late after its ticket was woken;
	// later, the engine is taken to have lost it and the semaphore decides.
	wakeLate = time.Second

	// failopenPause is how long the engine is left alone after a panic that may
	// have left it half changed.
	failopenPause = 10 * time.Second
	// failopenLimit is the semaphore's size where the engine never said a limit.
	failopenLimit = 64
	// failopenWait is how long a request waits at the semaphore: nothing says there
	// whether a crowd is served.
	failopenWait = 250 * time.Millisecond
	// failopenQueueMax bounds those who wait at the semaphore; more are refused with queue_full.
	failopenQueueMax = 1024

	// refusalsPerTick bounds the refusals logged between two ticks; the rest
	// are counted in the next one's Skipped.
	refusalsPerTick = 10
	// retryAfterFull and retryAfterFailure are when to come back after a refusal
	// that is guard's own.
	retryAfterFull    = 5 * time.Second
	retryAfterFailure = 10 * time.Second
	// retryMax is the longest Retry-After, in seconds.
	retryMax = 600

	// partnersMax, pathsMax bound what the configuration can list; more is an error.
	partnersMax = 256
	pathsMax    = 64
)

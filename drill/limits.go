package drill

import "time"

// Every bound of a rehearsal on real sockets, by name. Those of a scenario
// (users, sources, rate, length) stand in package scenarios.
const (
	// SamplesMax bounds the requests of users that are kept for the report; later ones are
	// counted as left out, and the report says so.
	SamplesMax = 2 << 20
	// BodyBytesMax bounds what a user reads of an answer; the rest is read and thrown away.
	BodyBytesMax = 256 << 10
	// AnswerBytesMax bounds an answer that a user reads at all; beyond it the connection is closed.
	AnswerBytesMax = 8 << 20
	// HeadBytesMax bounds what an attacker keeps of an answer's head; the rest is not looked at.
	HeadBytesMax = 4 << 10
	// CookieBytesMax bounds the cookies a client keeps; further ones are not kept.
	CookieBytesMax = 2 << 10
	// CookiesMax bounds their number.
	CookiesMax = 16
	// EndingsMax bounds the different endings of attack requests told apart; the rest are "other".
	EndingsMax = 64
	// RedirectsMax bounds the redirects a client follows for one request.
	RedirectsMax = 5
	// SolvesMax bounds the proofs a browser solves for one request.
	SolvesMax = 2
	// SolversMax bounds the proofs computed at once for users; others wait their turn.
	SolversMax = 2
	// ProofsMax bounds the proofs that wait for attackers' solvers; further ones are not solved.
	ProofsMax = 1024
	// TailBytesMax is how much of the end of a process's output is kept, at least; twice that at most.
	TailBytesMax = 64 << 10
	// FilesSpare is how many file descriptors are left to users; attackers use no more than the rest.
	FilesSpare = 3500
	// consoles bounds the connections to the console that are carried at once; further ones wait.
	consoles = 64
	// RunsMax bounds the rehearsals of one call.
	RunsMax = 64
)

const (
	// Deadline is until when an answer counts.
	Deadline = 5 * time.Second
	// Patience is until when a user tries again, and waits; then the request is lost.
	Patience = 60 * time.Second
	// botPatience is how long an attacker waits for an answer.
	botPatience = 2 * time.Second
	// refreshMax caps the Refresh and Retry-After that a client honours.
	refreshMax = 30 * time.Second
	// startMax is how long a process may take until it listens.
	startMax = 20 * time.Second
	// endsWithin is how soon a process ends that cannot listen where another one does; who ends later
	// is not noticed before the drill asks it something.
	endsWithin = 500 * time.Millisecond
	// stopMax is how long a process may take to end by itself; then it is killed.
	stopMax = 8 * time.Second
	// backlogMax is how far the attackers may fall behind and still catch up; what is older is
	// not sent, and counted as such.
	backlogMax = 250 * time.Millisecond
	// lingerMax is how long the demo's users visit at most after it.
	lingerMax = 24 * time.Hour
	// othersMost is how many cores the rest of the machine may use before the report warns of it.
	othersMost = 0.25
	// phoneHashes is how many hashes a second a slow phone's worker does.
	phoneHashes = 150_000
	// phoneMax caps a phone's work on one proof, as the challenge promises.
	phoneMax = 1500 * time.Millisecond
)

package main

import "time"

// Every bound of a run, by name.
const (
	// roundsDefault is how often each contender is measured, roundsMax the most.
	roundsDefault, roundsMax = 3, 15
	// warmFor passes before a trial counts, measureFor is what counts of it. In the first
	// seconds a heap is touched for the first time, which costs much in a virtual machine.
	warmFor    = 3 * time.Second
	measureFor = 3 * time.Second
	// orderWithin is how long a flood may take until its sources are refused at
	// accept; later, the trial is an error.
	orderWithin = 20 * time.Second
	// floodFor is what counts of a flood on kept connections.
	floodFor = 8 * time.Second
	// startWithin is how long a process may take until it listens.
	startWithin = 10 * time.Second
	// endWithin is how long a process may take to end when asked; then it is killed.
	endWithin = 5 * time.Second

	// peaceConnections are kept open by the clients of a proxied request.
	peaceConnections = 16
	// h2Connections and h2Streams are the same over HTTP/2.
	h2Connections, h2Streams = 8, 2
	// floodSources ask over floodConnections at floodRate a second, while the
	// origin answers originRate.
	floodSources     = 20
	floodConnections = 400
	floodRate        = 3000
	originRate       = 300
	// statusUsers is how often a second users ask while statusConnections ask for the
	// status page at statusRate a second, for statusFor.
	statusUsers       = 1000
	statusConnections = 200
	statusRate        = 5000
	statusFor         = 6 * time.Second
	// eachConnections is how many connections with one request each are open at once.
	eachConnections = 256

	// patience is how long a client waits for an answer.
	patience = 2 * time.Second
	// answerMax is the longest answer a client takes; a longer one is a mistake.
	answerMax = 64 << 10
	// requestsMax ends a trial, whatever its time.
	requestsMax = 2_000_000

	// flameFor is how long a flame graph is sampled, flameHertz how often a second.
	flameFor   = 4 * time.Second
	flameHertz = 1999
	// flameStackMax is how much of a stack is read, flameDeep how much of it is
	// drawn, from the outermost call; flameNarrow is the share of all samples
	// below which a call is left out.
	flameStackMax = 256
	flameDeep     = 40
	flameNarrow   = 0.004
	// flameLineMax is the longest line of perf's; a longer one is an error.
	flameLineMax = 64 << 10

	// keptRunsMax is how often a scenario is rehearsed behind a peer until two runs agree.
	keptRunsMax = 4
	// keptFlood and keptAfter are the longest flood and the longest time after it.
	keptFlood = 18 * time.Second
	keptAfter = 4 * time.Second
	// trialEndWithin is how long a rehearsal that is ended early may take to end all it started.
	trialEndWithin = 40 * time.Second
	// saidBytes is how much of what a failed rehearsal said is shown.
	saidBytes = 4 << 10
)

// Two runs of a scenario agree if they differ by no more than this.
const (
	// keptOff is in users kept, of all their requests.
	keptOff = .03
	// goodputOff is in what users were given a second, of the larger.
	goodputOff = .10
)

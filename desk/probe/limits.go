package probe

import "time"

// Every bound of looking from outside, by name, with what happens when it is full.
const (
	// ChecksMax bounds the checks of one report; more are refused.
	ChecksMax = 32
	// ReportsMax bounds the probes whose reports are kept; one more is refused until another's is older than keptFor.
	ReportsMax = 32
	// reportBytesMax bounds a report, in bytes; a longer one is refused, and not read.
	reportBytesMax = 32 << 10
	// nameMax bounds the name of a probe or of what is looked at, in bytes; a longer one is refused.
	nameMax = 64
	// targetMax bounds a check's address, in bytes; a longer one is refused.
	targetMax = 512
	// textMax bounds what was found in words, in bytes; the rest is cut off.
	textMax = 200
	// atOnce bounds the checks that are made at the same time; the others wait.
	atOnce = 8
	// lookWait is how long one check may take; then it has failed.
	lookWait = 10 * time.Second
	// bodyBytesMax is how much of an answer's body is read; the rest is not waited for.
	bodyBytesMax = 64 << 10
	// freshFor is how long a report says how it is; an older one only says what is looked at.
	freshFor = 150 * time.Second
	// keptFor is how long a report is kept; then its file is removed when another is written.
	keptFor = 24 * time.Hour
	// aheadMost is how far a probe's clock may be ahead; a report of later is not counted.
	aheadMost = time.Minute
	// EveryLeast and EveryMost bound how often one probe looks; beyond them is refused.
	EveryLeast = 5 * time.Second
	EveryMost  = time.Minute
	// AgreeLeast is how many probes must find something down, and more than half of those that look, before it is called down.
	AgreeLeast = 2
)

package alert

import "time"

const (
	// activeMax bounds the alerts that are known at once; one more is left out until another ends.
	activeMax = 64
	// pendingMax bounds what one place is still to be told; the oldest is forgotten, and counted.
	pendingMax = 64
	// placesMax bounds the places that are told; more is an error of configuration.
	placesMax = 8
	// groupFor is how long news is gathered, so that what happens together is one message.
	groupFor = 10 * time.Second
	// spaceBetween is the least time between two messages to one place; what comes meanwhile goes with the next.
	spaceBetween = time.Minute
	// retryMax is the longest time between two tries to tell a place that failed; it begins at spaceBetween and doubles.
	retryMax = 10 * time.Minute
	// endsAfter is how long something must not be so any more until its alert ends: what flickers is one alert.
	endsAfter = time.Minute
	// repeatEvery is when an alert that needs a person is told again, unless somebody took it on.
	repeatEvery = time.Hour
	// sendWait is how long a place may take for one message; then it has failed.
	sendWait = 10 * time.Second
	// answerMax is how much of a place's answer is read, in bytes.
	answerMax = 4 << 10
)

package dossier

// Every bound of a dossier, by name, with what happens when it is full.
const (
	// pointsMax bounds the points of a plot; more seconds share one, as their mean.
	pointsMax = 240
	// tableMax bounds the lines of the table behind a plot; more seconds share one.
	tableMax = 60
	// termsMax bounds the pieces of evidence that are listed for one judgement.
	termsMax = 12
)

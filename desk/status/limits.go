package status

import "time"

// Every bound of the status page, by name, with what happens when it is full.
const (
	// fileBytesMax bounds the file that feeds the page, in bytes; a longer one is not read.
	fileBytesMax = 4 << 20
	// days is how much history the page shows.
	days = 90
	// pastMax bounds past incidents on the page and in the feeds; older ones are left out.
	pastMax = 12
	// updatesMax bounds the updates of one incident on the page, newest first; older ones are left out.
	updatesMax = 12
	// plansMax bounds what is planned in the file and the calendar; what is over first, and then what lies furthest ahead, is left out.
	plansMax = 40
	// plansShown bounds them on the page, the next first; later ones are in the calendar alone.
	plansShown = 6
	// plansAhead is from how long before its begin on a plan stands on the page.
	plansAhead = 14 * 24 * time.Hour
	// plansFor is how long one that is over stays in the calendar.
	plansFor = 30 * 24 * time.Hour
	// pageBytesMax is how large the page may get, in bytes; then past incidents are left out until it fits.
	pageBytesMax = 50 << 10
	// connsMax bounds open connections to the page; one more waits to be accepted.
	connsMax = 2048
	// requestHeaderMax bounds a request's headers, in bytes; longer is 431.
	requestHeaderMax = 8 << 10
	// headerWait is how long a client may take for its headers, and writeWait for taking its answer.
	headerWait = 5 * time.Second
	writeWait  = 10 * time.Second
	idleWait   = 30 * time.Second
	// drainWait is how long open requests may take when the server ends.
	drainWait = time.Second
	// unheardAfter is how long the edge may be silent before the page says so.
	unheardAfter = 30 * time.Second
)

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
	// languagesMax bounds the languages of the page beside English and German, those of the newest updates first; it is not offered in others.
	languagesMax = 20
	// plansMax bounds what is planned in the file and the calendar; what is over first, and then what lies furthest ahead, is left out.
	plansMax = 40
	// plansShown bounds them on the page, the next first; later ones are in the calendar alone.
	plansShown = 6
	// plansAhead is from how long before its begin on a plan stands on the page.
	plansAhead = 14 * 24 * time.Hour
	// plansFor is how long one that is over stays in the calendar.
	plansFor = 30 * 24 * time.Hour
	// pageBytesMax is how large the page may get, in bytes; then it leaves out until it fits: past incidents, older updates, the older ones of several incidents, the ends of long texts, parts that work.
	pageBytesMax = 50 << 10
	// titleBytesMax bounds the newest word where it stands as the page's title, in bytes, and textBytesMin is to what texts are cut at most where the page would be too large; the feeds have the whole.
	titleBytesMax = 160
	textBytesMin  = 1 << 10
	// markBytes is how much of a published feed is read to know it as one's own, in bytes.
	markBytes = 4 << 10
	// connsMax bounds open connections to the page; one more closes another, of the address (IPv6: /64) that has most: the one that waits longest for a request.
	connsMax = 2048
	// requestHeaderMax bounds a request's headers, in bytes; longer is 431.
	requestHeaderMax = 8 << 10
	// headerWait is how long a client may take for its headers, and writeWait for taking its answer.
	headerWait = 5 * time.Second
	writeWait  = 10 * time.Second
	idleWait   = 30 * time.Second
	// drainWait is how long open requests, and confirmations that are being sent, may take when the server ends.
	drainWait = time.Second
	// subscribersMax bounds those who are told of updates; one more is refused.
	subscribersMax = 1000
	// confirmEvery is how often one address is asked whether it wants to be told; more often nothing is sent.
	confirmEvery = 24 * time.Hour
	// confirmsAnHour bounds confirmations in all, so that nobody is flooded through this page; one more is 429.
	confirmsAnHour = 100
	// confirmsAHost bounds confirmations to webhooks of one host within confirmEvery; one more is 429.
	confirmsAHost = 5
	// confirmsADomain bounds confirmations by e-mail to one domain within an hour, unless it is a known mail provider's or the sender's own; one more is 429.
	confirmsADomain = 10
	// confirmsANetwork bounds confirmations that are asked for from one network of the Internet (/24, IPv6: /48) within an hour; one more is 429.
	confirmsANetwork = 20
	// subscribersADomain bounds those who are told of one domain, mailboxes and webhooks, unless it is a known mail provider's or the sender's own; one more is refused.
	subscribersADomain = 100
	// confirmingMax bounds confirmations that are being sent; one more is 429.
	confirmingMax = 8
	// linkFor is how long a confirmation's link is valid.
	linkFor = 24 * time.Hour
	// subscribeTargetMax bounds an address to tell, in bytes; a longer one is refused.
	subscribeTargetMax = 254
	// subscribeFormMax bounds what a subscriber sends, in bytes; longer is refused.
	subscribeFormMax = 4 << 10
	// tellEvery is how often the page's file is read for what is new to subscribers.
	tellEvery = 15 * time.Second
	// noticeEvery is how often one is told at most; what is said meanwhile is in the next message.
	noticeEvery = time.Minute
	// noticeUpdates bounds the updates in one message; older ones are left out.
	noticeUpdates = 10
	// noticeFailsMax is after how many failures in a row a subscriber is forgotten, and noticeRetryMost how long at most until the next try.
	noticeFailsMax  = 12
	noticeRetryMost = time.Hour
	// hooksAtOnce bounds webhooks that are told at the same time; the others wait.
	hooksAtOnce = 8
	// hookWait is how long a webhook may take, and confirmWait the sending of a confirmation; then it has failed.
	hookWait    = 5 * time.Second
	confirmWait = 20 * time.Second
	// hookAnswerMax bounds what is read of a webhook's answer, in bytes; the rest is not waited for.
	hookAnswerMax = 4 << 10
	// unheardAfter is how long the edge may be silent before the page says so.
	unheardAfter = 30 * time.Second
)

package spool

import "time"

// Every bound of the spool, by name, with what happens when it is full.
const (
	// bytesDefault is how much of the disk messages may take in all; newcomers
	// have half of it. Full, nothing more is kept until something is delivered.
	bytesDefault = 1 << 30
	// bytesMin and bytesMax bound what the configuration can say.
	bytesMin, bytesMax = 16 << 20, 1 << 40
	// entriesMax bounds messages and receipts together, some 500 bytes of memory
	// each. Full, nothing more is kept until receipts end.
	entriesMax = 250_000
	// senderMessagesMax bounds the messages of one sender that wait, and senderBytesMax all of
	// them whose texts are here, those that will not be delivered too; more is refused as if nothing
	// were kept.
	senderMessagesMax = 200
	senderBytesMax    = 16 << 20
	// prefixMessagesMax and prefixBytesMax bound in the same way what newcomers of one network
	// (IPv4: /24, IPv6: /48) have here, so that bought calculations fill no disk.
	prefixMessagesMax = 200
	prefixBytesMax    = 16 << 20
	// bodyMaxDefault is the longest body kept where a route says nothing.
	bodyMaxDefault = 64 << 10
	// bodyMaxMost is the longest that a route may allow.
	bodyMaxMost = 8 << 20
	// headerBytesMax bounds the headers kept with a message; with more it is not kept.
	headerBytesMax = 16 << 10
	// keyBytesMax is the longest Idempotency-Key; a message with a longer one is not kept.
	keyBytesMax = 255
	// foundBytesMax is the longest text that a lookup's answer can be told by.
	foundBytesMax = 256
	// foundWithinMax is how much of that answer is read; where it is longer and the text
	// has not come, the platform is asked again later.
	foundWithinMax = 256 << 10
	// routesMax bounds the routes that the configuration can name.
	routesMax = 64
	// headersMax bounds the headers it can add.
	headersMax = 32

	// diskFreeMin is what must be free on the disk for a message to be kept, so that
	// what is known of kept ones can always be written.
	diskFreeMin = 64 << 20
	// diskAgain is how long nothing is written after the disk has failed.
	diskAgain = 5 * time.Second

	// lifeDefault is how long a message waits for its delivery; then it expires.
	lifeDefault = 24 * time.Hour
	// lifeMin and lifeMax bound what the configuration can say.
	lifeMin, lifeMax = time.Hour, 7 * 24 * time.Hour
	// textLife is how long the text of a message that was not delivered is kept
	// for its sender, after that is certain.
	textLife = 7 * 24 * time.Hour
	// receiptLife is how long a receipt is kept after the delivery, and its key remembered.
	receiptLife = 24 * time.Hour

	// sweepEvery is how often it is looked for what is over, in seconds.
	sweepEvery = 5

	// segmentBytesMax is where a file of the log ends and the next one begins.
	segmentBytesMax = 8 << 20
	// recordBytesMax is the longest record read or written.
	recordBytesMax = bodyMaxMost + 64<<10
	// batchBytesMax is how much is written before it is synced; what comes
	// meanwhile is in the next batch.
	batchBytesMax = 1 << 20
	// writesMax is how many writes wait for the log; more wait in turn for room.
	writesMax = 1024
	// erasuresMax bounds the records that wait to be erased where the disk fails; the
	// oldest of more are erased at the next start.
	erasuresMax = 10_000
	// slackBytes is how much of the log may be of no use any more before its oldest
	// file is written anew.
	slackBytes = 16 << 20

	// readersMax is how many files are read at once at the start, no more than there
	// are cores, each with its bytes in memory; the others wait.
	readersMax = 4

	// keyLife is how long one key seals new files; then the next one does.
	keyLife = 7 * 24 * time.Hour
	// keysMax bounds the keys kept for the files that they sealed.
	keysMax = 200
	// keysFileMax bounds the file of keys; a longer one is an error.
	keysFileMax = 64 << 10

	// windowMax is how many messages are on their way to one platform at once.
	windowMax = 16
	// probeFirst and probeLast are the pauses between two looks whether a platform
	// answers again: from one second to ten.
	probeFirst, probeLast = time.Second, 10 * time.Second
	// noPlaceWait is the pause after a platform had no place for a message.
	noPlaceWait = 200 * time.Millisecond
	// againFirst and againLast are the pauses before a message is tried again.
	againFirst, againLast = time.Second, time.Minute
	// askedWaitMax is the longest Retry-After of a platform that is followed.
	askedWaitMax = 10 * time.Minute
	// repeatsMax is how often a message is repeated whose outcome is not known,
	// where the route prefers that; then it is unconfirmed.
	repeatsMax = 8
	// locationBytesMax is the longest address of a delivered message that is kept.
	locationBytesMax = 1 << 10

	// onceMax bounds the requests to platforms remembered by their key, some 200 bytes
	// of memory and 500 of the disk each; newcomers have half of it. Full, requests with a
	// new key pass as if they had none, but none of them is kept, and an alarm is raised.
	onceMax = 250_000
	// onceSenderMax bounds those of one sender; for more of its keys the same holds,
	// without an alarm.
	onceSenderMax = onceMax / 16
	// onceBytesMax bounds their answers together; beyond it only that there was one is kept.
	onceBytesMax = 64 << 20
	// onceAnswerMax is the longest answer given again.
	onceAnswerMax = 16 << 10
	// onceLife is how long a key is remembered.
	onceLife = 24 * time.Hour
	// onceSync is how long an answer waits until it is on disk; then it goes to its
	// sender all the same.
	onceSync = time.Second
	// onceWait is how long a repeated request waits for the answer to the first.
	onceWait = 30 * time.Second

	// natsServersMax bounds the nodes of a cluster that the configuration can name.
	natsServersMax = 16
	// streamReplicas is on how many nodes a cluster keeps each record; where there is no
	// cluster but one server, on that one, and an alarm says so.
	streamReplicas = 3
	// streamLife is how long a record stays on a cluster where no edge removes it before.
	streamLife = lifeMax + textLife + 24*time.Hour
	// streamRepeats is for how long a cluster knows a write again that is tried anew.
	streamRepeats = 2 * time.Minute
	// clusterStart is how long the start waits until all is known that lies on a cluster;
	// then Deich goes on, and keeps nothing until it is.
	clusterStart = 5 * time.Second
	// clusterWait is how long a cluster has for one answer; then it is asked again.
	clusterWait = 2 * time.Second
	// clusterAgain is the pause before it is asked again.
	clusterAgain = 250 * time.Millisecond
	// clusterLeave is how long a write is tried again where Deich ends.
	clusterLeave = 3 * time.Second
	// putWait is how long a message waits until a cluster has it; then it is not kept.
	putWait = 5 * time.Second
	// claimWait is how old a claim on a message may be when its first byte leaves;
	// an older one is taken back.
	claimWait = 2 * time.Second
	// withdrawnMax bounds the messages remembered that may have come to be kept after their
	// senders were told that they are not; full, they are forgotten, and would be delivered.
	withdrawnMax = 10_000
	// unsentMax bounds the claims on a message, one after the other, of which nobody knows
	// whether a cluster has them; where one comes to be there that is forgotten, the message is in doubt.
	unsentMax = 16
	// leaseEvery is how often the courier says that it is there.
	leaseEvery = time.Second
	// leaseLapse is after how long a silence another edge takes its place.
	leaseLapse = 5 * time.Second
	// inheritAfter is how long a new courier leaves alone what the last one had on its
	// way, so that it can say what became of it.
	inheritAfter = 10 * time.Second
	// farSettled is how long a new courier lets nothing expire: what waited while there
	// was none is to be tried first.
	farSettled = 10 * time.Minute
	// farLag is how much longer than the courier other edges remember what is over.
	farLag = 10 * time.Minute
	// behindMax is how often in a row a cluster may have less than it had before, a quarter of
	// a second apart, until that is taken for a loss, with an alarm.
	behindMax = 20
	// followBatch is how many records are asked for at once.
	followBatch = 256
	// followWait is how long one question for more is open; then it is asked anew.
	followWait = 10 * time.Second
	// followBeat is how often a cluster says that there is nothing more; where it is silent
	// for twice as long, it is asked anew.
	followBeat = time.Second
	// followLag is how long the courier waits until it has heard of all that came before
	// a message.
	followLag = 20 * time.Millisecond
	// followLife is how long a cluster remembers an edge that is silent.
	followLife = 30 * time.Second

	// watchersMax bounds the receipts watched live; more are shown as they are.
	watchersMax = 4096
	// watchTime is how long a receipt is watched on one connection.
	watchTime = 10 * time.Minute
	// textShownMax is how much of a text stands on a receipt.
	textShownMax = 64 << 10
	// listMax bounds what one answer lists.
	listMax = 1000
)

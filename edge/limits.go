package edge

import "time"

// Every bound of the edge, by name, with what happens when it is reached.
const (
	// sitesMax bounds Config.Sites, namesMax the names of one site, backendsMax
	// its origins; more is an error of configuration.
	sitesMax    = 64
	namesMax    = 256
	backendsMax = 32
	// trustedMax bounds Config.TrustedProxies; more is an error of configuration.
	trustedMax = 1024

	// headerBytesDefault bounds a request's headers; longer ones get 431.
	headerBytesDefault = 16 << 10
	// originHeaderMax bounds an answer's headers, interim answers included;
	// longer, the origin has failed.
	originHeaderMax = 256 << 10
	// interimMax bounds the 1xx answers to one request; one more is a failure.
	interimMax = 8
	// h2StreamsMax is how many requests one HTTP/2 connection may have open;
	// more are refused by the protocol (RFC 9113, 5.1.2).
	h2StreamsMax = 100

	// h3StreamsMax is how many requests one HTTP/3 connection may have open,
	// h3UniStreamsMax how many streams of the client's own beside them; more
	// wait for the protocol's credit (RFC 9000, 4.6).
	h3StreamsMax    = 100
	h3UniStreamsMax = 16
	// h3StreamWindowMax and h3WindowMax bound what a client may send ahead, on
	// one stream and on one connection; more waits for credit (RFC 9000, 4.1).
	h3StreamWindowMax = 1 << 20
	h3WindowMax       = 4 << 20
	// h3StreamsShort and h3WindowShort are the same for a connection that begins while
	// they are short: half of them are taken, or many handshakes hang.
	h3StreamsShort = 10
	h3WindowShort  = 256 << 10
	// quicConnectionsMax bounds the QUIC connections, beside Limits.Connections:
	// each costs some goroutines and buffers. One more is refused, and its
	// client comes by TCP.
	quicConnectionsMax = 16 << 10
	// quicUnprovenMax is how many handshakes may hang before new clients have to
	// prove their address first, by one round trip more.
	quicUnprovenMax = 64
	// altSvcAge is how long a client may remember that there is HTTP/3.
	altSvcAge = 24 * time.Hour
	// goAwayGrace is how long a client may take to hear that the server ends;
	// then its connection is closed where it carries no request.
	goAwayGrace = 500 * time.Millisecond

	// renewCheckEvery is how often certificates are looked at; what is in the
	// last third of its life is renewed.
	renewCheckEvery = time.Minute
	// storedWait is how long a start waits for certificates that lie in the
	// folder, looking each storedLook; then handshakes for what is missing fail
	// until it is there.
	storedWait = 2 * time.Second
	storedLook = 2 * time.Millisecond
	// rootLife and leafLife are how long the own authority's root certificate
	// and what it issues are valid, clockSkew how far they reach back for
	// clients whose clock is late.
	rootLife  = 10 * 365 * 24 * time.Hour
	leafLife  = 7 * 24 * time.Hour
	clockSkew = 5 * time.Minute

	// heldBodyMax is the longest body that is written together with its head
	// and can be sent again; a longer one has a goroutine of its own.
	heldBodyMax = 16 << 10
	// senderEnd is how long an answer may wait for the last write of its request's
	// body to come back, and a failure for its sender to note the reason; then the
	// connection is not used again.
	senderEnd = 100 * time.Millisecond
	// copyBytes is the size of a pooled buffer for bodies.
	copyBytes = 32 << 10
	// tunnelBytes is the size of each of the two buffers of a tunnel.
	tunnelBytes = 8 << 10
	// tunnelLinger is how long one direction of a tunnel may be silent after the
	// other has ended; then both are closed.
	tunnelLinger = 30 * time.Second
	// streamingBytes is the length from which an answer counts as long-lived.
	streamingBytes = 8 << 20
	// clientSlow is how long a client may keep an answer waiting before it counts
	// as long-lived, so that it does not hold a place among the quick ones.
	clientSlow = 250 * time.Millisecond
	// quickWrite is what the server's own buffers take without waiting.
	quickWrite = 2 << 10

	// cacheBytesDefault bounds the answers kept; full, what was asked for once goes first.
	cacheBytesDefault = 64 << 20
	// entryBytesMax is the longest body kept; a longer one only passes through.
	entryBytesMax = 1 << 20
	// storeShards is how many locks the cache has; each shard holds its part of the bytes.
	storeShards = 16
	// storeGhosts is how many of those that went a shard remembers, so that they
	// count as asked for again when they come back.
	storeGhosts = 1024
	// smallShare is the part, 1/smallShare, of a shard for what was asked for once.
	smallShare = 10
	// variantsMax bounds the answers kept to one address; the oldest goes.
	variantsMax = 8
	// varyMax bounds the headers by which they may differ; an answer that
	// names more is not kept.
	varyMax = 8
	// deltaMax is the longest time that a header can say.
	deltaMax = 1 << 31 * time.Second
	// pressureFresh is how long an answer serves all readers under pressure, and
	// pressureStale how long it does while it is fetched anew.
	pressureFresh = 2 * time.Second
	pressureStale = 10 * time.Second
	// copyHeld is how long a copy serves where its reader would otherwise be told to wait.
	copyHeld = time.Minute
	// outageHeld is how long the copies of an outage's last minute before serve during it.
	outageHeld = 4 * time.Hour
	// returnHeld is how long they still do after it, so that the origin is filled up gradually.
	returnHeld = 10 * time.Second
	// copyEvery is how old a copy is at least when it is taken anew.
	copyEvery = 30 * time.Second
	// copyShare is the part, 1/copyShare, of readers' requests in peace that the
	// cache may ask for copies; copyBurst is how many it may ask for at once.
	copyShare = 10
	copyBurst = 20
	// witnessesLeast is from how many networks readers must have been given the
	// same bytes before others are; networkBits4 and networkBits6 say how much of
	// an address is its network.
	witnessesLeast = 3
	networkBits4   = 24
	networkBits6   = 48
	// inHandMax bounds the bytes of answers that are collected while they go to their
	// readers; beyond it those that may be witnessed are compared, and kept when one comes again,
	// and of those whose length is not known the one that began first is let go.
	inHandMax = 16 << 20
	// lendFor is how long a client may take over an answer from memory that is longer than
	// copyBytes, where those that are being given take as much as all that may be kept: then no
	// further ones are kept, and whoever has taken longest is cut.
	lendFor = 30 * time.Second
	// sightsMax bounds the kinds of requests that are told apart for one address,
	// versionsMax the answers they were given; what served least goes.
	sightsMax   = 64
	versionsMax = 8
	// witnessLines bounds the header lines of a request that are compared; one
	// with more is nobody's witness, and is given no copy that others witnessed.
	witnessLines = 64
	// sightHeld is how long what a request's like was given speaks for it.
	sightHeld = 10 * time.Minute
	// sightEvery is how often, in peace, it is looked at what a kind of request is
	// given, once that is agreed on or the same network was given it before.
	sightEvery = 500 * time.Millisecond
	// watchBytes is how much of answers is looked at in a second of peace, which
	// takes about a hundredth of a core; the rest passes unseen.
	watchBytes = 16 << 20
	// renewalsMax is how many readers a second, at one platform, ask it although
	// there is a copy for them; one more is given the copy.
	renewalsMax = 128
	// restless is after how many answers in a row that were all new an address is
	// taken for one whose answers are always, and left alone for aloneFor.
	restless = 8
	// renewEvery is how often an answer is tried to be fetched anew.
	renewEvery = time.Second
	// aloneFor is how long nobody waits for another's answer where the last one was not for all.
	aloneFor = 10 * time.Second
	// collapseWait is how long a request waits for another's answer; then it goes on by itself.
	collapseWait = 2 * time.Second
	// collapsedMax bounds those who wait; one more goes on by itself.
	collapsedMax = 8192
	// fetchersMax bounds the cache's own requests at once, fetchersOf those to
	// one platform; fetchQueue those that wait: one more is not made.
	fetchersMax = 8
	fetchersOf  = 4
	fetchQueue  = 64
	// fetchTime is how long such a request may take.
	fetchTime = 10 * time.Second

	// idleLinesMax bounds the unused connections to one backend; one more is closed.
	idleLinesMax = 512
	// lineIdle is how long such a connection is kept; then it is closed.
	lineIdle = 30 * time.Second
	// downFor is how long a backend that could not be reached is passed over,
	// where another one can be asked.
	downFor = 2 * time.Second
	// originConnectionsDefault bounds the connections to one group of
	// backends; beyond it the origin counts as down.
	originConnectionsDefault = 8192
	// originShare is the part of the process's files, 1/originShare, that
	// connections to origins may take at most.
	originShare = 3

	// filesDefault is taken where the limit of open files cannot be read.
	filesDefault = 1024
	// filesMax bounds what is taken of a very high limit of open files.
	filesMax = 1 << 20
	// shortAt is the share of Config.Limits.Connections, in percent, from which
	// connections count as short: then the oldest waiting ones are closed, and
	// connections above Limits.PeerConnections of one address are refused.
	shortAt = 90
	// evictShare is the part, 1/evictShare, that is closed at once, so that the
	// search for the oldest is paid once for many.
	evictShare = 32
	// peerConnectionsDefault is how many connections one address (IPv6: one
	// /64) may have when they are short.
	peerConnectionsDefault = 64

	// debtorsMax is how many clients' debts for what is below requests are kept; full,
	// the smallest of a set is forgotten. debtMost is the highest.
	debtorsMax = 1 << 16
	debtMost   = 10 * time.Minute
	debtSweep  = 24 * time.Hour
	// frameEvery is what one frame with nothing in it costs over HTTP/2, and so how
	// often one is forgiven: ten a second. frameReset is how many of them a stream costs
	// that is reset, by its client or for its fault, frameContinued a further piece of a header.
	frameEvery     = 100 * time.Millisecond
	frameReset     = 3
	frameContinued = 2
	// framesWait is the debt from which on what a client's connection sends waits, where it
	// brings more of it: turns are waitEvery apart, of all such connections, and none
	// is longer off than waitMost.
	framesWait = 20 * frameEvery
	waitEvery  = 2 * time.Millisecond
	waitMost   = 200 * time.Millisecond
	// wakeBytes is how much a connection that waits so may send before the kernel tells
	// of it; beyond it each packet wakes the runtime's poller. More would enlarge the
	// socket's buffer.
	wakeBytes = 32 << 10
	// framesToldOf is the debt at which a client's connection is asked to open nothing
	// more: a hundred streams left at once are well below. At framesEnded it is
	// closed. A connection that owes less than frameFirst itself is left alone.
	framesToldOf = 450 * frameEvery
	framesEnded  = 600 * frameEvery
	frameFirst   = 2 * frameReset
	// abuseMalformed is as how much that is no request such an end counts.
	abuseMalformed = 10
	// repaidMost is how many answers given whole a connection may save to repay with.
	repaidMost = 200
	// slackFirst is how many updates of windows and priorities may come in the
	// beginning, slackOfRequest how many more with each request, and with each DATA frame of
	// an answer slackOfData and one for each slackBytes; at most slackMost are saved.
	slackFirst     = 4
	slackOfRequest = 4
	slackOfData    = 4
	slackBytes     = 1 << 10
	slackMost      = 4096
	// dataTelling is how much a DATA frame must hold that is not the last, to
	// count as one that carries something.
	dataTelling = 16

	// handshakesWaiting bounds the TLS handshakes that wait for their turn in each of three
	// rows, QUIC's among them: of those known, of strangers who hardly asked lately, and of
	// other strangers; one more, and the oldest is refused. So is one that
	// has waited for handshakeWait. From handshakesShort on they count as short.
	handshakesWaiting = 1024
	handshakeWait     = 3 * time.Second
	handshakesShort   = 64
	// turnEvery is how often a stranger's address may begin a handshake, turnFirst what it may do
	// so at once, to count as one who hardly asks: once in two seconds, four at once. Its
	// network may acceptNetwork times that. More, and it waits behind those who do not.
	turnEvery = 2 * time.Second
	turnFirst = 4 * turnEvery
	// quicTurnMost is how long a QUIC handshake has its turn where its library does not tell
	// that it is computed: one that resumes an earlier session, or is asked for a second ClientHello.
	quicTurnMost = 2 * time.Millisecond
	// emptyEvery is how often an address may open a connection and close it without a request,
	// emptyFirst what it may do so at once: twenty a second, two hundred at once. More counts
	// as what is no request. As much again it may ask for names that are not served, or on one
	// connection more than sentOnFirst times without TLS for what is served with it.
	emptyEvery = 50 * time.Millisecond
	emptyFirst = 200 * emptyEvery
	// sentOnFirst is how many requests of a connection are answered with the way to https and
	// cost their sender nothing.
	sentOnFirst = 8
	// emptiesMany is how many of them in a second are very many; for emptiesLast after,
	// accepts count as short.
	emptiesMany = 500
	emptiesLast = 2 * time.Second
	// acceptEvery and acceptBurst are what an address may connect while handshakes or
	// accepts are short: ten times a second, 64 at once; more is refused. A network may
	// acceptNetwork times that, and whoever was served before acceptKnown times.
	acceptEvery   = 100 * time.Millisecond
	acceptBurst   = 64 * acceptEvery
	acceptNetwork = 16
	acceptKnown   = 8

	// restingMax is how many goroutines that have served a connection wait for another, for a
	// second at most; one more ends, and the next connection begins with a new one.
	restingMax = 128
	// acceptPause is how long accepts rest after one that failed, as where no file is left;
	// twice as long each time, at most acceptPauseMost.
	acceptPause     = 5 * time.Millisecond
	acceptPauseMost = time.Second

	// ordersMax bounds the orders in force; one more is not carried out and counted.
	ordersMax = 1 << 17
	// stalledMax bounds the judged connections that are left open, unread, so
	// that they cost their sender time and Deich nothing; one more is reset.
	stalledMax = 4096
	// stallFor is how long such a connection is left; then it is reset.
	stallFor = 15 * time.Second
	// stalledBuffer is the receive buffer it is left with.
	stalledBuffer = 2 << 10

	// proxyHeaderMax is the longest PROXY protocol header taken: the fixed part
	// of version 2 with its longest addresses and 2 KiB of further fields.
	proxyHeaderMax = 16 + 216 + 2048
	// forwardedMax is how many hops of X-Forwarded-For or Forwarded are looked
	// at, from the right; further left nothing is believed.
	forwardedMax = 32

	// writeWindow and writeLeast: a client must take that many bytes in
	// that time while an answer waits for it, or it is cut: 500 a second.
	writeWindow = 10 * time.Second
	writeLeast  = 5000
	// tailWindow is how long the last few KiB of an answer over HTTP/2 or HTTP/3 may
	// wait for their client; then the stream is reset.
	tailWindow = 30 * time.Second
	// lookAfter is how long a client has been silent when it is looked at whether it
	// has taken the answer before; what it has not moves as above from then on.
	lookAfter = 2 * time.Second
	// writeSlack is by how much a window may be longer, so that its deadline
	// is not set anew with every write.
	writeSlack = 2 * time.Second

	// directBytes is how much is written by one system call that the runtime is not
	// told of; more takes several.
	directBytes = 64 << 10

	// logQueue bounds the access log's entries that wait to be written; one
	// more is dropped, counted, and said.
	logQueue = 4096
	// noticesLogged bounds the server's own notices (TLS handshakes that
	// failed, panics) a second; the rest is counted.
	noticesLogged = 5

	// shutdownPoll is how often a draining server looks whether it is empty.
	shutdownPoll = 20 * time.Millisecond
	// askWithin is how long a connection may take for its handshake once the server drains.
	askWithin = 5 * time.Second
	// drainSilence is how long nothing has passed in a tunnel or a stream of events
	// that a draining server ends at once.
	drainSilence = 2 * time.Second
)

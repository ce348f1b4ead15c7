package gate

import "time"

// Every bound of the gate, by name, with what happens when it is reached.
const (
	// sourcesMax is how many judged sources of each family are held: addresses of
	// IPv4, networks of 64 bits of IPv6. One more is missed: the listener refuses it.
	sourcesMax = 128 << 10
	// prefixesMax is how many wider judged prefixes of each family are held; one
	// more is missed.
	prefixesMax = 16 << 10
	// widest4 and widest6 are the widest prefixes that may be judged, narrowest6
	// the narrowest of IPv6; others are missed, as they are by the listener. A
	// wider one would reach too many who did nothing.
	widest4, widest6, narrowest6 = 24, 48, 64
	// allowMax is how many prefixes of each family the allow list holds. A longer
	// one is an error, and then nothing is attached.
	allowMax = 4096
	// portsMax is how many ports of its own Deich may have; more is an error.
	portsMax = 256
	// reflectionMax bounds Config.Reflection, interfacesMax Config.Interfaces and
	// what is found of itself; more is an error of configuration.
	reflectionMax = 256
	interfacesMax = 16
	// pendingMax is how many orders may wait to be written down to the kernel; one
	// more is missed, unless it takes another back: the engine has no more of those
	// than it has orders.
	pendingMax = 64 << 10
	// batchMax is how many are written with one system call, or one run of nft.
	batchMax = 4096
	// verdictMax is the longest a verdict is written down for; what is ordered
	// for longer ends then.
	verdictMax = time.Hour
	// samplesKept is how many of the latest sampled drops can be looked at; older
	// ones are forgotten. samplesBytes is the ring they come through; full, a
	// sample is left out.
	samplesKept  = 32
	samplesBytes = 64 << 10
	// collectEvery is how often what was dropped is counted and told of.
	collectEvery = 2 * time.Second
	// beatEvery is how often nft is told that Deich is alive, beatLasts how long
	// it believes that: then its rules match nothing.
	beatEvery = time.Second
	beatLasts = 3 * time.Second
	// pinnedLasts is how long a pinned gate believes that Deich is alive, which it
	// is told as often: then it lets everything pass. A service manager has to start
	// the next Deich within that time, so it is longer.
	pinnedLasts = 10 * time.Second
	// pinsWait is how long the pins may be held by a Deich that is ending, or by
	// one that only looks; then they are another's.
	pinsWait = time.Second
	// nftHitsEvery is how often each source's packets are counted at most where nft drops
	// them, and nftHitsRest how many times as long as that took it then waits: of many
	// sources it takes nft a second or more.
	nftHitsEvery = 3 * time.Second
	nftHitsRest  = 6
	// netlinkWait is how long the kernel may take to tell what a driver can, and
	// netlinkBytesMax how long its answer may be; then it is not known.
	netlinkWait     = time.Second
	netlinkBytesMax = 32 << 10
	// nftWait is how long one run of nft may take; then it has failed.
	nftWait = 10 * time.Second
)

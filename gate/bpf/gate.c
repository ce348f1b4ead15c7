// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The kernel gate: it looks at each packet that arrives on an interface and
// drops those that a judged source sends to Deich's own ports. Everything that
// it does not fully understand passes.
//
// Packets are read by xdp_load alone, never through pointers: that needs no
// other right than CAP_BPF and CAP_NET_ADMIN, and holds for packets in several
// pieces too.

#include "packet.h"

char licence[] SEC("license") = "Dual MIT/GPL";

// Why a packet passed or not. The order is that of Reason in gate/reason.go.
enum reason {
	PASS_OTHER,   // not for Deich's ports
	PASS_ODD,     // cut short or of an unusual build: not for the gate to judge
	PASS_ALLOWED, // on the allow list
	PASS,         // for Deich's ports, and nothing stands against it
	PASS_COOKIE,  // a SYN, answered with a cookie
	PASS_STALE,   // nobody has said for a while that Deich is alive
	DROP_SOURCE,
	DROP_PREFIX,
	DROP_REFLECTION,
	DROP_FRAGMENT,
	DROP_LOCKED,
	REASONS,
};

// Settled when the program is loaded; what is off is removed by the verifier.
volatile const __u8 dry;        // count, drop nothing
volatile const __u8 reflection; // look at UDP to other ports
volatile const __u8 locked;     // only the allow list may use Deich's ports
volatile const __u8 cookies;    // answer SYNs when the listener's queue is full
volatile const __u16 mss4 = 1460, mss6 = 1440;
// lasts is for how many nanoseconds a gate that outlives its process goes on
// without a beat; 0: it ends with its process, and needs none.
volatile const __u64 lasts;

// Set while it runs: whether there are prefixes at all.
volatile __u32 prefixes;

// Sizes stand in gate/limits.go and are set when the program is loaded.

// own holds a bit for each port of Deich's, TCP in the first half, UDP in the second.
struct {
	FIELD(type, MAP_ARRAY);
	FIELD(max_entries, 2048);
	TYPE(key, __u32);
	TYPE(value, __u64);
} own SEC(".maps");

// reflectors holds a bit for each source port whose UDP is not wanted.
struct {
	FIELD(type, MAP_ARRAY);
	FIELD(max_entries, 1024);
	TYPE(key, __u32);
	TYPE(value, __u64);
} reflectors SEC(".maps");

struct net4 {
	__u32 bits, addr;
};
struct net6 {
	__u32 bits, addr[4];
};

struct {
	FIELD(type, MAP_LPM_TRIE);
	FIELD(max_entries, 1);
	FIELD(map_flags, NO_PREALLOC);
	TYPE(key, struct net4);
	TYPE(value, __u32);
} allow4 SEC(".maps");

struct {
	FIELD(type, MAP_LPM_TRIE);
	FIELD(max_entries, 1);
	FIELD(map_flags, NO_PREALLOC);
	TYPE(key, struct net6);
	TYPE(value, __u32);
} allow6 SEC(".maps");

// verdict stands against a source until it expires; then it means nothing,
// whether or not somebody clears it away. It is of 8 bytes, so that the kernel's
// entry for a source is of 64, one line of the processor's caches: most of what a
// judged packet costs is to fetch that from memory.
struct verdict {
	__u32 expires; // CLOCK_MONOTONIC, in ticks; what lies half the range behind is ahead
	__u32 hits;    // packets it met
};
enum { TICK = 26 }; // of 2^26 ns, 67 ms

struct {
	FIELD(type, MAP_LRU_HASH);
	FIELD(max_entries, 1);
	TYPE(key, __u32);
	TYPE(value, struct verdict);
} source4 SEC(".maps");

// source6 is by /64, the first half of an address.
struct half6 {
	__u32 addr[2];
};
struct {
	FIELD(type, MAP_LRU_HASH);
	FIELD(max_entries, 1);
	TYPE(key, struct half6);
	TYPE(value, struct verdict);
} source6 SEC(".maps");

struct {
	FIELD(type, MAP_LPM_TRIE);
	FIELD(max_entries, 1);
	FIELD(map_flags, NO_PREALLOC);
	TYPE(key, struct net4);
	TYPE(value, struct verdict);
} prefix4 SEC(".maps");

struct {
	FIELD(type, MAP_LPM_TRIE);
	FIELD(max_entries, 1);
	FIELD(map_flags, NO_PREALLOC);
	TYPE(key, struct net6);
	TYPE(value, struct verdict);
} prefix6 SEC(".maps");

// standing is what a gate that outlives its process is known by, and when that
// last said that it is alive.
struct standing {
	__u64 beat;   // CLOCK_MONOTONIC, in nanoseconds
	__u64 owner;  // whose it is
	__u32 layout; // of this and the verdicts
	__u32 unused;
};

struct {
	FIELD(type, MAP_ARRAY);
	FIELD(max_entries, 1);
	TYPE(key, __u32);
	TYPE(value, struct standing);
} pinned SEC(".maps");

struct count {
	__u64 packets, bytes;
};

struct {
	FIELD(type, MAP_PERCPU_ARRAY);
	FIELD(max_entries, REASONS);
	TYPE(key, __u32);
	TYPE(value, struct count);
} counts SEC(".maps");

// sample is one dropped packet out of many.
struct sample {
	__u64 at; // CLOCK_MONOTONIC, in nanoseconds
	__u32 from[4];
	__u16 port, bytes;
	__u8 reason, family, protocol, unused;
};
struct sample *export_sample __attribute__((unused));

struct {
	FIELD(type, MAP_RINGBUF);
	FIELD(max_entries, 4096);
} samples SEC(".maps");

// sampled says that one in so many drops is told of; a power of two.
volatile const __u32 sampled = 1024;

// packet is what the gate knows of one.
struct packet {
	__u32 ip, l4; // offsets of the headers
	__u32 from[4];
	__u16 source, port; // in the host's byte order
	__u8 family, protocol;
	__u8 fragment; // not the first one: it has no ports
	__u8 pieces;   // a fragment, be it the first one
};

inlined int tell(struct xdp_md *ctx, struct packet *p, __u32 why) {
	struct count *c = map_lookup(&counts, &why);
	__u64 bytes = xdp_length(ctx), before = 0;
	if (likely(c)) {
		before = c->packets++;
		c->bytes += bytes;
	}
	if (why < DROP_SOURCE)
		return XDP_PASS;
	// By count, the first of each kind among them: a drawn number costs more.
	if ((before & (sampled - 1)) == 0) {
		struct sample *s = ringbuf_reserve(&samples, sizeof *s, 0);
		if (s) {
			s->at = ktime_coarse();
			s->from[0] = p->from[0];
			s->from[1] = p->from[1];
			s->from[2] = p->from[2];
			s->from[3] = p->from[3];
			s->port = p->port;
			s->bytes = bytes;
			s->reason = why;
			s->family = p->family;
			s->protocol = p->protocol;
			s->unused = 0;
			ringbuf_submit(s, 0);
		}
	}
	return dry ? XDP_PASS : XDP_DROP;
}

inlined int has(void *bits, __u32 port) {
	__u32 word = port >> 6;
	__u64 *set = map_lookup(bits, &word);
	return set && (*set >> (port & 63) & 1);
}

// usual is the beginning of most packets: neither tagged nor with options.
struct usual {
	struct eth eth;
	struct ip4 ip;
	struct ports ports;
} __attribute__((packed));

// read_usual fills p from one look at the packet; false says that it is not such a
// one, and nothing else.
inlined int read_usual(struct xdp_md *ctx, struct packet *p) {
	struct usual u = {};
	if (xdp_load(ctx, 0, &u, sizeof u))
		return 0;
	if (u.eth.kind != net16(ETH_IP4) || u.ip.version_length != 0x45 || u.ip.fragment & net16(IP4_OFFSET | IP4_MORE))
		return 0;
	if (u.ip.protocol != IP_TCP && u.ip.protocol != IP_UDP)
		return 0;
	p->family = 4;
	p->protocol = u.ip.protocol;
	p->from[0] = u.ip.from;
	p->ip = sizeof u.eth;
	p->l4 = sizeof u.eth + sizeof u.ip;
	p->source = net16(u.ports.from);
	p->port = net16(u.ports.to);
	return 1;
}

// read fills p; false says that the packet is not to be judged, because of why.
inlined int read(struct xdp_md *ctx, struct packet *p, __u32 *why) {
	struct eth eth = {};
	*why = PASS_ODD;
	if (xdp_load(ctx, 0, &eth, sizeof eth))
		return 0;
	p->ip = sizeof eth;
	__u16 kind = eth.kind;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct vlan tag = {};
		if (kind != net16(ETH_VLAN) && kind != net16(ETH_QINQ))
			break;
		if (xdp_load(ctx, p->ip, &tag, sizeof tag))
			return 0;
		kind = tag.kind;
		p->ip += sizeof tag;
	}
	if (kind == net16(ETH_IP4)) {
		struct ip4 ip = {};
		if (xdp_load(ctx, p->ip, &ip, sizeof ip))
			return 0;
		__u32 length = (ip.version_length & 15) * 4;
		if (ip.version_length >> 4 != 4 || length < sizeof ip)
			return 0;
		p->family = 4;
		p->protocol = ip.protocol;
		p->from[0] = ip.from;
		p->fragment = (ip.fragment & net16(IP4_OFFSET)) != 0;
		p->pieces = (ip.fragment & net16(IP4_OFFSET | IP4_MORE)) != 0;
		p->l4 = p->ip + length;
	} else if (kind == net16(ETH_IP6)) {
		struct ip6 ip = {};
		if (xdp_load(ctx, p->ip, &ip, sizeof ip))
			return 0;
		if ((ip.version_flow & net32(0xf0000000)) != net32(0x60000000))
			return 0;
		p->family = 6;
		p->protocol = ip.next;
		p->from[0] = ip.from[0];
		p->from[1] = ip.from[1];
		p->from[2] = ip.from[2];
		p->from[3] = ip.from[3];
		p->l4 = p->ip + sizeof ip;
		if (ip.next == IP_FRAGMENT) {
			struct ip6_fragment f = {};
			if (xdp_load(ctx, p->l4, &f, sizeof f))
				return 0;
			p->protocol = f.next;
			p->pieces = 1;
			p->fragment = (f.offset & net16(IP6_OFFSET)) != 0;
			p->l4 += sizeof f;
		}
	} else {
		*why = PASS_OTHER;
		return 0;
	}
	if (p->protocol != IP_TCP && p->protocol != IP_UDP) {
		*why = PASS_OTHER; // other headers of IPv6 among them
		return 0;
	}
	if (!p->fragment) {
		struct ports ports = {};
		if (xdp_load(ctx, p->l4, &ports, sizeof ports))
			return 0;
		p->source = net16(ports.from);
		p->port = net16(ports.to);
	}
	return 1;
}

inlined int allowed(struct packet *p) {
	if (p->family == 4) {
		struct net4 key = {32, p->from[0]};
		return map_lookup(&allow4, &key) != 0;
	}
	struct net6 key = {128, {p->from[0], p->from[1], p->from[2], p->from[3]}};
	return map_lookup(&allow6, &key) != 0;
}

// stale says that Deich has died or hangs. Its beat may be ahead of the coarse
// clock, so nothing is subtracted.
inlined int stale(void) {
	__u32 first = 0;
	if (!lasts)
		return 0;
	struct standing *s = map_lookup(&pinned, &first);
	return !s || ktime_coarse() > s->beat + lasts;
}

inlined int holds(struct verdict *v, __u32 now) {
	if (!v || (__s32)(v->expires - now) <= 0)
		return 0;
	__sync_fetch_and_add(&v->hits, 1);
	return 1;
}

inlined __u32 judged(struct packet *p) {
	__u32 now = ktime_coarse() >> TICK;
	if (p->family == 4) {
		if (holds(map_lookup(&source4, &p->from[0]), now))
			return DROP_SOURCE;
		struct net4 key = {32, p->from[0]};
		if (prefixes && holds(map_lookup(&prefix4, &key), now))
			return DROP_PREFIX;
		return PASS;
	}
	struct half6 half = {{p->from[0], p->from[1]}};
	if (holds(map_lookup(&source6, &half), now))
		return DROP_SOURCE;
	struct net6 key = {128, {p->from[0], p->from[1], p->from[2], p->from[3]}};
	if (prefixes && holds(map_lookup(&prefix6, &key), now))
		return DROP_PREFIX;
	return PASS;
}

#include "cookie.h"

SEC("xdp.frags")
int deich_gate(struct xdp_md *ctx) {
	struct packet p = {};
	__u32 why = PASS_OTHER;
	if (stale())
		return tell(ctx, &p, PASS_STALE);
	if (!read_usual(ctx, &p) && !read(ctx, &p, &why))
		return tell(ctx, &p, why);

	__u32 udp = p.protocol == IP_UDP;
	__u32 ours = !p.fragment && has(&own, p.port + (udp << 16));
	__u32 reaches = reflection && udp;
	if (!ours && !reaches)
		return tell(ctx, &p, PASS_OTHER);
	if (allowed(&p))
		return tell(ctx, &p, PASS_ALLOWED);

	why = PASS_OTHER;
	if (ours) {
		why = judged(&p);
		if (why != PASS)
			return tell(ctx, &p, why);
	}
	if (reaches) {
		if (p.fragment)
			return tell(ctx, &p, DROP_FRAGMENT);
		if (has(&reflectors, p.source))
			return tell(ctx, &p, DROP_REFLECTION);
	}
	if (ours && locked)
		return tell(ctx, &p, DROP_LOCKED);
	if (ours && cookies && !dry && !udp && cookie(ctx, &p)) {
		tell(ctx, &p, PASS_COOKIE);
		return XDP_TX;
	}
	return tell(ctx, &p, why);
}

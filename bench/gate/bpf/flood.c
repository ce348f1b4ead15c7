// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// A flood for the benchmark of the gate: frames as a network card hands them
// over, made by the kernel itself (BPF_PROG_TEST_RUN, live frames) and sent into
// one end of a cable inside a namespace of the benchmark's own.

#include "../../../gate/bpf/packet.h"

char licence[] SEC("license") = "Dual MIT/GPL";

static __u64 (*const ktime)(void) = (void *)5;
static long (*const redirect)(__u32 index, __u64 flags) = (void *)23;

volatile const __u32 out;     // the interface they leave by
volatile const __u32 first;   // of the source addresses, in the host's byte order
volatile const __u32 sources; // how many there are, a power of two or less than 2^24
volatile const __u64 every;   // nanoseconds from one burst to the next
volatile const __u32 burst;   // frames that come at once, as a card's interrupts hand them over
volatile const __u8 mute;     // do all but send, to know what that costs
volatile const __u32 client;  // who is let through at the far end, in the network's byte order

volatile __u64 until; // monotonic; then it sends nothing more
volatile __u64 next;
volatile __u32 left; // of the burst
volatile __u64 sent, begun, ended; // how many, from when to when

inlined __u16 fold(__u64 sum) {
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

SEC("xdp")
int deich_flood(struct xdp_md *ctx) {
	__u64 now = ktime();
	if (now >= until)
		return XDP_DROP;
	if (left == 0) {
		if (now < next)
			return XDP_DROP;
		__u64 due = next + every;
		next = due + 1000000 < now ? now : due; // what could not be sent in time is not sent at all
		left = burst;
	}
	left--;

	struct ip4 ip = {};
	struct tcp tcp = {};
	__u8 option[4] = {2, 4, 5, 0xb4};
	if (xdp_load(ctx, sizeof(struct eth), &ip, sizeof ip) || xdp_load(ctx, sizeof(struct eth) + sizeof ip, &tcp, sizeof tcp))
		return XDP_DROP;
	ip.from = net32(first + prandom() % sources);
	ip.sum = 0;
	ip.sum = fold(csum_diff(0, 0, &ip, sizeof ip, 0));
	__u32 drawn = prandom();
	tcp.from = drawn | net16(1024);
	tcp.seq = prandom();
	tcp.sum = 0;
	struct {
		__u32 from, to;
		__u8 zero, protocol;
		__u16 length;
	} pseudo = {ip.from, ip.to, 0, IP_TCP, net16(sizeof tcp + sizeof option)};
	__u64 sum = csum_diff(0, 0, &pseudo, sizeof pseudo, 0);
	sum = csum_diff(0, 0, &tcp, sizeof tcp, sum);
	tcp.sum = fold(csum_diff(0, 0, option, sizeof option, sum));
	xdp_store(ctx, sizeof(struct eth), &ip, sizeof ip);
	xdp_store(ctx, sizeof(struct eth) + sizeof ip, &tcp, sizeof tcp);
	if (!sent)
		begun = now;
	ended = now;
	sent++;
	if (mute)
		return XDP_DROP;
	return redirect(out, 0);
}

// far stands at the other end, where answers to nobody are thrown away, as on
// the way to addresses that do not exist.
SEC("xdp")
int deich_far(struct xdp_md *ctx) {
	struct eth eth = {};
	struct ip4 ip = {};
	if (xdp_load(ctx, 0, &eth, sizeof eth) || eth.kind != net16(ETH_IP4))
		return XDP_PASS;
	if (xdp_load(ctx, sizeof eth, &ip, sizeof ip) || ip.to == client)
		return XDP_PASS;
	return XDP_DROP;
}

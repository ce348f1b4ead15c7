/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SYN cookies before the stack. The kernel makes the cookie and says whether
 * it is time for one: with net.ipv4.tcp_syncookies=1 only once the listener's
 * queue is full. The answer is built in place of the SYN and sent back where it
 * came from; the ACK that follows is the stack's business. Only the MSS is
 * agreed on, as in every cookie.
 */
#pragma once
#include "packet.h"

enum { WINDOW = 64240, TTL = 64, MSS_OPTION = 2 };

inlined __u16 fold(__u64 sum) {
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

// answer is a TCP header with the one option.
struct answer {
	struct tcp tcp;
	__u8 option, option_length;
	__u16 mss;
};

inlined void make_answer(struct answer *a, struct tcp *syn, __u32 cookie, __u16 mss) {
	a->tcp.from = syn->to;
	a->tcp.to = syn->from;
	a->tcp.seq = net32(cookie);
	a->tcp.ack = net32(net32(syn->seq) + 1);
	a->tcp.length = sizeof *a / 4 << 4;
	a->tcp.flags = TCP_SYN | TCP_ACK;
	a->tcp.window = net16(WINDOW);
	a->option = MSS_OPTION;
	a->option_length = 4;
	a->mss = net16(mss);
}

// resize makes the packet as long as the answer.
inlined int resize(struct xdp_md *ctx, int length) {
	return xdp_adjust_tail(ctx, length - (int)xdp_length(ctx)) == 0;
}

inlined void turn(struct xdp_md *ctx, struct eth *eth) {
	struct eth back = {.kind = eth->kind};
	__builtin_memcpy(back.to, eth->from, 6);
	__builtin_memcpy(back.from, eth->to, 6);
	xdp_store(ctx, 0, &back, sizeof back);
}

inlined int cookie4(struct xdp_md *ctx, struct packet *p, struct tcp *syn, void *th, __u32 length) {
	struct eth eth = {};
	struct ip4 ip = {};
	if (xdp_load(ctx, 0, &eth, sizeof eth) || xdp_load(ctx, p->ip, &ip, sizeof ip))
		return 0;
	struct bpf_sock_tuple tuple = {.ipv4 = {ip.from, ip.to, syn->from, syn->to}};
	struct bpf_sock *sk = skc_lookup_tcp(ctx, &tuple, sizeof tuple.ipv4, CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	__s64 made = tcp_gen_syncookie(sk, &ip, sizeof ip, th, length);
	sk_release(sk);
	if (made < 0 || !resize(ctx, sizeof eth + sizeof ip + sizeof(struct answer)))
		return 0;

	struct answer a = {};
	make_answer(&a, syn, made, mss4);
	struct {
		__u32 from, to;
		__u8 zero, protocol;
		__u16 length;
	} pseudo = {ip.to, ip.from, 0, IP_TCP, net16(sizeof a)};
	a.tcp.sum = fold(csum_diff(0, 0, &a, sizeof a, csum_diff(0, 0, &pseudo, sizeof pseudo, 0)));
	struct ip4 back = {
		.version_length = 0x45,
		.length = net16(sizeof ip + sizeof a),
		.fragment = net16(IP4_DONT),
		.ttl = TTL,
		.protocol = IP_TCP,
		.from = ip.to,
		.to = ip.from,
	};
	back.sum = fold(csum_diff(0, 0, &back, sizeof back, 0));
	turn(ctx, &eth);
	xdp_store(ctx, sizeof eth, &back, sizeof back);
	xdp_store(ctx, sizeof eth + sizeof back, &a, sizeof a);
	return 1;
}

inlined int cookie6(struct xdp_md *ctx, struct packet *p, struct tcp *syn, void *th, __u32 length) {
	struct eth eth = {};
	struct ip6 ip = {};
	if (xdp_load(ctx, 0, &eth, sizeof eth) || xdp_load(ctx, p->ip, &ip, sizeof ip))
		return 0;
	struct bpf_sock_tuple tuple = {};
	__builtin_memcpy(tuple.ipv6.saddr, ip.from, 16);
	__builtin_memcpy(tuple.ipv6.daddr, ip.to, 16);
	tuple.ipv6.sport = syn->from;
	tuple.ipv6.dport = syn->to;
	struct bpf_sock *sk = skc_lookup_tcp(ctx, &tuple, sizeof tuple.ipv6, CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	__s64 made = tcp_gen_syncookie(sk, &ip, sizeof ip, th, length);
	sk_release(sk);
	if (made < 0 || !resize(ctx, sizeof eth + sizeof ip + sizeof(struct answer)))
		return 0;

	struct answer a = {};
	make_answer(&a, syn, made, mss6);
	struct ip6 back = {
		.version_flow = net32(0x60000000),
		.length = net16(sizeof a),
		.next = IP_TCP,
		.ttl = TTL,
	};
	__builtin_memcpy(back.from, ip.to, 16);
	__builtin_memcpy(back.to, ip.from, 16);
	struct {
		__u32 from[4], to[4];
		__u32 length, protocol;
	} pseudo = {.length = net32(sizeof a), .protocol = net32(IP_TCP)};
	__builtin_memcpy(pseudo.from, ip.to, 16);
	__builtin_memcpy(pseudo.to, ip.from, 16);
	a.tcp.sum = fold(csum_diff(0, 0, &a, sizeof a, csum_diff(0, 0, &pseudo, sizeof pseudo, 0)));
	turn(ctx, &eth);
	xdp_store(ctx, sizeof eth, &back, sizeof back);
	xdp_store(ctx, sizeof eth + sizeof back, &a, sizeof a);
	return 1;
}

// cookie answers a SYN; then the packet is the answer, and 1 is given. With 0
// it is as it was, and goes to the stack: a SYN in tagged, optioned or
// fragmented packets among them.
inlined int cookie(struct xdp_md *ctx, struct packet *p) {
	struct tcp syn = {};
	__u8 th[60] = {};
	__u32 plain = p->family == 4 ? sizeof(struct ip4) : sizeof(struct ip6);
	if (p->pieces || p->ip != sizeof(struct eth) || p->l4 != p->ip + plain)
		return 0;
	if (xdp_load(ctx, p->l4, &syn, sizeof syn))
		return 0;
	if ((syn.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return 0;
	__u32 length = (syn.length >> 4) * 4;
	opaque(length);
	if (length < sizeof syn || length > sizeof th || xdp_load(ctx, p->l4, th, length))
		return 0;
	return p->family == 4 ? cookie4(ctx, p, &syn, th, length) : cookie6(ctx, p, &syn, th, length);
}

/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the gate uses of the kernel's interface to BPF programs, and no more:
 * so it is built without a header of the machine that builds it. Numbers and
 * layouts are part of the kernel's stable interface (include/uapi/linux/bpf.h).
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;

#define SEC(name) __attribute__((section(name), used))
#define inlined static inline __attribute__((always_inline))
// opaque has the compiler forget what it knows of x, so that the bounds it is
// held against afterwards are the ones that the verifier sees.
#define opaque(x) asm volatile("" : "+r"(x))
#define likely(x) __builtin_expect(!!(x), 1)

/* Maps are declared as BTF, in the section .maps. */
#define FIELD(name, value) int (*name)[value]
#define TYPE(name, value) typeof(value) *name

enum {
	MAP_ARRAY = 2,
	MAP_PERCPU_ARRAY = 6,
	MAP_LRU_HASH = 9,
	MAP_LPM_TRIE = 11,
	MAP_RINGBUF = 27,
};
#define NO_PREALLOC 1

enum { XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3 };

struct xdp_md {
	__u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct bpf_sock;

struct bpf_sock_tuple {
	union {
		struct {
			__u32 saddr, daddr;
			__u16 sport, dport;
		} ipv4;
		struct {
			__u32 saddr[4], daddr[4];
			__u16 sport, dport;
		} ipv6;
	};
};
#define CURRENT_NETNS ((__u64)-1)

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static __u32 (*const prandom)(void) = (void *)7;
static __s64 (*const csum_diff)(const void *from, __u32 from_size, const void *to, __u32 to_size, __u32 seed) = (void *)28;
static long (*const xdp_adjust_tail)(struct xdp_md *ctx, int delta) = (void *)65;
static long (*const sk_release)(void *sock) = (void *)86;
static struct bpf_sock *(*const skc_lookup_tcp)(void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns, __u64 flags) = (void *)99;
static __s64 (*const tcp_gen_syncookie)(void *sk, const void *iph, __u32 iph_len, const void *th, __u32 th_len) = (void *)110;
static void *(*const ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static __u64 (*const ktime_coarse)(void) = (void *)160;
static __u64 (*const xdp_length)(struct xdp_md *ctx) = (void *)188;
static long (*const xdp_load)(struct xdp_md *ctx, __u32 offset, void *buf, __u32 len) = (void *)189;
static long (*const xdp_store)(struct xdp_md *ctx, __u32 offset, void *buf, __u32 len) = (void *)190;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define net16(x) ((__u16)__builtin_bswap16(x))
#define net32(x) __builtin_bswap32(x)
#else
#define net16(x) ((__u16)(x))
#define net32(x) (x)
#endif

/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Headers as they stand in a packet. Fields wider than a byte are in the
 * network's byte order. Addresses are cut into words of 32 bits, so that the
 * structs have no padding wherever they begin.
 */
#pragma once
#include "kernel.h"

enum { ETH_IP4 = 0x0800, ETH_IP6 = 0x86dd, ETH_VLAN = 0x8100, ETH_QINQ = 0x88a8 };
enum { IP_TCP = 6, IP_UDP = 17, IP_FRAGMENT = 44 };
enum { IP4_OFFSET = 0x1fff, IP4_DONT = 0x4000, IP4_MORE = 0x2000, IP6_OFFSET = 0xfff8 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

struct eth {
	__u8 to[6], from[6];
	__u16 kind;
};

struct vlan {
	__u16 tag, kind;
};

struct ip4 {
	__u8 version_length, service;
	__u16 length, id, fragment;
	__u8 ttl, protocol;
	__u16 sum;
	__u32 from, to;
};

struct ip6 {
	__u32 version_flow;
	__u16 length;
	__u8 next, ttl;
	__u32 from[4], to[4];
};

struct ip6_fragment {
	__u8 next, reserved;
	__u16 offset;
	__u32 id;
};

struct ports {
	__u16 from, to;
};

struct tcp {
	__u16 from, to;
	__u32 seq, ack;
	__u8 length, flags;
	__u16 window, sum, urgent;
};

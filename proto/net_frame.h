/* SPDX-License-Identifier: MIT */
/*
 * Frames with the header that virtio puts before them (virtio 1.2, 5.1.6), as they pass between a network card's back-end and what it
 * is connected to, one in a message. Whoever receives one believes nothing of it.
 */
#ifndef BULKHEAD_PROTO_NET_FRAME_H
#define BULKHEAD_PROTO_NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Feature bits of a network device (5.1.3). */
#define NET_F_CSUM (1ull << 0)
#define NET_F_GUEST_CSUM (1ull << 1)
#define NET_F_MTU (1ull << 3)
#define NET_F_MAC (1ull << 5)
#define NET_F_GUEST_TSO4 (1ull << 7)
#define NET_F_GUEST_TSO6 (1ull << 8)
#define NET_F_HOST_TSO4 (1ull << 11)
#define NET_F_HOST_TSO6 (1ull << 12)
#define NET_F_MRG_RXBUF (1ull << 15)

enum { NET_NEEDS_CSUM = 1, NET_DATA_VALID = 2 };		 /* flags */
enum { NET_GSO_NONE = 0, NET_GSO_TCPV4 = 1, NET_GSO_TCPV6 = 4 }; /* gso_type */

struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct net_header) == 12, "virtio 1.2, 5.1.6");

enum { NET_HEADER = 12, NET_ETHERNET = 14, NET_FRAME_MIN = NET_HEADER + NET_ETHERNET, NET_FRAME_MAX = NET_HEADER + 65550 };

/*
 * Makes a received message one that a driver with these features takes: what it has not negotiated is done here (checksums), or
 * makes the frame one to drop (segments that nobody has cut). `bytes` are at most NET_FRAME_MAX. False: drop it.
 */
bool net_frame_admit(uint8_t *message, size_t bytes, uint64_t features);

#endif

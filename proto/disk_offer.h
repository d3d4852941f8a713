/* SPDX-License-Identifier: MIT */
/*
 * A disk that another program serves, qemu-storage-daemon or whoever listens at a socket, by vhost-user. That program sees nothing
 * of the guest: the disk's back-end (devices/blk_remote.c) copies between guest memory and a piece of memory that the two share,
 * DISK_OFFER_BYTES with a queue in front. An exporter (vmm/keeper/exporter.c) starts the program, makes the connection and the
 * memory, says by vhost-user where the queue is, and hands all of it to the back-end, which never speaks that protocol to it.
 *
 * Both ends are SOCK_SEQPACKET. The back-end asks; each answer brings a connection, memory and queue that nobody has used before.
 * Whatever was asked of an earlier connection is over when the new one is served, for there is one at a time.
 */
#ifndef BULKHEAD_PROTO_DISK_OFFER_H
#define BULKHEAD_PROTO_DISK_OFFER_H

#include <stdint.h>

/* To the exporter. */
struct disk_ask {
	uint32_t number; /* comes back: answers to a back-end that has died are nobody's */
};

/* Its answer; without descriptors if `error`. */
struct disk_offer {
	uint32_t number;
	int32_t error; /* -errno: it cannot be had now. The exporter has waited a little: it can be asked again at once */
	uint32_t discard_sectors, zeroes_sectors; /* that one request may be about at most */
	uint32_t may_unmap, reserved;
	uint64_t features; /* that were accepted */
};
_Static_assert(sizeof(struct disk_offer) == 32, "disk_offer");

/* The descriptors: a connection that ends when the program does, the memory, and two eventfds. */
enum disk_offer_fd { DISK_FD_LINK, DISK_FD_MEMORY, DISK_FD_KICK, DISK_FD_CALL, DISK_FDS };

/* Offsets in the memory, which has the address DISK_OFFER_BASE for the program. */
enum {
	DISK_OFFER_QUEUE = 4, /* descriptors */
	DISK_OFFER_DESC = 0,
	DISK_OFFER_AVAIL = 0x100,
	DISK_OFFER_USED = 0x200,
	DISK_OFFER_HEADER = 0x1000,
	DISK_OFFER_STATUS = 0x1010,
	DISK_OFFER_DATA = 0x2000,
	DISK_OFFER_DATA_BYTES = 1 << 20,
	DISK_OFFER_BYTES = DISK_OFFER_DATA + DISK_OFFER_DATA_BYTES,
};
#define DISK_OFFER_BASE 0x100000ull

#endif

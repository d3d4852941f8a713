/* SPDX-License-Identifier: MIT */
/*
 * A shared folder, which virtiofsd serves by vhost-user. That program sees nothing of the guest: the folder's back-end
 * (devices/fs.c) copies between guest memory and a piece of memory that the two share, SHARE_OFFER_BYTES with a queue in front. An
 * exporter (vmm/keeper/exporter.c) starts the program, and hands connection, memory and eventfds to the back-end, as it does for
 * disks (disk_offer.h, enum disk_offer_fd).
 *
 * Unlike a disk, a folder has a state in that program: what the guest has open. So the exporter keeps what it has made, and hands the
 * same to the next back-end when one has died: what was under way lies in that memory, and is not asked for twice.
 */
#ifndef BULKHEAD_PROTO_SHARE_OFFER_H
#define BULKHEAD_PROTO_SHARE_OFFER_H

#include <stdint.h>

/* To the exporter. */
struct share_ask {
	uint32_t number; /* comes back: answers to a back-end that has died are nobody's */
	uint32_t fresh;	 /* what there was is of no use: another program */
};

/* Its answer; without descriptors if `error`. */
struct share_offer {
	uint32_t number;
	int32_t error; /* -errno: it cannot be had now. The exporter has waited a little */
};

/* Offsets in the memory, which has the address DISK_OFFER_BASE for the program; the queue lies where a disk's does. */
enum {
	SHARE_OFFER_QUEUE = 4,	    /* descriptors */
	SHARE_OFFER_OWNER = 0x1000, /* struct share_owner, which the back-end writes */
	SHARE_OFFER_IN = 0x2000,    /* the request */
	/* A header and its arguments, and 1 MiB: virtiofsd takes no more (FUSE_BUFFER_HEADER_SIZE, FUSE_MAX_MAX_PAGES). */
	SHARE_OFFER_ROOM = (1 << 20) + 0x1000,
	SHARE_OFFER_OUT = SHARE_OFFER_IN + SHARE_OFFER_ROOM,
	SHARE_OFFER_BYTES = SHARE_OFFER_OUT + SHARE_OFFER_ROOM,
};
/* virtio 1.2, 5.11.2: 0 is for requests that overtake others, 1 the first for requests. The program serves both alike. */
enum { SHARE_OFFER_INDEX = 1 };

/* Of the request in SHARE_OFFER_IN: the guest's queue that it came from, and the index that the queue in front has when it was told;
 * with another index it was not told, or is an earlier one. */
struct share_owner {
	uint32_t queue, told;
};
#define SHARE_NOT_TOLD 0xffffffffu

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A disk whose image another program has (proto/disk_offer.h). Requests are carried out one after the other, in pieces of what the
 * shared memory holds; one is under way at a time, and nobody waits for it: the queue goes on when it is done. When the program, or
 * the connection, is gone, the piece that was under way is asked for again at the next one: reads, writes, flushes, discards and
 * zeroes done twice are the same as done once.
 */
#ifndef BULKHEAD_DEVICES_BLK_REMOTE_H
#define BULKHEAD_DEVICES_BLK_REMOTE_H

#include "devices/blk.h"
#include "devices/vhost_back.h"
#include "proto/disk_offer.h"

struct blk_remote {
	struct blk *disk;
	struct vhost_back *back;
	int fds[DISK_FDS]; /* -1: there is no connection */
	int exporter_fd;
	uint8_t *memory;
	struct event on_offer, on_link, on_call;
	struct disk_offer offer;
	uint32_t number; /* of what was asked last */
	bool asked;	 /* and not answered */
	uint16_t told;	 /* requests told to the program: its queue's index */
	/* The request that is under way, of this queue; NULL: none. */
	struct vhost_queue *queue;
	struct virtq_chain chain;
	struct blk_job job;
	unsigned segment;
	uint64_t done;	 /* bytes of the data, or sectors of the segment */
	uint32_t moving; /* of these, what is under way */
	bool flushing;
	uint64_t losses; /* connections that have ended */
};

/* `exporter_fd` is then the disk's. 0 or -EIO. */
int blk_remote_init(struct blk_remote *r, struct blk *disk, struct vhost_back *back, int exporter_fd);
/* struct vhost_device, `kicked` and `halted`. */
int blk_remote_kicked(struct blk_remote *r, struct vhost_queue *q);
void blk_remote_halted(struct blk_remote *r, struct vhost_queue *q);

#endif

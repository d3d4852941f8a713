/* SPDX-License-Identifier: MIT */
/*
 * Requests of a disk that are under way at the same time, from all its queues. What the host has in memory is read at once; the
 * rest is done by threads, which wait for the host while the event loop goes on. They know nothing but the image, and the request
 * that they were handed.
 *
 * The guest hears of the requests of a queue in the order in which they were taken out of it. So the used ring says all that
 * whoever takes over has to know: what it does not hold is done again, and nobody has been told that it was done before. A front-end
 * that keeps a record of what is under way (virtq_inflight.h) lets it hear of each as soon as that is over.
 *
 * A flush needs nothing from the others: a write that the guest has been told of has been written by then, and what fdatasync(2)
 * finds written is on the disk afterwards.
 */
#ifndef BULKHEAD_DEVICES_BLK_POOL_H
#define BULKHEAD_DEVICES_BLK_POOL_H

#include "devices/blk.h"
#include "devices/vhost_back.h"

enum { BLK_THREADS = 8, BLK_TASKS = 32, BLK_STACK = 128 * 1024 };

/* A request that is under way. Its owner is the loop, but between blk_pool's two pipes, a thread. */
struct blk_task {
	struct vhost_queue *queue; /* NULL: it is free */
	struct blk_task *next;	   /* of the same queue */
	struct blk_job job;
	int status;
	bool over;
	uint64_t since_ns; /* CLOCK_MONOTONIC */
	struct virtq_chain chain;
};

struct blk_pool {
	struct blk *disk;
	struct vhost_back *back;
	int todo[2], done[2]; /* pipes of numbers of tasks: to the threads, and back */
	struct event on_done;
	struct blk_task *first[VHOST_QUEUES], *last[VHOST_QUEUES];
	struct blk_task *tasks; /* BLK_TASKS of them; what was never used takes no memory */
};

/* Starts the threads; they end with the process. `back` has its event loop. 0 or -errno. */
int blk_pool_init(struct blk_pool *p, struct blk *disk, struct vhost_back *back);
/* struct vhost_device, `kicked` and `halted`. The latter waits until the host has done what it has begun. */
int blk_pool_kicked(struct blk_pool *p, struct vhost_queue *q);
void blk_pool_halted(struct blk_pool *p, struct vhost_queue *q);
/* For how long the oldest request has been under way; 0: there is none. */
uint64_t blk_pool_waits_ns(const struct blk_pool *p);

#endif

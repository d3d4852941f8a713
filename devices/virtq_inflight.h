/* SPDX-License-Identifier: MIT */
/*
 * What of a split queue is under way, in memory that outlives the back-end: its front-end keeps it, and hands it to whoever serves the
 * queue next (QEMU, docs/interop/vhost-user.rst, "Inflight I/O tracking"). With it buffers may be used in another order than they
 * were made available in; without it, the used index alone says what is done.
 *
 * The memory may be written by others at any time. What is read of it is checked; a queue whose record makes no sense is broken.
 */
#ifndef BULKHEAD_DEVICES_VIRTQ_INFLIGHT_H
#define BULKHEAD_DEVICES_VIRTQ_INFLIGHT_H

#include <stddef.h>
#include <stdint.h>

/* The layout is the protocol's. */
struct inflight_desc {
	uint8_t inflight; /* of the descriptor that is a chain's head */
	uint8_t padding[5];
	uint16_t next;	  /* the head before it in the last batch that was used */
	uint64_t counter; /* in which order they were taken */
};

struct inflight_region {
	uint64_t features; /* 0 */
	uint16_t version;  /* 0: nothing has been written yet */
	uint16_t desc_num, last_batch_head, used_idx;
	struct inflight_desc desc[];
};
enum { INFLIGHT_VERSION = 1, INFLIGHT_ALIGNMENT = 64, INFLIGHT_MAX = 1024 /* descriptors of a queue */ };

_Static_assert(sizeof(struct inflight_desc) == 16 && offsetof(struct inflight_desc, next) == 6, "vhost-user");
_Static_assert(sizeof(struct inflight_region) == 16 && offsetof(struct inflight_region, used_idx) == 14, "vhost-user");

/* Of a queue of that size; those of several queues follow each other. */
static inline size_t inflight_bytes(uint16_t size)
{
	const size_t bytes = sizeof(struct inflight_region) + size * sizeof(struct inflight_desc);

	return (bytes + INFLIGHT_ALIGNMENT - 1) / INFLIGHT_ALIGNMENT * INFLIGHT_ALIGNMENT;
}

/*
 * Takes over: the used ring's index is `used_idx`. The heads that are under way, in the order in which they were taken, and what
 * the next one's counter is. Returns how many there are, or -EINVAL: the record is of another queue, or nonsense.
 */
int inflight_open(struct inflight_region *r, uint16_t size, uint16_t used_idx, uint16_t *heads, uint64_t *counter);
/* A head was taken. -EPROTO: it is under way already. */
int inflight_take(struct inflight_region *r, uint16_t head, uint64_t counter);
/* Before the used index moves: this one is among what it will move over. */
void inflight_fill(struct inflight_region *r, uint16_t head);
/* It has moved, to `used_idx`, over as many as were filled. */
void inflight_published(struct inflight_region *r, uint16_t size, uint16_t count, uint16_t used_idx);

#endif

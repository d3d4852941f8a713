/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue as the device sees it (virtio 1.2, 2.7). It lies in memory that the driver may change at any time, and the
 * driver may be hostile: each word is read once, every chain is bounded by the size of the queue, and what makes no sense breaks
 * the queue until the driver resets it. Nothing here allocates, waits or logs.
 */
#ifndef BULKHEAD_DEVICES_VIRTQ_H
#define BULKHEAD_DEVICES_VIRTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtq_inflight.h"

enum { VIRTQ_SIZE_MAX = INFLIGHT_MAX };

/* As they lie in memory (virtio 1.2, 2.7.5 and 2.7.8). */
struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
struct virtq_used_elem {
	uint32_t id, len;
};
enum { VIRTQ_DESC_NEXT = 1, VIRTQ_DESC_WRITE = 2, VIRTQ_DESC_INDIRECT = 4 };

/* The guest's memory. `at`: NULL unless all of it is there. `written` is called after bytes were written, and before the guest
 * is told. */
struct virtq_memory {
	void *(*at)(void *ctx, uint64_t addr, uint64_t len);
	void (*written)(void *ctx, uint64_t addr, uint64_t len);
	void *ctx;
};

struct virtq {
	const struct virtq_memory *memory;
	uint16_t size, last_avail, used_idx, signalled; /* signalled: used_idx when the driver was last called */
	uint16_t filled; /* used elements behind used_idx that the driver does not see yet */
	bool event_idx, indirect, broken;
	const void *desc, *avail;
	void *used;
	uint64_t used_addr;
	struct inflight_region *inflight; /* NULL: buffers are used in the order in which they were made available */
	uint64_t counter;
	uint16_t resumed, to_resume; /* of `heads`: those that a predecessor had under way, which come first */
	uint16_t heads[VIRTQ_SIZE_MAX];
};

/* A piece of a buffer: guest memory, here and in the guest. */
struct virtq_piece {
	uint8_t *at;
	uint64_t addr;
	uint32_t len;
};

/* What the device reads comes first, then what it writes. */
struct virtq_chain {
	uint16_t head;
	unsigned readable, writable; /* pieces */
	struct virtq_piece pieces[VIRTQ_SIZE_MAX];
};

/*
 * Rings at these addresses. It goes on behind what the used ring says is done, so that a device which uses chains in their order
 * repeats the ones that it died over, and loses none. `event_idx`, `indirect` and `inflight` have been set before; with the latter
 * those that are under way come first, and the device may use chains in any order. -EINVAL: a size that cannot be, addresses that
 * are not memory or not aligned, or a record that is not this queue's.
 */
int virtq_start(struct virtq *q, const struct virtq_memory *memory, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used);
/* 0: *chain is the next one; -EAGAIN: there is none; -EPROTO: the queue is broken. */
int virtq_pop(struct virtq *q, struct virtq_chain *chain);
/* `written` bytes of the chain's writable part are valid. */
void virtq_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written);
/* The same in two steps, for several chains that the driver is to see at once. */
void virtq_fill(struct virtq *q, uint16_t head, uint32_t written);
void virtq_publish(struct virtq *q);
/* The last `count` chains that were popped have not been: they come again. Not with `inflight`. */
void virtq_put_back(struct virtq *q, uint16_t count);
/* Does the driver want to be called for what was pushed since it was called last? */
bool virtq_wants_call(struct virtq *q);
/* Before waiting for the next kick: asks for it. False: there is something by now. */
bool virtq_sleep(struct virtq *q);
/* The same for one that needs more than `count` chains. */
bool virtq_sleep_beyond(struct virtq *q, uint16_t count);

#endif

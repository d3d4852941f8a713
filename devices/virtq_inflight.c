/* SPDX-License-Identifier: MIT */
/* What of a queue is under way: see virtq_inflight.h. */
#include "devices/virtq_inflight.h"

#include <errno.h>
#include <string.h>

/*
 * The process may be killed between any two stores, and what it has stored by then is what its successor finds: none may move past
 * another. Nobody else writes at the same time who need be waited for.
 */
#define STORE(at, value) __atomic_store_n(at, value, __ATOMIC_SEQ_CST)
#define LOAD(at) __atomic_load_n(at, __ATOMIC_RELAXED)

static void format(struct inflight_region *r, uint16_t size, uint16_t used_idx)
{
	memset(r, 0, sizeof(*r) + size * sizeof(r->desc[0]));
	r->desc_num = size;
	r->used_idx = used_idx;
	STORE(&r->version, INFLIGHT_VERSION);
}

/* The last batch, from its newest head on, is over. */
static int forget(struct inflight_region *r, uint16_t size, uint16_t count)
{
	uint16_t head = LOAD(&r->last_batch_head);

	for (; count; count--) {
		if (head >= size)
			return -EINVAL;
		STORE(&r->desc[head].inflight, 0);
		head = LOAD(&r->desc[head].next);
	}
	return 0;
}

/* Into the row of those that were taken before. */
static void insert(uint16_t *heads, uint64_t *counters, unsigned count, uint16_t head, uint64_t counter)
{
	unsigned at = count;

	for (; at && counters[at - 1] > counter; at--) {
		counters[at] = counters[at - 1];
		heads[at] = heads[at - 1];
	}
	counters[at] = counter;
	heads[at] = head;
}

static int collect(const struct inflight_region *r, uint16_t size, uint16_t *heads, uint64_t *counter)
{
	static uint64_t counters[INFLIGHT_MAX]; /* too large for a stack */
	int count = 0;

	for (uint16_t head = 0; head < size; head++)
		if (LOAD(&r->desc[head].inflight) == 1)
			insert(heads, counters, (unsigned)count++, head, LOAD(&r->desc[head].counter));
	*counter = count ? counters[count - 1] + 1 : 0;
	return count;
}

int inflight_open(struct inflight_region *r, uint16_t size, uint16_t used_idx, uint16_t *heads, uint64_t *counter)
{
	const uint16_t batch = (uint16_t)(used_idx - LOAD(&r->used_idx));

	*counter = 0;
	if (!LOAD(&r->version)) {
		format(r, size, used_idx);
		return 0;
	}
	if (LOAD(&r->version) != INFLIGHT_VERSION || LOAD(&r->desc_num) != size || batch > size || forget(r, size, batch))
		return -EINVAL;
	STORE(&r->used_idx, used_idx);
	return collect(r, size, heads, counter);
}

int inflight_take(struct inflight_region *r, uint16_t head, uint64_t counter)
{
	if (LOAD(&r->desc[head].inflight) == 1)
		return -EPROTO;
	STORE(&r->desc[head].counter, counter);
	STORE(&r->desc[head].inflight, 1);
	return 0;
}

void inflight_fill(struct inflight_region *r, uint16_t head)
{
	STORE(&r->desc[head].next, LOAD(&r->last_batch_head));
	STORE(&r->last_batch_head, head);
}

void inflight_published(struct inflight_region *r, uint16_t size, uint16_t count, uint16_t used_idx)
{
	forget(r, size, count);
	STORE(&r->used_idx, used_idx);
}

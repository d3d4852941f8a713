/* SPDX-License-Identifier: MIT */
/* A split virtqueue as the device sees it: see virtq.h. */
#include "devices/virtq.h"

#include <errno.h>
#include <string.h>

enum { NO_INTERRUPT = 1 };
enum { RING = 4 }; /* behind flags and idx */

static uint16_t load16(const void *base, size_t at)
{
	return __atomic_load_n((const uint16_t *)((const uint8_t *)base + at), __ATOMIC_ACQUIRE);
}

static void store16(void *base, size_t at, uint16_t value)
{
	__atomic_store_n((uint16_t *)((uint8_t *)base + at), value, __ATOMIC_RELEASE);
}

static bool is_aligned(const void *p, uintptr_t to)
{
	return p && (uintptr_t)p % to == 0;
}

/* Those that are under way have been made available, and not been used. */
static int resume(struct virtq *q)
{
	int count = q->inflight ? inflight_open(q->inflight, q->size, q->used_idx, q->heads, &q->counter) : 0;

	if (count < 0)
		return count;
	q->to_resume = (uint16_t)count;
	q->last_avail = (uint16_t)(q->last_avail + count);
	q->broken = false;
	return 0;
}

/* 2.7: 16 bytes a descriptor, aligned to that; the rings' words to 2 and 4, and a word for events behind each. */
int virtq_start(struct virtq *q, const struct virtq_memory *memory, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
	const bool event_idx = q->event_idx, indirect = q->indirect;
	struct inflight_region *inflight = q->inflight;

	*q = (struct virtq){ .memory = memory, .size = size, .event_idx = event_idx, .indirect = indirect, .broken = true };
	q->inflight = inflight;
	if (!size || size > VIRTQ_SIZE_MAX || size & (size - 1))
		return -EINVAL;
	q->desc = memory->at(memory->ctx, desc, (uint64_t)size * sizeof(struct virtq_desc));
	q->avail = memory->at(memory->ctx, avail, RING + 2ull * size + 2);
	q->used = memory->at(memory->ctx, used, RING + 8ull * size + 2);
	q->used_addr = used;
	if (!is_aligned(q->desc, 16) || !is_aligned(q->avail, 2) || !is_aligned(q->used, 4))
		return -EINVAL;
	q->used_idx = q->last_avail = q->signalled = load16(q->used, 2);
	return resume(q);
}

static int breaks(struct virtq *q)
{
	q->broken = true;
	return -EPROTO;
}

/* A plain copy may be elided and fields read again behind their check; atomic loads may not. */
static struct virtq_desc copy_desc(const void *table, uint16_t index)
{
	const uint64_t *from = (const uint64_t *)table + 2u * index;
	uint64_t words[2] = { __atomic_load_n(&from[0], __ATOMIC_RELAXED), __atomic_load_n(&from[1], __ATOMIC_RELAXED) };
	struct virtq_desc d;

	memcpy(&d, words, sizeof(d));
	return d;
}

/* One descriptor that is a buffer. 2.7.4.2: what the device writes stands behind what it reads. */
static int add_piece(struct virtq *q, struct virtq_chain *c, const struct virtq_desc *d)
{
	unsigned n = c->readable + c->writable;
	uint8_t *at = d->len ? q->memory->at(q->memory->ctx, d->addr, d->len) : NULL;

	if (n == q->size || !at || (c->writable && !(d->flags & VIRTQ_DESC_WRITE)))
		return -EPROTO;
	c->pieces[n] = (struct virtq_piece){ at, d->addr, d->len };
	if (d->flags & VIRTQ_DESC_WRITE)
		c->writable++;
	else
		c->readable++;
	return 0;
}

/* A table of `count`, from `index` on. A chain that bites its tail is longer than the queue, at the latest. */
static int walk(struct virtq *q, struct virtq_chain *c, const void *table, uint32_t count, uint16_t index, struct virtq_desc *indirect)
{
	for (uint32_t n = 0; n < count; n++) {
		struct virtq_desc d;

		if (index >= count)
			return -EPROTO;
		d = copy_desc(table, index);
		if (d.flags & VIRTQ_DESC_INDIRECT) {
			*indirect = d;
			return d.flags & VIRTQ_DESC_NEXT ? -EPROTO : 1;
		}
		if (add_piece(q, c, &d))
			return -EPROTO;
		if (!(d.flags & VIRTQ_DESC_NEXT))
			return 0;
		index = d.next;
	}
	return -EPROTO;
}

/* 2.7.5.3: the table holds descriptors and nothing else, and none that leads to another table. */
static int walk_indirect(struct virtq *q, struct virtq_chain *c, const struct virtq_desc *d)
{
	const void *table = q->memory->at(q->memory->ctx, d->addr, d->len);
	uint32_t count = d->len / sizeof(struct virtq_desc);
	struct virtq_desc deeper;

	if (!q->indirect || !is_aligned(table, 8) || !count || d->len % sizeof(struct virtq_desc) || count > q->size)
		return -EPROTO;
	return walk(q, c, table, count, 0, &deeper) ? -EPROTO : 0;
}

/* The pieces of the chain that begins at chain->head. */
static int take_pieces(struct virtq *q, struct virtq_chain *chain)
{
	struct virtq_desc indirect;
	int rc;

	chain->readable = chain->writable = 0;
	if (chain->head >= q->size)
		return -EPROTO;
	rc = walk(q, chain, q->desc, q->size, chain->head, &indirect);
	return rc == 1 ? walk_indirect(q, chain, &indirect) : rc;
}

int virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	uint16_t ahead;

	if (q->broken)
		return -EPROTO;
	if (q->resumed < q->to_resume) {
		chain->head = q->heads[q->resumed++];
		return take_pieces(q, chain) ? breaks(q) : 0;
	}
	ahead = (uint16_t)(load16(q->avail, 2) - q->last_avail);
	if (!ahead)
		return -EAGAIN;
	chain->head = load16(q->avail, RING + 2u * (q->last_avail & (q->size - 1u)));
	if (ahead > q->size || take_pieces(q, chain))
		return breaks(q);
	if (q->inflight && inflight_take(q->inflight, chain->head, q->counter++))
		return breaks(q);
	q->last_avail++;
	return 0;
}

void virtq_fill(struct virtq *q, uint16_t head, uint32_t written)
{
	size_t at = RING + 8u * ((uint16_t)(q->used_idx + q->filled) & (q->size - 1u));
	const struct virtq_used_elem e = { head, written };

	memcpy((uint8_t *)q->used + at, &e, sizeof(e));
	q->filled++;
	if (q->inflight)
		inflight_fill(q->inflight, head);
}

void virtq_publish(struct virtq *q)
{
	q->memory->written(q->memory->ctx, q->used_addr, RING + 8ull * q->size + 2);
	q->used_idx = (uint16_t)(q->used_idx + q->filled);
	store16(q->used, 2, q->used_idx);
	if (q->inflight)
		inflight_published(q->inflight, q->size, q->filled, q->used_idx);
	q->filled = 0;
}

void virtq_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written)
{
	virtq_fill(q, chain->head, written);
	virtq_publish(q);
}

void virtq_put_back(struct virtq *q, uint16_t count)
{
	q->last_avail = (uint16_t)(q->last_avail - count);
	q->filled = 0;
}

/* 2.7.7, 2.7.10: with EVENT_IDX, only when the index passes the one that the driver has named. */
bool virtq_wants_call(struct virtq *q)
{
	uint16_t old = q->signalled, event;

	if (q->broken || old == q->used_idx)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->signalled = q->used_idx;
	if (!q->event_idx)
		return !(load16(q->avail, 0) & NO_INTERRUPT);
	event = load16(q->avail, RING + 2u * q->size);
	return (uint16_t)(q->used_idx - event - 1) < (uint16_t)(q->used_idx - old);
}

bool virtq_sleep(struct virtq *q)
{
	return virtq_sleep_beyond(q, 0);
}

bool virtq_sleep_beyond(struct virtq *q, uint16_t count)
{
	const uint16_t seen = (uint16_t)(q->last_avail + count);

	if (q->broken)
		return true;
	if (q->event_idx)
		store16(q->used, RING + 8u * q->size, seen);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load16(q->avail, 2) == seen;
}

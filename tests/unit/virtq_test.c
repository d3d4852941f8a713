/* SPDX-License-Identifier: MIT */
/* A split virtqueue with a driver of any temper (virtio 1.2, 2.7): every chain is served whole or breaks the queue. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtq.h"

enum { SIZE = 8, RAM = 0x10000, DESC = 0x1000, AVAIL = 0x2000, USED = 0x3000, DATA = 0x4000, TABLE = 0x8000 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static _Alignas(4096) uint8_t ram[RAM];
static struct virtq q;
static struct virtq_chain chain;
static uint64_t written_at, written_bytes;

static void *at(void *ctx, uint64_t addr, uint64_t len)
{
	return len <= RAM && addr <= RAM - len ? ram + addr : NULL;
}

static void written(void *ctx, uint64_t addr, uint64_t len)
{
	written_at = addr;
	written_bytes = len;
}

static const struct virtq_memory memory = { at, written, NULL };

static struct desc *desc(unsigned n)
{
	return (struct desc *)(ram + DESC) + n;
}

static uint16_t *word(unsigned base, unsigned n)
{
	return (uint16_t *)(ram + base) + n;
}

static void setup(void)
{
	memset(ram, 0, sizeof(ram));
	q = (struct virtq){ .indirect = true };
	cr_assert_eq(virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED), 0);
}

TestSuite(virtq, .init = setup);

static void offer(uint16_t head)
{
	*word(AVAIL, 2 + *word(AVAIL, 1) % SIZE) = head;
	++*word(AVAIL, 1);
}

static int pop_one(void)
{
	offer(0);
	return virtq_pop(&q, &chain);
}

Test(virtq, a_chain)
{
	*desc(0) = (struct desc){ DATA, 16, NEXT, 3 };
	*desc(3) = (struct desc){ DATA + 0x100, 512, NEXT | WRITE, 2 };
	*desc(2) = (struct desc){ DATA + 0x400, 1, WRITE, 7 };
	cr_assert_eq(virtq_pop(&q, &chain), -EAGAIN);
	cr_assert_eq(pop_one(), 0);
	cr_expect_eq(chain.readable, 1);
	cr_expect_eq(chain.writable, 2);
	cr_expect_eq(chain.pieces[1].at, ram + DATA + 0x100);
	cr_expect_eq(chain.pieces[2].len, 1);
	virtq_push(&q, &chain, 513);
	cr_expect_eq(*word(USED, 1), 1, "idx");
	cr_expect_eq(*(uint32_t *)(ram + USED + 4), 0, "id");
	cr_expect_eq(*(uint32_t *)(ram + USED + 8), 513, "len");
	cr_expect(written_at == USED && written_bytes, "whoever runs code there hears of it");
	cr_expect(virtq_wants_call(&q));
	cr_expect_not(virtq_wants_call(&q), "once");
}

/* 2.7.5.3 */
Test(virtq, indirect)
{
	struct desc *table = (struct desc *)(ram + TABLE);

	table[0] = (struct desc){ DATA, 16, NEXT, 1 };
	table[1] = (struct desc){ DATA + 64, 1, WRITE, 0 };
	*desc(0) = (struct desc){ TABLE, 32, INDIRECT, 0 };
	cr_assert_eq(pop_one(), 0);
	cr_expect_eq(chain.readable, 1);
	cr_expect_eq(chain.writable, 1);
}

/* The device goes on where the used ring says that it was: what it had begun and not told is done again. */
Test(virtq, another_takes_over)
{
	struct virtq again = { .indirect = true };

	*desc(0) = (struct desc){ DATA, 16, WRITE, 0 };
	*desc(1) = (struct desc){ DATA, 32, WRITE, 0 };
	offer(0);
	offer(1);
	cr_assert_eq(virtq_pop(&q, &chain), 0);
	virtq_push(&q, &chain, 0);
	cr_assert_eq(virtq_pop(&q, &chain), 0, "and it dies over it");
	cr_assert_eq(virtq_start(&again, &memory, SIZE, DESC, AVAIL, USED), 0);
	cr_assert_eq(virtq_pop(&again, &chain), 0);
	cr_expect_eq(chain.head, 1);
	cr_expect_eq(virtq_pop(&again, &chain), -EAGAIN);
}

/* vhost-user, "Inflight I/O tracking": memory that outlives the device. */
static _Alignas(64) uint8_t record[16 + 16 * SIZE];
static struct inflight_region *const kept = (struct inflight_region *)record;

static void take_over(struct virtq *by)
{
	*by = (struct virtq){ .indirect = true, .inflight = kept };
	cr_assert_eq(virtq_start(by, &memory, SIZE, DESC, AVAIL, USED), 0);
}

static void offer_three(void)
{
	memset(record, 0, sizeof(record));
	take_over(&q);
	for (uint16_t n = 0; n < 3; n++) {
		*desc(n) = (struct desc){ DATA, 16, WRITE, 0 };
		offer(n);
	}
}

static void expect_next(struct virtq *by, unsigned head)
{
	cr_assert_eq(virtq_pop(by, &chain), 0, "%u comes", head);
	cr_expect_eq(chain.head, head, "%u instead of %u", chain.head, head);
}

/* "Resubmit inflight entries in order of their counter value": what was used out of order does not come again, the rest does, once. */
Test(virtq, another_takes_over_what_was_out_of_order)
{
	struct virtq again;

	offer_three();
	for (uint16_t n = 0; n < 3; n++)
		expect_next(&q, n);
	chain.head = 1;
	virtq_push(&q, &chain, 0);
	take_over(&again);
	expect_next(&again, 0);
	expect_next(&again, 2);
	cr_expect_eq(virtq_pop(&again, &chain), -EAGAIN);
	offer(1);
	expect_next(&again, 1);
	virtq_push(&again, &chain, 0);
	cr_expect_eq(*word(USED, 1), 2);
	cr_expect_eq(*word(USED, 6), 1, "the second used element");
}

/* "If the value of used_idx does not match the idx value of used ring": it died behind the one and before the other. */
Test(virtq, died_between_ring_and_record)
{
	struct virtq again;

	offer_three();
	for (uint16_t n = 0; n < 3; n++)
		expect_next(&q, n);
	virtq_fill(&q, 2, 0);
	virtq_fill(&q, 0, 0);
	*word(USED, 1) = 2;
	take_over(&again);
	expect_next(&again, 1);
	cr_expect_eq(virtq_pop(&again, &chain), -EAGAIN);
	cr_expect_eq(kept->used_idx, 2);
}

/* It died before the ring: nobody was told, and all of it comes again, in its first order. */
Test(virtq, died_before_the_ring)
{
	struct virtq again;

	offer_three();
	for (uint16_t n = 0; n < 3; n++)
		expect_next(&q, n);
	virtq_fill(&q, 2, 0);
	take_over(&again);
	for (uint16_t n = 0; n < 3; n++)
		expect_next(&again, n);
	cr_expect_eq(virtq_pop(&again, &chain), -EAGAIN);
}

/* Whatever is under way, is used and dies in whatever order: the guest sees each of its buffers once. */
Test(virtq, any_order_and_any_death)
{
	bool out[SIZE] = { false }, held[SIZE] = { false };
	uint16_t seen = 0;

	offer_three();
	for (uint16_t n = 0; n < SIZE; n++)
		*desc(n) = (struct desc){ DATA, 16, WRITE, 0 };
	out[0] = out[1] = out[2] = true;
	srand(1);
	for (unsigned step = 0; step < 20000; step++) {
		uint16_t n = (uint16_t)(rand() % SIZE);

		if (rand() % 16 == 0) {
			take_over(&q);
			memset(held, 0, sizeof(held));
		} else if (!out[n]) {
			offer(n);
			out[n] = true;
		} else if (held[n]) {
			virtq_fill(&q, n, 0);
			if (rand() % 8)
				virtq_publish(&q);
			else if (rand() % 2)
				*word(USED, 1) = (uint16_t)(q.used_idx + 1);
			if (*word(USED, 1) == q.used_idx && q.filled == 0)
				held[n] = false;
			else
				take_over(&q), memset(held, 0, sizeof(held));
		} else if (virtq_pop(&q, &chain) == 0) {
			cr_assert(out[chain.head] && !held[chain.head], "%u comes when it is the device's", chain.head);
			held[chain.head] = true;
		}
		for (; seen != *word(USED, 1); seen++) {
			uint16_t head = *word(USED, 2 + 4 * (seen % SIZE));

			cr_assert(out[head], "%u is used once", head);
			out[head] = false;
		}
	}
	cr_expect_gt(seen, 1000);
}

/* A record of another queue, or of nobody: the device does not touch the queue. */
Test(virtq, hostile_records)
{
	offer_three();
	expect_next(&q, 0);
	q.inflight = kept;
	kept->used_idx = 100;
	cr_expect_eq(virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED), -EINVAL, "a batch that is longer than the queue");
	kept->used_idx = (uint16_t)-2;
	kept->last_batch_head = SIZE;
	cr_expect_eq(virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED), -EINVAL, "a head that there is not");
	kept->used_idx = 0;
	kept->desc_num = SIZE + 1;
	cr_expect_eq(virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED), -EINVAL, "of a queue of another size");
	kept->desc_num = SIZE;
	kept->version = 2;
	cr_expect_eq(virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED), -EINVAL, "of another version");
	kept->version = 1;
	cr_assert_eq(virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED), 0);
	expect_next(&q, 0);
	offer(0);
	expect_next(&q, 1);
	expect_next(&q, 2);
	cr_expect_eq(virtq_pop(&q, &chain), -EPROTO, "the driver offers what is the device's already");
}

static void breaks(const char *what)
{
	cr_expect_eq(pop_one(), -EPROTO, "%s", what);
	cr_expect_eq(virtq_pop(&q, &chain), -EPROTO, "%s: and stays broken", what);
	cr_expect_not(virtq_wants_call(&q));
	setup();
}

Test(virtq, hostile_chains)
{
	struct desc *table = (struct desc *)(ram + TABLE);

	*desc(0) = (struct desc){ DATA, 16, NEXT, 0 };
	breaks("a loop of one");
	*desc(0) = (struct desc){ DATA, 16, NEXT, 1 };
	*desc(1) = (struct desc){ DATA, 16, NEXT, 0 };
	breaks("a loop of two");
	*desc(0) = (struct desc){ DATA, 16, NEXT, SIZE };
	breaks("next beyond the table");
	*desc(0) = (struct desc){ DATA, 0, WRITE, 0 };
	breaks("nothing");
	*desc(0) = (struct desc){ DATA, UINT32_MAX, WRITE, 0 };
	breaks("longer than memory");
	*desc(0) = (struct desc){ UINT64_MAX - 4, 16, WRITE, 0 };
	breaks("around the end of the address space");
	*desc(0) = (struct desc){ RAM, 1, WRITE, 0 };
	breaks("outside");
	*desc(0) = (struct desc){ DATA, 16, WRITE | NEXT, 1 };
	*desc(1) = (struct desc){ DATA, 16, 0, 0 };
	breaks("2.7.4.2: readable behind writable");
	table[0] = (struct desc){ TABLE, 16, INDIRECT, 0 };
	*desc(0) = (struct desc){ TABLE, 16, INDIRECT, 0 };
	breaks("a table in a table");
	table[0] = (struct desc){ DATA, 16, NEXT, 1 };
	*desc(0) = (struct desc){ TABLE, 16, INDIRECT, 0 };
	breaks("next beyond a table");
	*desc(0) = (struct desc){ TABLE, 24, INDIRECT, 0 };
	breaks("half a descriptor");
	*desc(0) = (struct desc){ TABLE, 16 * (SIZE + 1), INDIRECT, 0 };
	breaks("a table longer than the queue");
	*desc(0) = (struct desc){ TABLE, 16, INDIRECT | NEXT, 1 };
	breaks("2.7.5.3.1: a table and a next one");
	*desc(0) = (struct desc){ TABLE + 4, 16, INDIRECT, 0 };
	breaks("a table that is not aligned");
}

Test(virtq, indirect_needs_its_feature)
{
	q.indirect = false;
	*(struct desc *)(ram + TABLE) = (struct desc){ DATA, 16, WRITE, 0 };
	*desc(0) = (struct desc){ TABLE, 16, INDIRECT, 0 };
	cr_expect_eq(pop_one(), -EPROTO);
}

Test(virtq, hostile_rings)
{
	*desc(0) = (struct desc){ DATA, 16, WRITE, 0 };
	*word(AVAIL, 1) = SIZE + 1;
	cr_expect_eq(virtq_pop(&q, &chain), -EPROTO, "more than the ring holds");
	setup();
	*word(AVAIL, 2) = SIZE;
	*word(AVAIL, 1) = 1;
	cr_expect_eq(virtq_pop(&q, &chain), -EPROTO, "no such descriptor");
	setup();
	*word(AVAIL, 1) = UINT16_MAX;
	cr_expect_eq(virtq_pop(&q, &chain), -EPROTO, "back");
}

Test(virtq, places_that_cannot_be)
{
	cr_expect_eq(virtq_start(&q, &memory, 0, DESC, AVAIL, USED), -EINVAL);
	cr_expect_eq(virtq_start(&q, &memory, 3, DESC, AVAIL, USED), -EINVAL, "no power of two");
	cr_expect_eq(virtq_start(&q, &memory, 2 * VIRTQ_SIZE_MAX, DESC, AVAIL, USED), -EINVAL);
	cr_expect_eq(virtq_start(&q, &memory, SIZE, RAM - 16, AVAIL, USED), -EINVAL);
	cr_expect_eq(virtq_start(&q, &memory, SIZE, DESC + 8, AVAIL, USED), -EINVAL);
	cr_expect_eq(virtq_start(&q, &memory, SIZE, DESC, AVAIL + 1, USED), -EINVAL);
	cr_expect_eq(virtq_start(&q, &memory, SIZE, DESC, AVAIL, UINT64_MAX), -EINVAL);
	cr_expect_eq(virtq_pop(&q, &chain), -EPROTO);
}

/* 2.7.7.2, 2.7.10.1: used_event stands behind the available ring, avail_event behind the used ring. */
Test(virtq, event_indices)
{
	q.event_idx = true;
	*desc(0) = (struct desc){ DATA, 16, WRITE, 0 };
	*word(AVAIL, 2 + SIZE) = 1;
	for (unsigned n = 0; n < 3; n++) {
		cr_assert_eq(pop_one(), 0);
		virtq_push(&q, &chain, 0);
		cr_expect_eq(virtq_wants_call(&q), n == 1, "%u", n);
	}
	cr_expect(virtq_sleep(&q));
	cr_expect_eq(*(uint16_t *)(ram + USED + 4 + 8 * SIZE), 3, "kick at the next one");
	offer(0);
	cr_expect_not(virtq_sleep(&q), "it is there already");
}

/* Whatever memory holds: no crash, no endless loop, no access outside. */
Test(virtq, random_memory)
{
	srand(1);
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = DESC; i < USED + 0x100; i++)
			ram[i] = (uint8_t)(rand() & (rand() % 3 ? 0x0f : 0xff));
		q.indirect = round & 1;
		if (virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED))
			continue;
		for (unsigned n = 0; n < 2 * SIZE && virtq_pop(&q, &chain) == 0; n++) {
			cr_assert_leq(chain.readable + chain.writable, SIZE);
			for (unsigned i = 0; i < chain.readable + chain.writable; i++)
				cr_assert(chain.pieces[i].at >= ram && chain.pieces[i].at + chain.pieces[i].len <= ram + RAM);
			virtq_push(&q, &chain, 1);
		}
	}
}

/* SPDX-License-Identifier: MIT */
/* Requests that are under way at the same time (devices/blk_pool.h): when the guest hears of which (virtio 1.2, 2.7.8). */
#include <criterion/criterion.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "devices/blk.h"

/* The host takes as long as the test wants. */
static sem_t begun, may_end[16];

static void slow_work(int fd, struct blk_job *job)
{
	sem_post(&begun);
	sem_wait(&may_end[job->sector]);
	blk_work(fd, job);
}

#define blk_work slow_work
#include "devices/blk_pool.c"
#undef blk_work

enum { DESC = 0, AVAIL = 0x400, USED = 0x800, DATA = 0x1000, QUEUE = 16, SECTORS = 64, RAM = 0x8000 };

static _Alignas(16) uint8_t ram[RAM];
static struct blk disk;
static struct vhost_back back;
static struct blk_pool pool;
static struct event_base *base;
static int call_fd;

static void *at(void *ctx, uint64_t addr, uint64_t len)
{
	(void)ctx;
	return addr <= RAM && len <= RAM - addr ? ram + addr : NULL;
}

static void written(void *ctx, uint64_t addr, uint64_t len)
{
	(void)ctx;
	(void)addr;
	(void)len;
}

static int kicked(void *ctx, struct vhost_queue *q)
{
	return blk_pool_kicked(ctx, q);
}

static void halted(void *ctx, struct vhost_queue *q)
{
	blk_pool_halted(ctx, q);
}

static const struct vhost_device device = { .queues = 1, .kicked = kicked, .halted = halted, .ctx = &pool };

static void setup(void)
{
	const struct virtq_memory memory = { at, written, NULL };
	struct vhost_queue *q = &back.queues[0];

	sem_init(&begun, 0, 0);
	for (unsigned i = 0; i < 16; i++)
		sem_init(&may_end[i], 0, 0);
	disk = (struct blk){ .fd = memfd_create("disk", 0), .sectors = SECTORS };
	cr_assert_eq(ftruncate(disk.fd, SECTORS * BLK_SECTOR), 0);
	base = event_base_new();
	vhost_back_init(&back, &device, base, &memory);
	cr_assert_eq(blk_pool_init(&pool, &disk, &back), 0);
	call_fd = eventfd(0, EFD_NONBLOCK);
	*q = (struct vhost_queue){ .back = &back,
				   .size = QUEUE,
				   .desc = DESC,
				   .avail = AVAIL,
				   .used = USED,
				   .has_addr = true,
				   .kick_fd = eventfd(0, EFD_NONBLOCK),
				   .call_fd = call_fd,
				   .err_fd = -1 };
	vhost_queue_start(q);
	cr_assert(q->started);
}

TestSuite(blk_pool, .init = setup, .timeout = 20);

static void put(uint32_t where, uint64_t value, unsigned bytes)
{
	memcpy(ram + where, &value, bytes);
}

static uint16_t word(uint32_t where)
{
	uint16_t value;

	memcpy(&value, ram + where, 2);
	return value;
}

static void put_desc(unsigned n, uint64_t addr, uint32_t len, uint16_t flags)
{
	put(DESC + 16 * n, addr, 8);
	put(DESC + 16 * n + 8, len, 4);
	put(DESC + 16 * n + 12, flags, 2);
	put(DESC + 16 * n + 14, n + 1, 2);
}

/* Request n is the chain that begins at descriptor 3n: header, a sector, status. */
static uint32_t header_of(unsigned n)
{
	return DATA + 0x400 * n;
}

static void submit(unsigned n, uint32_t type, uint64_t sector)
{
	const uint32_t header = header_of(n);

	put(header, type, 4);
	put(header + 8, sector, 8);
	ram[header + 0x300] = 0x77;
	put_desc(3 * n, header, 16, 1);
	put_desc(3 * n + 1, header + 0x80, BLK_SECTOR, type == BLK_IN ? 3 : 1);
	put_desc(3 * n + 2, header + 0x300, 1, 2);
	put(AVAIL + 4 + 2 * word(AVAIL + 2) % QUEUE, 3 * n, 2);
	put(AVAIL + 2, word(AVAIL + 2) + 1u, 2);
}

static void loop_once(void)
{
	event_base_loop(base, EVLOOP_ONCE);
}

static void wait_begun(unsigned count)
{
	while (count--)
		sem_wait(&begun);
}

/* All are under way before one of them is over, and the guest hears of them in the order of its own. */
Test(blk_pool, several_at_a_time)
{
	for (unsigned n = 0; n < 3; n++)
		submit(n, BLK_OUT, n);
	loop_once();
	wait_begun(3);
	cr_expect_eq(word(USED + 2), 0);
	sem_post(&may_end[1]);
	loop_once();
	cr_expect_eq(word(USED + 2), 0, "the second one is over before the first");
	cr_expect_eq(ram[header_of(1) + 0x300], 0x77, "nor does its status say so");
	sem_post(&may_end[0]);
	loop_once();
	cr_expect_eq(word(USED + 2), 2);
	cr_expect_eq(word(USED + 4), 0);
	cr_expect_eq(word(USED + 12), 3);
	cr_expect_eq(ram[header_of(0) + 0x300] | ram[header_of(1) + 0x300], BLK_OK);
	sem_post(&may_end[2]);
	loop_once();
	cr_expect_eq(word(USED + 2), 3);
}

/* Where the front-end keeps a record of what is under way, each is told as soon as it is over. */
Test(blk_pool, in_any_order_with_a_record)
{
	static _Alignas(64) uint8_t record[16 + 16 * QUEUE];

	back.queues[0].ring.inflight = (struct inflight_region *)record;
	cr_assert_eq(virtq_start(&back.queues[0].ring, &back.memory, QUEUE, DESC, AVAIL, USED), 0);
	for (unsigned n = 0; n < 3; n++)
		submit(n, BLK_OUT, n);
	loop_once();
	wait_begun(3);
	for (unsigned n = 3; n--;) {
		sem_post(&may_end[n]);
		loop_once();
		cr_expect_eq(word(USED + 2), 3 - n);
		cr_expect_eq(word(USED + 4 + 8 * (2 - n)), 3 * n, "request %u", n);
	}
}

/* One that waits does not hold up what the loop does for others: GET_ID needs no disk, and is told when its turn comes. */
Test(blk_pool, the_loop_goes_on)
{
	submit(0, BLK_OUT, 0);
	submit(1, BLK_GET_ID, 0);
	loop_once();
	wait_begun(1);
	cr_expect_eq(word(USED + 2), 0);
	cr_expect_gt(blk_pool_waits_ns(&pool), 0);
	sem_post(&may_end[0]);
	loop_once();
	cr_expect_eq(word(USED + 2), 2);
	cr_expect_eq(blk_pool_waits_ns(&pool), 0);
}

/* After a queue is halted nobody has its memory before him: what was under way is over, and told. */
Test(blk_pool, halted_when_all_is_over)
{
	submit(0, BLK_OUT, 0);
	submit(1, BLK_OUT, 1);
	loop_once();
	wait_begun(2);
	sem_post(&may_end[1]);
	sem_post(&may_end[0]);
	vhost_queue_stop(&back.queues[0]);
	cr_expect_eq(word(USED + 2), 2);
	cr_expect_eq(blk_pool_waits_ns(&pool), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* A driver that breaks its queue while a request is under way: that goes to its end, and its memory is not touched afterwards. */
Test(blk_pool, broken_meanwhile)
{
	submit(0, BLK_OUT, 0);
	loop_once();
	wait_begun(1);
	put_desc(3, 1ull << 40, 16, 0);
	put(AVAIL + 4 + 2, 3, 2);
	put(AVAIL + 2, 2, 2);
	vhost_queue_wake(&back.queues[0]);
	loop_once();
	cr_expect(back.queues[0].ring.broken);
	sem_post(&may_end[0]);
	loop_once();
	cr_expect_eq(word(USED + 2), 0);
	cr_expect_eq(ram[header_of(0) + 0x300], 0x77);
	cr_expect_eq(blk_pool_waits_ns(&pool), 0, "and it is free again");
}

/* More than there is room for: the rest is taken when some are over. */
Test(blk_pool, more_than_fit)
{
	for (unsigned n = 0; n < 5; n++)
		submit(n, BLK_OUT, n);
	for (unsigned n = 3; n < BLK_TASKS; n++)
		pool.tasks[n].queue = &back.queues[1]; /* of another queue, which is slower still */
	loop_once();
	wait_begun(3);
	for (unsigned n = 0; n < 5; n++)
		sem_post(&may_end[n]);
	while (word(USED + 2) < 5)
		loop_once();
	for (unsigned n = 0; n < 5; n++)
		cr_expect_eq(word(USED + 4 + 8 * n), 3 * n, "used element %u", n);
}

/* SPDX-License-Identifier: MIT */
/* A virtio entropy device (virtio 1.2, 5.4). */
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "devices/rng.h"

static uint64_t told;

static void written(void *ctx, uint64_t addr, uint64_t len)
{
	told += len;
}

static const struct virtq_memory memory = { NULL, written, NULL };
static uint8_t room[2 * RNG_AT_ONCE];
static struct virtq_chain chain;
static struct rng rng;

static int64_t fill(unsigned readable, unsigned writable, uint32_t bytes)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], "0123456789", 10), 10);
	close(fds[1]);
	rng_init(&rng, fds[0], NULL, NULL);
	told = 0;
	chain.readable = readable;
	chain.writable = writable;
	for (unsigned i = 0; i < readable + writable; i++)
		chain.pieces[i] = (struct virtq_piece){ room + bytes * i, 0, bytes };
	return rng_fill(&rng, &memory, &chain);
}

/* 5.4.6.1, 5.4.6.2: the driver's buffers are for the device to write; it may use less of one than there is. */
Test(rng, fills)
{
	cr_expect_eq(fill(0, 1, 6), 6);
	cr_expect_eq(told, 6);
	cr_expect_eq(fill(0, 3, 4), 10, "what there was");
	cr_expect_arr_eq(room, "0123456789", 10);
	cr_expect_eq(fill(1, 1, 4), -EPROTO);
	cr_expect_eq(fill(0, 0, 4), -EPROTO);
	cr_expect_leq(fill(0, 2, RNG_AT_ONCE), RNG_AT_ONCE);
}

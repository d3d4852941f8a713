/* SPDX-License-Identifier: MIT */
/*
 * Flash with Intel's command set: 28F640J3 data sheet, "Command definitions" and "Status register definition". That clearing the status
 * takes the ready bit, too, is what OVMF's driver knows flash by (EDK2, OvmfPkg/QemuFlashFvbServicesRuntimeDxe/QemuFlash.c).
 */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/chips/pflash.h"

enum { SIZE = 4 * PFLASH_BLOCK };
static uint8_t content[SIZE];
static struct pflash f;

static void init(void)
{
	memset(content, 0xff, sizeof(content));
	pflash_reset(&f);
}

TestSuite(pflash, .init = init);

static struct pflash_change put(uint32_t at, uint8_t value)
{
	return pflash_write(&f, content, SIZE, at, value);
}

static uint8_t get(uint32_t at)
{
	return pflash_read(&f, content, at);
}

Test(pflash, programming_takes_ones_away)
{
	struct pflash_change c;

	for (unsigned i = 0; i < 2; i++) { /* 40h and 10h are the same */
		cr_assert_eq(put(5, i ? 0x10 : 0x40).bytes, 0);
		c = put(5, i ? 0x3c : 0xf0);
		cr_assert(c.at == 5 && c.bytes == 1);
		cr_assert_eq(get(5), PFLASH_READY, "reads are of the status");
	}
	put(5, 0xff);
	cr_assert_eq(get(5), 0x30);
	cr_assert_eq(get(6), 0xff);
}

Test(pflash, a_block_is_erased)
{
	struct pflash_change c;

	memset(content, 0, sizeof(content));
	put(PFLASH_BLOCK + 7, 0x20);
	c = put(PFLASH_BLOCK + 7, 0xd0);
	cr_assert(c.at == PFLASH_BLOCK && c.bytes == PFLASH_BLOCK);
	put(0, 0xff);
	cr_assert_eq(get(PFLASH_BLOCK - 1), 0);
	cr_assert_eq(get(PFLASH_BLOCK), 0xff);
	cr_assert_eq(get(2 * PFLASH_BLOCK - 1), 0xff);
	cr_assert_eq(get(2 * PFLASH_BLOCK), 0);
}

/* "Status register definition": SR.4 and SR.5 together are a wrong sequence of commands. */
Test(pflash, what_is_not_confirmed_is_not_done)
{
	memset(content, 0, sizeof(content));
	put(0, 0x20);
	cr_assert_eq(put(0, 0xff).bytes, 0);
	cr_assert_eq(get(0), 0xb0);
	cr_assert_eq(content[0], 0);
	put(0, 0x50);
	put(0, 0x70);
	cr_assert_eq(get(0), 0);
}

Test(pflash, how_ovmf_knows_flash)
{
	content[0] = 0x12;
	put(0, 0x50);
	cr_assert_eq(get(0), 0x12, "what was written does not come back: no RAM");
	put(0, 0x70);
	cr_assert_eq(get(0), 0x00, "and no ROM: the cleared status");
	put(0, 0xff);
	cr_assert_eq(get(0), 0x12);
}

Test(pflash, buffer)
{
	struct pflash_change c = { 0, 0 };

	put(100, 0xe8);
	cr_assert_eq(get(100), PFLASH_READY, "a buffer is there");
	put(100, 3);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(put(100 + i, (uint8_t)i).bytes, 0);
	cr_assert_eq(content[100], 0xff, "not before it is confirmed");
	c = put(100, 0xd0);
	cr_assert(c.at == 100 && c.bytes == 4);
	put(0, 0xff);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(get(100 + i), i);
}

Test(pflash, buffer_at_the_end_or_elsewhere)
{
	const struct {
		uint32_t first, second;
	} cases[] = { { SIZE - 2, SIZE - 1 }, { 200, 199 }, { 200, 204 } };

	for (unsigned i = 0; i < 3; i++) {
		pflash_reset(&f);
		put(0, 0xe8);
		put(0, 3);
		put(cases[i].first, 0);
		put(cases[i].second, 0x70); /* a datum that is refused, or reads the status */
		cr_assert_eq(get(0), 0xb0, "case %u", i);
		cr_assert_eq(content[cases[i].first], 0xff);
	}
}

Test(pflash, identity)
{
	put(0, 0x90);
	cr_assert_eq(get(0), 0x89, "Intel");
	cr_assert_eq(get(1), 0x18);
	put(0, 0xff);
	cr_assert(pflash_reads_array(&f));
}

Test(pflash, failure_and_reset)
{
	put(0, 0x40);
	put(0, 0);
	pflash_failed(&f);
	cr_assert_eq(get(0), PFLASH_READY | PFLASH_PROGRAM_FAILED);
	pflash_reset(&f);
	cr_assert_eq(get(0), 0, "a reset leaves what it holds");
}

/* Whatever is written, no access leaves the content, and the state is one that it could be in. */
Test(pflash, anything)
{
	uint32_t seed = 1;

	for (unsigned i = 0; i < 200000; i++) {
		static const uint8_t commands[] = { 0x10, 0x20, 0x40, 0x50, 0x70, 0x90, 0xd0, 0xe8, 0xff, 0, 3 };
		struct pflash_change c;

		seed = seed * 1664525 + 1013904223;
		c = put((seed >> 8) % SIZE, commands[(seed >> 4) % sizeof(commands)]);
		cr_assert(c.at <= SIZE && c.bytes <= SIZE - c.at);
		cr_assert(pflash_is_possible(&f));
	}
}

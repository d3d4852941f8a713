/* SPDX-License-Identifier: MIT */
/*
 * Flat images: bytes with no header, for small guests. They have no magic, so they are never guessed: only
 * `--format flat16` and `--format flat64` load one.
 */
#include "loader.h"

#include "../proto/layout.h"

#include <errno.h>
#include <string.h>

enum {
	FLAT16_MAX = 0xa0000,  /* conventional memory */
	FLAT16_SMALL = 0xf000, /* leaves room for a stack in the image's own segment */
	FLAT64_BASE = 0x1000,
	FLAT64_MAX = BOOT_SCRATCH - 0x4000 - FLAT64_BASE, /* 16 KiB of stack below the loader's tables */
};

static int check_size(struct loader *l, size_t max)
{
	const struct boot_image *k = &l->rq->kernel;

	if (k->size > max)
		return boot_fail(l, -ENOMEM, "%s: a flat image of %zu bytes; this format takes at most %zu", k->name, k->size,
				 max);
	if (l->rq->initrd[0].size != 0)
		return boot_fail(l, -EINVAL, "%s: a flat image cannot be given an initrd: leave it out", l->rq->initrd[0].name);
	return 0;
}

/*
 * At 0, entered at 0000:0000. There is no BIOS and no interrupt vector table: the image is what lies there.
 * The stack is in segment 0 like everything else, unless the image fills that segment.
 */
int boot_load_flat16(struct loader *l)
{
	const struct boot_image *k = &l->rq->kernel;
	int err = check_size(l, FLAT16_MAX);

	if (err == 0)
		err = boot_put(l, 0, k->data, k->size);
	if (err != 0)
		return err;
	if (k->size <= FLAT16_SMALL)
		return boot_enter_real(l, 0, 0xfff0);
	return boot_enter_real(l, 0x9000, 0xfff0);
}

/* At 0x1000 in long mode, all memory up to 24 GiB mapped to itself, stack below 0x80000, RSI = command line.
 */
int boot_load_flat64(struct loader *l)
{
	const struct boot_image *k = &l->rq->kernel;
	int err = check_size(l, FLAT64_MAX);

	if (err == 0)
		err = boot_put(l, FLAT64_BASE, k->data, k->size);
	if (err == 0)
		err = boot_put_cmdline(l, SIZE_MAX);
	if (err == 0)
		err = boot_enter_long64(l, FLAT64_BASE, LAYOUT_RAM_HIGH_BASE + l->rq->ram.high_size);
	if (err != 0)
		return err;
	l->rs->cpu.gpr[RSI] = BOOT_CMDLINE;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The index and data port of a CRT controller; of its registers a program uses 0Eh and 0Fh, the cursor's place (VGA). */
#include <criterion/criterion.h>

#include "devices/chips/crtc.h"

static struct crtc c;

static uint8_t get(uint8_t index)
{
	crtc_write(&c, 0, index);
	return crtc_read(&c, 1);
}

static void set(uint8_t index, uint8_t value)
{
	crtc_write(&c, 0, index);
	crtc_write(&c, 1, value);
}

/* What panicked over all-ones: a cursor position beyond 80 x 25. */
Test(crtc, cursor)
{
	crtc_reset(&c, false);
	cr_assert_eq(get(0x0e) << 8 | get(0x0f), 0);
	set(0x0e, 0x07);
	set(0x0f, 0xcf);
	cr_assert_eq(get(0x0e) << 8 | get(0x0f), 80 * 25 - 1);
	cr_assert_eq(crtc_read(&c, 0), 0x0f, "the index can be read");
}

Test(crtc, indices)
{
	crtc_reset(&c, false);
	for (unsigned i = 0; i < 256; i++)
		set((uint8_t)i, (uint8_t)i);
	for (unsigned i = 0; i < 0x20; i++)
		cr_assert_eq(get((uint8_t)i), i < 0x19 ? 0xe0 + i : 0, "register %x", i);
	cr_assert_null(crtc_check(&c));
}

Test(crtc, absent)
{
	crtc_reset(&c, true);
	set(0x0e, 7);
	cr_assert_eq(get(0x0e), 0xff);
	cr_assert_eq(crtc_read(&c, 0), 0xff);
}

Test(crtc, check)
{
	crtc_reset(&c, false);
	c.index = 0x20;
	cr_assert_not_null(crtc_check(&c));
	crtc_reset(&c, false);
	c.absent = 2;
	cr_assert_not_null(crtc_check(&c));
}

/* SPDX-License-Identifier: MIT */
/* bulkhead input: words into events. Codes are linux/input-event-codes.h's; the layout is the US one. */
#include "vmm/cli/input.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 64 };
static struct screen_event seen[MOST];
static unsigned count, waited, frames;
static char error[INPUT_ERROR_MAX];

static int on_event(void *ctx, struct screen_event event)
{
	(void)ctx;
	if (count < MOST)
		seen[count] = event;
	count++;
	return 0;
}

static int on_wait(void *ctx, uint32_t ms)
{
	(void)ctx;
	waited += ms;
	return 0;
}

static int on_frames(void *ctx, uint32_t n)
{
	(void)ctx;
	frames += n;
	return 0;
}

static const struct input_sink sink = { NULL, on_event, on_wait, on_frames };

static int line(const char *text)
{
	char copy[INPUT_LINE_MAX];

	count = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	return input_line(copy, &sink, error);
}

static void expect_keys(const char *text, unsigned n, const uint16_t *codes)
{
	cr_assert_eq(line(text), 0, "%s: %s", text, error);
	cr_assert_eq(count, 2 * n, "%s", text);
	for (unsigned i = 0; i < n; i++) {
		cr_expect_eq(seen[i].type, EV_KEY);
		cr_expect(seen[i].code == codes[i] && seen[i].value == 1, "%s: %u goes down", text, i);
		cr_expect(seen[2 * n - 1 - i].code == codes[i] && seen[2 * n - 1 - i].value == 0, "%s: %u comes up", text, i);
	}
}

Test(input, keys)
{
	expect_keys("key a", 1, (const uint16_t[]){ KEY_A });
	expect_keys("key 0", 1, (const uint16_t[]){ KEY_0 });
	expect_keys("key /", 1, (const uint16_t[]){ KEY_SLASH });
	expect_keys("key f12", 1, (const uint16_t[]){ KEY_F12 });
	expect_keys("key shift+a", 2, (const uint16_t[]){ KEY_LEFTSHIFT, KEY_A });
	expect_keys("  key\tctrl+alt+delete  # three fingers", 3, (const uint16_t[]){ KEY_LEFTCTRL, KEY_LEFTALT, KEY_DELETE });
	expect_keys("key plus", 1, (const uint16_t[]){ KEY_EQUAL });
	expect_keys("click", 1, (const uint16_t[]){ BTN_LEFT });
	expect_keys("click middle", 1, (const uint16_t[]){ BTN_MIDDLE });
}

/* Every printable character is on the layout, each on a key of its own, shifted or not. */
Test(input, text)
{
	for (int c = ' '; c <= '~'; c++) {
		char text[] = { (char)c, 0 }, *words[] = { (char *)"text", text };

		count = 0;
		cr_assert_eq(input_words(words, 2, &sink, error), 0, "%c: %s", c, error);
		cr_assert(count == 2 || (count == 4 && seen[0].code == KEY_LEFTSHIFT && seen[3].code == KEY_LEFTSHIFT), "%c", c);
	}
	cr_assert_eq(line("text \"a B\""), 0);
	cr_assert_eq(count, 8);
	cr_expect_eq(seen[2].code, KEY_SPACE);
	cr_expect_eq(seen[5].code, KEY_B);
}

Test(input, mouse_and_scripts)
{
	cr_assert_eq(line("mouse 639 479"), 0);
	cr_expect(seen[0].type == EV_ABS && seen[0].code == ABS_X && seen[0].value == 639);
	cr_expect(seen[1].type == EV_ABS && seen[1].code == ABS_Y && seen[1].value == 479);
	cr_assert_eq(line("wheel -1"), 0);
	cr_expect(seen[0].type == EV_REL && seen[0].code == REL_WHEEL && seen[0].value == UINT32_MAX);
	cr_assert_eq(line("wait 2s"), 0);
	cr_assert_eq(line("frames 3"), 0);
	cr_expect(waited == 2000 && frames == 3);
	cr_assert_eq(line(""), 0);
	cr_assert_eq(line("  # nothing"), 0);
}

/* A word that is wrong is told, and no event comes of it. */
Test(input, mistakes)
{
	static const char *const bad[] = { "jump",
					   "key",
					   "key a b",
					   "key A",
					   "key nokey",
					   "key a+",
					   "key a+b+c+d+e+f+g+h+i",
					   "text \"a",
					   "text \xc3\xa4",
					   "mouse 40000 0",
					   "mouse 0 40000",
					   "move 1",
					   "move 1 40000",
					   "move x 1",
					   "mouse -1 0",
					   "mouse 1",
					   "mouse 1 2 3",
					   "mouse 1x 2",
					   "click a",
					   "click left left",
					   "wheel",
					   "wheel 99999",
					   "wait",
					   "wait soon",
					   "frames 0",
					   "press",
					   "release x y" };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error[0] = 0;
		cr_expect_eq(line(bad[i]), -EINVAL, "%s", bad[i]);
		cr_expect(error[0] && count == 0, "%s: %s", bad[i], error);
	}
}

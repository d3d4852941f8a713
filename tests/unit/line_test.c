/* SPDX-License-Identifier: MIT */
/* design.md, section 3: a line is one word, level and count of rising edges, absolute and so idempotent. */
#include <string.h>

#include "proto/line.h"
#include "proto_harness.h"

Test(line, edges_are_counted_levels_kept)
{
	uint32_t w = 0;

	w = line_set(w, true);
	cr_assert_eq(w, 2 * 1 | 1);
	w = line_set(w, true);
	cr_assert_eq(w, 3, "no edge without a fall");
	w = line_set(w, false);
	cr_assert_eq(w, 2);
	w = line_set(w, true);
	cr_assert_eq(w, 5);
	w = line_set(0xfffffffe, true);
	cr_assert_eq(w, 1, "the count wraps, the level does not suffer");
}

Test(line, owner_filter_and_idempotence)
{
	struct test_object o;
	uint32_t last[MODEL_LINES] = { 0 }, words[MODEL_LINES], out[MODEL_LINES] = { 0 };

	for (unsigned i = 0; i < MODEL_LINES; i++)
		words[i] = 100 + i;
	out[5] = 77;
	test_object_make(&o, "line", sizeof(struct line_page));
	cr_assert(line_publish(o.rw, last, words, 1u << 4 | 1u << 3));
	cr_assert_not(line_publish(o.rw, last, words, 1u << 4 | 1u << 3));
	((struct line_page *)o.rw)->words[5] = 99; /* a daemon that claims another's line */
	line_sample(o.ro, out, 1u << 4 | 1u << 3);
	cr_assert_eq(out[3], 103);
	cr_assert_eq(out[4], 104);
	cr_assert_eq(out[5], 77);
	cr_assert_eq(out[6], 0);
	test_object_free(&o);
}

/* Two devices on one line: wired-OR, and no edge of either is lost. */
Test(line, joined)
{
	struct line_page a = { 0 }, b = { 0 };
	uint32_t out[MODEL_LINES] = { 0 };

	a.words[14] = 3 * LINE_EDGE | LINE_LEVEL;
	b.words[14] = 5 * LINE_EDGE;
	b.words[3] = LINE_LEVEL;
	line_join(&a, out, 1u << 14);
	line_join(&b, out, 1u << 14);
	cr_assert_eq(out[14], 8 * LINE_EDGE | LINE_LEVEL);
	cr_assert_eq(out[3], 0, "not its own");
	memset(out, 0, sizeof(out));
	a.words[14] = 3 * LINE_EDGE;
	line_join(&a, out, 1u << 14);
	line_join(&b, out, 1u << 14);
	cr_assert_eq(out[14], 8 * LINE_EDGE, "low when both are");
	memset(out, 0, sizeof(out));
	a.words[14] = UINT32_MAX;
	line_join(&a, out, 1u << 14);
	line_join(&b, out, 1u << 14);
	cr_assert_eq(out[14], 4 * LINE_EDGE | LINE_LEVEL, "counts wrap");
}

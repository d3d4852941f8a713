/* SPDX-License-Identifier: MIT */
/* design.md, section 3: a line is one word, level and count of rising edges, absolute and so idempotent. */
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

/* SPDX-License-Identifier: MIT */
/* vmm/supervisor/trust.c: words and numbers of a child that was taken over. */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/supervisor/trust.h"

/* ECMA-48: C0 and C1 controls; C1 in UTF-8 is c2 80..9f. Letters beyond ASCII stay. */
Test(hostile_trust, no_control_character_survives)
{
	char text[] = "a\x1b[2J\x07\x7f\r\n\t\xc2\x9b" "31m \xc3\xbc\xe2\x82\xac\x9b";

	trust_text(text, false);
	cr_assert_str_eq(text, "a?[2J?????\xc2?31m \xc3\xbc\xe2\x82\xac\x9b");
	trust_text(NULL, false);
}

Test(hostile_trust, a_lone_c1_character_goes)
{
	char text[] = "x\x9b" "31m";

	trust_text(text, false);
	cr_assert_str_eq(text, "x?31m");
}

Test(hostile_trust, only_register_dumps_have_lines)
{
	char text[] = "a\nb";

	trust_text(text, true);
	cr_assert_str_eq(text, "a\nb");
	trust_text(text, false);
	cr_assert_str_eq(text, "a?b");
}

/* protobuf-c keeps unknown fields by pointer into the arena of the frame, which the next frame overwrites. */
Test(hostile_trust, kept_numbers_point_nowhere)
{
	static struct frame f;
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	Bulkhead__Stats stats = BULKHEAD__STATS__INIT;
	ProtobufCMessageUnknownField unknown = { .tag = 999 };

	stats.base.n_unknown_fields = 1;
	stats.base.unknown_fields = &unknown;
	ok.stats = &stats;
	f.header.type = BULKHEAD__MESSAGE_TYPE__MSG_OK;
	f.msg = &ok.base;
	trust_message(&f);
	cr_assert_eq(stats.base.n_unknown_fields, 0);
	cr_assert_null(stats.base.unknown_fields);
}

Test(hostile_trust, a_budget_ends_and_says_how_much_was_refused)
{
	struct budget b = { 0 };
	unsigned allowed = 0;

	for (unsigned i = 0; i < 100; i++)
		allowed += budget_allows(&b, 7, UINT64_MAX);
	cr_assert_eq(allowed, 7);
	cr_assert_eq(budget_take_refused(&b), 0, "the window is not over");
	cr_assert(budget_allows(&b, 7, 0), "a new window");
	cr_assert_eq(budget_take_refused(&b), 93);
	cr_assert_eq(budget_take_refused(&b), 0, "once");
}

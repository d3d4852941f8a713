/* SPDX-License-Identifier: MIT */
/* vmm/supervisor/trust.c: words and numbers of a child that was taken over. */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/text.h"
#include "vmm/supervisor/trust.h"

/* ECMA-48: C0 and C1 controls; C1 in UTF-8 is c2 80..9f. Letters beyond ASCII stay. */
Test(hostile_trust, no_control_character_survives)
{
	char text[] = "a\x1b[2J\x07\x7f\r\n\t\xc2\x9b" "31m \xc2\xa0\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\x9b";

	text_clean(text, false);
	cr_assert_str_eq(text, "a?[2J???????31m \xc2\xa0\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80?");
	text_clean(NULL, false);
}

/* RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF, no sequence that breaks off. */
Test(hostile_trust, what_is_not_utf_8_goes)
{
	char text[] = "x\x9b" "31m \xc0\x80 \xe0\x9f\xbf \xed\xa0\x80 \xf4\x90\x80\x80 \xf5 \xe2\x82";

	text_clean(text, false);
	cr_assert_str_eq(text, "x?31m ?? ??? ??? ???? ? ??");
}

Test(hostile_trust, only_register_dumps_have_lines)
{
	char text[] = "a\nb";

	text_clean(text, true);
	cr_assert_str_eq(text, "a\nb");
	text_clean(text, false);
	cr_assert_str_eq(text, "a?b");
}

/* What a supervisor answers is printed, by root too: in every string, however deep it lies. */
Test(hostile_trust, strings_of_nested_messages_are_cleaned)
{
	char state[] = "run\x1b[2J", words[] = "a\nb", poison[] = "\x07", *list[] = { poison };
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	Bulkhead__Status status = BULKHEAD__STATUS__INIT;
	Bulkhead__ProcessStatus row = BULKHEAD__PROCESS_STATUS__INIT, *rows[] = { &row };

	status.state = state;
	row.last_reason = words;
	row.poison = list;
	row.n_poison = 1;
	status.processes = rows;
	status.n_processes = 1;
	ok.status = &status;
	text_clean_message(&ok.base, true);
	cr_assert_str_eq(state, "run?[2J");
	cr_assert_str_eq(words, "a\nb");
	cr_assert_str_eq(poison, "?");
	text_clean_message(&ok.base, false);
	cr_assert_str_eq(words, "a?b");
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

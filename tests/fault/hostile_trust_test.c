/* SPDX-License-Identifier: MIT */
/* vmm/supervisor/trust.c: words and numbers of a child that was taken over. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/text.h"
#include "vmm/common/launch.h"
#include "vmm/supervisor/trust.h"

/* ECMA-48: C0 and C1 controls; C1 in UTF-8 is c2 80..9f. Letters beyond ASCII stay. */
Test(hostile_trust, no_control_character_survives)
{
	char text[] = "a\x1b[2J\x07\x7f\r\n\t\xc2\x9b"
		      "31m \xc2\xa0\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\x9b";

	text_clean(text, TEXT_ONE_LINE);
	cr_assert_str_eq(text, "a?[2J???????31m \xc2\xa0\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80?");
	text_clean(NULL, TEXT_ONE_LINE);
}

/* RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF, no sequence that breaks off. */
Test(hostile_trust, what_is_not_utf_8_goes)
{
	char text[] = "x\x9b"
		      "31m \xc0\x80 \xe0\x9f\xbf \xed\xa0\x80 \xf4\x90\x80\x80 \xf5 \xe2\x82";

	text_clean(text, TEXT_ONE_LINE);
	cr_assert_str_eq(text, "x?31m ?? ??? ??? ???? ? ??");
}

/* Unicode Standard Annex 9: what follows such a character is shown in another order. U+2010 and U+20AC stay. */
Test(hostile_trust, no_character_turns_others_around)
{
	char text[] = "a\xe2\x80\xae"
		      "b\xe2\x80\xa8"
		      "c\xe2\x81\xa6"
		      "d\xe2\x80\x8f \xe2\x80\x90\xe2\x82\xac";

	text_clean(text, TEXT_ONE_LINE);
	cr_assert_str_eq(text, "a???b???c???d??? \xe2\x80\x90\xe2\x82\xac");
}

/* A line of its own could be taken for one of ours, or for a priority of journald's. */
Test(hostile_trust, only_lines_of_registers_stay)
{
	char any[] = "a\nb\n", text[] = "KVM gave up\nRIP=1\nR8 =2\nbulkhead: vm1: forged\n<0>x\n=\nLONGNAMEX=\n\nCS=3\n";

	text_clean(any, TEXT_LINES);
	cr_assert_str_eq(any, "a\nb\n");
	text_clean(any, TEXT_ONE_LINE);
	cr_assert_str_eq(any, "a?b?");
	text_clean(text, TEXT_REGISTERS);
	cr_assert_str_eq(text, "KVM gave up\nRIP=1\nR8 =2?bulkhead: vm1: forged?<0>x?=?LONGNAMEX=?\nCS=3?");
}

Test(hostile_trust, zeroes_do_not_hide_what_follows)
{
	char bytes[] = "a\0\x1b[2J\n";

	text_clean_bytes(bytes, sizeof(bytes) - 1, TEXT_LINES);
	cr_assert_str_eq(bytes, "a??[2J\n");
}

/* sd_notify(3): statements are separated by line feeds; the keeper would be heard as saying the second. */
Test(hostile_trust, a_note_is_one_statement)
{
	struct keeper_note note = { .kind = NOTE_RUNNING, .text = "running\nMAINPID=1\x1b[2J" };
	int pair[2], fd;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	cr_assert_eq(note_send(pair[0], &note, -1), 0);
	cr_assert_eq(note_recv(pair[1], &note, &fd), 0);
	cr_assert_str_eq(note.text, "running?MAINPID=1?[2J");
	close(pair[0]);
	close(pair[1]);
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
	text_clean_message(&ok.base, TEXT_LINES);
	cr_assert_str_eq(state, "run?[2J");
	cr_assert_str_eq(words, "a\nb");
	cr_assert_str_eq(poison, "?");
	text_clean_message(&ok.base, TEXT_ONE_LINE);
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

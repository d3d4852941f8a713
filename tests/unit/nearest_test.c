/* SPDX-License-Identifier: MIT */
/* Distances between words, and what is near enough to be meant. */
#include "vmm/common/nearest.h"
#include "vmm/common/options.h"

#include <criterion/criterion.h>
#include <string.h>

Test(nearest, distances)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
		{ "", "", 0 },
		{ "", "abc", 3 },
		{ "memory", "memory", 0 },
		{ "memroy", "memory", 1 },
		{ "memoy", "memory", 1 },
		{ "memoryy", "memory", 1 },
		{ "mamory", "memory", 1 },
		{ "kitten", "sitting", 3 },
		{ "ca", "abc", 3 }, /* optimal string alignment: no piece is edited twice */
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(edit_distance(rows[i].a, rows[i].b), rows[i].distance, "%s %s", rows[i].a, rows[i].b);
		cr_expect_eq(edit_distance(rows[i].b, rows[i].a), rows[i].distance, "%s %s", rows[i].b, rows[i].a);
	}
}

Test(nearest, long_words_are_far_and_harmless)
{
	char a[300], b[300];

	memset(a, 'a', sizeof(a) - 1), a[sizeof(a) - 1] = 0;
	memcpy(b, a, sizeof(a)), b[0] = 'b';
	cr_expect_eq(edit_distance(a, a), 0);
	cr_expect_eq(edit_distance(a, b), NEAREST_FAR);
	cr_expect_eq(edit_distance("a", a), NEAREST_FAR);
}

static const char *among(const char *typed, const char *list)
{
	static char room[32];
	struct nearest n = { .typed = typed };

	nearest_try_list(&n, list, room, sizeof(room));
	return n.best ? n.best : "";
}

Test(nearest, the_nearest_of_a_list)
{
	cr_expect_str_eq(among("serail", "irq|timer|serial|platform"), "serial");
	cr_expect_str_eq(among("plat", "irq|timer|serial|platform"), "platform", "a beginning");
	cr_expect_str_eq(among("tiemr", "irq|timer|serial|platform"), "timer");
	cr_expect_str_eq(among("disk", "irq|timer|serial|platform"), "", "nothing is near");
	cr_expect_str_eq(among("", "irq|timer"), "");
	cr_expect_str_eq(among("x", ""), "");
}

/* Every command and option, with any one of its letters left out, is understood, unless what is left is near to another, too. */
Test(nearest, every_command_with_a_letter_missing)
{
	for (unsigned c = 0; c < COMMANDS; c++) {
		const char *name = command_rows[c].name;

		cr_expect_eq(command_find(name), (enum command)c);
		for (size_t i = 0; i < strlen(name); i++) {
			char typed[32];
			const char *found;

			memcpy(typed, name, i), strcpy(typed + i, name + i + 1);
			found = command_suggest(typed);
			cr_expect(found && edit_distance(found, typed) <= 1, "%s: %s", typed, found ? found : "nothing");
		}
	}
}

Test(nearest, words_of_others)
{
	static const struct {
		const char *theirs, *ours;
	} rows[] = { { "ls", "list" }, { "ps", "list" }, { "start", "run" }, { "shutdown", "stop" }, { "destroy", "kill" } };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *found = command_suggest(rows[i].theirs);

		cr_expect(found && !strcmp(found, rows[i].ours), "%s: %s", rows[i].theirs, found ? found : "nothing");
	}
	cr_expect(command_suggest("logs"));
	cr_expect_null(command_suggest("frobnicate"));
}

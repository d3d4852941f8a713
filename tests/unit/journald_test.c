/* SPDX-License-Identifier: MIT */
/* Entries for the journal as "Native Journal Protocol" (systemd.io/JOURNAL_NATIVE_PROTOCOL) has them: NAME=value lines, or a name, the
 * value's length as a little-endian 64-bit number, and the value. */
#include "vmm/keeper/journald.h"

#include <criterion/criterion.h>
#include <string.h>

static char out[512];

static void expect(const char *vm, const char *text, const char *fields, const char *message)
{
	size_t len = journald_entry(out, vm, text, strlen(text)), head = strlen(fields), tail = strlen(message);

	cr_assert_eq(len, head + 8 + 8 + tail + 1, "%s: %zu bytes: %.*s", text, len, (int)len, out);
	cr_expect_eq(memcmp(out, fields, head), 0, "%.*s", (int)len, out);
	cr_expect_eq(memcmp(out + head, "MESSAGE\n", 8), 0);
	cr_expect_eq((unsigned char)out[head + 8], tail);
	cr_expect_eq(memcmp(out + head + 9, "\0\0\0\0\0\0\0", 7), 0);
	cr_expect_eq(memcmp(out + head + 16, message, tail), 0);
	cr_expect_eq(out[len - 1], '\n');
}

Test(journald, fields)
{
	expect("web", "bulkhead: web: ended\n", "PRIORITY=6\nSYSLOG_IDENTIFIER=bulkhead\nVM=web\n", "bulkhead: web: ended");
	/* sd-daemon(3): the level in front of a line */
	expect("web", "<3>bulkhead: web: seriald[2]: no room\n",
	       "PRIORITY=3\nSYSLOG_IDENTIFIER=bulkhead\nVM=web\nDEVICE=seriald\n", "bulkhead: web: seriald[2]: no room");
	expect("web", "bulkhead: web: timerd died\n", "PRIORITY=6\nSYSLOG_IDENTIFIER=bulkhead\nVM=web\nDEVICE=timerd\n",
	       "bulkhead: web: timerd died");
	expect("web", "two\nlines\n", "PRIORITY=6\nSYSLOG_IDENTIFIER=bulkhead\nVM=web\n", "two\nlines");
}

Test(journald, what_only_looks_like_a_device)
{
	const char *plain = "PRIORITY=6\nSYSLOG_IDENTIFIER=bulkhead\nVM=web\n";

	expect("web", "bulkhead: web: serialdd: x", plain, "bulkhead: web: serialdd: x");
	expect("web", "bulkhead: web: seriald", plain, "bulkhead: web: seriald");
	expect("web", "bulkhead: other: seriald: x", plain, "bulkhead: other: seriald: x");
	expect("web", "bulkhead: web: seriald\nDEVICE=x", plain, "bulkhead: web: seriald\nDEVICE=x");
	expect("web", "", plain, "");
	expect("web", "<9>x", plain, "<9>x");
}

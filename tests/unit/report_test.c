/* SPDX-License-Identifier: MIT */
/* What records are made of: bytes of others as UTF-8, the last lines of a log, codes of guests. */
#include "proto/text.h"
#include "vmm/common/exit_codes.h"
#include "vmm/common/report.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void expect_utf8(const char *bytes, size_t len, const char *wanted, size_t wanted_len)
{
	char out[64];
	size_t n = text_to_utf8(bytes, len, out);

	cr_assert(n == wanted_len && !memcmp(out, wanted, n), "%.*s", (int)n, out);
}

#define BAD "\xef\xbf\xbd" /* U+FFFD */

/* RFC 3629, section 4. Control characters stay: whoever shows them, escapes them. */
Test(report, bytes_become_utf8)
{
	expect_utf8("plain\0\x1b[", 8, "plain\0\x1b[", 8);
	expect_utf8("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9);
	expect_utf8("\xff", 1, BAD, 3);
	expect_utf8("\xc0\x80", 2, BAD BAD, 6);		/* an overlong form */
	expect_utf8("\xed\xa0\x80", 3, BAD BAD BAD, 9); /* a surrogate */
}

/* A sequence that the end cuts off is none, whatever lies behind it. */
Test(report, sequence_cut_off)
{
	expect_utf8("a\xe2\x82\xac", 3, "a" BAD BAD, 7);
	expect_utf8("\xf0\x9f\x98\x80", 3, BAD BAD BAD, 9);
	expect_utf8("", 0, "", 0);
}

Test(report, log_keeps_its_end)
{
	static struct log_tail tail;
	static char out[REPORT_LOG];
	char line[32], last[32] = "";
	size_t len;

	log_tail_add(&tail, "first\n", 6);
	cr_assert_eq(log_tail_copy(&tail, out), 6);
	for (unsigned i = 0; i < REPORT_LOG; i++) {
		snprintf(line, sizeof(line), "line %u\n", i);
		log_tail_add(&tail, line, strlen(line));
		memcpy(last, line, sizeof(last));
	}
	len = log_tail_copy(&tail, out);
	cr_assert_eq(len, REPORT_LOG);
	cr_assert(!memcmp(out + len - strlen(last), last, strlen(last)));
	cr_assert(!strstr(out, "first"));
}

/* Exactly filled, and one byte more. */
Test(report, log_wraps)
{
	static struct log_tail tail;
	static char text[REPORT_LOG], out[REPORT_LOG];

	memset(text, 'a', sizeof(text));
	text[0] = 'A';
	log_tail_add(&tail, text, sizeof(text));
	cr_assert_eq(log_tail_copy(&tail, out), sizeof(text));
	cr_assert(out[0] == 'A' && out[REPORT_LOG - 1] == 'a');
	log_tail_add(&tail, "z", 1);
	cr_assert_eq(log_tail_copy(&tail, out), sizeof(text));
	cr_assert(out[0] == 'a' && out[REPORT_LOG - 1] == 'z');
}

Test(report, codes_of_guests)
{
	for (unsigned code = 0; code < 256; code++) {
		bool is_ours = code == EXIT_USAGE || (code >= EXIT_NOT_FOUND && code <= EXIT_INTERNAL);

		cr_assert_eq(exit_code_of_guest((uint8_t)code), is_ours ? EXIT_GUEST_CODE : code);
	}
}

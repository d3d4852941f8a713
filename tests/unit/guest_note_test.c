/* SPDX-License-Identifier: MIT */
/* What a guest is told of its terminal, and the archive that it comes in. */
#include "vmm/common/cpio.h"
#include "vmm/common/guest_note.h"
#include "vmm/cli/exec_filter.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int parse(const char *text, struct guest_note *note)
{
	return guest_note_parse(text, strlen(text), note);
}

Test(guest_note, there_and_back)
{
	static const char *const texts[] = { "24x80,in,out,xterm-256color", "0x0,", "50x132,out,screen.xterm", "24x80,in,vt100" };
	char text[GUEST_NOTE_MAX];
	struct guest_note note;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_assert_eq(parse(texts[i], &note), 0, "%s", texts[i]);
		guest_note_format(&note, text);
		cr_expect_str_eq(text, texts[i]);
	}
}

Test(guest_note, refuses)
{
	static const char *const texts[] = {
		"", "24x80", "x,", "24x80,a b", "24x80,in,out,a=b", "24x80,in,out,a\"", "24x80,in,out,a\n", "100000x1,"
	};
	struct guest_note note;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_expect_eq(parse(texts[i], &note), -EINVAL, "%s", texts[i]);
}

/* TERM comes from the user's environment, and goes to a kernel's command line. */
Test(guest_note, odd_terminal_is_left_out)
{
	struct guest_note note = { .rows = 24, .columns = 80, .in = true, .term = "x y" };
	char text[GUEST_NOTE_MAX];

	guest_note_format(&note, text);
	cr_assert_str_eq(text, "24x80,in,");
}

Test(guest_note, words_for_linux)
{
	static const char *const expected[] = { "rdinit=/bulkhead-init", "quiet", "TERM=vt220", "bulkhead.rows=24",
						"bulkhead.columns=80" };
	struct guest_note note = { .rows = 24, .columns = 80, .term = "vt220" };
	char *words[GUEST_WORDS], room[GUEST_NOTE_MAX * 2];

	cr_assert_eq(guest_words(true, &note, words, room), 5);
	for (unsigned i = 0; i < 5; i++)
		cr_expect_str_eq(words[i], expected[i]);
	cr_assert_eq(guest_words(false, &note, words, room), 3);
	cr_expect_str_eq(words[0], "TERM=vt220");
	cr_assert_eq(guest_words(false, NULL, words, room), 0);
}

static char archive[4096];
static size_t archive_len;

static int put(void *ctx, const void *data, size_t len)
{
	memcpy(archive + archive_len, data, len);
	archive_len += len;
	return 0;
}

/*
 * Documentation/driver-api/early-userspace/buffer-format.rst: "070701", 13 fields of 8 hexadecimal digits, the name with its
 * zero, padded to 4 with the header; the data, padded to 4; and the entry TRAILER!!!.
 */
Test(cpio, new_ascii_format)
{
	struct cpio c = { .put = put };

	archive_len = 0;
	cr_assert_eq(cpio_file(&c, "ab", 0755, "hello", 5), 0);
	cr_assert_eq(cpio_end(&c), 0);
	cr_assert_eq(archive_len, c.written);
	cr_assert_eq(memcmp(archive, "070701", 6), 0);
	cr_assert_eq(memcmp(archive + 6 + 8, "000081ED", 8), 0, "c_mode: regular, 0755");
	cr_assert_eq(memcmp(archive + 6 + 6 * 8, "00000005", 8), 0, "c_filesize");
	cr_assert_eq(memcmp(archive + 6 + 11 * 8, "00000003", 8), 0, "c_namesize counts the zero");
	cr_assert_eq(memcmp(archive + 110, "ab\0\0\0\0", 3), 0);
	cr_assert_eq(memcmp(archive + 116, "hello\0\0\0", 8), 0, "110 + 3 is padded to 116");
	cr_assert_eq(memcmp(archive + 124, "070701", 6), 0);
	cr_assert_str_eq(archive + 124 + 110, "TRAILER!!!");
	cr_assert_eq(archive_len % 4, 0);
}

static const char text_with_mark[] = "kernel\033]9999;bulk\033]9999;bulkhead-exec\007output";

/* In pieces of every size, the output is what stands behind the mark. */
Test(exec_filter, mark_in_pieces)
{
	size_t len = strlen(text_with_mark);

	for (size_t piece = 1; piece <= len; piece++) {
		struct exec_filter f = { .begun = false };
		char out[64] = "";

		for (size_t at = 0; at < len; at += piece) {
			size_t n = len - at < piece ? len - at : piece, skip = exec_filter_take(&f, text_with_mark + at, n);

			strncat(out, text_with_mark + at + skip, n - skip);
		}
		cr_expect_str_eq(out, "output", "in pieces of %zu: %s", piece, out);
	}
}

Test(exec_filter, keeps_the_last_words)
{
	static char out[EXEC_FILTER_KEPT], in[EXEC_FILTER_KEPT + 5];
	static struct exec_filter f;

	memset(in, 'a', sizeof(in));
	memcpy(in + sizeof(in) - 4, "last", 4);
	cr_assert_eq(exec_filter_take(&f, in, sizeof(in)), sizeof(in));
	cr_assert_eq(exec_filter_kept(&f, out), EXEC_FILTER_KEPT);
	cr_assert_eq(memcmp(out + sizeof(out) - 4, "last", 4), 0);
	cr_assert_not(f.begun);
}

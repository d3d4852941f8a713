/* SPDX-License-Identifier: MIT */
/* What all of the TOML reader stands on: places, memory, white space, comments. */
#include "toml_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct toml_block {
	struct toml_block *next;
	max_align_t bytes[];
};

int toml_fail(struct toml_reader *r, const char *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->doc->error, TOML_ERROR_MAX, fmt, ap);
	va_end(ap);
	r->doc->line = r->line;
	r->doc->column = at >= r->line_start ? (unsigned)(at - r->line_start) + 1 : 1;
	return -EINVAL;
}

void *toml_alloc(struct toml *doc, size_t size)
{
	struct toml_block *b = calloc(1, sizeof(*b) + size);

	if (!b)
		return NULL;
	b->next = doc->blocks;
	doc->blocks = b;
	return b->bytes;
}

void toml_free(struct toml *doc)
{
	while (doc->blocks) {
		struct toml_block *b = doc->blocks;

		doc->blocks = b->next;
		free(b);
	}
}

/* Bytes of the character at `p`; 0: it is none. Neither longer than it has to be, nor a surrogate, nor above 10FFFFh. */
static unsigned utf8_length(const unsigned char *p, size_t left)
{
	unsigned n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

	if (n > left)
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
	    (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* "Spec": a TOML file must be a valid UTF-8 encoded Unicode document. */
int toml_check_utf8(struct toml_reader *r)
{
	struct toml_reader look = *r;

	while (look.at < look.end) {
		unsigned n = utf8_length((const unsigned char *)look.at, (size_t)(look.end - look.at));

		if (!n)
			return toml_fail(&look, look.at, "not UTF-8");
		if (*look.at == '\n') {
			look.line++;
			look.line_start = look.at + 1;
		}
		look.at += n;
	}
	return 0;
}

void toml_skip_blanks(struct toml_reader *r)
{
	r->at += strspn(r->at, " \t");
}

bool toml_take_newline(struct toml_reader *r)
{
	unsigned n = r->at[0] == '\n' ? 1 : r->at[0] == '\r' && r->at[1] == '\n' ? 2 : 0;

	if (!n)
		return false;
	r->at += n;
	r->line++;
	r->line_start = r->at;
	return true;
}

/* "Comment": control characters other than tab are not permitted. */
int toml_skip_comment(struct toml_reader *r)
{
	toml_skip_blanks(r);
	if (*r->at != '#')
		return 0;
	while (r->at < r->end && *r->at != '\n' && !(*r->at == '\r' && r->at[1] == '\n')) {
		unsigned char c = (unsigned char)*r->at;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return toml_fail(r, r->at, "a control character in a comment");
		r->at++;
	}
	return 0;
}

int toml_skip_lines(struct toml_reader *r)
{
	int rc;

	do
		rc = toml_skip_comment(r);
	while (!rc && toml_take_newline(r));
	return rc;
}

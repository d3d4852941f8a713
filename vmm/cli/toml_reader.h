/* SPDX-License-Identifier: MIT */
/* Between the files of the TOML reader. Each function takes what it is named after from r->at on, or says what is wrong. */
#ifndef BULKHEAD_VMM_TOML_READER_H
#define BULKHEAD_VMM_TOML_READER_H

#include "toml.h"

struct toml_reader {
	struct toml *doc;
	const char *at, *end; /* in our own copy; *end is 0: there is always a byte to look at */
	const char *line_start;
	unsigned line;
	unsigned depth;	 /* of arrays and inline tables */
	unsigned header; /* number of the table header, or inline table, that we are under; from 1 */
	unsigned headers;
};

/* toml_text.c */
int toml_fail(struct toml_reader *r, const char *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void *toml_alloc(struct toml *doc, size_t size); /* zeroed; NULL: no memory */
int toml_check_utf8(struct toml_reader *r);
void toml_skip_blanks(struct toml_reader *r); /* tabs and spaces */
/* A newline, LF or CRLF, if there is one. */
bool toml_take_newline(struct toml_reader *r);
/* Blanks, and a comment if there is one. */
int toml_skip_comment(struct toml_reader *r);
/* The same, and newlines, and again: between the values of an array, and between lines. */
int toml_skip_lines(struct toml_reader *r);

/* toml_string.c: at a quotation mark; several lines only where a value may stand. */
int toml_string(struct toml_reader *r, bool may_be_long, struct toml_text *out);

/* toml_number.c: whatever is neither string, array nor table. */
int toml_scalar(struct toml_reader *r, struct toml_value *v);
/* toml_time.c: `len` characters. 0: v is a date or time; -ENOENT: they do not look like one. */
int toml_time(struct toml_reader *r, const char *text, size_t len, struct toml_value *v);

#endif

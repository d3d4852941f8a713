/* SPDX-License-Identifier: MIT */
/*
 * TOML 1.0.0 (https://toml.io/en/v1.0.0), read into a tree whose every value knows its line and column. Nothing of the
 * specification is left out; beyond it, values may be nested TOML_DEPTH deep. Pure: text in, tree out.
 *
 * Section names in comments ("Keys", "Table") are the specification's.
 */
#ifndef BULKHEAD_VMM_TOML_H
#define BULKHEAD_VMM_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOML_DEPTH = 64, TOML_ERROR_MAX = 160 };

enum toml_type {
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOLEAN,
	TOML_OFFSET_DATE_TIME,
	TOML_LOCAL_DATE_TIME,
	TOML_LOCAL_DATE,
	TOML_LOCAL_TIME,
	TOML_ARRAY,
	TOML_TABLE,
};

/* UTF-8, which may hold zero bytes (\u0000), and one more behind its end. */
struct toml_text {
	char *bytes;
	size_t len;
};

/* As written; an offset's absence, and what a local date or time lacks, is 0. */
struct toml_time {
	int year, month, day, hour, minute, second, nanosecond, offset_minutes;
};

struct toml_value {
	enum toml_type type;
	unsigned line, column;	 /* of its key, or of itself in an array; from 1; columns count bytes */
	struct toml_text key;	 /* in a table */
	struct toml_value *next; /* in the same table or array, in the order of the file */
	union {
		struct toml_text text;
		int64_t integer;
		double number;
		bool boolean;
		struct toml_time time;
		struct {
			struct toml_value *first, *last;
		} list; /* of tables and arrays */
	};
	/* For the reader alone: who may still add to a table or an array. */
	bool is_closed;	      /* an inline table, or an array that is a value */
	bool has_header;      /* [it] was there */
	unsigned dotted_under; /* the header under which dotted keys defined it; 0: they did not */
};

struct toml_block;
struct toml {
	struct toml_value root;
	char error[TOML_ERROR_MAX]; /* after -EINVAL: what is wrong, */
	unsigned line, column;	    /* and where */
	struct toml_block *blocks;
};

/* 0, -EINVAL, -ENOMEM; toml_free() in each case. */
int toml_read(struct toml *doc, const char *text, size_t len);
void toml_free(struct toml *doc);

/* "string", "local date", ... */
const char *toml_type_name(enum toml_type type);

#endif

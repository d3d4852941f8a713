/* SPDX-License-Identifier: MIT */
/* TOML 1.0.0: the cases of toml_cases.txt, and those that no text file can hold. */
#include "vmm/cli/toml.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *out;

static void put_text(const struct toml_text *t)
{
	for (size_t i = 0; i < t->len; i++)
		fputc(t->bytes[i] == '\n' ? '~' : t->bytes[i], out);
}

static void put_time(const struct toml_value *v)
{
	const struct toml_time *t = &v->time;

	if (v->type != TOML_LOCAL_TIME)
		fprintf(out, "%04d-%02d-%02d", t->year, t->month, t->day);
	if (v->type == TOML_LOCAL_DATE)
		return;
	fprintf(out, "%s%02d:%02d:%02d.%09d", v->type == TOML_LOCAL_TIME ? "" : "T", t->hour, t->minute, t->second,
		t->nanosecond);
	if (v->type == TOML_OFFSET_DATE_TIME)
		fprintf(out, "%+d", t->offset_minutes);
}

static void put_value(const struct toml_value *v)
{
	switch (v->type) {
	case TOML_STRING:
		fputc('"', out), put_text(&v->text), fputc('"', out);
		return;
	case TOML_INTEGER:
		fprintf(out, "%lld", (long long)v->integer);
		return;
	case TOML_FLOAT:
		fprintf(out, "f%.12g", v->number);
		return;
	case TOML_BOOLEAN:
		fputs(v->boolean ? "true" : "false", out);
		return;
	case TOML_OFFSET_DATE_TIME:
	case TOML_LOCAL_DATE_TIME:
	case TOML_LOCAL_DATE:
	case TOML_LOCAL_TIME:
		put_time(v);
		return;
	case TOML_ARRAY:
	case TOML_TABLE:
		fputc(v->type == TOML_ARRAY ? '[' : '{', out);
		for (const struct toml_value *e = v->list.first; e; e = e->next) {
			if (v->type == TOML_TABLE)
				put_text(&e->key), fputc(':', out);
			put_value(e);
			fputs(e->next ? "," : "", out);
		}
		fputc(v->type == TOML_ARRAY ? ']' : '}', out);
		return;
	}
}

static char *dump(const struct toml *doc)
{
	static char text[65536];

	out = fmemopen(text, sizeof(text), "w");
	put_value(&doc->root);
	fclose(out);
	return text;
}

static void check_valid(const char *name, const char *text, size_t len, const char *expected)
{
	struct toml doc;
	int rc = toml_read(&doc, text, len);

	cr_expect_eq(rc, 0, "%s: %u:%u: %s", name, doc.line, doc.column, doc.error);
	if (!rc)
		cr_expect_str_eq(dump(&doc), expected, "%s: %s", name, dump(&doc));
	toml_free(&doc);
}

static void check_invalid(const char *name, const char *text, size_t len)
{
	struct toml doc;
	int rc = toml_read(&doc, text, len);

	cr_expect_eq(rc, -EINVAL, "%s: is %s", name, rc ? "?" : dump(&doc));
	cr_expect(rc == 0 || (doc.line && doc.column && doc.error[0]), "%s: %u:%u: %s", name, doc.line, doc.column, doc.error);
	toml_free(&doc);
}

/* One case, and where the next begins. */
static char *check_case(char *at)
{
	char *name = at + 4, *text = strchr(name, '\n') + 1, *next = strstr(text - 1, "\n=== "),
	     *end = next ? next + 1 : strchr(text, 0);
	char *line = strstr(text - 1, "\n---\n");

	text[-1] = 0;
	if (next)
		next[0] = 0;
	if (!strncmp(name, "invalid ", 8)) {
		check_invalid(name, text, strlen(text));
		return next ? end : NULL;
	}
	cr_assert(line && (!next || line < next), "%s has no ---", name);
	*line = 0;
	line[5 + strcspn(line + 5, "\n")] = 0;
	check_valid(name, line < text ? "" : text, line < text ? 0 : strlen(text), line + 5);
	return next ? end : NULL;
}

Test(toml, the_specification)
{
	static char text[65536];
	FILE *f = fopen(TOML_CASES, "r");
	unsigned count = 0;

	cr_assert_not_null(f);
	cr_assert(fread(text, 1, sizeof(text) - 1, f) > 10000);
	fclose(f);
	for (char *at = strstr(text, "\n=== ") + 1; at; count++)
		at = check_case(at);
	cr_expect_gt(count, 110);
}

#define VALID(text, expected) check_valid(text, text, sizeof(text) - 1, expected)
#define INVALID(text) check_invalid(text, text, sizeof(text) - 1)

/* "Spec": newline means LF or CRLF, white space tab or space. "Comment", "String": no control characters but tab. */
Test(toml, bytes_that_a_text_file_would_not_keep)
{
	VALID("a = 1\r\n\tb\t=\t2\r\n", "{a:1,b:2}");
	VALID("a = \"\"\"\r\nx\r\ny\"\"\"", "{a:\"x~y\"}");
	VALID("a = [\r\n1,\r\n]\r\n", "{a:[1]}");
	VALID("a = \"tab\there\" # and\there", "{a:\"tab\there\"}");
	INVALID("a = 1\rb = 2");
	INVALID("# \r x");
	INVALID("# \x01");
	INVALID("# \x7f");
	INVALID("a = \"\x01\"");
	INVALID("a = '\x7f'");
	INVALID("a = \"x\ny\"");
	INVALID("a = \"x\0y\"");
	INVALID("a = 1\0");
	INVALID("\0");
	INVALID("\"\"\"a\"\"\" = 1");
}

/* "Spec": a valid UTF-8 encoded Unicode document. */
Test(toml, utf8)
{
	VALID("a = \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\" # \xc3\xa9", "{a:\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}");
	INVALID("a = \"\xff\"");
	INVALID("# \xc3");
	INVALID("a = \"\xc0\xaf\""); /* longer than it has to be */
	INVALID("a = \"\xe0\x80\xaf\"");
	INVALID("a = \"\xed\xa0\x80\""); /* a surrogate */
	INVALID("a = \"\xf4\x90\x80\x80\"");
	INVALID("a = \"\x80\"");
	INVALID("\xef\xbb\xbf"
		"a = 1");
}

static void expect_at(const char *text, unsigned line, unsigned column)
{
	struct toml doc;

	cr_expect_eq(toml_read(&doc, text, strlen(text)), -EINVAL, "%s", text);
	cr_expect(doc.line == line && doc.column == column, "%s: %u:%u: %s", text, doc.line, doc.column, doc.error);
	toml_free(&doc);
}

Test(toml, errors_have_a_place)
{
	expect_at("a = 1\nb = \n", 2, 5);
	expect_at("a = 1\n\na = 2\n", 3, 1);
	expect_at("[t]\n  x = nonsense", 2, 7);
	expect_at("a = \"\"\"\nx\ny", 1, 5);
	expect_at("a = [\n1,\n2 3]", 3, 3);
	expect_at("a = 1 b = 2", 1, 7);
	expect_at("a = \"\xff\"", 1, 6);
}

Test(toml, values_have_a_place)
{
	struct toml doc;
	static const char text[] = "first = 1\n[t]\n  second = [ 2,\n 3 ]\n";
	const struct toml_value *t, *array;

	cr_assert_eq(toml_read(&doc, text, sizeof(text) - 1), 0);
	cr_expect(doc.root.list.first->line == 1 && doc.root.list.first->column == 1);
	t = doc.root.list.first->next;
	array = t->list.first;
	cr_expect(array->line == 3 && array->column == 3);
	cr_expect(array->list.first->line == 3 && array->list.last->line == 4 && array->list.last->column == 2);
	toml_free(&doc);
}

Test(toml, depth_is_bounded)
{
	static char text[400000];
	struct toml doc;

	memset(text, '[', sizeof(text));
	memcpy(text, "a = ", 4);
	cr_expect_eq(toml_read(&doc, text, sizeof(text)), -EINVAL);
	toml_free(&doc);
	memset(text + 4, '[', TOML_DEPTH);
	memset(text + 4 + TOML_DEPTH, ']', TOML_DEPTH);
	cr_expect_eq(toml_read(&doc, text, 4 + 2 * TOML_DEPTH), 0);
	toml_free(&doc);
}

/* SPDX-License-Identifier: MIT */
/* "String": basic and literal, of one line and of several. */
#include "toml_reader.h"

#include <string.h>

struct string {
	struct toml_reader *r;
	char quote;   /* " basic, ' literal */
	bool is_long; /* three of them */
	char *out;
	size_t len;
};

static void put(struct string *s, char c)
{
	s->out[s->len++] = c;
}

static void put_utf8(struct string *s, uint32_t c)
{
	if (c < 0x80) {
		put(s, (char)c);
		return;
	}
	if (c < 0x800) {
		put(s, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			put(s, (char)(0xe0 | c >> 12));
		} else {
			put(s, (char)(0xf0 | c >> 18));
			put(s, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		put(s, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	put(s, (char)(0x80 | (c & 0x3f)));
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \uXXXX, \UXXXXXXXX: any Unicode scalar value, which surrogates are not. */
static int take_unicode(struct string *s, unsigned digits)
{
	const char *begin = s->r->at - 2;
	uint32_t c = 0;

	for (unsigned i = 0; i < digits; i++) {
		int d = hex_digit(*s->r->at);

		if (d < 0)
			return toml_fail(s->r, begin, "\\%c needs %u hexadecimal digits", begin[1], digits);
		c = c << 4 | (uint32_t)d;
		s->r->at++;
	}
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return toml_fail(s->r, begin, "U+%X is no character", (unsigned)c);
	put_utf8(s, c);
	return 0;
}

/* A backslash at the end of a line takes away all white space up to the next character. */
static bool take_line_end(struct string *s)
{
	const char *p = s->r->at + strspn(s->r->at, " \t");

	if (!s->is_long || !(*p == '\n' || (*p == '\r' && p[1] == '\n')))
		return false;
	do
		toml_skip_blanks(s->r);
	while (toml_take_newline(s->r));
	return true;
}

static int take_escape(struct string *s)
{
	static const char letters[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
	const char *found;

	s->r->at++;
	if (take_line_end(s))
		return 0;
	found = *s->r->at ? strchr(letters, *s->r->at) : NULL;
	if (found) {
		put(s, meanings[found - letters]);
		s->r->at++;
		return 0;
	}
	if (*s->r->at == 'u' || *s->r->at == 'U')
		return take_unicode(s, *s->r->at++ == 'u' ? 4 : 8);
	return toml_fail(s->r, s->r->at - 1,
			 "an unknown escape in a string; a backslash is written \\\\, or between single quotation marks");
}

/* One character as it is, newlines of long strings among them. */
static int take_plain(struct string *s)
{
	unsigned char c = (unsigned char)*s->r->at;

	if (s->is_long && toml_take_newline(s->r)) {
		put(s, '\n');
		return 0;
	}
	if (c == '\n' || c == '\r')
		return toml_fail(s->r, s->r->at, "the string does not end on its line");
	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return toml_fail(s->r, s->r->at, "a control character in a string; write it as \\u%04X", c);
	put(s, (char)c);
	s->r->at++;
	return 0;
}

/* Of several quotation marks at the end of a long string the last three end it; up to two belong to it. */
static bool take_end(struct string *s)
{
	size_t n = 0;

	while (n < 5 && s->r->at[n] == s->quote)
		n++;
	if (n < (s->is_long ? 3u : 1u))
		return false;
	if (!s->is_long)
		n = 1;
	for (size_t i = 3; s->is_long && i < n; i++)
		put(s, s->quote);
	s->r->at += n;
	return true;
}

/* What it comes to is put where it is written: no escape is shorter than what it stands for, and the first quotation mark
 * leaves room for the zero. */
int toml_string(struct toml_reader *r, bool may_be_long, struct toml_text *out)
{
	const char *begin = r->at, *line_start = r->line_start;
	struct string s = { r, *r->at, r->at[1] == *r->at && r->at[2] == *r->at, (char *)begin, 0 };
	unsigned line = r->line;
	int rc = 0;

	if (s.is_long && !may_be_long)
		return toml_fail(r, begin, "a key cannot have several lines");
	r->at += s.is_long ? 3 : 1;
	if (s.is_long)
		toml_take_newline(r);
	while (!rc && !take_end(&s)) {
		if (r->at >= r->end) {
			r->line = line, r->line_start = line_start;
			return toml_fail(r, begin, "the string does not end");
		}
		rc = s.quote == '"' && *r->at == '\\' ? take_escape(&s) : take_plain(&s);
	}
	if (rc)
		return rc;
	s.out[s.len] = 0;
	*out = (struct toml_text){ s.out, s.len };
	return 0;
}

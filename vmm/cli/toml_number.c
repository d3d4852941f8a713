/* SPDX-License-Identifier: MIT */
/* "Integer", "Float", "Boolean", and what belongs to a date. */
#include "toml_reader.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 512 };

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.:"

/* All that could belong to it; between a date and a time there may be a space. */
static size_t word_length(const char *text)
{
	size_t n = strspn(text, WORD);

	if (n == 10 && text[4] == '-' && text[7] == '-' && text[10] == ' ' && strspn(text + 11, "0123456789") == 2)
		n += 1 + strspn(text + 11, WORD);
	return n;
}

static bool is_digit(char c, unsigned base)
{
	if (base <= 10)
		return c >= '0' && c < (char)('0' + base);
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Digits; an underscore must be surrounded by them. They go to `out` without. Returns what they take in the text, 0: none, or
 * not in order. */
static size_t take_digits(const char *text, unsigned base, char *out)
{
	size_t n = 0, len = strlen(out);

	while (is_digit(text[n], base)) {
		out[len++] = text[n++];
		if (text[n] == '_' && is_digit(text[n + 1], base))
			n++;
	}
	out[len] = 0;
	return n;
}

/* "Leading zeros are not allowed." */
static bool has_leading_zero(const char *digits)
{
	digits += *digits == '+' || *digits == '-';
	return digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
}

/* "Integer": those beyond 64 bits are an error. */
static int set_integer(struct toml_reader *r, struct toml_value *v, const char *digits, int base)
{
	errno = 0;
	v->type = TOML_INTEGER;
	v->integer = strtoll(digits, NULL, base);
	return errno ? toml_fail(r, r->at, "the number does not fit into 64 bits") : 0;
}

static int take_prefixed(struct toml_reader *r, const char *text, size_t len, struct toml_value *v)
{
	unsigned base = text[1] == 'x' ? 16 : text[1] == 'o' ? 8 : 2;
	char digits[NUMBER_MAX + 1] = "";

	if (take_digits(text + 2, base, digits) != len - 2)
		return toml_fail(r, r->at, "%.*s is no number to base %u", (int)len, text, base);
	return set_integer(r, v, digits, (int)base);
}

/* digits [. digits] [e [sign] digits]; the length is what tells if all of the word was that. */
static int take_decimal(struct toml_reader *r, const char *text, size_t len, struct toml_value *v)
{
	char digits[NUMBER_MAX + 1] = "";
	size_t n = text[0] == '+' || text[0] == '-', more;
	bool is_float = false;

	memcpy(digits, text, n);
	more = take_digits(text + n, 10, digits);
	n += more;
	if (more && has_leading_zero(digits))
		return toml_fail(r, r->at, "%.*s: a number does not begin with 0", (int)len, text);
	if (more && text[n] == '.') {
		is_float = true;
		strcat(digits, ".");
		more = take_digits(text + n + 1, 10, digits);
		n += more ? more + 1 : 0;
	}
	if (more && (text[n] == 'e' || text[n] == 'E')) {
		size_t sign = text[n + 1] == '+' || text[n + 1] == '-';

		is_float = true;
		strncat(digits, text + n, 1 + sign);
		more = take_digits(text + n + 1 + sign, 10, digits);
		n += more ? more + 1 + sign : 0;
	}
	if (!more || n != len)
		return toml_fail(r, r->at, "%.*s is no value; a string needs quotation marks", (int)(len < 60 ? len : 60), text);
	if (!is_float)
		return set_integer(r, v, digits, 10);
	v->type = TOML_FLOAT;
	v->number = strtod(digits, NULL);
	return 0;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && !strncmp(text, word, len);
}

static bool take_named(const char *text, size_t len, struct toml_value *v)
{
	size_t sign = text[0] == '+' || text[0] == '-';

	if (is_word(text, len, "true") || is_word(text, len, "false")) {
		v->type = TOML_BOOLEAN;
		v->boolean = text[0] == 't';
		return true;
	}
	if (!is_word(text + sign, len - sign, "inf") && !is_word(text + sign, len - sign, "nan"))
		return false;
	v->type = TOML_FLOAT;
	v->number = copysign(text[sign] == 'i' ? INFINITY : NAN, text[0] == '-' ? -1 : 1);
	return true;
}

int toml_scalar(struct toml_reader *r, struct toml_value *v)
{
	size_t len = word_length(r->at);
	int rc;

	if (!len)
		return toml_fail(r, r->at, "a value is missing");
	if (len > NUMBER_MAX)
		return toml_fail(r, r->at, "the number is too long");
	rc = take_named(r->at, len, v) ? 0 : toml_time(r, r->at, len, v);
	if (rc == -ENOENT && r->at[0] == '0' && len > 2 && strchr("xob", r->at[1]))
		rc = take_prefixed(r, r->at, len, v);
	else if (rc == -ENOENT)
		rc = take_decimal(r, r->at, len, v);
	if (!rc)
		r->at += len;
	return rc;
}

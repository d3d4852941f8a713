/* SPDX-License-Identifier: MIT */
/* What a script types and waits for: step.h. */
#include "step.h"

#include "options.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The byte that stands behind a backslash; *at goes behind it. -1: none. */
static int unescape_one(const char **at)
{
	static const char letters[] = "nrtabe\\0", bytes[] = "\n\r\t\a\b\033\\";
	const char letter = *(*at)++, *known = letter ? strchr(letters, letter) : NULL;
	char digits[3] = { 0 }, *end;
	unsigned long v;

	if (known)
		return (unsigned char)bytes[known - letters];
	if (letter != 'x' || !(*at)[0] || !(*at)[1])
		return -1;
	memcpy(digits, *at, 2);
	v = strtoul(digits, &end, 16);
	*at += 2;
	return *end || strchr(" +-", digits[0]) ? -1 : (int)v;
}

int step_unescape(char *text)
{
	const char *from = text;
	char *to = text;
	int byte;

	while (*from) {
		byte = (unsigned char)*from++;
		if (byte == '\\')
			byte = *from ? unescape_one(&from) : -1;
		if (byte < 0)
			return -1;
		*to++ = (char)byte;
	}
	*to = 0;
	return (int)(to - text);
}

static int bad(const struct option_row *row, const char *value, const char *why, char *error)
{
	snprintf(error, VALUE_ERROR_MAX, "--%s %.100s: %.100s", row->name, value, why);
	return -EINVAL;
}

/* In a regular expression \n and \t stand for nothing else: here for those bytes. */
static void unescape_regex(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		bool escapes = from[0] == '\\' && from[1];

		if (escapes && (from[1] == 'n' || from[1] == 't')) {
			*to++ = *++from == 'n' ? '\n' : '\t';
			continue;
		}
		*to++ = *from;
		if (escapes)
			*to++ = *++from;
	}
	*to = 0;
}

static int check_regex(const char *text, char *why, size_t size)
{
	regex_t regex;
	int rc = regcomp(&regex, text, REG_EXTENDED | REG_NEWLINE);

	if (rc)
		regerror(rc, &regex, why, size);
	else
		regfree(&regex);
	return rc;
}

int step_add(struct step_list *list, const struct option_row *row, const char *value, char error[VALUE_ERROR_MAX])
{
	bool expects = row->kind == VALUE_STEP_EXPECT;
	char *text = strdup(value), why[80];
	int len = text ? (int)strlen(text) : 0;

	if (!text)
		return bad(row, value, "no memory", error);
	if (expects)
		unescape_regex(text);
	if (expects && check_regex(text, why, sizeof(why)))
		return bad(row, value, why, error);
	if (!expects)
		len = step_unescape(text);
	if (len < 0)
		return bad(row, value, "a backslash is followed by one of n r t a b e 0 \\ or by x and two digits", error);
	if (!expects && len > CLI_SEND_MAX)
		return bad(row, value, "too long; send it in pieces", error);
	if (list->count == CLI_STEPS)
		return bad(row, value, "too many steps", error);
	list->of[list->count++] = (struct cli_step){ .expects = expects, .text = text, .len = (size_t)len };
	return 0;
}

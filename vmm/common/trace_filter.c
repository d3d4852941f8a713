/* SPDX-License-Identifier: MIT */
/* Which instructions are traced: trace_filter.h. */
#include "trace_filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What follows the number; NULL: there is none. */
static const char *take_address(const char *text, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return NULL;
	errno = 0;
	*out = strtoull(text, &end, 0);
	return errno ? NULL : end;
}

int trace_parse_address(const char *text, uint64_t *out)
{
	const char *end;

	if (!text || !*text)
		return -ENOENT;
	end = take_address(text, out);
	return end && !*end ? 0 : -EINVAL;
}

static const char *take_range(const char *text, uint64_t *from, uint64_t *to)
{
	const char *end = take_address(text, from);

	end = end && *end == '-' ? take_address(end + 1, to) : NULL;
	return end && *from <= *to && (!*end || *end == ',') ? end : NULL;
}

int trace_parse_ranges(const char *text, uint64_t from[TRACE_RANGES_MAX], uint64_t to[TRACE_RANGES_MAX], unsigned *count,
		       char error[VALUE_ERROR_MAX])
{
	*count = 0;
	while (text && *text) {
		if (*count == TRACE_RANGES_MAX) {
			snprintf(error, VALUE_ERROR_MAX, "--trace-range takes at most %d ranges", TRACE_RANGES_MAX);
			return -EINVAL;
		}
		text = take_range(text, &from[*count], &to[*count]);
		if (!text) {
			snprintf(error, VALUE_ERROR_MAX,
				 "--trace-range is FROM-TO, as 0x1000-0x1fff, several with commas between them");
			return -EINVAL;
		}
		(*count)++;
		text += *text == ',';
	}
	return 0;
}

uint32_t trace_privileges(const char *word)
{
	return !word || !strcmp(word, "all") ? 15 : !strcmp(word, "user") ? 8 : 7;
}

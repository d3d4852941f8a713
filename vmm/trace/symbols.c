/* SPDX-License-Identifier: MIT */
/* Names of addresses: symbols.h. */
#include "symbols.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No function is that long. */
enum { NEAR = 1 << 20 };

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* A name goes into text and JSON as it is. */
static int is_plain(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.$@", *c))
			return 0;
	return *name != 0;
}

/* "ffffffff81000000 T _text": code only. */
static int take_line(char *line, struct symbol *out)
{
	char *type, *name;

	out->address = strtoull(line, &type, 16);
	if (type == line || *type != ' ' || !strchr("tTwW", type[1]) || type[2] != ' ')
		return 0;
	name = type + 3;
	name[strcspn(name, " \t\r")] = 0;
	out->name = name;
	return is_plain(name);
}

int symbols_read(struct symbols *s, char *text, size_t len)
{
	size_t lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	s->count = 0;
	s->of = calloc(lines, sizeof(*s->of));
	if (!s->of)
		return -ENOMEM;
	for (char *line = text, *end; line < text + len; line = end + 1) {
		end = memchr(line, '\n', (size_t)(text + len - line));
		if (!end)
			break;
		*end = 0;
		s->count += (size_t)take_line(line, &s->of[s->count]);
	}
	qsort(s->of, s->count, sizeof(*s->of), by_address);
	return 0;
}

const char *symbols_name(const struct symbols *s, uint64_t address, int offset, char *out, size_t len)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->of[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - s->of[low - 1].address >= NEAR)
		snprintf(out, len, "0x%llx", (unsigned long long)address);
	else if (offset)
		snprintf(out, len, "%s+0x%llx", s->of[low - 1].name, (unsigned long long)(address - s->of[low - 1].address));
	else
		snprintf(out, len, "%s", s->of[low - 1].name);
	return out;
}

/* SPDX-License-Identifier: MIT */
/* The last records: last.h. */
#include "last.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room for so much a record, on the average; pages that are not used cost nothing. */
enum { AVERAGE = 512 };

int last_init(struct last *l, uint32_t most)
{
	*l = (struct last){ .most = most, .size = (size_t)most * AVERAGE + TRACE_RECORD_MAX };
	l->memory = most ? malloc(l->size) : NULL;
	return most && !l->memory ? -ENOMEM : 0;
}

static void copy_in(struct last *l, const uint8_t *from, size_t len)
{
	for (size_t done = 0, n; done < len; done += n, l->end += n) {
		size_t at = l->end % l->size;

		n = len - done < l->size - at ? len - done : l->size - at;
		memcpy(l->memory + at, from + done, n);
	}
}

static void copy_out(struct last *l, void *to, size_t len)
{
	for (size_t done = 0, n; done < len; done += n, l->begin += n) {
		size_t at = l->begin % l->size;

		n = len - done < l->size - at ? len - done : l->size - at;
		memcpy((uint8_t *)to + done, l->memory + at, n);
	}
}

bool last_take(struct last *l, struct trace_head *out)
{
	if (!l->count)
		return false;
	copy_out(l, out, sizeof(*out));
	copy_out(l, out + 1, out->bytes - sizeof(*out));
	l->count--;
	return true;
}

void last_add(struct last *l, const struct trace_head *record)
{
	_Alignas(8) uint8_t dropped[TRACE_RECORD_MAX];

	while (l->count == l->most || l->end - l->begin + record->bytes > l->size)
		if (!last_take(l, (struct trace_head *)dropped))
			return;
	copy_in(l, (const uint8_t *)record, record->bytes);
	l->count++;
}

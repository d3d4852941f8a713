/* SPDX-License-Identifier: MIT */
/* Console history: see backlog.h. */
#include "backlog.h"

#include <string.h>

void backlog_open(struct backlog *b)
{
	if (b->magic == BACKLOG_MAGIC && b->bytes == BACKLOG_BYTES)
		return;
	b->magic = BACKLOG_MAGIC;
	b->bytes = BACKLOG_BYTES;
	atomic_store(&b->written, 0);
}

void backlog_append(struct backlog *b, const uint8_t *buf, size_t len)
{
	uint64_t written = atomic_load_explicit(&b->written, memory_order_relaxed);

	while (len > 0) {
		size_t at = written % BACKLOG_BYTES;
		size_t n = len < BACKLOG_BYTES - at ? len : BACKLOG_BYTES - at;

		memcpy(b->data + at, buf, n);
		buf += n;
		len -= n;
		written += n;
	}
	atomic_store_explicit(&b->written, written, memory_order_release);
}

uint64_t backlog_start(const struct backlog *b)
{
	uint64_t written = atomic_load_explicit(&b->written, memory_order_acquire);

	return written > BACKLOG_BYTES ? written - BACKLOG_BYTES : 0;
}

size_t backlog_peek(const struct backlog *b, uint64_t *cursor, const uint8_t **chunk, uint64_t *skipped)
{
	uint64_t written = atomic_load_explicit(&b->written, memory_order_acquire);
	uint64_t start = backlog_start(b);
	size_t at, n;

	*skipped = 0;
	if (*cursor < start) {
		*skipped = start - *cursor;
		*cursor = start;
	}
	if (*cursor >= written)
		return 0;
	at = *cursor % BACKLOG_BYTES;
	n = (size_t)(written - *cursor);
	*chunk = b->data + at;
	return n < BACKLOG_BYTES - at ? n : BACKLOG_BYTES - at;
}

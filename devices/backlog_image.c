/* SPDX-License-Identifier: MIT */
/* Console history, out and in: see backlog.h. */
#include "backlog.h"

#include <errno.h>
#include <string.h>

size_t backlog_save(const struct backlog *b, void *out)
{
	struct backlog_image i = { .written = atomic_load_explicit(&b->written, memory_order_acquire) };
	uint8_t *to = (uint8_t *)out + sizeof(i);
	size_t from = (size_t)(backlog_start(b) % BACKLOG_BYTES), first;

	i.bytes = i.written - backlog_start(b);
	first = i.bytes < BACKLOG_BYTES - from ? (size_t)i.bytes : BACKLOG_BYTES - from;
	memcpy(to, b->data + from, first);
	memcpy(to + first, b->data, (size_t)i.bytes - first);
	memcpy(out, &i, sizeof(i));
	return sizeof(i) + (size_t)i.bytes;
}

int backlog_restore(struct backlog *b, const void *image, size_t bytes)
{
	struct backlog_image i;

	if (bytes < sizeof(i))
		return -EINVAL;
	memcpy(&i, image, sizeof(i));
	if (bytes - sizeof(i) != i.bytes || i.bytes != (i.written < BACKLOG_BYTES ? i.written : BACKLOG_BYTES))
		return -EINVAL;
	backlog_open(b);
	atomic_store(&b->written, i.written - i.bytes);
	backlog_append(b, (const uint8_t *)image + sizeof(i), (size_t)i.bytes);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The state of a machine in one piece: see state.h. */
#include "state.h"

#include "journal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { ALIGNMENT = 8 };

static size_t aligned(size_t n)
{
	return (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static uint64_t checksum(const void *memory, uint64_t bytes)
{
	const size_t from = offsetof(struct state_header, bytes);

	return journal_hash((const uint8_t *)memory + from, (size_t)bytes - from, STATE_MAGIC);
}

void state_begin(struct state_writer *w, void *memory, size_t size)
{
	*w = (struct state_writer){ .memory = memory, .size = size, .used = sizeof(struct state_header) };
	if (size < sizeof(struct state_header))
		w->error = -ENOSPC;
}

void *state_reserve(struct state_writer *w, const struct state_part *part)
{
	size_t need = sizeof(*part) + aligned(part->bytes);
	uint8_t *at = w->memory + w->used;

	if (!w->error && need > w->size - w->used)
		w->error = -ENOSPC;
	if (w->error)
		return NULL;
	memcpy(at, part, sizeof(*part));
	memset(at + sizeof(*part), 0, aligned(part->bytes));
	w->used += need;
	w->parts++;
	return at + sizeof(*part);
}

void state_add(struct state_writer *w, const struct state_part *part, const void *data)
{
	void *to = state_reserve(w, part);

	if (to)
		memcpy(to, data, part->bytes);
}

void state_shorten(struct state_writer *w, const void *part, uint32_t bytes)
{
	size_t at = (size_t)((const uint8_t *)part - w->memory);

	memcpy(w->memory + at - sizeof(uint32_t), &bytes, sizeof(bytes));
	memset(w->memory + at + bytes, 0, aligned(bytes) - bytes);
	w->used = at + aligned(bytes);
}

int64_t state_end(struct state_writer *w)
{
	struct state_header h = { .magic = STATE_MAGIC, .version = STATE_VERSION, .bytes = w->used, .parts = w->parts };

	if (w->error)
		return w->error;
	memcpy(w->memory, &h, sizeof(h));
	h.checksum = checksum(w->memory, h.bytes);
	memcpy(w->memory, &h, sizeof(h));
	return (int64_t)w->used;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

struct walk {
	const uint8_t *memory;
	uint64_t at, end;
	uint32_t left;
	struct state_part part;
};

static struct walk begin(const void *memory)
{
	struct state_header h;

	memcpy(&h, memory, sizeof(h));
	return (struct walk){ .memory = memory, .at = sizeof(h), .end = h.bytes, .left = h.parts };
}

/* What is in the next part; NULL: there is none, or it reaches beyond the end. */
static const uint8_t *next(struct walk *w)
{
	const uint8_t *data;

	if (!w->left || w->end - w->at < sizeof(w->part))
		return NULL;
	memcpy(&w->part, w->memory + w->at, sizeof(w->part));
	if (aligned(w->part.bytes) > w->end - w->at - sizeof(w->part))
		return NULL;
	data = w->memory + w->at + sizeof(w->part);
	w->at += sizeof(w->part) + aligned(w->part.bytes);
	w->left--;
	return data;
}

static const char *header_complaint(const struct state_header *h, size_t size)
{
	if (h->magic != STATE_MAGIC)
		return "not the state of a machine";
	if (h->version != STATE_VERSION)
		return "the state of another version of bulkhead";
	if (h->bytes < sizeof(*h) || h->bytes > size || h->bytes % ALIGNMENT || h->reserved)
		return "a header that cannot be";
	return NULL;
}

/* The first of the kind with that owner must be this one. */
static bool is_twice(const void *memory, const struct walk *w, const uint8_t *data)
{
	struct state_part part;

	return state_find(memory, w->part.kind, w->part.role, w->part.instance, &part) != data;
}

static const char *parts_complaint(const void *memory)
{
	struct walk w = begin(memory);
	const uint8_t *data;

	while (w.left) {
		data = next(&w);
		if (!data)
			return "a part that reaches beyond the end";
		if (!w.part.kind || w.part.kind >= STATE_KINDS)
			return "a part of an unknown kind";
		if (is_twice(memory, &w, data))
			return "a part that is there twice";
	}
	return w.at == w.end ? NULL : "something behind the last part";
}

int state_check(const void *memory, size_t size, const char **why)
{
	struct state_header h;

	*why = "too short";
	if (size < sizeof(h))
		return -EINVAL;
	memcpy(&h, memory, sizeof(h));
	*why = header_complaint(&h, size);
	if (!*why && checksum(memory, h.bytes) != h.checksum)
		*why = "damaged: its checksum is wrong";
	if (!*why && h.parts > STATE_PARTS_MAX)
		*why = "more parts than there can be";
	if (!*why)
		*why = parts_complaint(memory);
	return *why ? -EINVAL : 0;
}

const void *state_find(const void *memory, enum state_kind kind, uint32_t role, uint32_t instance, struct state_part *part)
{
	struct walk w = begin(memory);
	const uint8_t *data;

	while ((data = next(&w))) {
		*part = w.part;
		if (w.part.kind == kind && w.part.role == role && w.part.instance == instance)
			return data;
	}
	return NULL;
}

unsigned state_count(const void *memory, enum state_kind kind)
{
	struct walk w = begin(memory);
	unsigned n = 0;

	while (next(&w))
		n += w.part.kind == kind;
	return n;
}

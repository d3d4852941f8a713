/* SPDX-License-Identifier: MIT */
/* Committed state of a daemon, double-buffered: see journal.h. */
#include "journal.h"

#include <errno.h>
#include <string.h>

/* Compiled into this file: a call would cost a tenth of what a block does. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t journal_hash(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}

static size_t padded(uint32_t size)
{
	return ((size_t)size + JOURNAL_BLOCK - 1) & ~(size_t)(JOURNAL_BLOCK - 1);
}

int journal_open(struct journal *j, struct journal_object *object, const struct journal_id *id)
{
	size_t size = padded(id->part_size[0]) + padded(id->part_size[1]);

	_Static_assert(JOURNAL_PARTS == 2, "two parts");
	if (size > JOURNAL_STATE_MAX)
		return -EINVAL;
	memset(j, 0, sizeof(*j));
	j->object = object;
	j->size = size;
	memcpy(j->part_size, id->part_size, sizeof(j->part_size));
	return 0;
}

void journal_format(struct journal *j, const struct journal_id *id)
{
	struct journal_header *h = &j->object->header;

	atomic_store(&h->committed, 0);
	memset(h, 0, sizeof(*h));
	h->magic = JOURNAL_MAGIC;
	h->format = JOURNAL_FORMAT;
	h->role = id->role;
	h->version = id->version;
	h->part_version = id->part_version;
	memcpy(h->part_size, id->part_size, sizeof(h->part_size));
	j->committed = 0;
	j->known[0] = j->known[1] = false;
}

/* Where a block belongs is in the sum by its hash's place. */
static uint64_t record_sum(const struct journal *j, unsigned buffer, const struct journal_mark *mark)
{
	uint64_t h = journal_hash(j->part_size, sizeof(j->part_size), JOURNAL_FORMAT);

	h = journal_hash(mark, sizeof(*mark), h);
	return journal_hash(j->hashes[buffer], j->size / JOURNAL_BLOCK * sizeof(uint64_t), h);
}

/* Copies the blocks of one part that differ from the spare buffer; the tail of the last block stays zero. */
static void write_part(struct journal *j, unsigned buffer, size_t at, const uint8_t *state, size_t size)
{
	for (size_t off = 0; off < size; off += JOURNAL_BLOCK) {
		uint8_t *to = j->object->buffers[buffer].state + at + off;
		size_t n = size - off < JOURNAL_BLOCK ? size - off : JOURNAL_BLOCK;

		if (j->known[buffer] && memcmp(to, state + off, n) == 0)
			continue;
		memcpy(to, state + off, n);
		j->hashes[buffer][(at + off) / JOURNAL_BLOCK] = journal_hash(to, n, 0);
		j->blocks_written++;
	}
}

void journal_commit(struct journal *j, const void *const parts[JOURNAL_PARTS], const struct journal_mark *mark)
{
	unsigned spare = j->committed == 1 ? 1 : 0;
	struct journal_record *r = &j->object->buffers[spare].record;
	size_t at = 0;

	for (unsigned i = 0; i < JOURNAL_PARTS; i++) {
		if (j->part_size[i])
			write_part(j, spare, at, parts[i], j->part_size[i]);
		at += padded(j->part_size[i]);
	}
	j->known[spare] = true;
	memcpy(r->part_size, j->part_size, sizeof(r->part_size));
	r->mark = *mark;
	r->checksum = record_sum(j, spare, mark);
	j->committed = spare + 1;
	atomic_store_explicit(&j->object->header.committed, j->committed, memory_order_release);
}

static const char *header_complaint(const struct journal_header *h, const struct journal_id *id)
{
	if (h->magic != JOURNAL_MAGIC)
		return "not a journal";
	if (h->format != JOURNAL_FORMAT)
		return "journal format of another version";
	if (h->role != id->role)
		return "journal of another device";
	if (h->version != id->version)
		return "device state of another version";
	if (h->part_version != id->part_version)
		return "daemon state of another version";
	if (memcmp(h->part_size, id->part_size, sizeof(h->part_size)) != 0)
		return "state of another size";
	return NULL;
}

/* The copy is hashed, not the object. */
static bool load_parts(struct journal *j, unsigned buffer, void *const parts[JOURNAL_PARTS], struct journal_mark *mark)
{
	size_t at = 0;

	for (unsigned i = 0; i < JOURNAL_PARTS; i++) {
		uint8_t *state = parts[i];

		for (size_t off = 0; off < j->part_size[i]; off += JOURNAL_BLOCK) {
			size_t n = j->part_size[i] - off < JOURNAL_BLOCK ? j->part_size[i] - off : JOURNAL_BLOCK;

			memcpy(state + off, j->object->buffers[buffer].state + at + off, n);
			j->hashes[buffer][(at + off) / JOURNAL_BLOCK] = journal_hash(state + off, n, 0);
		}
		at += padded(j->part_size[i]);
	}
	*mark = j->object->buffers[buffer].record.mark;
	return j->object->buffers[buffer].record.checksum == record_sum(j, buffer, mark);
}

static const struct journal_mark *committed_mark(const struct journal_object *object)
{
	uint32_t committed = atomic_load_explicit(&object->header.committed, memory_order_acquire);

	return committed == 1 || committed == 2 ? &object->buffers[committed - 1].record.mark : NULL;
}

uint64_t journal_events(const struct journal_object *object)
{
	const struct journal_mark *mark = committed_mark(object);

	return mark ? *(const volatile uint64_t *)&mark->events : 0;
}

bool journal_attempted(const struct journal_object *object, uint32_t *seq)
{
	const struct journal_header *h = &object->header;
	const struct journal_mark *mark = committed_mark(object);

	*seq = atomic_load_explicit(&h->attempt_seq, memory_order_relaxed);
	if (!atomic_load_explicit(&h->attempt_active, memory_order_relaxed) || !mark)
		return false;
	return *(const volatile uint32_t *)&mark->head == *seq;
}

int journal_load(struct journal *j, const struct journal_id *id, void *const parts[JOURNAL_PARTS],
		 struct journal_mark *mark, const char **why)
{
	const struct journal_header *h = &j->object->header;
	uint32_t committed = atomic_load_explicit(&h->committed, memory_order_acquire);

	*why = header_complaint(h, id);
	if (*why && h->magic == 0 && committed == 0)
		return -ENOENT;
	if (*why)
		return -EINVAL;
	if (committed == 0)
		return -ENOENT;
	*why = "index of the committed half out of range";
	if (committed > 2)
		return -EBADMSG;
	*why = "checksum";
	if (!load_parts(j, committed - 1, parts, mark))
		return -EBADMSG;
	*why = "answer out of range";
	if (mark->reply_valid > 1 || mark->reply_vcpu >= RING_VCPUS)
		return -EBADMSG;
	*why = NULL;
	j->committed = committed;
	j->known[committed - 1] = true;
	return 0;
}

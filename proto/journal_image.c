/* SPDX-License-Identifier: MIT */
/* The committed half of a journal, out and in: see journal.h. */
#include "journal.h"

#include <errno.h>
#include <string.h>

static size_t padded(uint32_t size)
{
	return ((size_t)size + JOURNAL_BLOCK - 1) & ~(size_t)(JOURNAL_BLOCK - 1);
}

static size_t state_bytes(const uint32_t part_size[JOURNAL_PARTS])
{
	size_t n = 0;

	for (unsigned i = 0; i < JOURNAL_PARTS; i++)
		n += padded(part_size[i]);
	return n;
}

static const char *image_complaint(const struct journal_image *i, uint32_t role)
{
	if (i->format != JOURNAL_FORMAT)
		return "journal format of another version";
	if (i->role != role)
		return "journal of another device";
	if (state_bytes(i->part_size) > JOURNAL_STATE_MAX)
		return "state of an impossible size";
	return NULL;
}

/* Where each part stands in an image. */
static void find_parts(const struct journal_image *i, uint8_t *image, void *parts[JOURNAL_PARTS])
{
	uint8_t *at = image + sizeof(*i);

	for (unsigned n = 0; n < JOURNAL_PARTS; n++) {
		parts[n] = at;
		at += padded(i->part_size[n]);
	}
}

/* journal_load() only reads the object. */
static int load(const struct journal_object *object, struct journal_image *i, uint8_t *out, const char **why)
{
	const struct journal_id id = { .role = i->role,
				       .version = i->version,
				       .part_version = i->part_version,
				       .part_size = { i->part_size[0], i->part_size[1] } };
	void *parts[JOURNAL_PARTS];
	struct journal j;
	int err = journal_open(&j, (struct journal_object *)(uintptr_t)object, &id);

	if (err)
		return err;
	find_parts(i, out, parts);
	err = journal_load(&j, &id, parts, &i->mark, why);
	if (!err)
		i->checksum = object->buffers[j.committed - 1].record.checksum;
	return err;
}

int64_t journal_save(const struct journal_object *object, uint32_t role, void *out, const char **why)
{
	const struct journal_header *h = &object->header;
	struct journal_image i = { .format = h->format, .role = h->role, .version = h->version, .part_version = h->part_version };
	size_t bytes;
	int err;

	memcpy(i.part_size, h->part_size, sizeof(i.part_size));
	*why = image_complaint(&i, role);
	if (*why)
		return -EINVAL;
	bytes = state_bytes(i.part_size);
	memset(out, 0, sizeof(i) + bytes);
	err = load(object, &i, out, why);
	memcpy(out, &i, sizeof(i));
	return err ? err : (int64_t)(sizeof(i) + bytes);
}

int journal_restore(struct journal_object *object, uint32_t role, const void *image, size_t bytes, const char **why)
{
	struct journal_header *h = &object->header;
	struct journal_image i;

	*why = "too short";
	if (bytes < sizeof(i))
		return -EINVAL;
	memcpy(&i, image, sizeof(i));
	*why = image_complaint(&i, role);
	if (!*why && bytes != sizeof(i) + state_bytes(i.part_size))
		*why = "not of the length that it says";
	if (*why)
		return -EINVAL;
	h->magic = JOURNAL_MAGIC;
	h->format = i.format;
	h->role = i.role;
	h->version = i.version;
	h->part_version = i.part_version;
	memcpy(h->part_size, i.part_size, sizeof(h->part_size));
	memcpy(object->buffers[0].record.part_size, i.part_size, sizeof(i.part_size));
	object->buffers[0].record.mark = i.mark;
	object->buffers[0].record.checksum = i.checksum;
	memcpy(object->buffers[0].state, (const uint8_t *)image + sizeof(i), bytes - sizeof(i));
	atomic_store_explicit(&h->committed, 1, memory_order_release);
	return 0;
}

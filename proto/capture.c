/* SPDX-License-Identifier: MIT */
/* A device as a file: see capture.h. */
#include "capture.h"

#include <errno.h>
#include <string.h>

#include "display.h"
#include "layout.h"

/* ---- made ------------------------------------------------------------------------------------------------------ */

static void add_lines(struct state_writer *w, const struct capture_source *s)
{
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		unsigned instance;
		const struct kind_row *kind = kind_of_number(i, &instance);
		const struct state_part part = { .kind = STATE_LINES,
						 .version = 1,
						 .role = kind->role,
						 .instance = instance,
						 .bytes = sizeof(struct line_page) };

		if (s->lines[i])
			state_add(w, &part, s->lines[i]);
	}
}

/* 0 as well if nothing was ever committed: it starts from power-on state. */
static int add_journal(struct state_writer *w, const struct capture_source *s, struct state_part part)
{
	int64_t bytes = -ENOSPC;
	const char *why;
	void *to;

	if (!atomic_load(&s->journal->header.committed))
		return 0;
	part.kind = STATE_JOURNAL;
	part.bytes = JOURNAL_IMAGE_MAX;
	to = state_reserve(w, &part);
	if (to)
		bytes = journal_save(s->journal, part.role, to, &why);
	if (bytes < 0)
		return -EAGAIN;
	state_shorten(w, to, (uint32_t)bytes);
	return 0;
}

int64_t capture_make(const struct capture_source *s, void *out)
{
	struct state_part part = { .kind = STATE_CAPTURE, .version = 1, .role = s->kind->role, .instance = s->instance };
	struct state_writer w;
	struct ring_image ring;
	int rc = ring_save(s->req, s->rsp, &ring);

	if (rc)
		return rc;
	state_begin(&w, out, CAPTURE_MAX);
	part.bytes = sizeof(s->info);
	state_add(&w, &part, &s->info);
	part.kind = STATE_RING;
	part.bytes = sizeof(ring);
	state_add(&w, &part, &ring);
	add_lines(&w, s);
	rc = add_journal(&w, s, part);
	return rc ? rc : state_end(&w);
}

/* ---- read ------------------------------------------------------------------------------------------------------ */

static bool is_text(const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	for (size_t i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] > '~')
			return false;
	return len < size;
}

static const char *info_complaint(const struct capture_info *i)
{
	const struct display_spec display = { i->display, i->display_width, i->display_height };

	if (i->ram_bytes == 0 || i->ram_bytes > LAYOUT_RAM_MAX || i->ram_bytes % 4096)
		return "a size of memory that cannot be";
	if (i->vcpus == 0 || i->vcpus > RING_VCPUS)
		return "a number of processors that cannot be";
	if (i->time_ns > INT64_MAX || i->no_vga > 1 || i->frame > 1 || i->has_died > 1 || !display_is_possible(&display))
		return "a field that cannot be";
	return is_text(i->version, sizeof(i->version)) && is_text(i->reason, sizeof(i->reason)) ? NULL : "a text that is none";
}

static const char *ring_complaint(const struct ring_image *r, unsigned vcpus)
{
	if (r->reserved || r->tail - r->head > RING_SLOTS)
		return "a ring that cannot be";
	for (uint32_t seq = r->head; seq != r->tail; seq++)
		if (!ring_slot_is_valid(&r->slots[seq % RING_SLOTS], seq, vcpus))
			return "a request that cannot be";
	return NULL;
}

/* The one part of that kind, of whichever device. */
static const void *find_only(const void *file, enum state_kind kind, const struct kind_row *row, struct state_part *part)
{
	const void *data = NULL;

	for (unsigned i = 0; !data && i < row->most; i++)
		data = state_find(file, kind, row->role, i, part);
	return data && part->version == 1 ? data : NULL;
}

static const char *parts_complaint(const void *file, const struct kind_row *kind, struct capture_view *view)
{
	struct state_part part;
	const void *info = find_only(file, STATE_CAPTURE, kind, &part), *ring;
	const char *why;

	if (!info || part.bytes != sizeof(view->info))
		return state_count(file, STATE_CAPTURE) ? "it is another device's" : "it is no capture of a device";
	memcpy(&view->info, info, sizeof(view->info));
	why = info_complaint(&view->info);
	if (why)
		return why;
	ring = find_only(file, STATE_RING, kind, &part);
	if (!ring || part.bytes != sizeof(view->ring))
		return "it has no ring";
	memcpy(&view->ring, ring, sizeof(view->ring));
	view->journal = find_only(file, STATE_JOURNAL, kind, &part);
	view->journal_bytes = view->journal ? part.bytes : 0;
	return ring_complaint(&view->ring, view->info.vcpus);
}

int capture_check(const void *file, size_t size, const struct kind_row *kind, struct capture_view *view, const char **why)
{
	int rc = state_check(file, size, why);

	memset(view, 0, sizeof(*view));
	if (rc)
		return rc;
	*why = parts_complaint(file, kind, view);
	return *why ? -EINVAL : 0;
}

const void *capture_lines(const void *file, const struct kind_row *kind, unsigned instance)
{
	struct state_part part;
	const void *data = state_find(file, STATE_LINES, kind->role, instance, &part);

	return data && part.version == 1 && part.bytes == sizeof(struct line_page) ? data : NULL;
}

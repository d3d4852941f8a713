/* SPDX-License-Identifier: MIT */
/* A virtio GPU without 3D: see gpu.h. */
#include "devices/gpu.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "devices/gpu_picture.h"
#include "devices/vhost_queue.h"
#include "proto/display.h"

enum { CONTROL_QUEUE, CURSOR_QUEUE, QUEUES };
enum { FLAG_FENCE = 1 };
enum { SCANOUTS = 1, SCANOUTS_MAX = 16, CONFIG_SCANOUTS = 8 };

/* 5.7.6.7: the head of each request and answer; fields are little-endian, as this host is. */
struct head {
	uint32_t type, flags;
	uint64_t fence;
	uint32_t context, ring;
};
struct request {
	struct head head;
	union {
		struct {
			uint32_t id, format, width, height;
		} create;
		struct {
			uint32_t id, count;
		} named; /* UNREF, ATTACH, DETACH */
		struct {
			struct gpu_rect rect;
			uint32_t scanout, id;
		} scanout;
		struct {
			struct gpu_rect rect;
			uint32_t id, pad;
		} flush;
		struct {
			struct gpu_rect rect;
			uint64_t offset;
			uint32_t id, pad;
		} transfer;
		struct {
			uint32_t scanout, x, y, pad, id, hot_x, hot_y, pad2;
		} cursor;
		uint8_t bytes[GPU_REQUEST - 24];
	};
};
_Static_assert(sizeof(struct head) == 24 && sizeof(struct request) == GPU_REQUEST, "a request");
struct display_info {
	struct head head;
	struct {
		struct gpu_rect rect;
		uint32_t enabled, flags;
	} modes[SCANOUTS_MAX];
};

/* A request under way. */
struct job {
	struct gpu_store *s;
	const struct virtq_memory *memory;
	const struct virtq_chain *chain;
	struct request q;
	uint32_t bytes; /* of the request, with what follows */
};

/* ---- the chain ---- */

static uint32_t read_chain(const struct virtq_chain *c, uint32_t from, void *to, uint32_t len)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < c->readable && done < len; i++) {
		const struct virtq_piece *p = &c->pieces[i];
		uint32_t n = from < p->len ? p->len - from : 0;

		n = n < len - done ? n : len - done;
		if (n)
			memcpy((uint8_t *)to + done, p->at + from, n);
		from -= from < p->len ? from : p->len;
		done += n;
	}
	return done;
}

static uint32_t write_chain(const struct virtq_memory *m, const struct virtq_chain *c, const void *from, uint32_t len)
{
	uint32_t done = 0;

	for (unsigned i = c->readable; i < c->readable + c->writable && done < len; i++) {
		const struct virtq_piece *p = &c->pieces[i];
		uint32_t n = p->len < len - done ? p->len : len - done;

		memcpy(p->at, (const uint8_t *)from + done, n);
		m->written(m->ctx, p->addr, n);
		done += n;
	}
	return done;
}

static uint64_t bytes_of(const struct virtq_chain *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->readable; i++)
		sum += c->pieces[i].len;
	return sum;
}

/* ---- resources ---- */

static struct gpu_resource *find(struct gpu_store *s, uint32_t id)
{
	for (unsigned i = 0; id && i < GPU_RESOURCES; i++)
		if (s->resources[i].id == id)
			return &s->resources[i];
	return NULL;
}

static struct gpu_resource *free_slot(struct gpu_store *s)
{
	for (unsigned i = 0; i < GPU_RESOURCES; i++)
		if (!s->resources[i].id)
			return &s->resources[i];
	return NULL;
}

static uint32_t pages_for(uint32_t width, uint32_t height)
{
	return (width * height * 4 + GPU_PAGE - 1) / GPU_PAGE;
}

static bool size_is_possible(uint32_t width, uint32_t height)
{
	return width && height && width <= GPU_SIDE_MAX && height <= GPU_SIDE_MAX && width * height <= GPU_RESOURCE_BYTES / 4;
}

/* The first place where so many pages are nobody's. UINT32_MAX: there is none. */
static uint32_t find_room(const struct gpu_store *s, uint32_t pages)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < GPU_RESOURCES; i++) {
		const struct gpu_resource *r = &s->resources[i];

		if (r->id && at < r->page + r->pages && r->page < at + pages) {
			at = r->page + r->pages;
			i = UINT32_MAX; /* from the beginning: `at` has grown */
		}
	}
	return at + pages <= GPU_PAGES ? at : UINT32_MAX;
}

static bool rect_is_in(const struct gpu_rect *r, uint32_t width, uint32_t height)
{
	return r->width && r->height && (uint64_t)r->x + r->width <= width && (uint64_t)r->y + r->height <= height;
}

static uint64_t backing_bytes(const struct gpu_store *s, const struct gpu_resource *r)
{
	const struct gpu_entry *e = s->entries[r - s->resources];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->entries; i++)
		sum += e[i].len;
	return sum;
}

/* ---- deciding: what a request is answered with, before anything is changed ---- */

static uint32_t judge_create(struct job *j)
{
	const uint32_t width = j->q.create.width, height = j->q.create.height;

	if (!j->q.create.id || find(j->s, j->q.create.id))
		return GPU_ERR_RESOURCE;
	if (!gpu_format_is_known(j->q.create.format) || !size_is_possible(width, height))
		return GPU_ERR_PARAMETER;
	if (!free_slot(j->s) || find_room(j->s, pages_for(width, height)) == UINT32_MAX)
		return GPU_ERR_OUT_OF_MEMORY;
	return GPU_OK;
}

static uint32_t judge_named(struct job *j)
{
	return find(j->s, j->q.named.id) ? GPU_OK : GPU_ERR_RESOURCE;
}

static uint32_t judge_scanout(struct job *j)
{
	const struct gpu_resource *r = find(j->s, j->q.scanout.id);

	if (j->q.scanout.scanout >= SCANOUTS)
		return GPU_ERR_SCANOUT;
	if (!j->q.scanout.id)
		return GPU_OK;
	if (!r)
		return GPU_ERR_RESOURCE;
	return rect_is_in(&j->q.scanout.rect, r->width, r->height) ? GPU_OK : GPU_ERR_PARAMETER;
}

static uint32_t judge_flush(struct job *j)
{
	const struct gpu_resource *r = find(j->s, j->q.flush.id);

	if (!r)
		return GPU_ERR_RESOURCE;
	return rect_is_in(&j->q.flush.rect, r->width, r->height) ? GPU_OK : GPU_ERR_PARAMETER;
}

/* 5.7.6.8: `offset` is where in the guest's memory the rectangle begins, whose rows lie as far apart as the resource's. */
static uint32_t judge_transfer(struct job *j)
{
	const struct gpu_resource *r = find(j->s, j->q.transfer.id);
	const struct gpu_rect *rect = &j->q.transfer.rect;
	uint64_t need, have;

	if (!r)
		return GPU_ERR_RESOURCE;
	if (!rect_is_in(rect, r->width, r->height))
		return GPU_ERR_PARAMETER;
	have = backing_bytes(j->s, r);
	need = 4ull * r->width * (rect->height - 1) + 4ull * rect->width;
	return j->q.transfer.offset <= have && need <= have - j->q.transfer.offset ? GPU_OK : GPU_ERR_PARAMETER;
}

static uint32_t judge_attach(struct job *j)
{
	const struct gpu_resource *r = find(j->s, j->q.named.id);
	const uint64_t room = bytes_of(j->chain), entries = j->q.named.count;

	if (!r)
		return GPU_ERR_RESOURCE;
	if (r->entries)
		return GPU_ERR_UNSPEC; /* it has some */
	return entries && entries <= GPU_ENTRIES && 32 + entries * sizeof(struct gpu_entry) <= room ? GPU_OK : GPU_ERR_PARAMETER;
}

/* ---- doing, once or again: the answer, which is as it was decided unless the guest has taken away what it needs ---- */

static uint32_t do_create(struct job *j)
{
	struct gpu_resource *r = free_slot(j->s);
	const uint32_t pages = pages_for(j->q.create.width, j->q.create.height), page = find_room(j->s, pages);

	if (find(j->s, j->q.create.id))
		return GPU_OK; /* a predecessor has done it */
	if (!r || page == UINT32_MAX)
		return GPU_ERR_OUT_OF_MEMORY;
	memset(j->s->pixels[page], 0, (size_t)pages * GPU_PAGE);
	*r = (struct gpu_resource){ .format = j->q.create.format,
				    .width = j->q.create.width,
				    .height = j->q.create.height,
				    .page = page,
				    .pages = pages };
	__atomic_store_n(&r->id, j->q.create.id, __ATOMIC_RELEASE);
	return GPU_OK;
}

/* What is shown of it is shown no longer. */
static uint32_t do_unref(struct job *j)
{
	struct gpu_resource *r = find(j->s, j->q.named.id);

	if (j->s->scanout.resource == j->q.named.id)
		j->s->scanout.resource = 0;
	if (j->s->cursor.resource == j->q.named.id)
		j->s->cursor.resource = 0;
	if (r)
		__atomic_store_n(&r->id, 0, __ATOMIC_RELEASE);
	return GPU_OK;
}

static uint32_t do_scanout(struct job *j)
{
	j->s->scanout.resource = 0;
	j->s->scanout.rect = j->q.scanout.rect;
	__atomic_store_n(&j->s->scanout.resource, j->q.scanout.id, __ATOMIC_RELEASE);
	return GPU_OK;
}

static uint32_t do_nothing(struct job *j)
{
	(void)j;
	return GPU_OK;
}

/* Where we are in the guest's pieces of memory; what is asked for only goes forward. */
struct walk {
	const struct gpu_entry *entries;
	uint32_t count, index;
	uint64_t start; /* of that piece, from the beginning of the first one */
};

/* Bytes from `from` on, which may lie in several pieces. False: that is no memory. */
static bool copy_from_guest(const struct virtq_memory *m, struct walk *w, uint64_t from, uint8_t *to, uint32_t len)
{
	while (len) {
		const struct gpu_entry *e = &w->entries[w->index];
		uint64_t within = from - w->start, n;
		const void *at;

		if (w->index >= w->count)
			return false;
		if (within >= e->len) {
			w->start += e->len;
			w->index++;
			continue;
		}
		n = e->len - within < len ? e->len - within : len;
		at = e->addr <= UINT64_MAX - within ? m->at(m->ctx, e->addr + within, n) : NULL;
		if (!at)
			return false;
		memcpy(to, at, n);
		to += n;
		from += n;
		len -= (uint32_t)n;
	}
	return true;
}

static uint32_t do_transfer(struct job *j)
{
	const struct gpu_resource *r = find(j->s, j->q.transfer.id);
	const struct gpu_rect *rect = &j->q.transfer.rect;
	struct walk w = { .count = 0 };

	if (!r)
		return GPU_ERR_RESOURCE;
	w.entries = j->s->entries[r - j->s->resources];
	w.count = r->entries;
	for (uint32_t y = 0; y < rect->height; y++) {
		uint8_t *to = j->s->pixels[r->page] + 4 * ((size_t)(rect->y + y) * r->width + rect->x);

		if (!copy_from_guest(j->memory, &w, j->q.transfer.offset + 4ull * r->width * y, to, 4 * rect->width))
			return GPU_ERR_PARAMETER;
	}
	return GPU_OK;
}

static uint32_t do_attach(struct job *j)
{
	struct gpu_resource *r = find(j->s, j->q.named.id);
	const uint32_t bytes = j->q.named.count * (uint32_t)sizeof(struct gpu_entry);

	if (!r)
		return GPU_ERR_RESOURCE;
	if (read_chain(j->chain, 32, j->s->entries[r - j->s->resources], bytes) != bytes)
		return GPU_ERR_PARAMETER;
	r->entries = j->q.named.count;
	return GPU_OK;
}

static uint32_t do_detach(struct job *j)
{
	struct gpu_resource *r = find(j->s, j->q.named.id);

	if (r)
		r->entries = 0;
	return GPU_OK;
}

/* 5.7.6.8. Bytes: at least so many of a request, or it is none. */
static const struct row {
	uint32_t type, bytes;
	uint32_t (*judge)(struct job *j), (*carry_out)(struct job *j);
	bool shows;
} rows[] = {
	{ GPU_GET_DISPLAY_INFO, 24, do_nothing, do_nothing, false },
	{ GPU_CREATE_2D, 40, judge_create, do_create, false },
	{ GPU_UNREF, 32, judge_named, do_unref, true },
	{ GPU_SET_SCANOUT, 48, judge_scanout, do_scanout, true },
	{ GPU_FLUSH, 48, judge_flush, do_nothing, true },
	{ GPU_TRANSFER_2D, 56, judge_transfer, do_transfer, false },
	{ GPU_ATTACH, 32, judge_attach, do_attach, false },
	{ GPU_DETACH, 32, judge_named, do_detach, false },
};

static const struct row *row_of(const struct job *j)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == j->q.head.type && j->bytes >= rows[i].bytes)
			return &rows[i];
	return NULL;
}

/* ---- the control queue ---- */

void gpu_forget(struct gpu_store *s)
{
	s->last.is_noted = 0;
	s->scanout.resource = s->cursor.resource = 0;
	for (unsigned i = 0; i < GPU_RESOURCES; i++)
		s->resources[i].id = 0;
}

static void note(struct gpu_store *s, const struct job *j, uint16_t next, uint32_t answer)
{
	__atomic_store_n(&s->last.is_noted, 0, __ATOMIC_SEQ_CST);
	s->last.next = next;
	s->last.answer = answer;
	memcpy(s->last.request, &j->q, sizeof(j->q));
	__atomic_store_n(&s->last.is_noted, 1, __ATOMIC_SEQ_CST);
}

/*
 * The queue was started: does it go on where it stood? If not, a driver has begun anew, and finds nothing. (One whose predecessor has
 * asked exactly 65536 times or a multiple of that looks the same; it gets errors until it resets the device once more.)
 */
static bool goes_on(const struct gpu_store *s, const struct job *j, uint16_t index)
{
	if (!s->last.is_noted)
		return false;
	return s->last.next == index || (s->last.next == (uint16_t)(index + 1) && !memcmp(s->last.request, &j->q, sizeof(j->q)));
}

static uint32_t answer(struct gpu *g, struct job *j, const struct row *row, uint16_t index)
{
	struct gpu_store *s = g->store;
	bool again;
	uint32_t decided;

	if (g->fresh && !goes_on(s, j, index))
		gpu_forget(s);
	again = g->fresh && s->last.is_noted && s->last.next == (uint16_t)(index + 1);
	g->fresh = false;
	decided = again ? s->last.answer : row ? row->judge(j) : GPU_ERR_UNSPEC;
	if (!again)
		note(s, j, (uint16_t)(index + 1), decided);
	if (decided == GPU_OK && row)
		decided = row->carry_out(j);
	if (decided == GPU_OK && row && row->shows)
		g->is_due = true;
	return decided;
}

static int64_t read_job(struct job *j, struct gpu *g, const struct virtq_memory *memory, const struct virtq_chain *chain)
{
	*j = (struct job){ .s = g->store, .memory = memory, .chain = chain };
	j->bytes = read_chain(chain, 0, &j->q, sizeof(j->q));
	return j->bytes < sizeof(j->q.head) ? -EPROTO : 0;
}

/* 5.7.6.7: a fenced request is answered with its fence, when it is done; all are when they are answered. */
static struct head head_of(const struct job *j, uint32_t type)
{
	struct head h = { .type = type, .flags = j->q.head.flags & FLAG_FENCE };

	if (h.flags) {
		h.fence = j->q.head.fence;
		h.context = j->q.head.context;
	}
	return h;
}

int64_t gpu_control(struct gpu *g, const struct virtq_memory *memory, const struct virtq_chain *chain, uint16_t index)
{
	struct display_info info = { .head = { 0 } };
	uint32_t len = sizeof(info.head), type, done;
	struct job j;

	if (read_job(&j, g, memory, chain))
		return -EPROTO;
	type = answer(g, &j, row_of(&j), index);
	if (type == GPU_OK && j.q.head.type == GPU_GET_DISPLAY_INFO) {
		type = GPU_OK_DISPLAY_INFO;
		len = sizeof(info);
		info.modes[0].rect = (struct gpu_rect){ 0, 0, g->store->width, g->store->height };
		info.modes[0].enabled = 1;
	}
	info.head = head_of(&j, type);
	done = write_chain(memory, chain, &info, len);
	return done < sizeof(info.head) ? -EPROTO : (int64_t)done;
}

/* 5.7.6.10: a resource that is not there hides it. */
int64_t gpu_cursor(struct gpu *g, const struct virtq_memory *memory, const struct virtq_chain *chain)
{
	struct gpu_store *s = g->store;
	struct head ok;
	struct job j;

	if (read_job(&j, g, memory, chain))
		return -EPROTO;
	ok = head_of(&j, j.bytes == sizeof(j.q) - 8 || j.bytes == sizeof(j.q) ? GPU_OK : GPU_ERR_UNSPEC);
	if (ok.type == GPU_OK && j.q.cursor.scanout < SCANOUTS) {
		s->cursor.x = j.q.cursor.x;
		s->cursor.y = j.q.cursor.y;
		if (j.q.head.type == GPU_UPDATE_CURSOR) {
			s->cursor.resource = find(s, j.q.cursor.id) ? j.q.cursor.id : 0;
			s->cursor.hot_x = j.q.cursor.hot_x;
			s->cursor.hot_y = j.q.cursor.hot_y;
		}
		g->is_due = true;
	}
	return write_chain(memory, chain, &ok, sizeof(ok));
}

/* ---- a store that was found ---- */

static bool resource_is_good(const struct gpu_resource *r)
{
	return !r->id ||
	       (gpu_format_is_known(r->format) && size_is_possible(r->width, r->height) &&
		r->pages == pages_for(r->width, r->height) && r->page <= GPU_PAGES - r->pages && r->entries <= GPU_ENTRIES);
}

const char *gpu_check(const struct gpu_store *s)
{
	const struct gpu_resource *shown = gpu_resource_of(s, s->scanout.resource);

	if (s->magic != GPU_MAGIC || s->version != GPU_VERSION)
		return "magic";
	if (!display_size_is_possible(s->width, s->height))
		return "size";
	for (unsigned i = 0; i < GPU_RESOURCES; i++)
		if (!resource_is_good(&s->resources[i]))
			return "resource";
	if (s->scanout.resource && (!shown || !rect_is_in(&s->scanout.rect, shown->width, shown->height)))
		return "scanout";
	return s->last.is_noted > 1 ? "last request" : NULL;
}

static void repair(struct gpu_store *s)
{
	if (s->magic != GPU_MAGIC || s->version != GPU_VERSION || !display_size_is_possible(s->width, s->height)) {
		s->magic = GPU_MAGIC;
		s->version = GPU_VERSION;
		s->width = DISPLAY_WIDTH;
		s->height = DISPLAY_HEIGHT;
	}
	if (gpu_check(s))
		gpu_forget(s);
}

/* ---- vhost-user ---- */

/* 5.7.4: events_read, events_clear, num_scanouts, num_capsets. */
static void get_config(void *ctx, uint8_t *out)
{
	(void)ctx;
	memset(out, 0, 16);
	out[CONFIG_SCANOUTS] = SCANOUTS;
}

static void accepted(void *ctx, uint64_t features)
{
	(void)ctx;
	(void)features;
}

static void halted(void *ctx, struct vhost_queue *q)
{
	struct gpu *g = ctx;

	if (q->index == CONTROL_QUEUE)
		g->fresh = true;
}

static int64_t serve(void *ctx, struct vhost_queue *q, struct virtq_chain *chain)
{
	const struct virtq_memory *m = &q->back->memory;

	return q->index == CONTROL_QUEUE ? gpu_control(ctx, m, chain, q->ring.used_idx) : gpu_cursor(ctx, m, chain);
}

void gpu_init(struct gpu *g, struct gpu_store *store, void (*served)(void *ctx), void (*lost)(void *ctx, const char *why))
{
	repair(store);
	*g = (struct gpu){ .store = store, .fresh = true, .is_due = true };
	g->device = (struct vhost_device){
		.queues = QUEUES,
		.config_bytes = 16,
		.get_config = get_config,
		.accepted = accepted,
		.serve = serve,
		.halted = halted,
		.served = served,
		.lost = lost,
		.ctx = g,
	};
}

/* SPDX-License-Identifier: MIT */
/*
 * A device as a file (proto/capture.h), as --replay takes it: the container, its ring, its journal, and the state in there. A good
 * one of the kind that the input names is changed in places, and given its checksums again, which are no secret. Input flag 1:
 * it is the input alone.
 */
#include "proto/capture.h"
#include "devices/model.h"
#include "fuzz.h"

#include <errno.h>

enum { STEPS = 4 };

static struct journal_object journal;
static struct ring_req req;
static struct ring_rsp rsp;
static struct line_page page;

static struct journal_id id_of(const struct kind_row *kind)
{
	const struct device_model *m = device_models[kind - kind_rows];

	return (struct journal_id){ .role = kind->role, .version = m->version, .part_size = { (uint32_t)m->state_size, 0 } };
}

static void commit(const struct kind_row *kind, void *state)
{
	const struct device_model *m = device_models[kind - kind_rows];
	const struct model_config config = { .ram_low = 16 << 20, .vcpus = 1 };
	const struct journal_id id = id_of(kind);
	const void *const parts[JOURNAL_PARTS] = { state, NULL };
	const struct journal_mark mark = { .head = 63 };
	struct journal j;

	memset(&journal, 0, sizeof(journal));
	m->reset(state, &config, 1000);
	CHECK(journal_open(&j, &journal, &id) == 0);
	journal_format(&j, &id);
	journal_commit(&j, parts, &mark);
}

static void fill_ring(void)
{
	memset(&req, 0, sizeof(req));
	memset(&rsp, 0, sizeof(rsp));
	for (uint32_t seq = 63; seq < 66; seq++)
		req.slots[seq % RING_SLOTS] = (struct io_slot){ .seq = seq, .op = IO_WRITE, .size = 1, .addr = 0x3f8 };
	atomic_store(&rsp.head, 63);
	atomic_store(&req.tail, 66);
}

static int64_t make(const struct kind_row *kind, void *state, uint8_t *file)
{
	struct capture_source s = {
		.kind = kind,
		.req = &req,
		.rsp = &rsp,
		.journal = &journal,
		.info = { .ram_bytes = 16 << 20, .vcpus = 1, .time_ns = 2000, .version = "1", .reason = "it died" }
	};

	commit(kind, state);
	fill_ring();
	s.lines[0] = &page;
	return capture_make(&s, file);
}

static void sign(uint8_t *file)
{
	struct state_header h;

	memcpy(&h, file, sizeof(h));
	if (h.bytes < sizeof(h) || h.bytes > CAPTURE_MAX)
		return;
	h.checksum = journal_hash(file + offsetof(struct state_header, bytes),
				  (size_t)h.bytes - offsetof(struct state_header, bytes), STATE_MAGIC);
	memcpy(file, &h, sizeof(h));
}

/* What a model accepts it can live with. */
static void live(const struct kind_row *kind, void *state)
{
	const struct device_model *m = device_models[kind - kind_rows];
	const char *field = NULL;

	if (m->validate(state, &field)) {
		CHECK(field);
		return;
	}
	for (uint64_t now = 2000, i = 0; i < STEPS; i++, now += 1000000)
		CHECK(m->advance(state, now) > now);
	CHECK(m->validate(state, &field) == 0);
}

static void load(const struct kind_row *kind, const struct capture_view *v)
{
	const struct journal_id id = id_of(kind);
	uint8_t *state = fuzz_alloc(id.part_size[0]);
	void *const parts[JOURNAL_PARTS] = { state, NULL };
	struct journal_mark mark;
	struct journal j;
	const char *why = NULL;

	memset(&req, 0, sizeof(req));
	memset(&rsp, 0, sizeof(rsp));
	memset(&journal, 0, sizeof(journal));
	CHECK(ring_restore(&req, &rsp, &v->ring, v->info.vcpus) == 0, "what was checked is a ring");
	if (v->journal && !journal_restore(&journal, kind->role, v->journal, v->journal_bytes, &why) &&
	    !journal_open(&j, &journal, &id) && !journal_load(&j, &id, parts, &mark, &why))
		live(kind, state);
	free(state);
}

/* The journal's own checksum covers what was changed in there: the state is changed before it is committed. */
static void change_state(struct input *in, const struct kind_row *kind, void *state, uint8_t *file)
{
	const struct journal_id id = id_of(kind);
	const void *const parts[JOURNAL_PARTS] = { state, NULL };
	const struct journal_mark mark = { .head = 63 };
	struct journal j;
	struct capture_source s = { .kind = kind,
				    .req = &req,
				    .rsp = &rsp,
				    .journal = &journal,
				    .info = { .ram_bytes = 16 << 20, .vcpus = 1, .time_ns = 2000 } };

	take_poke(in, state, id.part_size[0]);
	CHECK(journal_open(&j, &journal, &id) == 0);
	journal_commit(&j, parts, &mark);
	CHECK(capture_make(&s, file) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint64_t flags = take(&in, 1);
	const struct kind_row *kind = &kind_rows[take_below(&in, KIND_COUNT)];
	void *state = fuzz_alloc(id_of(kind).part_size[0]);
	uint8_t *file = fuzz_alloc(CAPTURE_MAX);
	struct capture_view view;
	const char *why = NULL;
	int64_t bytes;

	if (flags & 1) {
		memcpy(file, in.data, in.left < CAPTURE_MAX ? in.left : CAPTURE_MAX);
	} else {
		bytes = make(kind, state, file);
		CHECK(bytes > 0);
		CHECK(capture_check(file, (size_t)bytes, kind, &view, &why) == 0, "%s", why);
		if (flags & 2)
			change_state(&in, kind, state, file);
		while (in.left > 0)
			take_poke(&in, file, (size_t)bytes);
	}
	sign(file);
	if (capture_check(file, CAPTURE_MAX, kind, &view, &why) == 0)
		load(kind, &view);
	else
		CHECK(why);
	free(file);
	free(state);
	return 0;
}
